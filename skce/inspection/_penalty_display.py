"""Plots of penalties."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skce._support.optional import optional
from skce.inspection._plotting import axes_or_new, line_style, with_defaults
from skce.losses.penalties import get_penalty

__all__ = ["PenaltyDisplay"]


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
                "penalty='natural' depends on the activation: pass the name of the "
                "penalty (the natural loss of sparsemax or entmax is not a function of "
                "the outputs and cannot be drawn here)."
            )
        penalty = get_penalty(penalty)
        if not penalty.elementwise:
            raise ValueError(
                f"{penalty.name} compares the outputs of a row; only a function of one "
                "target and one output can be drawn."
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
                f"{self.penalty_name} is not finite for any of these targets: choose "
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
