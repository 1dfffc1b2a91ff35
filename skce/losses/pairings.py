"""Activation x penalty: the loss of a row and its derivatives in the logits.

Shapes: logits z, targets t and directions dz are (q, n), units x rows. A loss is
(n,), one number per row, summed over the outputs. delta = d loss / dz is (q, n).

`pair` takes the natural loss of the activation where the penalty is that; else it
composes the activation's Jacobian and the penalty's derivative by the chain rule, in
log y or log(y / (1 - y)) where both sides are exact in it.
"""

from collections.abc import Callable
from copy import copy
from typing import Self

import numpy as np

from skce.losses._base import Array
from skce.losses._explanations import why_degenerate, why_undefined
from skce.losses._status import legal_penalties, pairing_grid, pairing_status
from skce.losses._transforms import Transform
from skce.losses.activations import Activation, get_activation
from skce.losses.penalties import LogOddsPenalty, LogPenalty, Penalty, get_penalty

__all__ = [
    "ComposedPairing",
    "DegeneratePairingWarning",
    "LogComposedPairing",
    "LogOddsPairing",
    "NaturalPairing",
    "Pairing",
    "legal_penalties",
    "pair",
    "pairing_grid",
    "pairing_status",
    "why_degenerate",
]


class DegeneratePairingWarning(UserWarning):
    """Warning about a pair whose minimum does not depend on the labels.

    Examples
    --------
    >>> import warnings
    >>> from skce import DegeneratePairingWarning, PairedMLPClassifier
    >>> clf = PairedMLPClassifier("logistic", "cross_entropy", hidden_layer_sizes=())
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     clf = clf.fit([[0.0], [1.0], [2.0]], [0, 1, 2])
    >>> caught[0].category is DegeneratePairingWarning
    True
    """


class Pairing:
    """An activation and a loss, as functions of the logits.

    Attributes
    ----------
    activation : Activation
    penalty : Penalty or None
        None for a natural loss that is not a function of the outputs (entmax,
        sparsemax).
    status : {"natural", "workable", "degenerate"}

    Examples
    --------
    >>> import numpy as np
    >>> from skce.losses.pairings import pair
    >>> pairing = pair("softmax", "least_squares")
    >>> z, t = np.zeros((3, 1)), np.array([[1.0], [0.0], [0.0]])
    >>> loss, delta = pairing.loss_and_delta(z, t)
    >>> delta.ravel().round(3)
    array([-0.222,  0.111,  0.111])
    """

    def __init__(
        self, activation: Activation, penalty: Penalty | None, status: str = "workable"
    ) -> None:
        self.activation = activation
        self.penalty = penalty
        self.status = status

    def __str__(self) -> str:
        loss = "natural" if self.penalty is None else self.penalty.name
        return f"{self.activation.name} x {loss}"

    def __repr__(self) -> str:
        return f"<{self}: {self.status}>"

    def for_frequencies(self, frequencies: Callable[[], Array]) -> Self:
        """Return the pairing for rows with these weighted mean targets, (q,).

        `frequencies` is called only if the penalty depends on them.
        """
        if self.penalty is None:
            return self
        fitted = copy(self)
        fitted.penalty = self.penalty.for_frequencies(frequencies)
        return fitted

    def posterior_of(self, y: Array) -> Array | None:
        """P, (q, n), whose expected loss is smallest at the outputs y, (q, n).

        y itself if the pair is proper; None where there is no formula.
        """
        if self.status == "natural":
            return y
        assert self.penalty is not None
        return self.penalty.posterior_of(y, self.activation)

    def for_classes(self, classes: Array, order: Array | None) -> Self:
        """Return the pairing for these sorted classes, in `order` if y has one."""
        fitted = copy(self)
        fitted.activation = self.activation.for_classes(classes, order)
        return fitted

    @property
    def is_likelihood(self) -> bool:
        """Whether the loss of a label is minus the logarithm of its probability."""
        penalty, activation = self.penalty, self.activation
        return penalty is not None and penalty.is_likelihood(activation)

    def loss_and_delta(
        self, z: Array, t: Array, labels: bool = False, out: Array | None = None
    ) -> tuple[Array, Array]:
        """The loss of each row, (n,), and its gradient in the logits, (q, n).

        `labels` says that all t are 0 or 1 and, for outputs on the simplex, that each
        column has a single 1. delta may be written to `out`, which may be z.
        """
        raise NotImplementedError

    def delta_derivative(self, z: Array, t: Array, dz: Array) -> Array:
        """H dz, (q, n): the derivative of delta along `dz`."""
        raise NotImplementedError


