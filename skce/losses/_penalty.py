"""The base classes of the penalties; see `skce.losses.penalties`."""

from collections.abc import Callable
from numbers import Real
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
from scipy.special import logit

from skce.losses._base import Array, Named
from skce.losses.intervals import Interval

if TYPE_CHECKING:
    from skce.losses._activation import Activation

__all__ = ["LogOddsPenalty", "LogPenalty", "Penalty", "check_number"]


# Numbers whose quotients and products with logits stay in the range of float32
SIZES = Interval(1e-9, 1e9, low_closed=True, high_closed=True)
# Where `needs_simplex` looks for outputs that are the best for every target
_OUTPUTS = np.linspace(0, 1, 33)


def check_number(name: str, value: object, interval: Interval) -> None:
    """Raise a ValueError if the parameter `name` is not a number in the interval.

    Or if it is neither 0 nor of a size for which formulas can be computed.
    """
    if not (isinstance(value, Real) and float(value) in interval):
        raise ValueError(f"{name}={value!r} must be a number in {interval}.")
    if value and abs(float(value)) not in SIZES:
        raise ValueError(
            f"{name}={value!r} must have a magnitude in {SIZES}"
            f"{', or be 0' if 0.0 in interval else ''}: float32 needs that."
        )


class Penalty(Named):
    """Base class of the penalties.

    Attributes
    ----------
    name : str
        The name in `PENALTIES`, or that of the class.
    domain : Interval
        The outputs y for which the penalty and its derivatives are finite, whatever
        the target.
    needs_simplex : bool
        Whether one output is the best for every target, so that nothing but the
        constraint that the outputs of a row sum to 1 keeps them from it, as for
        cross-entropy. Computed from `value` unless a class sets it; False by default
        for penalties that are not element-wise.
    elementwise : bool
        Whether the value of an output depends on that output and its target alone.
        Otherwise the sum over the outputs is still the loss of the row, `derivative`
        that of the sum in each output, and `curvature` takes the place of
        `second_derivative`; such a penalty compares the classes of a row, so that y
        must not be multilabel.
    min_outputs : int
        The fewest outputs of a row for which the loss depends on them: 2 where they
        are divided by their sum.
    takes_smoothing : bool
        Whether `label_smoothing` leaves something to learn.
    unit : str
        Unit of the values, for displays: "nats" if they are natural logarithms.

    Examples
    --------
    >>> from math import log
    >>> import numpy as np
    >>> from skce import pairing_status
    >>> from skce.losses.intervals import REAL_LINE
    >>> from skce.losses.penalties import Penalty
    >>> class LogCosh(Penalty):
    ...     domain = REAL_LINE
    ...     def value(self, t, y):  # cosh itself overflows at 711
    ...         return np.logaddexp(y - t, t - y) - log(2)
    ...     def derivative(self, t, y):
    ...         return np.tanh(y - t)
    ...     def second_derivative(self, t, y):
    ...         return 1 - np.tanh(y - t) ** 2
    >>> pairing_status("identity", LogCosh())
    'workable'
    """

    formulas: ClassVar[tuple[str, ...]] = (
        "value",
        "derivative",
        "second_derivative",
        "curvature",
    )
    elementwise: bool = True
    min_outputs: int = 1
    takes_smoothing: bool = True
    unit: str = ""

    def _overrides_no_less(self, *names: str) -> bool:
        """Whether no subclass overrides formulas of y without these methods."""
        mro = type(self).__mro__

        def depth(name: str) -> int:
            return next(i for i, base in enumerate(mro) if name in vars(base))

        return max(map(depth, names)) <= min(map(depth, Penalty.formulas))

    @property
    def domain(self) -> Interval:
        """The interval of valid outputs, which a subclass must define."""
        raise NotImplementedError(
            f"{type(self).__name__} must define domain, the skce.losses.Interval of "
            "the outputs for which it is finite."
        )

    @property
    def needs_simplex(self) -> bool:
        """Whether one y is the minimum of both rho(0, y) and rho(1, y)."""
        if not self.elementwise:
            return False
        y = _OUTPUTS[(self.domain.low <= _OUTPUTS) & (self.domain.high >= _OUTPUTS)]
        with np.errstate(all="ignore"):
            off, on = (self.value(np.full_like(y, t), y) for t in (0, 1))
        known = np.isfinite(off) & np.isfinite(on)
        off, on = off[known], on[known]
        return bool(off.size and ((off == off.min()) & (on == on.min())).any())

    def posterior_of(self, y: Array, activation: "Activation") -> Array | None:
        """P, (q, n), whose expected penalty is smallest at the outputs y, (q, n).

        P are the probabilities of the classes, or of the labels of element-wise
        outputs. None where there is no formula; y itself where the penalty is proper.
        """
        return None

    def value(self, t: Array, y: Array) -> Array:
        """rho(t, y)."""
        raise NotImplementedError(f"{type(self).__name__} must define value(t, y).")

    def derivative(self, t: Array, y: Array) -> Array:
        """d rho / d y."""
        raise NotImplementedError(
            f"{type(self).__name__} must define derivative(t, y)."
        )

    def second_derivative(self, t: Array, y: Array) -> Array:
        """d^2 rho / d y^2."""
        raise NotImplementedError(
            f"{type(self).__name__} must define second_derivative(t, y); "
            "second-order solvers need it."
        )

    def curvature(self, t: Array, y: Array, dy: Array) -> Array:
        """(d^2 rho / d y^2) dy, the change of `derivative` along dy, (q, n)."""
        return self.second_derivative(t, y) * dy

    def is_likelihood(self, activation: "Activation") -> bool:
        """Whether it is minus the logarithm of a label's probability by these outputs.

        Standard errors and moderated probabilities follow from a likelihood alone.
        """
        return False

    def for_frequencies(self, frequencies: Callable[[], Array]) -> Self:
        """Return the penalty for rows with these weighted mean targets, (q,)."""
        return self

    def constant_outputs(self, frequencies: Array) -> Array:
        """The outputs, (q,), of a network that knows these mean targets alone."""
        return frequencies


