"""Plot the scores of a search against alpha."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from skce._support.fitted import levels
from skce.inspection._plotting import axes_or_new, line_style, with_defaults
from skce.losses.pairings import pair
from skce.search._classifier import PairedMLPClassifierCV

__all__ = ["AlphaCurveDisplay"]


class AlphaCurveDisplay:
    """Plot of cross-validated scores against alpha, one curve per pair.

    A star marks the chosen candidate. Points of dropped candidates are hollow: their
    scores come from unfinished fits or from some of the folds, and are drawn at their
    mean difference to the chosen candidate on the same folds.

    Parameters
    ----------
    alphas : array-like of shape (n_alphas,)
        Sorted.
    scores : array-like of shape (n_curves, n_alphas, n_splits)
        NaN where there was no fit.
    complete : array-like of bool of shape (n_curves, n_alphas)
        Whether a candidate was not given up.
    names : list of str
        Of the curves.
    best : tuple of int
        Indices of the curve and the alpha of the chosen candidate.
    scoring : str, default="score"
        Name of the scorer.

    Attributes
    ----------
    lines_ : list of matplotlib.container.ErrorbarContainer
        One per curve, with the standard errors over the folds.
    ax_ : matplotlib.axes.Axes
    figure_ : matplotlib.figure.Figure

    See Also
    --------
    PairedMLPClassifierCV : Computes the scores.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.preprocessing import scale
    >>> from skce import AlphaCurveDisplay, PairedMLPClassifierCV
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = PairedMLPClassifierCV(hidden_layer_sizes=5, random_state=0)
    >>> display = AlphaCurveDisplay.from_estimator(clf.fit(scale(X), y))
    >>> display.names
    ['softmax x cross_entropy']
    >>> display.ax_.get_xscale()
    'log'
    """

    scores: NDArray[np.float64]
    lines_: list[Any]
    ax_: Any
    figure_: Any

    def __init__(
        self,
        *,
        alphas: ArrayLike,
        scores: ArrayLike,
        complete: ArrayLike,
        names: list[str],
        best: tuple[int, int],
        scoring: str = "score",
    ) -> None:
        self.alphas = np.asarray(alphas, dtype=float)
        self.scores = np.asarray(scores, dtype=float)
        self.complete = np.asarray(complete, dtype=bool)
        self.names = names
        self.best = best
        self.scoring = scoring

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None, **kwargs: Any) -> Self:
        """Draw the scores of a fitted search.

        Parameters
        ----------
        estimator : estimator
            A fitted PairedMLPClassifierCV, or a pipeline that ends in one.
        ax : matplotlib.axes.Axes, default=None
            New axes by default.
        **kwargs : dict
            Passed to `Axes.errorbar`.

        Returns
        -------
        display : AlphaCurveDisplay
        """
        found = [
            one for one in levels(estimator) if isinstance(one, PairedMLPClassifierCV)
        ]
        if not found:
            raise ValueError(
                f"{type(estimator).__name__} contains no PairedMLPClassifierCV, "
                "whose scores this display plots."
            )
        search = found[0]
        check_is_fitted(search, "cv_results_")
        _, n_sizes, n_alphas, n_splits = search.scores_.shape
        results = search.cv_results_
        names = [
            _name(results, first, n_sizes > 1)
            for first in range(0, len(results["params"]), n_alphas)
        ]
        display = cls(
            alphas=search.alphas_,
            scores=search.scores_.reshape(-1, n_alphas, n_splits),
            complete=(results["status"] == "kept").reshape(-1, n_alphas),
            names=names,
            best=divmod(search.best_index_, n_alphas),
            scoring=search.scoring if isinstance(search.scoring, str) else "score",
        )
        return display.plot(ax, **kwargs)

    def plot(self, ax: Any = None, **kwargs: Any) -> Self:
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            New axes by default.
        **kwargs : dict
            Passed to `Axes.errorbar`.

        Returns
        -------
        display : AlphaCurveDisplay
        """
        ax = axes_or_new(ax)
        means, errors = self._means_and_errors()
        self.lines_ = []
        for i, name in enumerate(self.names):
            style = line_style(i) | {"markersize": 5, "label": name}
            style = {"capsize": 3} | with_defaults(style, kwargs)
            drawn = ax.errorbar(self.alphas, means[i], yerr=errors[i], **style)
            self.lines_.append(drawn)
            hollow = np.where(self.complete[i], np.nan, means[i])
            colour, marker = drawn[0].get_color(), style["marker"]
            ax.plot(self.alphas, hollow, marker, mfc="w", color=colour, ms=5, zorder=3)
        curve, at = self.best
        where = self.alphas[at], means[curve, at]
        if not self.complete.all():
            label = "given up (mean over the folds\nshared with the chosen one)"
            ax.plot([], [], "o", mfc="w", color="grey", ms=5, label=label)
        ax.plot(*where, "k*", markersize=13, zorder=4, label=f"chosen: {where[0]:.3g}")
        # 0 has no place on a logarithmic axis
        scale = (
            {"value": "log"}
            if self.alphas[0] > 0
            else {
                "value": "symlog",
                "linthresh": self.alphas[self.alphas > 0].min(initial=1.0),
            }
        )
        ax.set_xscale(**scale)
        ax.set(xlabel="alpha", ylabel=f"{self.scoring} (s.e. over the folds)")
        ax.legend(fontsize="small", loc="best", framealpha=0.6)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _means_and_errors(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the heights of the points, and their standard errors.

        Folds differ more than candidates. So a height is that of the candidate chosen,
        plus the mean difference to it on the folds that both have.
        """
        chosen = self.scores[self.best]
        known = ~np.isnan(self.scores)
        n = known.sum(axis=2)
        with np.errstate(invalid="ignore"):
            both = known & ~np.isnan(chosen)
            differences = np.where(both, self.scores - chosen, 0).sum(axis=2)
            differences /= both.sum(axis=2)
            means = np.where(known, self.scores, 0).sum(axis=2) / n
            squares = np.where(known, self.scores - means[..., np.newaxis], 0) ** 2
            errors = np.sqrt(squares.sum(axis=2) / np.maximum(n - 1, 1) / n)
        return np.nanmean(chosen) + differences, np.where(n > 1, errors, 0)


def _name(results: dict[str, Any], i: int, with_sizes: bool) -> str:
    """Return the name of a candidate's pair, with the layer sizes if they vary."""
    name = str(pair(results["param_activation"][i], results["param_penalty"][i]))
    sizes = results["param_hidden_layer_sizes"][i]
    return f"{name}, {sizes}" if with_sizes else name
