"""Displays, after scikit-learn's protocol: of penalties, fits and comparisons.

Each display is built from its data alone; `plot` draws them and sets `ax_` and
`figure_`. Lines differ by their style and markers, so that they can be told apart
without colour.
"""

from itertools import cycle

import numpy as np

from skce.comparison import compare_pairings
from skce.optional import optional
from skce.penalties import get_penalty

__all__ = [
    "LINES",
    "LossCurveDisplay",
    "PairingComparisonDisplay",
    "PenaltyDisplay",
]

# Style and marker of the first, second, ... line of an axes
LINES = (("-", "o"), ("--", "s"), ("-.", "^"), (":", "D"), ((0, (5, 1, 1, 1)), "v"))


def _axes(ax):
    """`ax`, or new axes in a figure that makes room for its labels."""
    pyplot = optional("matplotlib.pyplot", "A display")
    return pyplot.subplots(layout="constrained")[1] if ax is None else ax


class PenaltyDisplay:
    """A penalty rho(t, y), as contours over targets and outputs or as curves.

    Parameters
    ----------
    t : ndarray of shape (n_targets,)
        Targets.
    y : ndarray of shape (n_outputs,)
        Outputs.
    values : ndarray of shape (n_targets, n_outputs)
        rho(t, y).
    penalty_name : str
    unit : str, default=""
        Unit of the values, such as "nats".

    Attributes
    ----------
    minimum : tuple of float
        The smallest of `values` and where it is: (t, y, rho).
    ax_ : matplotlib.axes.Axes
    figure_ : matplotlib.figure.Figure

    Examples
    --------
    The paper's figure 1: for every target but 0 the minimum is at y = 1.

    >>> from skce import PenaltyDisplay
    >>> display = PenaltyDisplay.from_penalty("cross_entropy")
    >>> print("rho(%.3f, %.3f) = %.4f" % display.minimum)
    rho(0.368, 1.000) = -0.3679
    """

    def __init__(self, *, t, y, values, penalty_name, unit=""):
        self.t = t
        self.y = y
        self.values = values
        self.penalty_name = penalty_name
        self.unit = unit

    @classmethod
    def from_penalty(cls, penalty, *, kind="contours", targets=None, ax=None, **kwargs):
        """Compute and draw a penalty for targets and outputs in [0, 1].

        Parameters
        ----------
        penalty : str or Penalty
        kind : {"contours", "curves"}, default="contours"
        targets : array-like of shape (n_targets,), default=None
            By default 501 from 0 to 1 for contours, and 0 and 1 for curves.
        ax : matplotlib.axes.Axes, default=None
        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        display : PenaltyDisplay
        """
        penalty = get_penalty(penalty)
        if targets is None:
            targets = (0, 1) if kind == "curves" else np.linspace(0, 1, 501)
        t, y = np.asarray(targets, dtype=float), np.linspace(0, 1, 501)
        with np.errstate(divide="ignore", invalid="ignore"):
            values = penalty.value(*np.broadcast_arrays(t[:, None], y))
        display = cls(
            t=t, y=y, values=values, penalty_name=penalty.name, unit=penalty.unit
        )
        return display.plot(ax, kind=kind, **kwargs)

    @property
    def minimum(self):
        """(t, y, rho) at the smallest of the values."""
        i, j = np.unravel_index(np.nanargmin(self.values), self.values.shape)
        return float(self.t[i]), float(self.y[j]), float(self.values[i, j])

    def plot(self, ax=None, *, kind="contours", name=None, **kwargs):
        """Draw the penalty.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            New axes by default.
        kind : {"contours", "curves"}, default="contours"
            "contours": over outputs and targets, with a dashed line where a target's
            penalty is smallest. "curves": a line a target.
        name : str, default=None
            Title; the penalty's name by default.
        **kwargs : dict
            Passed to `Axes.contour` or `Axes.plot`.

        Returns
        -------
        display : PenaltyDisplay
        """
        if kind not in ("contours", "curves"):
            raise ValueError(f"kind={kind!r} must be 'contours' or 'curves'.")
        ax = _axes(ax)
        values = np.where(np.isfinite(self.values), self.values, np.nan)
        unit = f" ({self.unit})" if self.unit else ""
        if kind == "contours":
            self._contours(ax, values, kwargs)
            ax.set(xlabel="output y", ylabel="target t")
            title = f"{self.penalty_name}: rho(t, y){unit}"
        else:
            self._curves(ax, values, kwargs)
            ax.set(xlabel="output y", ylabel=f"rho(t, y){unit}")
            title = self.penalty_name
        ax.set_title(title if name is None else name)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _contours(self, ax, values, kwargs):
        # levels where most of the values are, not where a logarithm ends
        ticker = optional("matplotlib.ticker", "A display")
        span = np.nanmin(values), np.nanquantile(values, 0.9)
        levels = ticker.MaxNLocator(7).tick_values(*span)
        style = {"colors": "0.35", "linewidths": 0.8, "levels": levels} | kwargs
        lines = ax.contour(self.y, self.t, values, **style)
        places = self._crossings(values, lines.levels)
        ax.clabel(lines, fontsize="small", fmt="%g", manual=places)
        # a target whose penalty does not depend on y, as t = 0 in t log(t/y), has none
        varies = np.nanmax(values, axis=1) > np.nanmin(values, axis=1)
        best = self.y[np.nanargmin(values, axis=1)]
        ax.plot(
            best[varies],
            self.t[varies],
            "k--",
            lw=2,
            clip_on=False,
            label="minimum over y for each t",
        )
        t, y, rho = self.minimum
        if np.isclose(values, rho).sum() == 1:
            where = f"minimum {rho:.4f} at y = {y:.3f}, t = {t:.3f}"
            ax.plot(y, t, "ko", clip_on=False, label=where)
        ax.set_aspect("equal")
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), fontsize="small")

    def _crossings(self, values, levels):
        """Where the levels cross the diagonal from the top left, away from its ends."""
        along = np.linspace(0.08, 0.92, 400)
        rows = ((1 - along) * (len(self.t) - 1)).astype(int)
        columns = (along * (len(self.y) - 1)).astype(int)
        on_diagonal = values[rows, columns]
        return [
            (self.y[columns[i]], self.t[rows[i]])
            for level in levels
            for i in np.flatnonzero(np.diff(on_diagonal > level))
        ]

    def _curves(self, ax, values, kwargs):
        for (style, _), t, curve in zip(cycle(LINES), self.t, values, strict=False):
            line = {"ls": style, "lw": 2, "label": f"t = {t:g}"} | kwargs
            ax.plot(self.y, curve, **line)
        ax.legend()