class LogPenalty(Penalty):
    """Base class of the penalties that are functions of log y.

    Subclasses define `log_value`, `log_derivative` and, for second-order solvers,
    `log_second_derivative`. With an activation that has a `log_value` (softmax,
    logistic) the loss is computed from log y, which is exact at logits where y itself
    underflows.

    Examples
    --------
    Cross-entropy of y to the power 1/2, exact where y underflows:

    >>> import numpy as np
    >>> from skce.losses.penalties import LogPenalty
    >>> class Half(LogPenalty):
    ...     def log_value(self, t, log_y):
    ...         return -t * log_y / 2
    ...     def log_derivative(self, t, log_y):
    ...         return -t / 2
    ...     def log_second_derivative(self, t, log_y):
    ...         return np.zeros_like(log_y)
    >>> Half().value(np.array([1.0]), np.array([0.25]))
    array([0.69314718])
    """

    formulas: ClassVar[tuple[str, ...]] = (
        *Penalty.formulas,
        "log_value",
        "log_derivative",
        "log_second_derivative",
        "log_curvature",
    )
    domain = Interval(0, np.inf)
    unit = "nats"

    @property
    def is_by_logarithm(self) -> bool:
        """Whether the log_ methods hold: no subclass overrides `value` without them."""
        return self._overrides_no_less("log_value", "log_derivative")

    def log_value(self, t: Array, log_y: Array) -> Array:
        """rho(t, exp(log_y))."""
        raise NotImplementedError(
            f"{type(self).__name__} must define log_value(t, log_y)."
        )

    def log_derivative(self, t: Array, log_y: Array) -> Array:
        """d rho / d log y."""
        raise NotImplementedError(
            f"{type(self).__name__} must define log_derivative(t, log_y)."
        )

    def log_second_derivative(self, t: Array, log_y: Array) -> Array:
        """d^2 rho / d (log y)^2."""
        raise NotImplementedError(
            f"{type(self).__name__} must define log_second_derivative(t, log_y); "
            "second-order solvers need it."
        )

    def log_curvature(self, t: Array, log_y: Array, d: Array) -> Array:
        """(d^2 rho / d (log y)^2) d, the change of `log_derivative` along d, (q, n)."""
        return self.log_second_derivative(t, log_y) * d

    def curvature(self, t: Array, y: Array, dy: Array) -> Array:
        """(log_curvature along dy / y - d rho / d log y  dy / y) / y."""
        log_y, d = np.log(y), dy / y
        return (self.log_curvature(t, log_y, d) - self.log_derivative(t, log_y) * d) / y

    def value(self, t: Array, y: Array) -> Array:
        """rho(t, y), from log y."""
        with np.errstate(divide="ignore"):
            return self.log_value(t, np.log(y))

    def derivative(self, t: Array, y: Array) -> Array:
        """d rho / d y = (d rho / d log y) / y."""
        return self.log_derivative(t, np.log(y)) / y

    def second_derivative(self, t: Array, y: Array) -> Array:
        """(d^2 rho / d (log y)^2 - d rho / d log y) / y^2."""
        log_y = np.log(y)
        slope = self.log_derivative(t, log_y)
        return (self.log_second_derivative(t, log_y) - slope) / (y * y)


