"""Input validation: layer sizes, rows and weights."""

from math import fsum
from numbers import Integral, Real

import numpy as np
from scipy import sparse
from sklearn.utils import check_array
from sklearn.utils.validation import check_consistent_length, validate_data

from skce._network.blocks import FEW_ROWS

__all__ = [
    "check_layer_sizes",
    "check_part",
    "check_rows",
    "check_training_rows",
    "check_weights",
    "largest",
    "total",
    "with_unit_mean",
]


def _is_integer(value):
    return isinstance(value, Integral) and not isinstance(value, bool)


def check_layer_sizes(hidden_layer_sizes):
    """The sizes as a tuple of int; one integer is a single layer.

    Raises
    ------
    ValueError
        If a size is not an integer of at least 1.
    """
    sizes = hidden_layer_sizes
    if _is_integer(sizes):
        sizes = (sizes,)
    is_sequence = isinstance(sizes, list | tuple) or (
        isinstance(sizes, np.ndarray) and sizes.ndim == 1
    )
    if not is_sequence or not all(_is_integer(size) and size >= 1 for size in sizes):
        raise ValueError(
            f"hidden_layer_sizes={hidden_layer_sizes!r} must be an integer of at least "
            "1, a sequence of such integers (one a layer), or () for no hidden layer."
        )
    return tuple(int(size) for size in sizes)


def check_training_rows(estimator, X, y):
    """X as float64, float32 or CSR, and y; sets what scikit-learn keeps of X."""
    return _with_advice(
        validate_data,
        estimator,
        X,
        y,
        multi_output=True,
        accept_sparse="csr",
        dtype=_FLOATS,
    )


def check_rows(estimator, X):
    """X of a prediction, as float64, float32 or CSR, of the width of the fit."""
    return _with_advice(
        validate_data, estimator, X, reset=False, accept_sparse="csr", dtype=_FLOATS
    )


def check_part(X, dtype):
    """X of a part of the rows, which may have none, as an array or CSR of `dtype`."""
    return _with_advice(
        check_array,
        X,
        accept_sparse="csr",
        dtype=dtype,
        ensure_min_samples=0,
        input_name="X",
    )


_FLOATS = (np.float64, np.float32)


def _with_advice(validate, *data, **options):
    """scikit-learn's `validate`; what to do about text is added to its error."""
    try:
        return validate(*data, **options)
    except ValueError as error:
        if "could not convert" not in str(error):
            raise
        raise ValueError(
            f"X holds text ({error}), but the features must be numbers: encode such "
            "columns, for instance with OneHotEncoder in a ColumnTransformer."
        ) from error


def check_weights(sample_weight, X):
    """The weights of the rows, and their sum.

    Returns
    -------
    weights : ndarray of shape (n,) or None
        float64, times a power of two that brings the largest into [1/2, 1): neither
        their sum nor their mean overflows, and no digit is lost.
    total : float
        Sum of the weights as given; inf where it overflows.

    Raises
    ------
    ValueError
        If the weights are negative, all zero, not finite or of the wrong length.
    """
    if sample_weight is None:
        return None, float(X.shape[0])
    if isinstance(sample_weight, Real):
        sample_weight = np.full(X.shape[0], sample_weight)
    weights = check_array(
        sample_weight, ensure_2d=False, dtype=np.float64, input_name="sample_weight"
    )
    if weights.ndim != 1:
        raise ValueError(
            f"sample_weight has the shape {weights.shape}; it must be 1D, a "
            "weight a row."
        )
    check_consistent_length(X, weights)
    if weights.min() < 0:
        raise ValueError(
            f"sample_weight has negative values (the least is {weights.min():g}); a "
            "weight must be 0 or more."
        )
    if weights.max() == 0:
        raise ValueError(
            "sample_weight is zero for every row: at least one weight must be positive."
        )
    exponent = np.frexp(weights.max())[1]
    weights = np.ldexp(weights, -exponent)
    with np.errstate(over="ignore"):
        return weights, float(np.ldexp(total(weights), exponent))


def total(weights):
    """The sum of some weights; that of few rows is the same in any order."""
    return fsum(weights) if len(weights) <= FEW_ROWS else float(weights.sum())


def with_unit_mean(weights, dtype):
    """The weights with a mean of 1, or None where all are equal."""
    if weights is None or weights.min() == weights.max():
        return None
    return (weights / weights.mean()).astype(dtype)


def largest(X):
    """The largest absolute value of X."""
    values = X.data if sparse.issparse(X) else X
    return max(abs(values.max()), abs(values.min())) if values.size else 0.0
