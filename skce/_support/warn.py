"""Issue warnings that point to the user's line of code."""

import contextlib
import functools
import os
import sys
import warnings

import sklearn

__all__ = ["warn"]

# Files whose frames lie between the user's call and the code that warns
_SKIPPED = (
    os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep,
    os.path.join(os.path.dirname(sklearn.__file__), "callback") + os.sep,
    contextlib.__file__,
    functools.__file__,
)


def warn(message: str, category: type[Warning]) -> None:
    """Issue a warning located at the innermost frame outside skce.

    Frames of scikit-learn's callback wrapper, `contextlib` and `functools` are skipped
    as well. A constant `stacklevel` would point into skce as soon as the function that
    warns is called from another depth.

    Parameters
    ----------
    message : str
    category : type
        A subclass of Warning.
    """
    frame, level = sys._getframe(1), 2
    # The outermost frame may be one of skce's, as in a thread
    while frame.f_code.co_filename.startswith(_SKIPPED) and frame.f_back is not None:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