class NaturalPairing(Pairing):
    """The activation with its own loss: delta = mass(t) y - t and H dz = mass(t) J dz.

    `mass(t)` is sum_j t_j for outputs on the simplex and 1 for element-wise ones.

    Examples
    --------
    >>> import numpy as np
    >>> from skce.losses.pairings import pair
    >>> z, t = np.zeros((2, 1)), np.array([[1.0], [0.0]])
    >>> loss, delta = pair("softmax", "cross_entropy").loss_and_delta(z, t)
    >>> loss.round(3), delta.ravel()
    (array([0.693]), array([-0.5,  0.5]))
    """

    def loss_and_delta(
        self, z: Array, t: Array, labels: bool = False, out: Array | None = None
    ) -> tuple[Array, Array]:
        """The loss of each row, (n,), and mass(t) y - t, (q, n)."""
        loss, y = self.activation.natural_loss_and_value(z, t, labels, out)
        if self.activation.on_simplex and not labels:
            y = y * t.sum(axis=0)
        return loss, np.subtract(y, t, out=out)

    def delta_derivative(self, z: Array, t: Array, dz: Array) -> Array:
        """mass(t) J dz."""
        y = self.activation.value(z)
        mass = t.sum(axis=0) if self.activation.on_simplex else 1
        return mass * self.activation.jacobian_product(z, y, dz)


class ComposedPairing(Pairing):
    """The chain rule: delta = J' rho'(t, y), as of softmax x least squares.

    Examples
    --------
    >>> from skce.losses.pairings import ComposedPairing, pair
    >>> isinstance(pair("sparsemax", "least_squares"), ComposedPairing)
    True
    """

    penalty: Penalty

    def loss_and_delta(
        self, z: Array, t: Array, labels: bool = False, out: Array | None = None
    ) -> tuple[Array, Array]:
        """The loss of each row, (n,), and J' rho'(t, y), (q, n)."""
        y = self.activation.value(z)
        delta = self.activation.jacobian_product(z, y, self.penalty.derivative(t, y))
        return self.penalty.value(t, y).sum(axis=0), delta

    def delta_derivative(self, z: Array, t: Array, dz: Array) -> Array:
        """J' (rho''(t, y) J dz) + (dJ') rho'(t, y)."""
        f, rho = self.activation, self.penalty
        y = f.value(z)
        bend = rho.curvature(t, y, f.direction(z, y, dz))
        return f.jacobian_product(z, y, bend) + f.jacobian_derivative(
            z, y, dz, rho.derivative(t, y)
        )


class LogComposedPairing(Pairing):
    """The chain rule in log y: delta = D' d rho / d log y, D = d log y / d z.

    For penalties and activations that are exact in log y where y underflows.

    Examples
    --------
    >>> from skce.losses.pairings import LogComposedPairing, pair
    >>> from skce.losses.penalties import Focal
    >>> isinstance(pair("softmax", Focal(gamma=2)), LogComposedPairing)
    True
    """

    penalty: LogPenalty

    def loss_and_delta(
        self, z: Array, t: Array, labels: bool = False, out: Array | None = None
    ) -> tuple[Array, Array]:
        """The loss of each row, (n,), and D' d rho / d log y, (q, n)."""
        log_y, rho = self._log_outputs(z), self.penalty
        delta = log_y.product(rho.log_derivative(t, log_y.value))
        return rho.log_value(t, log_y.value).sum(axis=0), delta

    def delta_derivative(self, z: Array, t: Array, dz: Array) -> Array:
        """D' (d^2 rho / d (log y)^2  D dz) + (dD') d rho / d log y."""
        log_y, rho = self._log_outputs(z), self.penalty
        bend = rho.log_curvature(t, log_y.value, log_y.direction(dz))
        slope = rho.log_derivative(t, log_y.value)
        return log_y.product(bend) + log_y.product_derivative(dz, slope)

    def _log_outputs(self, z: Array) -> Transform:
        assert self.activation.log_outputs is not None
        return self.activation.log_outputs(z)


