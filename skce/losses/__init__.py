"""Output activations, penalties, their pairings, and hidden activations.

Pure formulas on arrays of shape (units, rows).
"""

from skce.losses.activations import (
    ACTIVATIONS,
    Activation,
    ElementwiseActivation,
    Identity,
    Logistic,
    Softmax,
    Sparsemax,
    get_activation,
)
from skce.losses.hidden import (
    HIDDEN_ACTIVATIONS,
    HiddenActivation,
    HiddenIdentity,
    HiddenLogistic,
    HiddenReLU,
    HiddenTanh,
    get_hidden_activation,
)
from skce.losses.intervals import REAL_LINE, Interval
from skce.losses.pairings import (
    ComposedPairing,
    DegeneratePairingWarning,
    LogComposedPairing,
    NaturalPairing,
    Pairing,
    legal_penalties,
    pair,
    pairing_grid,
    pairing_status,
    why_degenerate,
)
from skce.losses.penalties import (
    PENALTIES,
    BinaryCrossEntropy,
    CrossEntropy,
    Focal,
    GeneralizedCrossEntropy,
    LeastSquares,
    LogPenalty,
    Penalty,
    get_penalty,
)

__all__ = [
    "ACTIVATIONS",
    "HIDDEN_ACTIVATIONS",
    "PENALTIES",
    "REAL_LINE",
    "Activation",
    "BinaryCrossEntropy",
    "ComposedPairing",
    "CrossEntropy",
    "DegeneratePairingWarning",
    "ElementwiseActivation",
    "Focal",
    "GeneralizedCrossEntropy",
    "HiddenActivation",
    "HiddenIdentity",
    "HiddenLogistic",
    "HiddenReLU",
    "HiddenTanh",
    "Identity",
    "Interval",
    "LeastSquares",
    "LogComposedPairing",
    "LogPenalty",
    "Logistic",
    "NaturalPairing",
    "Pairing",
    "Penalty",
    "Softmax",
    "Sparsemax",
    "get_activation",
    "get_hidden_activation",
    "get_penalty",
    "legal_penalties",
    "pair",
    "pairing_grid",
    "pairing_status",
    "why_degenerate",
]
