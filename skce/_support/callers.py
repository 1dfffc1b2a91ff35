"""Tell fits called by the user from those inside a scikit-learn meta-estimator."""

import os
import sys
from collections.abc import Iterator
from types import CodeType, FrameType

import sklearn

__all__ = ["within_another_fit", "within_cut_fit"]

_SKLEARN = os.path.dirname(sklearn.__file__) + os.sep

# Of scikit-learn, the files, and methods of a file, that call `fit` once and for all
# rows. (The refit of a search is called by _search.py, its folds by _validation.py.)
_ONE_FIT = (
    "base.py",
    "callback/",
    "model_selection/_classification_threshold.py:BaseThresholdClassifier.",
    "model_selection/_classification_threshold.py:FixedThresholdClassifier.",
    "model_selection/_search.py",
    "model_selection/_search_successive_halving.py",
    "pipeline.py",
    "utils/",
)


def _inner_frames() -> Iterator[CodeType]:
    """Yield the code of scikit-learn on the stack that fits several times."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        code, frame = frame.f_code, frame.f_back
        file = code.co_filename.removeprefix(_SKLEARN)
        if file != code.co_filename:
            name = f"{file.replace(os.sep, '/')}:{code.co_qualname}"
            if not name.startswith(_ONE_FIT):
                yield code


def within_another_fit() -> bool:
    """Return whether scikit-learn makes this fit as one of several.

    As a search, a cross-validation, a calibration or an ensemble does: the user then
    sees neither the rows handed over nor the record of this fit. scikit-learn has no
    other sign of it than the frames of the call.
    """
    return next(_inner_frames(), None) is not None


def within_cut_fit() -> bool:
    """Return whether scikit-learn makes this fit with a part of the rows.

    Then it gives `fit` that part of every argument that is as long as X.
    """
    # the helper that takes the parts; multioutput calls it for its checks alone
    return any(
        "_check_method_params" in code.co_names
        and os.path.basename(code.co_filename) != "multioutput.py"
        for code in _inner_frames()
    )
