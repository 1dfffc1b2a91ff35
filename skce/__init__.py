"""A multilayer perceptron whose output activation and training loss pair freely."""

from skce.classifier import PairedMLPClassifier
from skce.comparison import compare_pairings
from skce.diagnosis import check_gradient
from skce.displays import (
    LossCurveDisplay,
    PairingComparisonDisplay,
    PenaltyDisplay,
)
from skce.fitting import BrokenFitError
from skce.inference import CoefficientTable, hessian, standard_errors
from skce.paired_scores import PairingComparison
from skce.pairings import DegeneratePairingWarning, pairing_grid, pairing_status
from skce.paths import alpha_path
from skce.start import ScaleWarning
from skce.summaries import Summary, summary

__version__ = "0.1.0"

__all__ = [
    "BrokenFitError",
    "CoefficientTable",
    "DegeneratePairingWarning",
    "LossCurveDisplay",
    "PairedMLPClassifier",
    "PairingComparison",
    "PairingComparisonDisplay",
    "PenaltyDisplay",
    "ScaleWarning",
    "Summary",
    "__version__",
    "alpha_path",
    "check_gradient",
    "compare_pairings",
    "hessian",
    "pairing_grid",
    "pairing_status",
    "standard_errors",
    "summary",
]
