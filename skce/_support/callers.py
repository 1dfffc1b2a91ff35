"""Tell a fit of the user's from one that an estimator of scikit-learn makes."""

import os
import sys
from types import FrameType

import sklearn

__all__ = ["within_another_fit"]

_SKLEARN = os.path.dirname(sklearn.__file__) + os.sep

# Of scikit-learn, what calls `fit` once and for all rows. (The refit of a search is
# called by model_selection/_search.py, its folds by _validation.py.)
_ONE_FIT = (
    "base.py",
    "callback" + os.sep,
    "pipeline.py",
    "utils" + os.sep,
    os.path.join("model_selection", "_search.py"),
    os.path.join("model_selection", "_search_successive_halving.py"),
)


def within_another_fit() -> bool:
    """Return whether scikit-learn makes this fit as one of several.

    As a search, a cross-validation, a calibration or an ensemble does: the user then
    sees neither the rows handed over nor the record of this fit. scikit-learn has no
    other sign of it than the frames of the call.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        file, frame = frame.f_code.co_filename, frame.f_back
        inside = file.removeprefix(_SKLEARN)
        if inside != file and not inside.startswith(_ONE_FIT):
            return True
    return False
