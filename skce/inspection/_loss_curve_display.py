"""Plots of the objective during a fit."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from skce._support.fitted import innermost
from skce.inspection._plotting import axes_or_new, line_style, with_defaults

__all__ = ["LossCurveDisplay"]

Curve = Sequence[float] | NDArray[np.float64]


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