class LogOddsPairing(Pairing):
    """The chain rule in l = log(y / (1 - y)): delta = L' d rho / d l, L = dl / dz.

    For penalties and activations that are exact in l where y is 0 or 1 to the last
    digit.

    Examples
    --------
    >>> from skce.losses.pairings import LogOddsPairing, pair
    >>> isinstance(pair("softmax", "binary_cross_entropy"), LogOddsPairing)
    True
    """

    penalty: LogOddsPenalty

    def loss_and_delta(
        self, z: Array, t: Array, labels: bool = False, out: Array | None = None
    ) -> tuple[Array, Array]:
        """The loss of each row, (n,), and L' d rho / d l, (q, n)."""
        odds, rho = self._log_odds(z), self.penalty
        delta = odds.product(rho.log_odds_derivative(t, odds.value))
        return rho.log_odds_value(t, odds.value).sum(axis=0), delta

    def delta_derivative(self, z: Array, t: Array, dz: Array) -> Array:
        """L' (d^2 rho / d l^2  L dz) + (dL') d rho / d l."""
        odds, rho = self._log_odds(z), self.penalty
        bend = rho.log_odds_second_derivative(t, odds.value) * odds.direction(dz)
        slope = rho.log_odds_derivative(t, odds.value)
        return odds.product(bend) + odds.product_derivative(dz, slope)

    def _log_odds(self, z: Array) -> Transform:
        assert self.activation.log_odds is not None
        return self.activation.log_odds(z)


# The name of a class in files that were stored before it was merged into another
SoftmaxBinaryCrossEntropy = LogOddsPairing


def pair(activation: str | Activation, penalty: str | Penalty) -> Pairing:
    """Pair an activation with a penalty.

    Instances are not copied: a parameter that is set on one later changes the pairing.

    Parameters
    ----------
    activation : str or Activation
    penalty : str or Penalty

    Returns
    -------
    pairing : Pairing

    Raises
    ------
    ValueError
        If the pair is undefined; the message names the legal penalties.

    Examples
    --------
    >>> from skce.losses.pairings import pair
    >>> pair("logistic", "natural")
    <logistic x binary_cross_entropy: natural>
    """
    activation = get_activation(activation)
    status = pairing_status(activation, penalty)
    if status == "undefined":
        raise ValueError(why_undefined(activation, penalty))
    if isinstance(penalty, str) and penalty == "natural":
        natural = activation.natural_penalty
        return NaturalPairing(
            activation, None if natural is None else natural(), status
        )
    penalty = get_penalty(penalty)
    return _kind(activation, penalty, status)(activation, penalty, status)


def _kind(activation: Activation, penalty: Penalty, status: str) -> type[Pairing]:
    """Choose the class of a pair that is not undefined."""
    if status == "natural":
        return NaturalPairing
    in_log_odds = isinstance(penalty, LogOddsPenalty) and penalty.is_by_log_odds
    if in_log_odds and activation.log_odds is not None:
        return LogOddsPairing
    in_log_y = isinstance(penalty, LogPenalty) and penalty.is_by_logarithm
    if in_log_y and activation.log_outputs is not None:
        return LogComposedPairing
    return ComposedPairing


def check_shapes(pairing: Pairing, n_outputs: int) -> None:
    """Raise a ValueError if a user-defined class returns arrays of wrong shapes.

    A penalty that sums over the outputs would pass all other checks.
    """
    z = np.linspace(-0.5, 0.5, 3 * n_outputs).reshape(n_outputs, 3)
    t = np.full_like(z, 1 / n_outputs)
    with np.errstate(all="ignore"):
        loss, delta = pairing.loss_and_delta(z, t)
    if np.shape(loss) == (3,) and np.shape(delta) == z.shape:
        return
    raise ValueError(
        f"{pairing}: for logits of shape (q, n) = {z.shape} the loss has the shape "
        f"{np.shape(loss)}, which must be (n,), and its gradient {np.shape(delta)}, "
        "which must be (q, n). A penalty's value(t, y) and derivative(t, y) must have "
        "the shape of y: they must not sum over the outputs."
    )
