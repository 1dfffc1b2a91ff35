"""Any combination of parameters fits, or raises an error and changes nothing."""

import warnings
from copy import deepcopy

import numpy as np
from hypothesis import event, given, settings
from hypothesis import strategies as st
from problems import NAMES, WITH_PARAMETERS
from scipy import sparse
from sklearn.datasets import load_iris, make_multilabel_classification

from skce import PairedMLPClassifier
from skce._fitting.solvers import SOLVERS
from skce.losses.hidden import HIDDEN_ACTIVATIONS

X, y = load_iris(return_X_y=True)
X, y = X[::3], y[::3]
X = (X - X.mean(axis=0)) / X.std(axis=0)
_, SETS = make_multilabel_classification(len(y), n_classes=3, random_state=0)
LABELS = {
    "classes": y,
    "strings": np.array(["a", "b", "c"])[y],
    "two": y == 0,
    "rare": np.where(np.arange(len(y)) < 2, 1, 0),
    "sets": SETS,
}
KINDS = {"array": np.asarray, "csr": sparse.csr_array, "float32": np.float32}

PAIRS = [
    *NAMES,
    *WITH_PARAMETERS,
    ("sparsemax", "cross_entropy"),  # undefined
]
PARAMETERS = st.fixed_dictionaries(
    {
        "hidden_layer_sizes": st.sampled_from([(), 2, (3, 2)]),
        "hidden_activation": st.sampled_from([*HIDDEN_ACTIVATIONS]),
        "skip_layer": st.booleans(),
        "alpha": st.sampled_from([0, 1e-4, 1, 1000]),
        "class_weight": st.sampled_from(
            [None, None, "balanced", {0: 2}, [{1: 3}, {}, {}]]
        ),
        "label_smoothing": st.sampled_from([0.0, 0.1, 0.9]),
        "solver": st.sampled_from([*SOLVERS]),
        "max_iter": st.sampled_from([1, 5, 40]),
        "max_fun": st.sampled_from([1, 3, 1000]),
        "init": st.sampled_from(["glorot", "uniform"]),
        "n_init": st.integers(1, 3),
        "average_starts": st.booleans(),
        "early_stopping": st.booleans(),
        "validation_fraction": st.sampled_from([0.01, 0.1, 0.6]),
        "n_iter_no_change": st.integers(1, 4),
        "scoring": st.sampled_from(["penalty", "accuracy", "neg_log_loss"]),
        "moderated": st.sampled_from([False, False, True]),
        "growing_sample": st.sampled_from(["auto", "minibatches", True, False]),
        "warm_start": st.sampled_from([False, False, False, True]),
        "n_jobs": st.sampled_from([None, 1, 2]),
        "random_state": st.integers(0, 5),
    }
)


def state(estimator):
    return {name: deepcopy(value) for name, value in vars(estimator).items()}


def assert_same_state(estimator, before):
    after = vars(estimator)
    assert after.keys() == before.keys()
    for name, value in before.items():
        assert repr(after[name]) == repr(value), name


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    PARAMETERS,
    st.sampled_from(PAIRS),
    st.sampled_from([*LABELS]),
    st.sampled_from([*KINDS]),
    st.sampled_from([None, "integers", "fractions", "one row"]),
)
def test_fits_or_says_why_not(parameters, names, labels, kind, weights):
    estimator = PairedMLPClassifier(hidden_layer_sizes=2, random_state=0, alpha=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator.fit(X, y)
        estimator.set_params(activation=names[0], penalty=names[1], **parameters)
        given, before = repr(estimator.get_params()), state(estimator)
        rng = np.random.default_rng(0)
        sample_weight = {
            None: None,
            "integers": rng.integers(0, 3, len(y)),
            "fractions": rng.uniform(0, 1e-3, len(y)),
            "one row": np.arange(len(y)) == 0,
        }[weights]
        rows = KINDS[kind](X)
        try:
            estimator.fit(rows, LABELS[labels], sample_weight)
        except ValueError as error:
            event(f"error: {str(error)[:30]}")
            assert_same_state(estimator, before)
            return
        event("fitted")
        p = estimator.predict_proba(rows)
    assert repr(estimator.get_params()) == given
    assert np.isfinite(p).all()
    assert np.isfinite(estimator.loss_)
    assert all(np.isfinite(W).all() for W in estimator.coefs_)
    if labels != "sets":
        np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-5)
    assert len(estimator.init_losses_) == parameters["n_init"]
    if parameters["early_stopping"]:
        assert np.isfinite(estimator.best_validation_score_)
