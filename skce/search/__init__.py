"""Choose alpha, the pair and the layer sizes by cross-validation."""

from skce.search._classifier import PairedMLPClassifierCV
from skce.search._display import AlphaCurveDisplay

__all__ = ["AlphaCurveDisplay", "PairedMLPClassifierCV"]
