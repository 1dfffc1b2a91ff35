"""Penalties for labels that may be wrong, and a smoothed multiclass hinge."""

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit, xlogy

from skce.losses._base import Array, valid_for
from skce.losses._numerics import log_expit, log_softmax
from skce.losses._penalty import LogPenalty, Penalty, check_number
from skce.losses._transforms import LeaveOneOut
from skce.losses.intervals import REAL_LINE, Interval

if TYPE_CHECKING:
    from skce.losses._activation import Activation

__all__ = ["CrammerSingerHinge", "SymmetricCrossEntropy"]


class SymmetricCrossEntropy(LogPenalty):
    """rho(t, y) = a t log(t / y) - b y log t with log 0 = A: cross-entropy both ways.

    For a row with label k the loss is -a log y_k - b A (1 - y_k): cross-entropy, which
    learns from every row, plus reverse cross-entropy, which is at most -b A however
    wrong the label is.

    Parameters
    ----------
    a : float, default=0.1
        Weight of cross-entropy, at least 0.
    b : float, default=1.0
        Weight of reverse cross-entropy, at least 0, with a + b > 0.
    log_zero : float, default=-4.0
        A, negative: replaces log t where log t is smaller.

    Notes
    -----
    The loss is not proper; its outputs are more confident than the posterior
    probabilities P. On softmax outputs the expected loss is smallest at
    y_k = a P_k / (c + b A P_k), where c makes the sum 1. For two classes with P = (0.8,
    0.2) and the defaults that is y = (0.99, 0.01); the order of the classes is that of
    P.

    References
    ----------
    Wang, Ma, Chen, Luo, Yi & Bailey (2019), "Symmetric cross entropy for robust
    learning with noisy labels", ICCV.

    Examples
    --------
    >>> import numpy as np
    >>> from skce.losses.penalties import SymmetricCrossEntropy
    >>> t, y = np.array([1.0, 0.0]), np.array([0.5, 0.5])
    >>> SymmetricCrossEntropy(a=1, b=1, log_zero=-4).value(t, y)
    array([0.69314718, 2.        ])
    """

    unit = ""
    a: float
    b: float
    log_zero: float

    def __init__(self, a: float = 0.1, b: float = 1.0, log_zero: float = -4.0) -> None:
        for name, weight in {"a": a, "b": b}.items():
            check_number(name, weight, Interval(0, np.inf, low_closed=True))
        check_number("log_zero", log_zero, Interval(-np.inf, 0))
        if a == b == 0:
            raise ValueError(
                "With a=0 and b=0 the loss is always 0: raise one of them."
            )
        self.a = a
        self.b = b
        self.log_zero = log_zero

    @valid_for()
    def posterior_of(self, y: Array, activation: "Activation") -> Array | None:
        """P_k proportional to y_k / (a - b A y_k)."""
        if self.a == 0 or not activation.on_simplex:
            return None
        weights = y / (float(self.a) - float(self.b) * float(self.log_zero) * y)
        return weights / weights.sum(axis=0)

    def _reverse(self, t: Array, log_y: Array) -> Array:
        """-b y max(log t, A), which is its own derivatives in log y."""
        with np.errstate(divide="ignore"):
            log_t = np.maximum(np.log(t), float(self.log_zero))
        return -float(self.b) * np.exp(log_y) * log_t

    def log_value(self, t: Array, log_y: Array) -> Array:
        """a t (log t - log_y) - b y max(log t, A)."""
        with np.errstate(invalid="ignore"):  # 0 times -inf
            forward = xlogy(t, t) - np.where(t == 0, 0, t * log_y)
        return float(self.a) * forward + self._reverse(t, log_y)

    def log_derivative(self, t: Array, log_y: Array) -> Array:
        """-a t - b y max(log t, A)."""
        return self._reverse(t, log_y) - float(self.a) * t

    def log_second_derivative(self, t: Array, log_y: Array) -> Array:
        """-b y max(log t, A)."""
        return self._reverse(t, log_y)


