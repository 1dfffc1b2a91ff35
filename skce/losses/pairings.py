"""Activation x penalty: the loss of a row and its derivatives on the logits.

Shapes: logits z, targets t and directions dz are (q, n), units x rows. A loss is
(n,), one number a row, summed over the outputs. delta = d loss / dz is (q, n).

How a pair comes about, in this order: the natural loss of the activation; a fused
pair, where the composition would lose its digits far out; else the composition of
the activation's Jacobian and the penalty's derivative by the chain rule.
"""

import numpy as np
from scipy.special import expit

from skce.losses._numerics import log_expit, negentropy
from skce.losses.activations import ACTIVATIONS, Logistic, Softmax, get_activation
from skce.losses.penalties import (
    PENALTIES,
    BinaryCrossEntropy,
    CrossEntropy,
    get_penalty,
)

__all__ = [
    "ComposedPairing",
    "DegeneratePairingWarning",
    "LogComposedPairing",
    "NaturalPairing",
    "Pairing",
    "legal_penalties",
    "pair",
    "pairing_grid",
    "pairing_status",
    "why_degenerate",
]


class DegeneratePairingWarning(UserWarning):
    """The pair can be fitted, but its minimum says nothing about the classes.

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
        None for a natural loss that is not a function of the outputs (sparsemax).
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

    def __init__(self, activation, penalty, status="workable"):
        self.activation = activation
        self.penalty = penalty
        self.status = status

    def __str__(self):
        loss = "natural loss" if self.penalty is None else self.penalty.name
        return f"{self.activation.name} x {loss}"

    def __repr__(self):
        return f"<{self}: {self.status}>"

    @property
    def is_likelihood(self):
        """Whether the loss of a label is minus the logarithm of its probability."""
        unit = None if self.penalty is None else self.penalty.unit
        return self.status == "natural" and unit == "nats"

    def loss_of_constant(self, p):
        """The mean loss of outputs equal to the class frequencies p, (q,), in all rows.

        inf where that says nothing: for natural pairs, which have no flat regions,
        for the degenerate one, and for frequencies of 0 and 1.
        """
        if self.status != "workable":
            return np.inf
        if not np.all((p > 0) & (p < 1)):
            return np.inf
        on, off = self.penalty.value(np.ones_like(p), p), self.penalty.value(0 * p, p)
        return float(np.sum(p * on + (1 - p) * off))

    def loss_and_delta(self, z, t, labels=False, out=None):
        """The loss of each row, (n,), and its gradient in the logits, (q, n).

        `labels` says that all t are 0 or 1 and, for outputs on the simplex, one of
        q. `out`, which may be z, is an array that delta may be written to.
        """
        raise NotImplementedError

    def delta_derivative(self, z, t, dz):
        """H dz, (q, n): the change of delta along `dz`."""
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

    def loss_and_delta(self, z, t, labels=False, out=None):
        """The loss of each row, (n,), and mass(t) y - t, (q, n)."""
        loss, y = self.activation.natural_loss_and_value(z, t, labels, out)
        if self.activation.on_simplex and not labels:
            y = y * t.sum(axis=0)
        return loss, np.subtract(y, t, out=out)

    def delta_derivative(self, z, t, dz):
        """mass(t) J dz."""
        y = self.activation.value(z)
        mass = t.sum(axis=0) if self.activation.on_simplex else 1
        return mass * self.activation.jacobian_product(z, y, dz)


class ComposedPairing(Pairing):
    """The chain rule: delta = J rho'(t, y).

    Examples
    --------
    >>> from skce.losses.pairings import ComposedPairing, pair
    >>> isinstance(pair("sparsemax", "least_squares"), ComposedPairing)
    True
    """

    def loss_and_delta(self, z, t, labels=False, out=None):
        """The loss of each row, (n,), and J rho'(t, y), (q, n)."""
        y = self.activation.value(z)
        delta = self.activation.jacobian_product(z, y, self.penalty.derivative(t, y))
        return self.penalty.value(t, y).sum(axis=0), delta

    def delta_derivative(self, z, t, dz):
        """J (rho''(t, y) J dz) + (dJ) rho'(t, y)."""
        f, rho = self.activation, self.penalty
        y = f.value(z)
        bend = rho.second_derivative(t, y) * f.jacobian_product(z, y, dz)
        return f.jacobian_product(z, y, bend) + f.jacobian_derivative(
            z, y, dz, rho.derivative(t, y)
        )