class LossCurveDisplay:
    """The objective of a fit after each iteration.

    Parameters
    ----------
    curves : list of array-like of shape (n_iterations,)
        The objective of each stage of the fit.
    n_rows : list of int, default=None
        Rows of each stage.
    name : str, default=None
        Name of the fit, for the legend.
    unit : str, default=""
        Unit of the objective, such as "nats".

    Attributes
    ----------
    lines_ : list of matplotlib.lines.Line2D
        A line a stage.
    ax_ : matplotlib.axes.Axes
    figure_ : matplotlib.figure.Figure

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skce import LossCurveDisplay, PairedMLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = PairedMLPClassifier(hidden_layer_sizes=3, random_state=0, alpha=0.1)
    >>> display = LossCurveDisplay.from_estimator(clf.fit(X, y))
    >>> display.ax_.get_xlabel()
    'iteration'
    """

    def __init__(self, *, curves, n_rows=None, name=None, unit=""):
        self.curves = curves
        self.n_rows = n_rows
        self.name = name
        self.unit = unit

    @classmethod
    def from_estimator(cls, estimator, *, ax=None, name=None, **kwargs):
        """Draw the loss curve of a fitted estimator.

        Parameters
        ----------
        estimator : estimator
            A fitted PairedMLPClassifier, or a pipeline or search that ends in one.
            Others with a `loss_curve_` will do.
        ax : matplotlib.axes.Axes, default=None
            Axes to draw on, so that several fits can be compared.
        name : str, default=None
            Name in the legend; by default the pair.
        **kwargs : dict
            Passed to `Axes.plot`.

        Returns
        -------
        display : LossCurveDisplay
        """
        fitted = _fitted(estimator)
        pairing = getattr(fitted, "pairing_", None)
        stages = getattr(fitted, "stages_", None)
        if name is None:
            name = str(type(fitted).__name__ if pairing is None else pairing)
        display = cls(
            curves=[s.loss_curve for s in stages] if stages else [fitted.loss_curve_],
            n_rows=[stage.n_rows for stage in stages] if stages else None,
            name=name,
            unit=getattr(getattr(pairing, "penalty", None), "unit", ""),
        )
        return display.plot(ax, **kwargs)

    def plot(self, ax=None, *, name=None, **kwargs):
        """Draw the curves, stage after stage.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            New axes by default. On axes with other fits the next line style is taken.
        name : str, default=None
            Name in the legend.
        **kwargs : dict
            Passed to `Axes.plot`.

        Returns
        -------
        display : LossCurveDisplay
        """
        ax = _axes(ax)
        name = self.name if name is None else name
        self.lines_, begin = [], 0
        for i, curve in enumerate(self.curves):
            style, marker = LINES[len(ax.lines) % len(LINES)]
            label = name
            if len(self.curves) > 1:
                label = f"{name}, {self.n_rows[i]} rows" if name else self.n_rows[i]
            line = {"ls": style, "marker": marker, "ms": 4, "label": label}
            line["markevery"] = max(1, len(curve) // 10)
            iterations = begin + 1 + np.arange(len(curve))
            self.lines_ += ax.plot(iterations, curve, **line | kwargs)
            begin += len(curve)
        ylabel = (
            f"objective per row ({self.unit})" if self.unit else "objective per row"
        )
        if ax.get_ylabel() not in ("", ylabel):  # fits of different units
            ylabel = "objective per row"
        ax.set(xlabel="iteration", ylabel=ylabel, title="Objective during the fit")
        if ax.get_legend_handles_labels()[1]:
            ax.legend()
        self.ax_, self.figure_ = ax, ax.figure
        return self


class PairingComparisonDisplay:
    """A comparison of pairs: a point and an interval for each.

    Parameters
    ----------
    pairings : list of str
        Names of the pairs, best first.
    centres, lower, upper : array-like of shape (n_pairings,)
        Points and the ends of their intervals.
    label : str
        What they are.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
    figure_ : matplotlib.figure.Figure

    See Also
    --------
    compare_pairings : Computes what is shown.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skce import PairedMLPClassifier, PairingComparisonDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> display = PairingComparisonDisplay.from_estimator(
    ...     PairedMLPClassifier(hidden_layer_sizes=3, alpha=0.1, random_state=0), X, y,
    ...     pairings=[("softmax", "cross_entropy"), ("softmax", "least_squares")],
    ...     scoring="neg_log_loss",
    ... )
    >>> display.pairings[0]
    'softmax x cross_entropy'
    """

    def __init__(self, *, pairings, centres, lower, upper, label):
        self.pairings = pairings
        self.centres = centres
        self.lower = lower
        self.upper = upper
        self.label = label

    @classmethod
    def from_comparison(cls, comparison, *, scoring=None, ax=None, **kwargs):
        """Draw the differences of all pairs to the best, with intervals of 95 %.

        Parameters
        ----------
        comparison : PairingComparison
            What `compare_pairings` returned.
        scoring : str, default=None
            Name of the scorer; the first by default.
        ax : matplotlib.axes.Axes, default=None
        **kwargs : dict
            Passed to `Axes.errorbar`.

        Returns
        -------
        display : PairingComparisonDisplay
        """
        scoring = next(iter(comparison.scores)) if scoring is None else scoring
        table, best = comparison.summary(scoring), comparison.best(scoring)
        order = np.argsort(-table["mean"], kind="stable")
        mean = table["mean"][order[0]]
        display = cls(
            pairings=[comparison.pairings[i] for i in order],
            centres=table["difference"][order],
            lower=table["lower"][order],
            upper=table["upper"][order],
            label=f"{scoring} less {mean:.4f},\nthat of {best}",
        )
        return display.plot(ax, **kwargs)

    @classmethod
    def from_estimator(
        cls, estimator, X, y, *, scoring="neg_log_loss", ax=None, **kwargs
    ):
        """Run `compare_pairings` and draw it.

        Parameters
        ----------
        estimator, X, y
            As in `compare_pairings`.
        scoring : str, default="neg_log_loss"
        ax : matplotlib.axes.Axes, default=None
        **kwargs : dict
            Passed to `compare_pairings`.

        Returns
        -------
        display : PairingComparisonDisplay
        """
        comparison = compare_pairings(estimator, X, y, scoring=scoring, **kwargs)
        return cls.from_comparison(comparison, ax=ax)

    def plot(self, ax=None, **kwargs):
        """Draw a point and an interval for each pair, the best at the top.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            New axes by default.
        **kwargs : dict
            Passed to `Axes.errorbar`.

        Returns
        -------
        display : PairingComparisonDisplay
        """
        ax = _axes(ax)
        heights = np.arange(len(self.pairings))[::-1]
        reach = (
            np.subtract(self.centres, self.lower),
            np.subtract(self.upper, self.centres),
        )
        style = {"fmt": "o", "capsize": 4, "color": "k", "ms": 5} | kwargs
        ax.errorbar(self.centres, heights, xerr=reach, **style)
        ax.axvline(0, color="0.6", lw=1, zorder=0)
        ax.set_yticks(heights, self.pairings)
        ax.margins(y=0.1)
        ax.set(xlabel=self.label, title="Mean difference and 95 % interval")
        ax.grid(axis="x", alpha=0.4)
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _fitted(estimator):
    """The estimator with the loss curve: last step of a pipeline, best of a search."""
    if hasattr(estimator, "best_estimator_"):
        return _fitted(estimator.best_estimator_)
    if hasattr(estimator, "steps"):
        return _fitted(estimator.steps[-1][1])
    if not hasattr(estimator, "loss_curve_"):
        raise ValueError(
            f"{estimator!r} has no loss_curve_: fit it first, and pass a "
            "PairedMLPClassifier or a pipeline or search that ends in one."
        )
    return estimator
