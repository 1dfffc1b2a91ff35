"""The constraints on the parameters of the estimators."""

from numbers import Integral, Real
from sys import float_info

import numpy as np

from skce._fitting.solvers import SOLVERS

__all__ = ["check_parameters"]

INITS = ("glorot", "uniform")


def check_parameters(estimator):
    """Raise a ValueError that names the first parameter that cannot be used."""
    if isinstance(estimator.solver, str) and estimator.solver in ("adam", "sgd"):
        raise ValueError(
            f"solver={estimator.solver!r} is stochastic; the solvers here use all rows "
            f"at every step: {', '.join(map(repr, SOLVERS))}. Take 'lbfgs'."
        )
    _check_choice("solver", estimator.solver, tuple(SOLVERS))
    _check_choice("init", estimator.init, INITS)
    _check_number("alpha", estimator.alpha, Real, 0)
    _check_number("tol", estimator.tol, Real, 0)
    _check_number("n_init", estimator.n_init, Integral, 1)
    _check_number("n_iter_no_change", estimator.n_iter_no_change, Integral, 1)
    fraction = estimator.validation_fraction
    if not (isinstance(fraction, Real) and 0 < fraction < 1):
        raise ValueError(
            f"validation_fraction={fraction!r} must be a number between 0 and 1."
        )
    smoothing = estimator.label_smoothing
    if not (isinstance(smoothing, Real) and 0 <= smoothing < 1):
        raise ValueError(f"label_smoothing={smoothing!r} must be a number in [0, 1).")
    scoring = estimator.scoring
    if not (isinstance(scoring, str) or callable(scoring)):
        raise ValueError(
            f"scoring={scoring!r} must be 'penalty', the name of a scorer of "
            "scikit-learn, or a callable."
        )
    _check_number("max_iter", estimator.max_iter, Integral, 1)
    _check_number("max_fun", estimator.max_fun, Integral, 1)
    _check_number("verbose", estimator.verbose, Integral, 0)
    n_jobs = estimator.n_jobs
    if n_jobs is not None and not (
        _is_integer(n_jobs) and (n_jobs == -1 or n_jobs > 0)
    ):
        raise ValueError(
            f"n_jobs={n_jobs!r} must be None, -1 (all cores) or at least 1."
        )
    growing = estimator.growing_sample
    is_auto = isinstance(growing, str) and growing == "auto"
    if not (isinstance(growing, bool | np.bool_) or is_auto):
        raise ValueError(f"growing_sample={growing!r} must be 'auto', True or False.")
    for name in ("warm_start", "early_stopping", "moderated"):
        value = getattr(estimator, name)
        if not isinstance(value, bool | np.bool_):
            raise ValueError(f"{name}={value!r} must be True or False.")


def _is_integer(value):
    return isinstance(value, Integral) and not isinstance(value, bool)


def _check_choice(name, value, allowed):
    if not (isinstance(value, str) and value in allowed):
        choices = ", ".join(map(repr, allowed))
        raise ValueError(f"{name}={value!r} is unknown; it may be {choices}.")


def _check_number(name, value, kind, least):
    wanted = "an integer" if kind is Integral else "a finite number"
    # True is an integer to Python, but only verbose may be one
    is_bool = isinstance(value, bool | np.bool_)
    right_type = name == "verbose" if is_bool else isinstance(value, kind)
    if not right_type or not least <= value <= float_info.max:
        raise ValueError(f"{name}={value!r} must be {wanted} of at least {least}.")