class LogComposedPairing(Pairing):
    """The chain rule by log y: delta = D' d rho / d log y, D = d log y / d z.

    For penalties and activations that are exact in log y where y underflows.

    Examples
    --------
    >>> from skce.losses.pairings import LogComposedPairing, pair
    >>> from skce.losses.penalties import Focal
    >>> isinstance(pair("softmax", Focal(gamma=2)), LogComposedPairing)
    True
    """

    def loss_and_delta(self, z, t, labels=False, out=None):
        """The loss of each row, (n,), and D' d rho / d log y, (q, n)."""
        f, rho = self.activation, self.penalty
        log_y = f.log_value(z)
        delta = f.log_jacobian_product(log_y, rho.log_derivative(t, log_y))
        return rho.log_value(t, log_y).sum(axis=0), delta

    def delta_derivative(self, z, t, dz):
        """D' (d^2 rho / d (log y)^2  D dz) + (dD') d rho / d log y."""
        f, rho = self.activation, self.penalty
        log_y = f.log_value(z)
        bend = rho.log_second_derivative(t, log_y) * f.log_direction(log_y, dz)
        return f.log_jacobian_product(log_y, bend) + f.log_jacobian_derivative(
            log_y, dz, rho.log_derivative(t, log_y)
        )


class LogisticCrossEntropy(Pairing):
    """The degenerate pair: sum_k t_k log(t_k / y_k), y logistic.

    delta_k = t_k (y_k - 1): every unit is driven to 1, and a unit whose target is
    0 learns nothing. Table 1 of the paper prints y_k - t_k here, in error.
    """

    def loss_and_delta(self, z, t, labels=False, out=None):
        """sum_k t_k log(1 + exp(-z_k)) + t_k log t_k, and -t_k / (1 + exp(z_k))."""
        loss = -np.einsum("kn,kn->n", t, log_expit(z))
        if not labels:
            loss += negentropy(t)
        return loss, -t * expit(-z)

    def delta_derivative(self, z, t, dz):
        """t_k y_k (1 - y_k) dz_k."""
        return t * expit(z) * expit(-z) * dz


class SoftmaxBinaryCrossEntropy(Pairing):
    """Binary cross-entropy of each output of a softmax.

    1 - y_k vanishes where class k wins by more than 37 nats, so the loss works
    with log(1 - y_k) = lse_{j != k}(z) - lse(z), and the derivatives with
    r_jk = y_k / (1 - y_j), the softmax over the classes other than j, at k:

        delta_k = s y_k - t_k + (1 - t_k) y_k - sum_{j != k} (1 - t_j) y_j r_jk,

    s = sum_j t_j. Only the winner, the largest logit, needs its r from the logits
    themselves: for every other class j, y_j <= 1/2 and 1 - y_j keeps its digits.
    """

    def _winner_and_rest(self, z):
        """Softmax y; index of the winner; softmax and lse without the winner.

        `rest` is r_wk, with a 0 at the winner; `lead` is z_w minus the lse of the
        others, so that log(1 - y_w) = -log(1 + exp(lead)).
        """
        columns = np.arange(z.shape[1])
        winner = z.argmax(axis=0)
        others = z.copy()
        others[winner, columns] = -np.inf
        second = others.max(axis=0)
        rest = np.exp(others - second)
        total = rest.sum(axis=0)
        rest /= total
        lead = z[winner, columns] - second - np.log(total)
        y = expit(-lead) * rest
        y[winner, columns] = expit(lead)
        return y, (winner, columns), rest, lead

    def loss_and_delta(self, z, t, labels=False, out=None):
        """The loss of each row, (n,), and delta as above, (q, n)."""
        y, at_winner, rest, lead = self._winner_and_rest(z)
        log_complement = np.log1p(-np.minimum(y, 0.5))
        log_complement[at_winner] = log_expit(-lead)
        log_y = self.activation.log_probabilities(z)
        loss = -np.einsum("kn,kn->n", t, log_y)
        loss -= np.einsum("kn,kn->n", 1 - t, log_complement)
        if not labels:
            loss += negentropy(t) + negentropy(1 - t)
        weight, of_winner = self._odds(y, t, at_winner)
        pull = y * (weight.sum(axis=0) - weight) + of_winner * rest
        return loss, (t.sum(axis=0) + 1 - t) * y - t - pull

    def _odds(self, y, t, at_winner):
        """(1 - t_j) y_j / (1 - y_j), 0 at the winner; and (1 - t_w) y_w."""
        of_winner = (1 - t[at_winner]) * y[at_winner]
        weight = (1 - t) * y / (1 - np.minimum(y, 0.5))
        weight[at_winner] = 0
        return weight, of_winner

    def delta_derivative(self, z, t, dz):
        """H dz, by the derivatives dy = J dz and of y_j r_jk, row by row."""
        y, at_winner, rest, _ = self._winner_and_rest(z)
        weight, of_winner = self._odds(y, t, at_winner)
        mean = np.einsum("kn,kn->n", y, dz)
        # mean of dz over the classes other than j, under r_j
        mean_without = (mean - y * dz) / (1 - np.minimum(y, 0.5))
        mean_without[at_winner] = np.einsum("kn,kn->n", rest, dz)
        # d log(y_j r_jk) = shift_j + dz_k
        shift = dz - mean - mean_without
        pull = y * (
            (weight * shift).sum(axis=0)
            - weight * shift
            + dz * (weight.sum(axis=0) - weight)
        ) + of_winner * rest * (shift[at_winner] + dz)
        return (t.sum(axis=0) + 1 - t) * y * (dz - mean) - pull


