"""Choose alpha, the pair and the layer sizes by cross-validation."""

from skce.search._classifier import PairedMLPClassifierCV

__all__ = ["PairedMLPClassifierCV"]
