"""The door: checks of the parameters, the rows and the weights of a fit."""

from numbers import Integral, Real

import numpy as np
from sklearn.utils import check_array
from sklearn.utils.validation import check_consistent_length, validate_data

from skce.solvers import SOLVERS

__all__ = [
    "check_layer_sizes",
    "check_parameters",
    "check_rows",
    "check_training_rows",
    "check_weights",
    "normalise_weights",
]

INITS = ("glorot", "uniform")


def check_parameters(estimator):
    """Raise a ValueError that names the first parameter that cannot be used."""
    _check_choice("solver", estimator.solver, tuple(SOLVERS))
    _check_choice("init", estimator.init, INITS)
    _check_number("alpha", estimator.alpha, Real, 0)
    _check_number("tol", estimator.tol, Real, 0)
    _check_number("max_iter", estimator.max_iter, Integral, 1)
    _check_number("max_fun", estimator.max_fun, Integral, 1)
    _check_number("verbose", estimator.verbose, Integral, 0)
    if not isinstance(estimator.warm_start, bool | np.bool_):
        raise ValueError(f"warm_start={estimator.warm_start!r} must be True or False.")


def _check_choice(name, value, allowed):
    if not (isinstance(value, str) and value in allowed):
        choices = ", ".join(map(repr, allowed))
        raise ValueError(f"{name}={value!r} is unknown; it may be {choices}.")


def _check_number(name, value, kind, least):
    wanted = "an integer" if kind is Integral else "a finite number"
    # True is a number to Python; of the numbers only verbose may be one
    right_type = isinstance(value, kind) and (
        name == "verbose" or not isinstance(value, bool | np.bool_)
    )
    if not right_type or not least <= value < np.inf:
        raise ValueError(f"{name}={value!r} must be {wanted} of at least {least}.")


def check_layer_sizes(hidden_layer_sizes):
    """The sizes as a tuple of int; one integer is a single layer.

    Raises
    ------
    ValueError
        If a size is not an integer of at least 1.
    """
    sizes = hidden_layer_sizes
    if isinstance(sizes, Integral) and not isinstance(sizes, bool):
        sizes = (sizes,)
    is_sequence = isinstance(sizes, list | tuple) or (
        isinstance(sizes, np.ndarray) and sizes.ndim == 1
    )
    if not is_sequence or not all(
        isinstance(size, Integral) and not isinstance(size, bool) and size >= 1
        for size in sizes
    ):
        raise ValueError(
            f"hidden_layer_sizes={hidden_layer_sizes!r} must be an integer of at least "
            "1, a sequence of such integers (one a layer), or () for no hidden layer."
        )
    return tuple(int(size) for size in sizes)


def check_training_rows(estimator, X, y):
    """X as float64, float32 or CSR, and y; sets what scikit-learn keeps of X."""
    return _with_advice(
        estimator, X, y, multi_output=True, accept_sparse="csr", dtype=_FLOATS
    )


def check_rows(estimator, X):
    """X of a prediction, as float64, float32 or CSR, of the width of the fit."""
    return _with_advice(
        estimator, X, "no_validation", reset=False, accept_sparse="csr", dtype=_FLOATS
    )


_FLOATS = (np.float64, np.float32)


def _with_advice(estimator, X, y, **options):
    """scikit-learn's validation; what to do about text is added to its error."""
    try:
        if isinstance(y, str):
            return validate_data(estimator, X, **options)
        return validate_data(estimator, X, y, **options)
    except ValueError as error:
        if "could not convert" not in str(error):
            raise
        raise ValueError(
            f"X holds text ({error}), but the features must be numbers: encode such "
            "columns, for instance with OneHotEncoder in a ColumnTransformer."
        ) from error


def check_weights(sample_weight, X):
    """The weights of the rows of X as float64, shape (n,), or None.

    Raises
    ------
    ValueError
        If the weights are negative, all zero, not finite or of the wrong length.
    """
    if sample_weight is None:
        return None
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
    return weights


def normalise_weights(weights, X):
    """Weights with a mean of 1, of X's dtype, and their sum before that.

    Returns
    -------
    weights : ndarray of shape (n,) or None
        None where all are equal.
    total : float
        Sum of the weights as given; inf where it overflows.
    """
    if weights is None:
        return None, float(X.shape[0])
    largest = weights.max()
    # Relative to the largest first: sums of 1e300 overflow, those of 1e-320 are inexact
    weights = weights / largest
    with np.errstate(over="ignore"):
        total = float(largest * weights.sum())
    if weights.min() == 1:
        return None, total
    return (weights / weights.mean()).astype(X.dtype), total
