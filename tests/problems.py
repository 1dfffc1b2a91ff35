"""Cases that several test modules share."""

import numpy as np

from skce import PairedMLPClassifier
from skce.losses._binary_links import BinaryLink
from skce.losses._links import LINKS
from skce.losses.activations import (
    ACTIVATIONS,
    ElementwiseActivation,
    Entmax,
    Ordinal,
)
from skce.losses.hidden import HIDDEN_ACTIVATIONS
from skce.losses.intervals import Interval
from skce.losses.pairings import (
    ComposedPairing,
    LogOddsPairing,
    legal_penalties,
    pair,
    pairing_grid,
    pairing_status,
)
from skce.losses.penalties import (
    PARAMETRIC_PENALTIES,
    PENALTIES,
    LogOddsPenalty,
    LogPenalty,
    Penalty,
)

# Every pair that can be fitted, the degenerate one included
NAMES = [
    (*grid["activation"], *grid["penalty"])
    for grid in pairing_grid(include_degenerate=True, ordered=True)
]
PAIRINGS = [pair(*names) for names in NAMES]
# Instances with other parameters than those of the registry, for properties of formulas
ORDINAL = [Ordinal(link) for link in LINKS]
INSTANCES = [Entmax(1.001), Entmax(1.2), Entmax(2), *ORDINAL[1:]]
PAIRINGS += [pair(f, penalty) for f in INSTANCES for penalty in legal_penalties(f)]
# Penalties with parameters, which have no name, and the activations they are meant for
MEANT_FOR = {LogPenalty: "softmax", LogOddsPenalty: "logistic", Penalty: "identity"}
WITH_PARAMETERS = [
    (next(f for base, f in MEANT_FOR.items() if issubclass(kind, base)), kind())
    for kind in PARAMETRIC_PENALTIES
]
DEGENERATE = [names for names in NAMES if pairing_status(*names) == "degenerate"]
# ... and those of the package, where a test has the formulas of each: the registries
# can have more entries than these


def built_in(registry):
    """The names in a registry whose classes are those of the package."""
    return tuple(n for n, f in registry.items() if type(f).__module__[:5] == "skce.")


BUILT_IN_ACTIVATIONS = built_in(ACTIVATIONS)
BUILT_IN_PENALTIES = built_in(PENALTIES)
BUILT_IN_HIDDEN = built_in(HIDDEN_ACTIVATIONS)
BUILT_IN = [
    (activation, penalty)
    for activation, penalty in NAMES
    if activation in BUILT_IN_ACTIVATIONS
    and penalty in (*BUILT_IN_PENALTIES, "natural")
]
# ... and the natural ones and those in log y or the log-odds once more, by the chain
# rule in y alone; but for links of which 1 - y has no digits left at logits of 4
COMPOSED = [
    ComposedPairing(pairing.activation, pairing.penalty)
    for pairing in PAIRINGS
    if pairing.penalty is not None
    and type(pairing) is not ComposedPairing
    and not (
        isinstance(pairing.activation, BinaryLink) and type(pairing) is LogOddsPairing
    )
    and pairing.activation not in ORDINAL[1:]
]
UNDEFINED = [
    (activation, penalty)
    for activation in ACTIVATIONS
    for penalty in PENALTIES
    if (activation, penalty) not in NAMES
]


def best_penalty(activation):
    """The natural penalty of an activation, or its likelihood."""
    return legal_penalties(activation)[0]


def label(value):
    """The name of a pair in a test id."""
    return str(value).replace(" ", "")


def random_targets(rng, shape, kind):
    """Targets whose columns do not sum to 1, unless `kind` says one-of-q."""
    if kind == "one-of-q":
        targets = np.zeros(shape)
        targets[rng.integers(0, shape[0], shape[1]), np.arange(shape[1])] = 1
        return targets
    if kind == "sets":
        return rng.integers(0, 2, shape).astype(float)
    return rng.uniform(0, 1, shape)


def central_differences(function, x, step=1e-5):
    """d function / d x_i for each i, stacked along the first axis."""
    slopes = []
    for i in range(x.size):
        shift = np.zeros_like(x)
        shift.flat[i] = step
        slopes.append((function(x + shift) - function(x - shift)) / (2 * step))
    return np.array(slopes)


class Exponential(ElementwiseActivation):
    """A user-defined activation: positive outputs, no natural loss."""

    range = Interval(0, np.inf)

    def value(self, z):
        return np.exp(z)

    def derivative(self, z, y):
        return y

    def second_derivative(self, z, y):
        return y


class Huber(Penalty):
    """A user-defined penalty."""

    domain = Interval(-np.inf, np.inf)

    def value(self, t, y):
        r = np.abs(y - t)
        return np.where(r < 0.5, 0.5 * r * r, 0.5 * (r - 0.25))

    def derivative(self, t, y):
        r = y - t
        return np.where(np.abs(r) < 0.5, r, 0.5 * np.sign(r))

    def second_derivative(self, t, y):
        return (np.abs(y - t) < 0.5).astype(y.dtype)


def plain(*names, **parameters):
    """A classifier with smooth units, hardly any L2 term, and X as it is.

    For properties of solvers and formulas that need a minimum to many digits, or an
    objective that can be written out.
    """
    settings = {"hidden_activation": "logistic", "alpha": 1e-4, "standardize": False}
    return PairedMLPClassifier(*names, **settings | parameters)
