"""Penalties rho(t, y): value, derivatives in the output y, and domain.

A penalty is a function of one target t and one output y, in nats for the
logarithmic ones; the loss of a row is its sum over the outputs. All methods take
arrays of one shape and are element-wise, unless `elementwise` is False. To add a
penalty, subclass `Penalty`; pass an instance of it to the classifier, or register it in
`PENALTIES` to give it a name.
"""

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit, xlogy

from skce.losses._base import Array, look_up, own_name, snake_case, valid_for
from skce.losses._hard_labels import CrammerSingerHinge, SymmetricCrossEntropy
from skce.losses._long_tails import Asymmetric, LogitAdjusted
from skce.losses._partial_labels import PartialLabels
from skce.losses._penalty import LogOddsPenalty, LogPenalty, Penalty, check_number
from skce.losses.intervals import REAL_LINE, Interval

if TYPE_CHECKING:
    from skce.losses._activation import Activation

__all__ = [
    "PARAMETRIC_PENALTIES",
    "PENALTIES",
    "Asymmetric",
    "BinaryCrossEntropy",
    "CrammerSingerHinge",
    "CrossEntropy",
    "Focal",
    "GeneralizedCrossEntropy",
    "LeastSquares",
    "LogOddsPenalty",
    "LogPenalty",
    "LogitAdjusted",
    "PartialLabels",
    "Penalty",
    "SymmetricCrossEntropy",
    "get_penalty",
]


class LeastSquares(Penalty):
    """rho(t, y) = (t - y)^2 / 2.

    Examples
    --------
    >>> import numpy as np
    >>> from skce.losses.penalties import LeastSquares
    >>> t, y = np.array([1.0, 0.0]), np.array([0.7, 0.2])
    >>> LeastSquares().value(t, y)
    array([0.045, 0.02 ])
    """

    name = own_name("least_squares")
    domain = REAL_LINE

    @valid_for()
    def posterior_of(self, y: Array, activation: "Activation") -> Array:
        """P = y."""
        return y

    def value(self, t: Array, y: Array) -> Array:
        """(t - y)^2 / 2."""
        residual = y - t
        return 0.5 * residual * residual

    def derivative(self, t: Array, y: Array) -> Array:
        """y - t."""
        return y - t

    def second_derivative(self, t: Array, y: Array) -> Array:
        """1."""
        return np.ones_like(y)


class BinaryCrossEntropy(LogOddsPenalty):
    """rho(t, y) = t log(t / y) + (1 - t) log((1 - t) / (1 - y)).

    The paper's two-class cross-entropy: each output is the probability of a Bernoulli
    variable.

    Examples
    --------
    >>> import numpy as np
    >>> from skce.losses.penalties import BinaryCrossEntropy
    >>> t, y = np.array([1.0, 0.0]), np.array([0.5, 0.5])
    >>> BinaryCrossEntropy().value(t, y)
    array([0.69314718, 0.69314718])
    """

    name = own_name("binary_cross_entropy")

    @valid_for()
    def posterior_of(self, y: Array, activation: "Activation") -> Array:
        """P = y."""
        return y

    @valid_for()
    def is_likelihood(self, activation: "Activation") -> bool:
        """Whether each output is a probability by itself, of a Bernoulli variable."""
        return activation.elementwise and activation.range <= self.domain

    def log_odds_value(self, t: Array, log_odds: Array) -> Array:
        """log(1 + exp(log_odds)) - t log_odds + t log t + (1 - t) log(1 - t)."""
        # max(l, 0) - t l is exact for t in {0, 1}, and the tail is added to it last
        value = np.maximum(log_odds, 0) - t * log_odds
        value += np.log1p(np.exp(-np.abs(log_odds)))
        between = (t > 0) & (t < 1)
        if between.any():  # labels have no entropy
            value += xlogy(t, t) + xlogy(1 - t, 1 - t)
        return value

    def log_odds_derivative(self, t: Array, log_odds: Array) -> Array:
        """y - t."""
        return expit(log_odds) - t

    def log_odds_second_derivative(self, t: Array, log_odds: Array) -> Array:
        """y (1 - y)."""
        tail = np.exp(-np.abs(log_odds))
        return tail / ((1 + tail) * (1 + tail))

    def value(self, t: Array, y: Array) -> Array:
        """t log(t / y) + (1 - t) log((1 - t) / (1 - y)) with 0 log 0 = 0."""
        cross = xlogy(t, y) + xlogy(1 - t, 1 - y)
        return xlogy(t, t) + xlogy(1 - t, 1 - t) - cross

    def derivative(self, t: Array, y: Array) -> Array:
        """-t / y + (1 - t) / (1 - y)."""
        return -t / y + (1 - t) / (1 - y)

    def second_derivative(self, t: Array, y: Array) -> Array:
        """t / y^2 + (1 - t) / (1 - y)^2."""
        return t / (y * y) + (1 - t) / ((1 - y) * (1 - y))


