"""Constraints on the parameters of the estimators."""

from numbers import Integral, Real
from sys import float_info

import numpy as np
from sklearn.metrics import get_scorer_names

from skce._fitting.solvers import SOLVERS
from skce._inputs.validation import is_integer

__all__ = ["CONSTRAINTS", "check_parameters"]


def _is_bool(value):
    return isinstance(value, bool | np.bool_)


class _OneOf:
    """A key of a registry, which may grow after this module is imported."""

    def __init__(self, choices):
        self.choices = choices

    def __call__(self, value):
        return isinstance(value, str) and value in self.choices

    def __str__(self):
        return f"must be one of {', '.join(map(repr, self.choices))}"


def _one_of(choices):
    constraint = _OneOf(choices)
    return constraint, constraint


def _number(minimum, kind, bools=False):
    def allowed(value):
        if _is_bool(value):  # True is an integer to Python
            return bools
        return isinstance(value, kind) and minimum <= value <= float_info.max

    wanted = "an integer" if kind is Integral else "a finite number"
    return allowed, f"must be {wanted} of at least {minimum}"


def _real(allowed, text):
    return lambda value: isinstance(value, Real) and allowed(value), text


FLAG = _is_bool, "must be True or False"
COUNT = _number(1, Integral)


def _is_scoring(value):
    if isinstance(value, str):
        return value == "penalty" or value in get_scorer_names()
    return callable(value)


# Whether a value is allowed, and the text of the error if it is not; checked in this
# order. Activations, penalties, layer sizes and class weights are checked where they
# are looked up.
CONSTRAINTS = {
    "solver": _one_of(SOLVERS),
    "init": _one_of(("glorot", "uniform")),
    "alpha": _number(0, Real),
    "tol": _number(0, Real),
    "n_init": COUNT,
    "average_starts": FLAG,
    "n_iter_no_change": (
        lambda value: value == np.inf or COUNT[0](value),
        "must be an integer of at least 1, or inf",
    ),
    "validation_fraction": _real(
        lambda v: 0 < v < 1, "must be a number between 0 and 1"
    ),
    "label_smoothing": _real(lambda v: 0 <= v < 1, "must be a number in [0, 1)"),
    "scoring": (
        _is_scoring,
        "must be 'penalty' (minus the mean penalty of the validation rows), the name "
        "of a scikit-learn scorer such as 'accuracy' or 'neg_log_loss' "
        "(sklearn.metrics.get_scorer_names() lists them all), or a callable",
    ),
    "max_iter": COUNT,
    "max_fun": COUNT,
    "verbose": _number(0, Integral, bools=True),
    "n_jobs": (
        lambda value: value is None or (is_integer(value) and value != 0),
        "must be None or a nonzero integer: -1 for all cores, -2 for all but one",
    ),
    "skip_layer": FLAG,
    "standardize": FLAG,
    "growing_sample": (
        lambda value: (
            _is_bool(value)
            or (isinstance(value, str) and value in ("auto", "minibatches"))
        ),
        "must be 'auto', 'minibatches', True or False",
    ),
    "warm_start": FLAG,
    "early_stopping": FLAG,
    "moderated": FLAG,
    "worker_timeout": _real(
        lambda v: 0 < v < np.inf, "must be a positive number of seconds"
    ),
}


def check_parameters(estimator):
    """Raise a ValueError that names the first parameter that cannot be used."""
    if isinstance(estimator.solver, str) and estimator.solver in ("adam", "sgd"):
        raise ValueError(
            f"solver={estimator.solver!r} is stochastic; the solvers here use all rows "
            f"at every step: {', '.join(map(repr, SOLVERS))}. Use 'lbfgs': of many "
            "rows, growing_sample takes minibatches before it."
        )
    for name, (is_allowed, text) in CONSTRAINTS.items():
        if name == "worker_timeout" and not hasattr(estimator, name):
            continue  # a parameter of DaskPairedMLPClassifier alone
        value = getattr(estimator, name)
        if not is_allowed(value):
            raise ValueError(f"{name}={value!r} {text}.")
    if estimator.average_starts and estimator.moderated:
        raise ValueError(
            "average_starts=True and moderated=True cannot be combined: both average "
            "over weights, the one over several minima, the other about one. Set one "
            "of them to False."
        )
