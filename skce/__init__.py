"""A multilayer perceptron whose output activation and training loss pair freely."""

from skce.classifier import PairedMLPClassifier
from skce.comparison import compare_pairings
from skce.diagnosis import check_gradient
from skce.displays import (
    LossCurveDisplay,
    PairingComparisonDisplay,
    PenaltyDisplay,
)
from skce.paired_scores import PairingComparison
from skce.pairings import DegeneratePairingWarning, pairing_grid, pairing_status
from skce.paths import alpha_path
from skce.start import ScaleWarning

__version__ = "0.1.0"

__all__ = [
    "DegeneratePairingWarning",
    "LossCurveDisplay",
    "PairedMLPClassifier",
    "PairingComparison",
    "PairingComparisonDisplay",
    "PenaltyDisplay",
    "ScaleWarning",
    "__version__",
    "alpha_path",
    "check_gradient",
    "compare_pairings",
    "pairing_grid",
    "pairing_status",
]
