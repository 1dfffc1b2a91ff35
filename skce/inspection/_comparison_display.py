"""Plots of a comparison of pairs."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from skce.inspection._comparison import PairingComparison, compare_pairings
from skce.inspection._plotting import axes_or_new, with_defaults

__all__ = ["PairingComparisonDisplay"]


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