class LogOddsPenalty(Penalty):
    """Base class of the penalties that are functions of l = log(y / (1 - y)).

    Subclasses define `log_odds_value`, `log_odds_derivative` and, for second-order
    solvers, `log_odds_second_derivative`. With an activation that has `log_odds`
    (logistic, softmax) the loss is computed from the log-odds, which are exact at
    logits where y is 0 or 1 to the last digit.

    Examples
    --------
    Binary cross-entropy of the odds to the power 1/2, exact at y = 0 and 1:

    >>> import numpy as np
    >>> from scipy.special import expit
    >>> from skce.losses.penalties import LogOddsPenalty
    >>> class Half(LogOddsPenalty):
    ...     def log_odds_value(self, t, log_odds):
    ...         return np.logaddexp(0, log_odds / 2) - t * log_odds / 2
    ...     def log_odds_derivative(self, t, log_odds):
    ...         return (expit(log_odds / 2) - t) / 2
    ...     def log_odds_second_derivative(self, t, log_odds):
    ...         return expit(log_odds / 2) * expit(-log_odds / 2) / 4
    >>> Half().value(np.array([1.0]), np.array([0.8])).round(3)
    array([0.405])
    """

    formulas: ClassVar[tuple[str, ...]] = (
        *Penalty.formulas,
        "log_odds_value",
        "log_odds_derivative",
        "log_odds_second_derivative",
    )
    domain = Interval(0, 1)
    unit = "nats"

    @property
    def is_by_log_odds(self) -> bool:
        """Whether no subclass overrides `value` without the log_odds_ methods."""
        return self._overrides_no_less("log_odds_value", "log_odds_derivative")

    def log_odds_value(self, t: Array, log_odds: Array) -> Array:
        """rho(t, 1 / (1 + exp(-log_odds)))."""
        raise NotImplementedError(
            f"{type(self).__name__} must define log_odds_value(t, log_odds)."
        )

    def log_odds_derivative(self, t: Array, log_odds: Array) -> Array:
        """d rho / d log_odds."""
        raise NotImplementedError(
            f"{type(self).__name__} must define log_odds_derivative(t, log_odds)."
        )

    def log_odds_second_derivative(self, t: Array, log_odds: Array) -> Array:
        """d^2 rho / d log_odds^2."""
        raise NotImplementedError(
            f"{type(self).__name__} must define log_odds_second_derivative(t, "
            "log_odds); second-order solvers need it."
        )

    def value(self, t: Array, y: Array) -> Array:
        """rho(t, y), from the log-odds."""
        log_odds = logit(y)
        most = 1e-8 * np.finfo(log_odds.dtype).max  # in place of inf at 0 and 1
        return self.log_odds_value(t, np.clip(log_odds, -most, most))

    def derivative(self, t: Array, y: Array) -> Array:
        """d rho / d y = (d rho / d log_odds) / (y (1 - y))."""
        return self.log_odds_derivative(t, logit(y)) / (y * (1 - y))

    def second_derivative(self, t: Array, y: Array) -> Array:
        """(d^2 rho / d log_odds^2 - (1 - 2 y) d rho / d log_odds) / (y (1 - y))^2."""
        log_odds, slope = logit(y), y * (1 - y)
        bend = self.log_odds_second_derivative(t, log_odds)
        bend = bend - (1 - 2 * y) * self.log_odds_derivative(t, log_odds)
        return bend / (slope * slope)
