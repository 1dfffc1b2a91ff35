"""A multilayer perceptron whose output activation and training loss pair freely."""

from skce._fitting.fits import BrokenFitError
from skce._fitting.starts import ScaleWarning
from skce.classifier import PairedMLPClassifier
from skce.inspection import (
    LossCurveDisplay,
    PairingComparison,
    PairingComparisonDisplay,
    PairingPropertiesDisplay,
    PenaltyDisplay,
    Summary,
    alpha_path,
    check_gradient,
    compare_pairings,
    summary,
)
from skce.losses import (
    DegeneratePairingWarning,
    pairing_grid,
    pairing_properties,
    pairing_status,
)
from skce.search import AlphaCurveDisplay, PairedMLPClassifierCV
from skce.uncertainty import CoefficientTable, hessian, standard_errors

__version__ = "0.1.0"

__all__ = [
    "AlphaCurveDisplay",
    "BrokenFitError",
    "CoefficientTable",
    "DegeneratePairingWarning",
    "LossCurveDisplay",
    "PairedMLPClassifier",
    "PairedMLPClassifierCV",
    "PairingComparison",
    "PairingComparisonDisplay",
    "PairingPropertiesDisplay",
    "PenaltyDisplay",
    "ScaleWarning",
    "Summary",
    "__version__",
    "alpha_path",
    "check_gradient",
    "compare_pairings",
    "hessian",
    "pairing_grid",
    "pairing_properties",
    "pairing_status",
    "standard_errors",
    "summary",
]