class CrammerSingerHinge(Penalty):
    """T log(1 + exp((1 - lead_k) / T)) for the label k: a smoothed multiclass hinge.

    The lead of a class is its output minus the largest of the others, smoothed as
    y_k - T log sum_{j != k} exp(y_j / T). For T -> 0 this is the hinge loss of
    multiclass support vector machines; it is at most T log q larger for q classes.

    Parameters
    ----------
    temperature : float, default=0.1
        T, positive.

    Notes
    -----
    The logarithm of the sum makes the hinge differentiable, and consistent, which the
    hinge itself is not if no class has at least half the probability. On identity
    outputs the expected loss is smallest where

        P_k is proportional to s_k (1 - c s_k)  with  s = softmax(y / T)

    and c = 1 - exp(-1 / T), for the posterior probabilities P. So for every T the
    outputs are in the order of P. They are scores, not probabilities: `predict_proba`
    tells which class is best, but not how probable it is.

    For two classes, the single output counts as 1 - y and y, as in `predict_proba`. The
    classes must be mutually exclusive (y must not be multilabel).

    References
    ----------
    Crammer & Singer (2001), "On the algorithmic implementation of multiclass
    kernel-based vector machines", JMLR 2.

    Gimpel & Smith (2010), "Softmax-margin CRFs: training log-linear models with cost
    functions", NAACL, for the smoothing.

    Examples
    --------
    >>> import numpy as np
    >>> from skce.losses.penalties import CrammerSingerHinge
    >>> t, y = np.array([[1.0], [0.0]]), np.array([[0.5], [0.25]])
    >>> CrammerSingerHinge(temperature=0.01).value(t, y).round(3)
    array([[0.75],
           [0.  ]])
    """

    elementwise = False
    domain = REAL_LINE
    temperature: float

    def __init__(self, temperature: float = 0.1) -> None:
        check_number("temperature", temperature, Interval(0, np.inf))
        self.temperature = temperature

    @valid_for()
    def posterior_of(self, y: Array, activation: "Activation") -> Array | None:
        """P_k proportional to s_k (1 - c s_k), s = softmax(y/T), c = 1 - exp(-1/T)."""
        if activation.range != REAL_LINE:
            return None
        two = np.concatenate([1 - y, y]) if len(y) == 1 else y
        temperature = float(self.temperature)
        log_s = log_softmax(two / temperature)
        # 1 - c s = (1 - s) + s exp(-1 / T)
        rest = -np.expm1(log_s) + np.exp(log_s - 1 / temperature)
        weights = np.exp(log_s) * rest
        p = weights / weights.sum(axis=0)
        return p[1:] if len(y) == 1 else p

    def _leads(self, t: Array, y: Array) -> tuple[Array, LeaveOneOut, Array]:
        """Targets of two classes at least, the leads over T, and (lead - 1) / T."""
        if len(y) == 1:
            t, y = np.concatenate([1 - t, t]), np.concatenate([1 - y, y])
        temperature = float(self.temperature)
        leads = LeaveOneOut((y - y.max(axis=0)) / temperature)
        return t, leads, leads.value - 1 / temperature

    def value(self, t: Array, y: Array) -> Array:
        """t_k T log(1 + exp((1 - lead_k) / T)): the sum over k is that of the row."""
        two, _, slack = self._leads(t, y)
        loss = -float(self.temperature) * two * log_expit(slack)
        return loss.sum(axis=0, keepdims=True) if len(y) == 1 else loss

    def derivative(self, t: Array, y: Array) -> Array:
        """d loss of the row / d y_k, (q, n)."""
        two, leads, slack = self._leads(t, y)
        slope = leads.product(-two * expit(-slack))
        return slope[1:] - slope[:1] if len(y) == 1 else slope

    def curvature(self, t: Array, y: Array, dy: Array) -> Array:
        """The change of `derivative` along dy, (q, n)."""
        two, leads, slack = self._leads(t, y)
        d = np.concatenate([-dy, dy]) if len(y) == 1 else dy
        v, w = -two * expit(-slack), two * expit(slack) * expit(-slack)
        bend = leads.product(w * leads.direction(d)) + leads.product_derivative(d, v)
        bend /= float(self.temperature)
        return bend[1:] - bend[:1] if len(y) == 1 else bend
