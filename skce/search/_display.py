"""Plot the scores of a search against alpha."""

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from skce._support.fitted import innermost
from skce.inspection._displays import _axes, _with_defaults, line_style
from skce.losses.pairings import pair
from skce.search._classifier import PairedMLPClassifierCV

__all__ = ["AlphaCurveDisplay"]