# Pairs whose composition loses its digits at |z| = 800; the tests hold the rest to it.
FUSED = {
    (Logistic, CrossEntropy): LogisticCrossEntropy,
    (Softmax, BinaryCrossEntropy): SoftmaxBinaryCrossEntropy,
}


def pairing_status(activation, penalty):
    """Whether a pair is natural, workable, degenerate or undefined.

    Parameters
    ----------
    activation : str or Activation
    penalty : str or Penalty
        "natural" stands for the natural loss of the activation.

    Returns
    -------
    status : {"natural", "workable", "degenerate", "undefined"}
        undefined: the penalty is not finite on all of the activation's range.
        natural: the gradient in the logits is outputs minus targets; with no hidden
        layer the problem is convex.
        degenerate: the penalty needs outputs that sum to 1, and these do not.
        workable: all others.

    Raises
    ------
    ValueError
        If `activation` or `penalty` is unknown.

    Examples
    --------
    >>> from skce import pairing_status
    >>> pairing_status("softmax", "cross_entropy")
    'natural'
    >>> pairing_status("identity", "cross_entropy")
    'undefined'
    """
    activation = get_activation(activation)
    if isinstance(penalty, str) and penalty == "natural":
        return "undefined" if activation.natural_loss is None else "natural"
    penalty = get_penalty(penalty)
    has_natural_loss = activation.natural_loss is not None
    if has_natural_loss and type(penalty) is activation.natural_penalty:
        return "natural"
    if not activation.range <= penalty.domain:
        return "undefined"
    if penalty.needs_simplex and not activation.on_simplex:
        return "degenerate"
    return "workable"


def legal_penalties(activation):
    """Names of the penalties that can be paired with `activation`, best first.

    Examples
    --------
    >>> from skce.losses.pairings import legal_penalties
    >>> legal_penalties("sparsemax")
    ['natural', 'least_squares']
    """
    statuses = {name: pairing_status(activation, name) for name in PENALTIES}
    named = "natural" in statuses.values()
    own = not named and pairing_status(activation, "natural") == "natural"
    return ["natural"] * own + [
        name
        for wanted in ("natural", "workable", "degenerate")
        for name, status in statuses.items()
        if status == wanted
    ]