class CrossEntropy(LogPenalty):
    """rho(t, y) = t log(t / y), the paper's rho_c: no (1 - t) term.

    For t > 0 it decreases in y without bound. Only outputs that must sum to 1 (softmax)
    are kept from predicting y = 1 for every class.

    Examples
    --------
    >>> import numpy as np
    >>> from skce.losses.penalties import CrossEntropy
    >>> t, y = np.array([1.0, 0.0]), np.array([0.5, 0.9])
    >>> CrossEntropy().value(t, y)
    array([0.69314718, 0.        ])
    """

    name = own_name("cross_entropy")

    @valid_for()
    def posterior_of(self, y: Array, activation: "Activation") -> Array | None:
        """P = y."""
        return y if activation.on_simplex else None

    @valid_for()
    def is_likelihood(self, activation: "Activation") -> bool:
        """Whether the outputs are the probabilities of classes."""
        return activation.on_simplex and activation.range <= self.domain

    def log_value(self, t: Array, log_y: Array) -> Array:
        """t (log t - log_y), 0 where t is 0."""
        with np.errstate(invalid="ignore"):  # 0 times -inf
            return xlogy(t, t) - np.where(t == 0, 0, t * log_y)

    def log_derivative(self, t: Array, log_y: Array) -> Array:
        """-t."""
        return -t

    def log_second_derivative(self, t: Array, log_y: Array) -> Array:
        """0."""
        return np.zeros_like(log_y)


class Focal(LogPenalty):
    """rho(t, y) = -t (1 - y)^gamma log y: well-classified rows count less.

    Parameters
    ----------
    gamma : float, default=2.0
        At least 0; at 0 the penalty is cross-entropy.

    Notes
    -----
    The loss is not proper: for a target of 0.8 its minimum is at y = 0.63 (gamma = 2).
    The outputs rank the classes but are not posterior probabilities.
    `pairing_.posterior_of` recovers these from the outputs (Charoenphakdee,
    Vongkulbhisal, Chairatanakul & Sugiyama 2021).

    References
    ----------
    Lin, Goyal, Girshick, He & Dollar (2017), "Focal loss for dense object detection",
    ICCV.

    Charoenphakdee, Vongkulbhisal, Chairatanakul & Sugiyama (2021), "On focal loss for
    class-posterior probability estimation: a theoretical perspective", CVPR.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skce import PairedMLPClassifier
    >>> from skce.losses.penalties import Focal
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = PairedMLPClassifier(
    ...     "softmax", Focal(gamma=1.5), hidden_layer_sizes=5, alpha=0.1, random_state=0
    ... )
    >>> clf.fit(X, y).pairing_
    <softmax x focal(gamma=1.5): workable>
    """

    gamma: float

    def __init__(self, gamma: float = 2.0) -> None:
        check_number("gamma", gamma, Interval(0, np.inf, low_closed=True))
        self.gamma = gamma

    @valid_for()
    def posterior_of(self, y: Array, activation: "Activation") -> Array | None:
        """P_k proportional to y_k / ((1 - y_k)^g - g y_k (1 - y_k)^(g - 1) log y_k)."""
        if not activation.on_simplex:
            return None
        inside = (y > 0) & (y < 1)  # at an end P is y
        log_y = np.log(np.where(inside, y, 0.5))
        slope = -self.log_derivative(np.ones_like(y), log_y)
        weights = y / np.where(inside, slope, 1)
        return weights / weights.sum(axis=0)

    def _parts(self, log_y: Array) -> tuple[Array, Array]:
        """1 - y and log y / (1 - y), which is -1 at y = 1."""
        m = -np.expm1(log_y)
        with np.errstate(invalid="ignore", divide="ignore"):
            return m, np.where(m == 0, -1, log_y / m)

    def log_value(self, t: Array, log_y: Array) -> Array:
        """-t (1 - y)^gamma log_y, 0 where t is 0."""
        m, _ = self._parts(log_y)
        return np.where(t == 0, 0, -t * m ** float(self.gamma) * log_y)

    def log_derivative(self, t: Array, log_y: Array) -> Array:
        """-t (1 - y)^gamma (1 - gamma y log_y / (1 - y))."""
        m, ratio = self._parts(log_y)
        gamma = float(self.gamma)
        return -t * m**gamma * (1 - gamma * np.exp(log_y) * ratio)

    def log_second_derivative(self, t: Array, log_y: Array) -> Array:
        """t gamma y (1 - y)^(gamma - 1) (2 + log_y - (gamma - 1) y log_y / (1 - y))."""
        if self.gamma == 0:
            return np.zeros_like(log_y)
        m, ratio = self._parts(log_y)
        y, gamma = np.exp(log_y), float(self.gamma)
        # infinite at y = 1 for gamma < 1, where d log y / d z tends to 0 faster
        on = m >= np.finfo(m.dtype).tiny
        power = np.where(on, np.where(on, m, 1) ** (gamma - 1), 0)
        return t * gamma * power * y * (2 + log_y - (gamma - 1) * y * ratio)


