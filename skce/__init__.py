"""A multilayer perceptron whose output activation and training loss pair freely."""

from skce.classifier import PairedMLPClassifier
from skce.pairings import DegeneratePairingWarning, pairing_grid, pairing_status
from skce.start import ScaleWarning

__version__ = "0.1.0"

__all__ = [
    "DegeneratePairingWarning",
    "PairedMLPClassifier",
    "ScaleWarning",
    "__version__",
    "pairing_grid",
    "pairing_status",
]
