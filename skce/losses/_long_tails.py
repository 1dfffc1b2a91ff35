"""Penalties for rare classes and rare labels."""

from collections.abc import Callable
from copy import copy
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, logit, xlogy

from skce.losses._base import Array, valid_for
from skce.losses._numerics import log_expit, log_softmax
from skce.losses._penalty import LogOddsPenalty, LogPenalty, check_number
from skce.losses.intervals import Interval

if TYPE_CHECKING:
    from skce.losses._activation import Activation

__all__ = ["Asymmetric", "LogitAdjusted"]


class LogitAdjusted(LogPenalty):
    """-log(y_k pi_k^tau / sum_j y_j pi_j^tau), pi the frequencies of the classes.

    This is cross-entropy with tau log pi added to the logits during training.
    Predictions leave the offsets out, and so treat rare and frequent classes alike.

    Parameters
    ----------
    tau : float, default=1.0
        At least 0; at 0 the penalty is cross-entropy.
    frequencies : array-like of shape (n_classes,), default=None
        pi, positive, in the order of the sorted classes; they need not sum to 1. None:
        those of the training rows of each fit, weighted by `sample_weight`. Outside a
        fit, as in `pair`, they must be given.

    Notes
    -----
    On softmax outputs the expected loss is smallest at y_k proportional to
    P_k / pi_k^tau, for the posterior probabilities P. With tau = 1 that is the
    posterior for classes that are equally frequent, and predicting the largest output
    maximises balanced accuracy. `predict_proba` multiplied by pi and normalised is P
    again.

    The fitted `pairing_` holds the frequencies. Do not combine it with
    `class_weight="balanced"`, which would correct twice. A class whose rows all have a
    weight of 0 is treated as in cross-entropy.

    References
    ----------
    Menon, Jayasumana, Rawat, Jain, Veit & Kumar (2021), "Long-tail learning via logit
    adjustment", ICLR.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skce import PairedMLPClassifier
    >>> from skce.losses.penalties import LogitAdjusted
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = PairedMLPClassifier("softmax", LogitAdjusted(), hidden_layer_sizes=5)
    >>> clf.fit(X[:110], y[:110]).pairing_
    <softmax x logit_adjusted(tau=1.0): workable>
    >>> clf.pairing_.penalty.frequencies.round(3)
    array([0.455, 0.455, 0.091])
    """

    elementwise = False
    min_outputs = 2  # a single one would be divided by itself
    tau: float
    frequencies: ArrayLike | None

    def __init__(self, tau: float = 1.0, frequencies: ArrayLike | None = None) -> None:
        check_number("tau", tau, Interval(0, np.inf, low_closed=True))
        if frequencies is not None:
            pi = np.asarray(frequencies, dtype=float)
            if pi.ndim != 1 or not (np.isfinite(pi) & (pi > 0)).all():
                raise ValueError(
                    f"frequencies={frequencies!r} must be positive numbers, one for "
                    "each class, or None for those of the training rows."
                )
        self.tau = tau
        self.frequencies = frequencies

    @property
    def name(self) -> str:
        """The name without the frequencies, which may be many."""
        return f"{super().name.partition('(')[0]}(tau={self.tau!r})"

    def for_frequencies(self, frequencies: Callable[[], Array]) -> Self:
        """Return the penalty with these frequencies, unless it has some."""
        if self.frequencies is not None:
            return self
        found = frequencies()
        given: dict[str, Any] = {"frequencies": np.where(found > 0, found, 1)}
        return copy(self).set_params(**given)

    def constant_outputs(self, frequencies: Array) -> Array:
        """Frequencies / pi^tau, divided by their sum."""
        with np.errstate(divide="ignore"):  # a class without rows
            logits = np.log(frequencies) - self._offsets()
        return np.exp(log_softmax(logits[:, np.newaxis])[:, 0])

    @valid_for()
    def posterior_of(self, y: Array, activation: "Activation") -> Array | None:
        """P_k proportional to y_k pi_k^tau."""
        if not activation.on_simplex:
            return None
        with np.errstate(divide="ignore"):
            return np.exp(self._log_adjusted(np.log(y)))

    def _offsets(self) -> Array:
        """tau log pi, (q,), with a largest of 0."""
        if self.frequencies is None:
            raise ValueError(
                "LogitAdjusted takes the class frequencies from the rows of a fit: to "
                "use it elsewhere, pass frequencies."
            )
        log_pi = np.log(np.asarray(self.frequencies, dtype=float))
        return float(self.tau) * (log_pi - log_pi.max())

    def _log_adjusted(self, log_y: Array) -> Array:
        """log of y_k pi_k^tau / sum_j y_j pi_j^tau, (q, n)."""
        offsets = self._offsets()
        if len(offsets) != len(log_y):
            raise ValueError(
                f"frequencies={self.frequencies!r} are those of {len(offsets)} "
                f"classes, but there are {len(log_y)} outputs."
            )
        return log_softmax(log_y + offsets[:, np.newaxis].astype(log_y.dtype))

    def log_value(self, t: Array, log_y: Array) -> Array:
        """t (log t - log_adjusted_k): the sum over k is the loss of the row."""
        with np.errstate(invalid="ignore"):  # 0 times -inf
            cross = np.where(t == 0, 0, t * self._log_adjusted(log_y))
        return xlogy(t, t) - cross

    def log_derivative(self, t: Array, log_y: Array) -> Array:
        """s adjusted_k - t_k with s = sum_j t_j."""
        adjusted = self._log_adjusted(log_y)
        others = t.sum(axis=0) - t
        return t * np.expm1(adjusted) + others * np.exp(adjusted)

    def log_curvature(self, t: Array, log_y: Array, d: Array) -> Array:
        """s adjusted_k (d_k - sum_j adjusted_j d_j)."""
        adjusted = np.exp(self._log_adjusted(log_y))
        mean = np.einsum("kn,kn->n", adjusted, d)
        return t.sum(axis=0) * adjusted * (d - mean)