class GeneralizedCrossEntropy(LogPenalty):
    """rho(t, y) = t (1 - y^q) / q: from cross-entropy (q -> 0) to t - t y (q = 1).

    It is at most 1 / q, which bounds the influence of a mislabelled sample. It is not
    proper: the outputs are more confident than the posterior probabilities (for a
    target of 0.8 its minimum is at y = 0.95 with q = 0.7).

    Parameters
    ----------
    q : float, default=0.7
        In (0, 1].

    References
    ----------
    Zhang & Sabuncu (2018), "Generalized cross entropy loss for training deep neural
    networks with noisy labels", NeurIPS.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skce import PairedMLPClassifier
    >>> from skce.losses.penalties import GeneralizedCrossEntropy
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = PairedMLPClassifier(
    ...     "softmax", GeneralizedCrossEntropy(q=0.5), hidden_layer_sizes=5, alpha=0.1,
    ...     random_state=0,
    ... )
    >>> clf.fit(X, y).pairing_
    <softmax x generalized_cross_entropy(q=0.5): workable>
    """

    unit = ""
    q: float

    def __init__(self, q: float = 0.7) -> None:
        check_number("q", q, Interval(0, 1, high_closed=True))
        self.q = q

    @valid_for()
    def posterior_of(self, y: Array, activation: "Activation") -> Array | None:
        """P_k proportional to y_k^(1 - q)."""
        if self.q == 1 or not activation.on_simplex:
            return None
        weights = y ** (1 - float(self.q))
        return weights / weights.sum(axis=0)

    def log_value(self, t: Array, log_y: Array) -> Array:
        """-t (exp(q log_y) - 1) / q."""
        q = float(self.q)
        return -t * np.expm1(q * log_y) / q

    def log_derivative(self, t: Array, log_y: Array) -> Array:
        """-t y^q."""
        return -t * np.exp(float(self.q) * log_y)

    def log_second_derivative(self, t: Array, log_y: Array) -> Array:
        """-t q y^q."""
        return -t * float(self.q) * np.exp(float(self.q) * log_y)


PENALTIES = {
    penalty.name: penalty
    for penalty in (LeastSquares(), CrossEntropy(), BinaryCrossEntropy())
}

# Classes with parameters, which are passed as instances and not by name; and what else
# they are called, for the hint of an error
PARAMETRIC_PENALTIES: dict[type[Penalty], tuple[str, ...]] = {
    Focal: (),
    GeneralizedCrossEntropy: ("gce",),
    SymmetricCrossEntropy: ("sce", "sl"),
    CrammerSingerHinge: ("hinge", "crammer_singer", "svm"),
    LogitAdjusted: ("logit_adjustment",),
    PartialLabels: ("censored", "partial"),
    Asymmetric: ("asl",),
}

# The names in other libraries, for the hint of an error
SYNONYMS = {
    "mse": "least_squares",
    "squared_error": "least_squares",
    "brier": "least_squares",
    "log_loss": "cross_entropy",
    "categorical_crossentropy": "cross_entropy",
    "crossentropy": "cross_entropy",
    "bce": "binary_cross_entropy",
    "binary_crossentropy": "binary_cross_entropy",
} | {name.replace("_", "-"): name for name in PENALTIES}


def get_penalty(penalty: object) -> Penalty:
    """Look up a penalty by name; an instance is returned as it is.

    Raises
    ------
    ValueError
        If `penalty` is neither a name in `PENALTIES` nor an instance of `Penalty`.

    Examples
    --------
    >>> from skce.losses.penalties import get_penalty
    >>> get_penalty("cross_entropy")
    CrossEntropy()
    """
    found = look_up(penalty, Penalty, PENALTIES)
    if found is not None:
        return found
    raise ValueError(
        f"penalty={penalty!r} is not a training loss. It must be 'natural' (the "
        f"natural loss of the activation), one of {', '.join(map(repr, PENALTIES))}, "
        "or an instance of a subclass of skce.losses.Penalty"
        f"{_penalty_hint(penalty)}"
    )


def _penalty_hint(penalty: object) -> str:
    """Return the end of the error: what the user may have meant."""
    if isinstance(penalty, type) and issubclass(penalty, Penalty):
        return f": write {penalty.__name__}(), with the parentheses."
    if penalty is None or penalty in ("l1", "l2", "elasticnet", "none"):
        return (
            ". Here the penalty is the training loss, as in the paper; the strength "
            "of the L2 regularisation is alpha (alpha=0 for none)."
        )
    own = str(penalty).lower().removesuffix("_loss")
    if own in ("sparsemax", "entmax"):
        return f". For the {own} loss write activation={own!r}, penalty='natural'."
    for kind, synonyms in PARAMETRIC_PENALTIES.items():
        if own in (snake_case(kind.__name__), *synonyms):
            return f". It has parameters: write skce.losses.{kind()!r}."
    meant = SYNONYMS.get(str(penalty).lower())
    return f". Did you mean {meant!r}?" if meant else "."
