"""Input validation: layer sizes and rows."""

from numbers import Integral

import numpy as np
from scipy import sparse
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

__all__ = [
    "check_layer_sizes",
    "check_part",
    "check_rows",
    "check_training_rows",
    "is_integer",
]


def is_integer(value):
    """Return whether a value is an integer and not a bool."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def check_layer_sizes(hidden_layer_sizes):
    """Return the sizes as a tuple of int; one integer is a single layer.

    Raises
    ------
    ValueError
        If a size is not an integer of at least 1.
    """
    sizes = hidden_layer_sizes
    if is_integer(sizes):
        sizes = (sizes,)
    is_sequence = isinstance(sizes, list | tuple) or (
        isinstance(sizes, np.ndarray) and sizes.ndim == 1
    )
    if not is_sequence or not all(is_integer(size) and size >= 1 for size in sizes):
        raise ValueError(
            f"hidden_layer_sizes={hidden_layer_sizes!r} must be an integer of at least "
            "1, a sequence of such integers (one per layer), or () for no hidden layer."
        )
    return tuple(int(size) for size in sizes)


def check_training_rows(estimator, X, y):
    """Return X as float64, float32 or CSR, and y; set `n_features_in_`."""
    X, y = _with_advice(
        validate_data,
        estimator,
        X,
        y,
        multi_output=True,
        accept_sparse="csr",
        dtype=_FLOATS,
    )
    X = _as_floats(X)
    if sparse.issparse(X) and not X.has_canonical_format:
        X = X.copy()  # entries that are given twice are summed
        X.sum_duplicates()
    return X, y


def check_rows(estimator, X):
    """Return X of a prediction as float64, float32 or CSR, of the width of the fit."""
    if _is_plain(X, estimator):
        return X
    X = _with_advice(
        validate_data, estimator, X, reset=False, accept_sparse="csr", dtype=_FLOATS
    )
    return _as_floats(X)


def check_part(X, dtype):
    """Return X of a partition, perhaps of no rows, as an array or CSR of `dtype`."""
    X = _with_advice(
        check_array,
        X,
        accept_sparse="csr",
        dtype=dtype,
        ensure_min_samples=0,
        input_name="X",
    )
    return X.astype(dtype, copy=False)


_FLOATS = (np.float64, np.float32)


def _is_plain(X, estimator):
    """Return whether scikit-learn's check of X, slow for a row, changes nothing."""
    if not (
        type(X) is np.ndarray
        and X.ndim == 2
        and X.dtype in _FLOATS
        and X.shape[0] > 0
        and X.shape[1] == estimator.n_features_in_
        and not hasattr(estimator, "feature_names_in_")
    ):
        return False
    with np.errstate(all="ignore"):
        return np.isfinite(np.add.reduce(X, axis=None))


def _as_floats(X):
    """Return X as float64 or float32; scikit-learn leaves sparse frames of bools."""
    return X if X.dtype in _FLOATS else X.astype(np.float64)


def _with_advice(validate, *data, **options):
    """Call scikit-learn's `validate`, and add advice to some of its errors."""
    try:
        return validate(*data, **options)
    except ValueError as error:
        if "fill value must be 0" in str(error):
            raise ValueError(
                "X is a sparse data frame with a fill value other than 0: pass "
                "X.sparse.to_dense()."
            ) from error
        if "could not convert" not in str(error):
            raise
        raise ValueError(
            f"X contains text ({error}), but the features must be numbers: encode such "
            "columns, for instance with OneHotEncoder in a ColumnTransformer."
        ) from error
