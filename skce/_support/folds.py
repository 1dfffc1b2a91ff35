"""Intervals for means over the folds of a cross-validation."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import t as student_t

__all__ = ["CONFIDENCE", "standard_error_of_folds", "t_quantile"]

CONFIDENCE = 0.95  # of the intervals


def standard_error_of_folds(values: ArrayLike, test_to_train: float) -> Any:
    """Return the standard error of the mean over J folds, corrected for their overlap.

    sqrt((1/J + n_test / n_train) S^2): the training rows of two folds are partly the
    same, so that the means of folds vary by more than S^2 / J (Nadeau & Bengio 2003,
    "Inference for the generalization error").

    Parameters
    ----------
    values : array-like of shape (..., J)
        The last axis is that of the folds.
    test_to_train : float
        n_test / n_train.

    Returns
    -------
    error : float or ndarray of shape (...)
    """
    values = np.asarray(values)
    factor = 1 / values.shape[-1] + test_to_train
    return np.sqrt(factor * values.var(axis=-1, ddof=1))


def t_quantile(n_folds: int, confidence: float = CONFIDENCE) -> float:
    """Return the half-width of an interval in standard errors, by Student's t."""
    return float(student_t.ppf((1 + confidence) / 2, n_folds - 1))