def pair(activation, penalty):
    """The pairing of an activation with a penalty.

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
        raise ValueError(_why_undefined(activation, penalty))
    if status == "natural":
        natural = activation.natural_penalty
        penalty = None if natural is None else natural()
        return NaturalPairing(activation, penalty, status)
    penalty = get_penalty(penalty)
    by_logarithm = None not in (activation.log_value, penalty.log_derivative)
    composed = LogComposedPairing if by_logarithm else ComposedPairing
    kind = FUSED.get((type(activation), type(penalty)), composed)
    return kind(activation, penalty, status)


def _why_undefined(activation, penalty):
    """The error of an undefined pair: what came, why not, what to take instead."""
    legal = ", ".join(map(repr, legal_penalties(activation)))
    advice = f"penalty may be {legal} for this activation"
    if isinstance(penalty, str) and penalty == "natural":
        return f"{activation!r} defines no natural loss: {advice}."
    penalty = get_penalty(penalty)
    return (
        f"activation={activation.name!r} cannot be paired with "
        f"penalty={penalty.name!r}: the outputs of {activation.name} lie in "
        f"{activation.range}, where {penalty.name} is not finite (it is defined on "
        f"{penalty.domain}); {advice}."
    )


def check_shapes(pairing, n_outputs):
    """Raise a ValueError where a user's class gives arrays of other shapes.

    A penalty that sums where it should not would pass all other checks.
    """
    z = np.linspace(-0.5, 0.5, 3 * n_outputs).reshape(n_outputs, 3)
    t = np.full_like(z, 1 / n_outputs)
    with np.errstate(all="ignore"):
        loss, delta = pairing.loss_and_delta(z, t)
    if np.shape(loss) == (3,) and np.shape(delta) == z.shape:
        return
    raise ValueError(
        f"{pairing}: of logits (q, n) = {z.shape} the loss has the shape "
        f"{np.shape(loss)}, which must be (n,), and its gradient {np.shape(delta)}, "
        "which must be (q, n). A penalty's value(t, y) and derivative(t, y) must not "
        "sum: their shape is that of y."
    )


def why_degenerate(pairing):
    """The warning of a degenerate pair: what will happen, what to take instead.

    Examples
    --------
    >>> from skce.losses.pairings import pair, why_degenerate
    >>> why_degenerate(pair("logistic", "cross_entropy"))[:43]
    'logistic x cross_entropy is degenerate: cro'
    """
    activation, penalty = pairing.activation, pairing.penalty
    better = [name for name in legal_penalties(activation) if name != penalty.name]
    normalised = [name for name, other in ACTIVATIONS.items() if other.on_simplex]
    partners = [
        repr(name)
        for name in normalised
        if pairing_status(name, penalty) in ("natural", "workable")
    ]
    with_penalty = (
        f", or keep the penalty with activation={' or '.join(partners)}"
        if partners
        else ""
    )
    return (
        f"{pairing} is degenerate: {penalty.name} is smallest where every output is at "
        f"the end of its range, and nothing makes the outputs of {activation.name} sum "
        "to 1, so all classes tend to the same output whatever the labels. Take "
        f"penalty={better[0]!r} with {activation.name}{with_penalty}."
    )


def pairing_grid(prefix="", *, include_degenerate=False, multilabel=False):
    """All pairs of the registries that can be fitted, as a grid for GridSearchCV.

    Eight pairs; a pair is named by its penalty, and by "natural" where the natural
    loss is no penalty of the registry (sparsemax).

    Parameters
    ----------
    prefix : str, default=""
        Put before the parameter names: "clf__" if the classifier is the step
        "clf" of a pipeline.
    include_degenerate : bool, default=False
        Whether to list the pairs whose status is degenerate.
    multilabel : bool, default=False
        Whether to list only the pairs that can be fitted to a multilabel y.

    Returns
    -------
    grid : list of dict
        One dict a pair, `{"activation": [name], "penalty": [name]}`.

    Raises
    ------
    ValueError
        If `prefix` is neither empty nor ends in "__".

    Examples
    --------
    To search other parameters as well, alpha above all, add them to each pair:

    >>> from skce import pairing_grid
    >>> alphas = {"clf__alpha": [0.01, 0.1, 1]}
    >>> grid = [pair | alphas for pair in pairing_grid("clf__")]
    >>> len(grid)
    8

    >>> for pair in pairing_grid("clf__", multilabel=True):
    ...     print(pair)
    {'clf__activation': ['identity'], 'clf__penalty': ['least_squares']}
    {'clf__activation': ['logistic'], 'clf__penalty': ['binary_cross_entropy']}
    {'clf__activation': ['logistic'], 'clf__penalty': ['least_squares']}
    """
    if prefix and not (isinstance(prefix, str) and prefix.endswith("__")):
        raise ValueError(
            f"prefix={prefix!r} must be empty or the name of a pipeline's step "
            "followed by two underscores, such as 'clf__'."
        )
    return [
        {f"{prefix}activation": [name], f"{prefix}penalty": [penalty]}
        for name, activation in ACTIVATIONS.items()
        if activation.elementwise or not multilabel
        for penalty in legal_penalties(activation)
        if include_degenerate or pairing_status(activation, penalty) != "degenerate"
    ]
