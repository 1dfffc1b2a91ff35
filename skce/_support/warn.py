"""A warning that names the caller's line, however deep inside skce it is issued."""

import contextlib
import functools
import os
import sys
import warnings

import sklearn

__all__ = ["warn"]

# Frames of files that begin so lie between a user's call and the code that warns
_SKIPPED = (
    os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep,
    os.path.join(os.path.dirname(sklearn.__file__), "callback") + os.sep,
    contextlib.__file__,
    functools.__file__,
)


def warn(message, category):
    """Issue a warning located at the innermost frame outside skce.

    Frames of scikit-learn's callback wrapper, `contextlib` and `functools` are skipped
    as well. The location is what Python prints and what warning filters match, so that
    a constant stacklevel would be wrong for one of several ways into a function.

    Parameters
    ----------
    message : str
    category : type
        A subclass of Warning.
    """
    frame, level = sys._getframe(1), 2
    while frame.f_code.co_filename.startswith(_SKIPPED) and frame.f_back is not None:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
