"""Plot penalties, loss curves and comparisons, by scikit-learn's display protocol.

`__init__` takes the data to draw; `plot` draws them and sets `ax_` and `figure_`.
Lines differ in style and markers, so that the plots are readable without colour.
"""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from skce._support.fitted import innermost
from skce._support.optional import optional
from skce.inspection._comparison import PairingComparison, compare_pairings
from skce.losses.penalties import get_penalty

__all__ = [
    "LossCurveDisplay",
    "PairingComparisonDisplay",
    "PenaltyDisplay",
    "axes_or_new",
    "line_style",
    "with_defaults",
]

Curve = Sequence[float] | NDArray[np.float64]

STYLES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1)))
MARKERS = ("o", "s", "^", "D", "v", "P")


def line_style(i: int) -> dict[str, Any]:
    """Return the style and marker of the i-th line; the first 30 differ."""
    return {"linestyle": STYLES[i % 5], "marker": MARKERS[i % 6]}


def with_defaults(defaults: dict[str, Any], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Merge keywords of a line, `kwargs` overriding `defaults` under any alias."""
    normalize = optional("matplotlib.cbook", "A display").normalize_kwargs
    line = optional("matplotlib.lines", "A display").Line2D
    return normalize(defaults, line) | normalize(kwargs, line)


def axes_or_new(ax: Any) -> Any:
    """Return `ax`, or by default new axes in a figure with constrained layout."""
    pyplot = optional("matplotlib.pyplot", "A display")
    return pyplot.subplots(layout="constrained")[1] if ax is None else ax


class PenaltyDisplay:
    """Plot of a penalty rho(t, y), as contours or as one curve per target.

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
        (t, y, rho) at the smallest of `values`.
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

    t: NDArray[np.float64]
    y: NDArray[np.float64]
    values: NDArray[np.float64]
    penalty_name: str
    unit: str
    ax_: Any
    figure_: Any

    def __init__(
        self,
        *,
        t: NDArray[np.float64],
        y: NDArray[np.float64],
        values: NDArray[np.float64],
        penalty_name: str,
        unit: str = "",
    ) -> None:
        self.t = t
        self.y = y
        self.values = values
        self.penalty_name = penalty_name
        self.unit = unit

    @classmethod
    def from_penalty(
        cls,
        penalty: Any,
        *,
        kind: str = "contours",
        targets: ArrayLike | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
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
        if isinstance(penalty, str) and penalty == "natural":
            raise ValueError(
                "penalty='natural' depends on the activation: pass its name (the "
                "natural loss of sparsemax or entmax is no function of the outputs and "
                "cannot be drawn here)."
            )
        penalty = get_penalty(penalty)
        if not penalty.elementwise:
            raise ValueError(
                f"{penalty.name} compares the outputs of a row: it is not a function "
                "of one target and one output, which could be plotted."
            )
        if targets is None:
            targets = (0, 1) if kind == "curves" else np.linspace(0, 1, 501)
        t, y = np.atleast_1d(np.asarray(targets, float)), np.linspace(0, 1, 501)
        with np.errstate(divide="ignore", invalid="ignore"):
            values = penalty.value(*np.broadcast_arrays(t[:, None], y))
        display = cls(
            t=t, y=y, values=values, penalty_name=penalty.name, unit=penalty.unit
        )
        return display.plot(ax, kind=kind, **kwargs)

    @property
    def minimum(self) -> tuple[float, float, float]:
        """Return (t, y, rho) at the smallest of the finite values."""
        finite = np.where(np.isfinite(self.values), self.values, np.inf)
        i, j = np.unravel_index(finite.argmin(), finite.shape)
        return float(self.t[i]), float(self.y[j]), float(self.values[i, j])

    def plot(
        self,
        ax: Any = None,
        *,
        kind: str = "contours",
        name: str | None = None,
        **kwargs: Any,
    ) -> Self:
        """Draw the penalty.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            New axes by default.
        kind : {"contours", "curves"}, default="contours"
            "contours": over outputs and targets, with a dashed line through the
            minimum for each target. "curves": one line per target.
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
        if not np.isfinite(self.values).any():
            raise ValueError(
                f"{self.penalty_name} is finite nowhere on these targets: choose "
                "others."
            )
        if kind == "contours" and len(self.t) < 2:
            raise ValueError("contours need at least two targets; use kind='curves'.")
        ax = axes_or_new(ax)
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

    def _contours(
        self, ax: Any, values: NDArray[np.float64], kwargs: dict[str, Any]
    ) -> None:
        """Draw labelled contours, the minima over y, and the minimum if unique."""
        ticker = optional("matplotlib.ticker", "A display")
        # Next to a logarithmic pole, levels up to the largest value would all crowd
        # there: the top tenth of the values gets none
        unbounded = np.isnan(values).any()
        span = np.nanmin(values), np.nanquantile(values, 0.9 if unbounded else 1)
        levels = ticker.MaxNLocator(7).tick_values(*span)
        style = {"linewidths": 0.8, "linestyles": "-", "levels": levels}
        if "cmap" not in kwargs:
            style["colors"] = "0.35"
        style |= kwargs
        lines = ax.contour(self.y, self.t, values, **style)
        labels_at = self._crossings(values, lines.levels)
        ax.clabel(lines, fontsize="small", fmt="%g", manual=labels_at)
        self._minima_over_y(ax, values)
        t, y, rho = self.minimum
        if np.isclose(values, rho).sum() == 1:
            where = f"minimum {rho:.4f} at y = {y:.3f}, t = {t:.3f}"
            ax.plot(y, t, "ko", clip_on=False, label=where)
        ax.set_aspect("equal")
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), fontsize="small")

    def _minima_over_y(self, ax: Any, values: NDArray[np.float64]) -> None:
        """Draw the dashed line of the best output for each target."""
        # A target whose penalty does not depend on y, as t = 0 in t log(t/y), has none
        low, high = (
            np.where(np.isnan(values), end, values) for end in (np.inf, -np.inf)
        )
        varies = high.max(axis=1) > low.min(axis=1)
        best = self.y[low.argmin(axis=1)]
        ax.plot(
            best[varies],
            self.t[varies],
            "k--",
            lw=2,
            clip_on=False,
            label="minimum over y for each t",
        )

    def _crossings(
        self, values: NDArray[np.float64], levels: NDArray[np.float64]
    ) -> list[tuple[float, float]]:
        """Return places for the labels of the contours, away from the margins.

        They are where the levels cross the diagonal from the top left.
        """
        along = np.linspace(0.08, 0.92, 400)
        rows = ((1 - along) * (len(self.t) - 1)).astype(int)
        columns = (along * (len(self.y) - 1)).astype(int)
        on_diagonal = values[rows, columns]
        return [
            (self.y[columns[i]], self.t[rows[i]])
            for level in levels
            for i in np.flatnonzero(np.diff(on_diagonal > level))
        ]

    def _curves(
        self, ax: Any, values: NDArray[np.float64], kwargs: dict[str, Any]
    ) -> None:
        """Draw one line per target."""
        for i, (t, curve) in enumerate(zip(self.t, values, strict=True)):
            style = line_style(i) | {"marker": None, "lw": 2, "label": f"t = {t:g}"}
            ax.plot(self.y, curve, **with_defaults(style, kwargs))
        ax.legend()


class LossCurveDisplay:
    """Plot of the objective of a fit after each iteration.

    Parameters
    ----------
    curves : list of array-like of shape (n_iterations,)
        The objective in each stage of the fit.
    n_rows : list of int, default=None
        Number of rows in each stage.
    name : str, default=None
        Name of the fit, for the legend.
    unit : str, default=""
        Unit of the objective, such as "nats".

    Attributes
    ----------
    lines_ : list of matplotlib.lines.Line2D
        One line per stage, all of one style; only the first is in the legend.
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

    curves: Sequence[Curve]
    n_rows: list[int] | None
    name: str | None
    unit: str
    lines_: list[Any]
    ax_: Any
    figure_: Any

    def __init__(
        self,
        *,
        curves: Sequence[Curve],
        n_rows: list[int] | None = None,
        name: str | None = None,
        unit: str = "",
    ) -> None:
        self.curves = curves
        self.n_rows = n_rows
        self.name = name
        self.unit = unit

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        ax: Any = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> Self:
        """Draw the loss curve of a fitted estimator.

        Parameters
        ----------
        estimator : estimator
            A fitted PairedMLPClassifier, or a pipeline or search that ends in one, or
            any other fitted estimator with a `loss_curve_`.
        ax : matplotlib.axes.Axes, default=None
            Give the axes of another display to compare several fits; new axes by
            default.
        name : str, default=None
            Name in the legend; the pair by default.
        **kwargs : dict
            Passed to `Axes.plot`.

        Returns
        -------
        display : LossCurveDisplay
        """
        fitted = innermost(estimator)
        check_is_fitted(fitted)
        if not hasattr(fitted, "loss_curve_"):
            raise ValueError(
                f"{fitted!r} has no loss_curve_: pass a PairedMLPClassifier, or a "
                "pipeline or refitted search that ends in one."
            )
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

    def plot(self, ax: Any = None, *, name: str | None = None, **kwargs: Any) -> Self:
        """Draw the curves, stage after stage.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            New axes by default. On axes with other fits the next line style is used.
        name : str, default=None
            Name in the legend.
        **kwargs : dict
            Passed to `Axes.plot`.

        Returns
        -------
        display : LossCurveDisplay
        """
        ax = axes_or_new(ax)
        name = self.name if name is None else name
        n_others = len(ax.get_legend_handles_labels()[0])
        if len(self.curves) > 1 and self.n_rows is not None:
            name = f"{name or ''} ({', '.join(map(str, self.n_rows))} rows)".strip()
        line = line_style(n_others) | {"markersize": 4, "label": name}
        line = with_defaults(line, kwargs)
        self.lines_, begin = [], 0
        for curve in self.curves:
            iterations = begin + 1 + np.arange(len(curve))
            every = {"markevery": max(1, len(curve) // 10)}
            self.lines_ += ax.plot(iterations, curve, **every | line)
            line |= {"color": self.lines_[0].get_color(), "label": None}
            begin += len(curve)
        label = "objective per row, with the L2 term"
        ylabel = f"{label} ({self.unit})" if self.unit else label
        if ax.get_ylabel() not in ("", ylabel):  # fits of different units
            ylabel = label
        title = ax.get_title() or "Objective during the fit"
        ax.set(xlabel="iteration", ylabel=ylabel, title=title)
        if ax.get_legend_handles_labels()[1]:
            ax.legend()
        self.ax_, self.figure_ = ax, ax.figure
        return self


class PairingComparisonDisplay:
    """Plot of a comparison of pairs: a point and an interval for each.

    Parameters
    ----------
    names : list of str
        Names of the pairs, best first.
    centres, lower, upper : array-like of shape (n_pairings,)
        Mean scores less that of the best pair, and the ends of the intervals of these
        differences (NaN where there is none).
    scoring : str
        Name of the scorer.
    best_score : float
        Mean score of the best pair.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
    figure_ : matplotlib.figure.Figure

    See Also
    --------
    compare_pairings : Computes the comparison.

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
    >>> display.names[0]
    'softmax x cross_entropy'
    """

    names: list[str]
    scoring: str
    best_score: float
    comparison_: PairingComparison
    ax_: Any
    figure_: Any

    def __init__(
        self,
        *,
        names: list[str],
        centres: ArrayLike,
        lower: ArrayLike,
        upper: ArrayLike,
        scoring: str,
        best_score: float,
    ) -> None:
        self.names = names
        self.centres = centres
        self.lower = lower
        self.upper = upper
        self.scoring = scoring
        self.best_score = best_score

    @classmethod
    def from_comparison(
        cls,
        comparison: PairingComparison,
        *,
        scoring: str | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Draw the differences of all pairs to the best, with 95 % intervals.

        Parameters
        ----------
        comparison : PairingComparison
            As returned by `compare_pairings`.
        scoring : str, default=None
            Name of the scorer; the first by default.
        ax : matplotlib.axes.Axes, default=None
        **kwargs : dict
            Passed to `Axes.errorbar`.

        Returns
        -------
        display : PairingComparisonDisplay
        """
        if not isinstance(comparison, PairingComparison):
            raise ValueError(
                f"comparison is of type {type(comparison).__name__}; it must be what "
                "compare_pairings returns."
            )
        scoring = next(iter(comparison.scores)) if scoring is None else scoring
        table, order = comparison.summary(scoring), comparison.order(scoring)
        names = [comparison.names[i] for i in order]
        display = cls(
            names=names,
            centres=table["difference"][order],
            lower=table["lower"][order],
            upper=table["upper"][order],
            scoring=scoring,
            best_score=table["mean"][order[0]],
        )
        return display.plot(ax, **kwargs)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: ArrayLike,
        *,
        scoring: Any = "neg_log_loss",
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Run `compare_pairings` and draw the result.

        Parameters
        ----------
        estimator, X, y
            As in `compare_pairings`.
        scoring : str, default="neg_log_loss"
            One scorer; `from_comparison` can draw any of several.
        ax : matplotlib.axes.Axes, default=None
        **kwargs : dict
            Passed to `compare_pairings`.

        Returns
        -------
        display : PairingComparisonDisplay
            Its `comparison_` is the PairingComparison.
        """
        comparison = compare_pairings(estimator, X, y, scoring=scoring, **kwargs)
        display = cls.from_comparison(comparison, ax=ax)
        display.comparison_ = comparison
        return display

    def plot(self, ax: Any = None, **kwargs: Any) -> Self:
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
        ax = axes_or_new(ax)
        heights = np.arange(len(self.names))[::-1]
        reach = (
            np.subtract(self.centres, self.lower),
            np.subtract(self.upper, self.centres),
        )
        style = {"marker": "o", "linestyle": "none", "color": "k", "markersize": 5}
        style = {"capsize": 4} | with_defaults(style, kwargs)
        ax.errorbar(self.centres, heights, xerr=reach, **style)
        ax.axvline(0, color="0.6", lw=1, zorder=0)
        ax.set_yticks(heights, self.names)
        ax.set_ylim(-0.6, len(self.names) - 0.4)
        ax.set(
            xlabel=f"difference to the best ({self.best_score:.4f})\n"
            "with 95 % interval; right is better",
            title=self.scoring,
        )
        ax.grid(axis="x", alpha=0.4)
        self.ax_, self.figure_ = ax, ax.figure
        return self