class Asymmetric(LogOddsPenalty):
    """rho(t, y) = -t (1 - y)^p log y - (1 - t) g^n log(1 - g), g = max(y - m, 0).

    Asymmetric loss for several labels per row, most of which are off. Labels that are
    off count little where y is small (exponent n), and not at all up to y = m.

    Parameters
    ----------
    gamma_pos : float, default=0.0
        p, at least 0: the focusing of labels that are on.
    gamma_neg : float, default=4.0
        n, at least 0: the focusing of labels that are off.
    clip : float, default=0.05
        m, in [0, 1): the shift of the outputs of labels that are off. With all three
        at 0 the penalty is binary cross-entropy.

    Notes
    -----
    The loss is not proper. On logistic outputs the expected loss is smallest where

        P / (1 - P) = y (g^n / (1 - g) - n g^(n - 1) log(1 - g))
                      / ((1 - y)^p - p y (1 - y)^(p - 1) log y)

    for the posterior probability P of the label. P grows with y (for n > 0 from 0 at
    y = m), so y ranks the rows as P does, and P can be computed from y. With the
    defaults y exceeds P for rare labels: y = 1/2, the threshold of `predict`,
    corresponds to P = 0.13.

    At y = m > 0 there is a kink if n = 0; the second derivative is unbounded there if
    0 < n < 1, and jumps if n = 1, which second-order solvers may notice.

    References
    ----------
    Ridnik, Ben-Baruch, Zamir, Noy, Friedman, Protter & Zelnik-Manor (2021), "Asymmetric
    loss for multi-label classification", ICCV.

    Examples
    --------
    >>> from sklearn.datasets import make_multilabel_classification
    >>> from skce import PairedMLPClassifier
    >>> from skce.losses.penalties import Asymmetric
    >>> X, Y = make_multilabel_classification(random_state=0)
    >>> clf = PairedMLPClassifier(
    ...     "logistic", Asymmetric(gamma_neg=2), hidden_layer_sizes=()
    ... )
    >>> clf.fit(X, Y).pairing_
    <logistic x asymmetric(gamma_pos=0.0, gamma_neg=2, clip=0.05): workable>
    """

    unit = ""
    gamma_pos: float
    gamma_neg: float
    clip: float

    def __init__(
        self, gamma_pos: float = 0.0, gamma_neg: float = 4.0, clip: float = 0.05
    ) -> None:
        for name, gamma in {"gamma_pos": gamma_pos, "gamma_neg": gamma_neg}.items():
            check_number(name, gamma, Interval(0, np.inf, low_closed=True))
        check_number("clip", clip, Interval(0, 1, low_closed=True))
        self.gamma_pos = gamma_pos
        self.gamma_neg = gamma_neg
        self.clip = clip

    def log_odds_value(self, t: Array, log_odds: Array) -> Array:
        """-t (1 - y)^p log y - (1 - t) g^n log(1 - g)."""
        return self._mixture(t, log_odds, 0)

    def log_odds_derivative(self, t: Array, log_odds: Array) -> Array:
        """t d on + (1 - t) d off."""
        return self._mixture(t, log_odds, 1)

    def log_odds_second_derivative(self, t: Array, log_odds: Array) -> Array:
        """t d^2 on + (1 - t) d^2 off."""
        return self._mixture(t, log_odds, 2)

    @valid_for()
    def posterior_of(self, y: Array, activation: "Activation") -> Array | None:
        """P / (1 - P) = -(d off / d y) / (d on / d y), the losses of t = 0 and 1."""
        kinked = self.gamma_neg == 0 and self.clip > 0  # y = m for many P
        if kinked or activation.on_simplex:
            return None
        inside = (y > 0) & (y < 1)
        log_odds = logit(np.where(inside, y, 0.5))
        on = _focal(-log_odds, float(self.gamma_pos), 0.0)[1]
        off = _focal(log_odds, float(self.gamma_neg), float(self.clip))[1]
        return np.where(inside, off / (on + off), y)

    def _mixture(self, t: Array, log_odds: Array, order: int) -> Array:
        """t on(l) + (1 - t) off(l), or a derivative of it in l."""
        on = _focal(-log_odds, float(self.gamma_pos), 0.0)[order]
        off = _focal(log_odds, float(self.gamma_neg), float(self.clip))[order]
        return t * (on if order != 1 else -on) + (1 - t) * off


def _focal(log_odds: Array, n: float, m: float) -> tuple[Array, Array, Array]:
    """f = -g^n log(1 - g) with g = max(y - m, 0), and its derivatives in l.

    l is log(y / (1 - y)), so that df / dl = y (1 - y) df / dy, in which 1 / (1 - g) is
    finite times 1 - y.
    """
    y, rest = expit(log_odds), expit(-log_odds)
    g = np.maximum(y - m, 0)
    if m == 0:
        log_rest, share = log_expit(-log_odds), np.ones_like(y)
    else:
        # near 0 by g, which is exact there; near 1 by 1 - y, which is
        small = np.log1p(-np.minimum(g, 0.5))
        log_rest = np.where(g > 0.5, np.log(rest + m), small)
        share = rest / (rest + m)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(g > 0, log_rest / g, -1)
        bend = n * np.where(g > 0, g ** (n - 1), 0) if n else np.zeros_like(g)
    power = np.where(y > m, g**n, 0) if m else g**n
    slope = y * power * (share - n * rest * ratio)
    bend *= rest * (2 * share - (n - 1) * rest * ratio)
    curvature = (rest - y) * slope + y * y * (power * share * share + bend)
    return -power * log_rest, slope, curvature
