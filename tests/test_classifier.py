"""The estimator's contract: shapes, dtypes, probabilities, decisions, labels."""

import pickle
import tracemalloc
import warnings
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from problems import DEGENERATE, NAMES, Exponential, plain
from scipy import sparse
from scipy.special import expit
from sklearn.datasets import (
    load_breast_cancer,
    load_digits,
    load_iris,
    load_wine,
    make_blobs,
    make_multilabel_classification,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler

from skce import (
    DegeneratePairingWarning,
    PairedMLPClassifier,
    hessian,
    standard_errors,
    summary,
)
from skce._network.blocks import row_slices
from skce._network.kernels import Network, Workspace
from skce._network.objective import Objective
from skce._network.parameters import Layers
from skce.losses.activations import ACTIVATIONS
from skce.losses.penalties import GeneralizedCrossEntropy

LEGAL = [names for names in NAMES if names not in DEGENERATE]
ELEMENTWISE = [names for names in LEGAL if ACTIVATIONS[names[0]].elementwise]
IDS = " x ".join


def scaled(load):
    X, y = load(return_X_y=True)
    return StandardScaler().fit_transform(X), y


IRIS, IRIS_Y = scaled(load_iris)
CANCER, CANCER_Y = scaled(load_breast_cancer)
MULTI, MULTI_Y = make_multilabel_classification(
    n_samples=150, n_classes=3, random_state=0
)
MULTI = StandardScaler().fit_transform(MULTI)


def small(activation="softmax", penalty="natural", **parameters):
    defaults = {"hidden_layer_sizes": (6,), "alpha": 0.1, "random_state": 0}
    return plain(activation, penalty, **defaults | parameters)


def learnt(names):
    """Least accuracy on iris: least squares is flat where sparsemax is wrong."""
    return 0.6 if names == ("sparsemax", "least_squares") else 0.9


@pytest.fixture(params=LEGAL, ids=IDS)
def names(request):
    return request.param


@pytest.fixture(params=ELEMENTWISE, ids=IDS)
def elementwise(request):
    return request.param


@pytest.mark.parametrize(
    "load", [load_iris, load_wine, load_breast_cancer, load_digits]
)
def test_defaults_fit_scaled_data_without_a_warning(load):
    X, y = scaled(load)
    assert PairedMLPClassifier(random_state=0).fit(X, y).score(X, y) > 0.97


def test_several_classes(names):
    fitted = small(*names).fit(IRIS, IRIS_Y)
    P = fitted.predict_proba(IRIS)
    assert P.shape == (150, 3)
    np.testing.assert_allclose(P.sum(axis=1), 1, atol=1e-14)
    assert P.min() >= 0
    np.testing.assert_array_equal(fitted.predict(IRIS), P.argmax(axis=1))
    assert fitted.score(IRIS, IRIS_Y) > learnt(names)
    decision, outputs = fitted.decision_function(IRIS), fitted.predict_outputs(IRIS)
    assert decision.shape == outputs.shape == (150, 3)
    np.testing.assert_array_equal(decision.argmax(axis=1), fitted.predict(IRIS))
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(
            fitted.predict_log_proba(IRIS), np.log(P), rtol=1e-9, atol=1e-12
        )


def test_two_classes(names):
    fitted = small(*names).fit(CANCER, CANCER_Y)
    P, decision = fitted.predict_proba(CANCER), fitted.decision_function(CANCER)
    assert P.shape == (569, 2)
    assert decision.shape == (569,)
    np.testing.assert_allclose(P.sum(axis=1), 1, atol=1e-14)
    np.testing.assert_array_equal(fitted.predict(CANCER), P.argmax(axis=1))
    np.testing.assert_array_equal(fitted.predict(CANCER), decision > 0)
    one_unit = names in ELEMENTWISE
    assert fitted.n_outputs_ == (1 if one_unit else 2)
    assert fitted.predict_outputs(CANCER).shape == (569, fitted.n_outputs_)
    assert np.isfinite(fitted.predict_log_proba(CANCER)[P > 0]).all()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("hidden", [(), (5,)])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_underflow_is_no_error_whatever_numpy_raises(names, hidden, dtype):
    X, far = IRIS.astype(dtype), (1000 * IRIS).astype(dtype)
    clf = small(*names, hidden_layer_sizes=hidden, alpha=0, max_iter=200)
    with np.errstate(all="raise"):
        clf.fit(X, IRIS_Y)
        summary(clf, X, IRIS_Y)
        for method in ("predict", "predict_proba", "predict_log_proba"):
            getattr(clf, method)(far)
        if names in ELEMENTWISE:
            clf.fit(MULTI, MULTI_Y).predict_proba(1000 * MULTI)
        weights = np.r_[1e-320, np.ones(149)]
        clf.fit(np.c_[IRIS, 1e-300 * IRIS[:, 0]], IRIS_Y, sample_weight=weights)


@pytest.mark.parametrize("hidden_activation", ["tanh", "relu"])
@pytest.mark.parametrize("dtype", ["bool", "int8", "float32", "float64"])
def test_sparse_data_frames_are_fitted_as_arrays(hidden_activation, dtype):
    codes = pd.Series(IRIS_Y).sample(frac=0.9, random_state=0).reindex(range(150))
    frame = pd.get_dummies(codes, sparse=True)
    kind = np.dtype(dtype)
    frame = frame.astype(pd.SparseDtype(kind, kind.type(0)))
    clf = small(hidden_activation=hidden_activation).fit(frame, IRIS_Y)
    dense = frame.to_numpy().astype(float)
    other = small(hidden_activation=hidden_activation).fit(dense, IRIS_Y)
    np.testing.assert_array_equal(clf.coefs_[0], other.coefs_[0])
    np.testing.assert_array_equal(clf.predict_proba(frame), clf.predict_proba(dense))
    filled = frame.astype(pd.SparseDtype(float, np.nan))
    if filled.dtypes.iloc[0].fill_value == 0:  # early versions of pandas keep it
        return
    with pytest.raises(
        ValueError, match=r"a fill value other than 0: pass X.sparse.to_dense\(\)"
    ):
        clf.fit(filled, IRIS_Y)


@pytest.mark.parametrize(
    ("dtype", "kind"),
    [("Int8", np.int8), ("boolean", bool), ("Float32", np.float32), ("UInt64", "u8")],
)
def test_nullable_labels_have_the_dtype_without_missing_values(dtype, kind):
    column = pd.Series(CANCER_Y).astype(dtype)
    for labels in (column, column.astype("category"), column.to_frame().iloc[:, 0]):
        fitted = small().fit(CANCER, labels)
        assert fitted.classes_.dtype == fitted.predict(CANCER).dtype == kind
        assert fitted.score(CANCER, labels) > 0.95
    watched = small(early_stopping=True)
    watched.fit(CANCER, column, X_val=CANCER, y_val=column)
    assert watched.classes_.dtype == kind


@pytest.mark.parametrize("dtype", ["Int64", "boolean", "Float64", "bool"])
def test_nullable_indicators_are_fitted_and_scored(dtype):
    frame = pd.DataFrame(MULTI_Y).astype(dtype)
    fitted = small("logistic").fit(MULTI, frame)
    plainly = small("logistic").fit(MULTI, MULTI_Y)
    np.testing.assert_array_equal(fitted.coefs_[0], plainly.coefs_[0])
    weights = np.arange(150.0)
    for given in ({}, {"sample_weight": weights}):
        score = fitted.score(MULTI, frame, **given)
        assert score == plainly.score(MULTI, MULTI_Y, **given) > 0.5


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_log_probabilities_are_infinite_where_probabilities_are_0_alone(names, dtype):
    for X, y in [(IRIS, IRIS_Y), (CANCER, CANCER_Y)]:
        fitted = small(*names, hidden_activation="relu").fit(X.astype(dtype), y)
        far = (1e4 * X).astype(dtype)
        P, log_P = fitted.predict_proba(far), fitted.predict_log_proba(far)
        assert (P == 0).any()
        np.testing.assert_array_equal(log_P == -np.inf, P == 0)
        # to rounding, also where P itself rounds to 1
        inside = np.finfo(dtype).tiny < P
        np.testing.assert_allclose(
            log_P[inside], np.log(P[inside]), rtol=1e-4, atol=10 * np.finfo(dtype).eps
        )


def test_decision_of_two_classes_is_z_or_z_minus_one_half():
    logistic = small("logistic").fit(CANCER, CANCER_Y)
    y = logistic.predict_outputs(CANCER)[:, 0]
    np.testing.assert_allclose(expit(logistic.decision_function(CANCER)), y)
    identity = small("identity").fit(CANCER, CANCER_Y)
    np.testing.assert_allclose(
        identity.decision_function(CANCER),
        identity.predict_outputs(CANCER)[:, 0] - 0.5,
        atol=1e-15,
    )
    np.testing.assert_allclose(
        identity.predict_proba(CANCER)[:, 1],
        np.minimum(np.maximum(identity.predict_outputs(CANCER)[:, 0], 0), 1),
        atol=1e-15,
    )


def test_outputs_are_the_network_written_out():
    fitted = small("logistic", "least_squares").fit(IRIS, IRIS_Y)
    hidden = expit(IRIS @ fitted.coefs_[0] + fitted.intercepts_[0])
    outputs = expit(hidden @ fitted.coefs_[1] + fitted.intercepts_[1])
    np.testing.assert_allclose(fitted.predict_outputs(IRIS), outputs, atol=1e-14)
    np.testing.assert_allclose(
        fitted.predict_proba(IRIS),
        outputs / outputs.sum(axis=1, keepdims=True),
        atol=1e-14,
    )


def test_multilabel(elementwise):
    fitted = small(*elementwise).fit(MULTI, MULTI_Y)
    P, decision = fitted.predict_proba(MULTI), fitted.decision_function(MULTI)
    assert P.shape == decision.shape == MULTI_Y.shape
    assert (P > 0).all()
    assert (P < 1).all()
    np.testing.assert_array_equal(fitted.predict(MULTI), P > 0.5)
    np.testing.assert_array_equal(fitted.predict(MULTI), decision > 0)
    assert fitted.score(MULTI, MULTI_Y) > 0.5
    same = small(*elementwise).fit(MULTI, sparse.csr_array(MULTI_Y))
    np.testing.assert_array_equal(same.predict_proba(MULTI), P)


@pytest.mark.parametrize(
    "labels",
    [np.array(["a", "b", "c"]), np.array([7, 3, 5]), np.array([True, False])],
    ids=["text", "int", "bool"],
)
def test_labels_of_any_kind(labels):
    codes = IRIS_Y % len(labels)
    fitted = small().fit(IRIS, labels[codes])
    np.testing.assert_array_equal(fitted.classes_, np.unique(labels))
    assert set(fitted.predict(IRIS)) <= set(labels)
    assert fitted.predict(IRIS).dtype == labels.dtype


@pytest.mark.parametrize(
    "container",
    [sparse.csr_matrix, sparse.csr_array, sparse.csc_matrix, sparse.csc_array],
)
def test_sparse_input(names, container):
    X = np.where(np.abs(IRIS) < 0.5, 0, IRIS)
    dense = small(*names, tol=1e-2).fit(X, IRIS_Y)
    fitted = small(*names, tol=1e-2).fit(container(X), IRIS_Y)
    np.testing.assert_array_equal(fitted.coefs_[0], dense.coefs_[0])
    np.testing.assert_allclose(
        fitted.predict_proba(container(X)), dense.predict_proba(X), atol=1e-12
    )


def test_sparse_input_too_large_to_be_made_dense(names):
    rng = np.random.default_rng(0)
    X = sparse.csr_array(
        rng.normal(size=(3000, 500)) * (rng.random((3000, 500)) < 0.01)
    )
    y = np.asarray((X[:, :250].sum(axis=1) > 0) + (X.sum(axis=1) > 1), dtype=int)
    fits = [small(*names, tol=1e-3).fit(rows, y) for rows in (X, X.toarray())]
    # kinks magnify differences in rounding from iteration to iteration
    atol = 5e-4 if "sparsemax" in names else 1e-6
    np.testing.assert_allclose(
        fits[0].predict_proba(X), fits[1].predict_proba(X.toarray()), atol=atol
    )


def test_float32_stays_float32(names):
    X = IRIS.astype(np.float32)
    fitted = small(*names).fit(X, IRIS_Y)
    arrays = [*fitted.coefs_, *fitted.intercepts_]
    arrays += [fitted.predict_proba(X), fitted.predict_log_proba(X)]
    arrays += [fitted.decision_function(X), fitted.predict_outputs(X)]
    assert {array.dtype for array in arrays} == {np.dtype(np.float32)}
    assert fitted.score(X, IRIS_Y) > learnt(names)
    np.testing.assert_allclose(fitted.predict_proba(X).sum(axis=1), 1, atol=1e-6)
    wide = fitted.predict_proba(IRIS)
    assert wide.dtype == np.float64
    np.testing.assert_allclose(wide, fitted.predict_proba(X), atol=1e-5)


def test_attributes():
    fitted = small("softmax", "least_squares", hidden_layer_sizes=[5, 4])
    fitted.fit(IRIS, IRIS_Y)
    assert [W.shape for W in fitted.coefs_] == [(4, 5), (5, 4), (4, 3)]
    assert [b.shape for b in fitted.intercepts_] == [(5,), (4,), (3,)]
    assert fitted.n_layers_ == 4
    assert fitted.n_features_in_ == 4
    assert fitted.out_activation_ == "softmax"
    assert fitted.pairing_.status == "workable"
    assert str(fitted.pairing_) == "softmax x least_squares"
    assert small(hidden_layer_sizes=5).fit(IRIS, IRIS_Y).coefs_[0].shape == (4, 5)


def test_degenerate_pair_warns_fits_and_is_tagged_as_poor():
    degenerate = small("logistic", "cross_entropy")
    with pytest.warns(
        DegeneratePairingWarning,
        match="a loss for outputs that sum to 1.*'binary_cross_entropy'",
    ):
        degenerate.fit(IRIS, IRIS_Y)
    # every output is near 1, as in the paper
    assert degenerate.predict_outputs(IRIS).min() > 0.9
    assert degenerate.__sklearn_tags__().classifier_tags.poor_score
    assert not small().__sklearn_tags__().classifier_tags.poor_score


def test_tags_follow_the_activation():
    for name in ("identity", "logistic", "softmax", "sparsemax", "unknown"):
        tags = small(name).__sklearn_tags__()
        assert tags.classifier_tags.multi_label == (name in ("identity", "logistic"))
        assert tags.input_tags.sparse


def test_random_state_determines_the_start():
    one, same, other = (
        small(random_state=seed, tol=0.01).fit(IRIS, IRIS_Y).coefs_[0]
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, same)
    assert not np.allclose(one, other)


def test_init_uniform_is_that_of_the_paper():
    # a tolerance so loose that the fit returns its start
    start = small(
        init="uniform",
        tol=1e9,
        hidden_layer_sizes=300,
        hidden_activation="tanh",
        skip_layer=True,
    )
    with pytest.warns(UserWarning, match="(changed|learned) nothing|nowhere"):
        start.fit(IRIS, IRIS_Y)
    assert start.skip_coef_.min() < -0.5
    assert start.skip_coef_.max() > 0.5
    for array in [*start.coefs_, start.intercepts_[0]]:
        assert -1 < array.min() < -0.95
        assert 0.95 < array.max() < 1
    with pytest.warns(UserWarning, match="(changed|learned) nothing|nowhere"):
        start.set_params(init="glorot").fit(IRIS, IRIS_Y)
    bound = np.sqrt(6 / 304)
    assert 0.95 * bound < np.abs(start.coefs_[0]).max() <= bound
    assert not np.any(start.intercepts_[0])
    assert not np.any(start.skip_coef_)


def test_the_order_of_the_rows_changes_no_bit():
    rng = np.random.default_rng(1)
    X, weights, order = IRIS.round(), rng.uniform(size=150), rng.permutation(150)
    one = small().fit(X, IRIS_Y, weights)
    for _ in range(10):
        order = rng.permutation(order)
        other = small().fit(X[order], IRIS_Y[order], weights[order])
        np.testing.assert_array_equal(one.coefs_[0], other.coefs_[0])


def test_integer_weights_equal_repeated_rows_bit_for_bit(names):
    rng = np.random.default_rng(0)
    times = rng.integers(0, 4, len(IRIS))
    order = rng.permutation(len(IRIS))
    weighted = small(*names).fit(IRIS[order], IRIS_Y[order], times[order])
    repeated = small(*names).fit(IRIS.repeat(times, axis=0), IRIS_Y.repeat(times))
    for one, other in zip(weighted.coefs_, repeated.coefs_, strict=True):
        np.testing.assert_array_equal(one, other)


def test_many_rows_are_split_into_blocks_and_agree_with_one_block(monkeypatch):
    X, y = np.tile(IRIS, (20, 1)), np.tile(IRIS_Y, 20)
    X = X + np.random.default_rng(0).normal(scale=0.1, size=X.shape)
    fits = {}
    for rows in (500, len(X)):
        assert len(row_slices(len(X), rows)) == (8 if rows == 500 else 1)
        monkeypatch.setattr("skce._network.rows.block_rows", lambda *_, rows=rows: rows)
        fits[rows] = small(tol=1e-2).fit(X, y)
    cut, whole = fits.values()
    np.testing.assert_allclose(cut.predict_proba(X), whole.predict_proba(X), atol=1e-6)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_warm_start_continues_from_the_last_weights():
    steps = small(warm_start=True, tol=1e-5, max_iter=10)
    losses = [steps.fit(IRIS, IRIS_Y).loss_ for _ in range(4)]
    # each fit ends below the one before it
    assert np.all(np.diff(losses) < 0)
    assert steps.loss_curve_[0] < losses[2]


def test_many_short_warm_starts_warn_once_that_one_long_fit_ends_lower():
    steps = small(warm_start=True, max_iter=1)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(60):
            steps.fit(IRIS, IRIS_Y)
    assert steps.loss_ > small().fit(IRIS, IRIS_Y).loss_
    texts = {str(warning.message) for warning in caught}
    assert len(caught) == 60
    assert len(texts) == 2  # of the first fit and of the others: Python shows each once
    assert any("raise max_iter, or monitor a single fit" in text for text in texts)


def test_warm_start_does_not_mistake_classes_for_multilabel_columns():
    fitted = small("logistic", warm_start=True).fit(IRIS, IRIS_Y)
    with pytest.raises(ValueError, match=r"had classes.*this one has labels"):
        fitted.fit(IRIS, np.eye(3, dtype=int)[IRIS_Y])


def test_decision_and_prediction_agree_for_a_user_defined_activation():
    fitted = small(Exponential(), "least_squares").fit(CANCER, CANCER_Y)
    decision = fitted.decision_function(CANCER)
    np.testing.assert_array_equal(fitted.predict(CANCER), decision > 0)


@pytest.mark.filterwarnings("ignore:.*stopped after max_iter")
@pytest.mark.parametrize("seed", range(4))
def test_a_stuck_fit_restarts_from_the_class_frequencies(seed):
    rng = np.random.default_rng(seed)
    y = (rng.random(500) < 0.08) + 2 * (rng.random(500) < 0.02)
    X = rng.normal(size=(500, 3)) + y[:, np.newaxis]
    fit = small("sparsemax", "least_squares", alpha=1e-4).fit(X, y)
    p = np.bincount(y) / len(y)
    constant = loss_of_constant(fit, p[p > 0])
    assert fit.loss_ < 0.7 * constant
    assert fit.loss_ <= fit.init_losses_[0]
    assert len(set(fit.predict(X))) > 1
    small("sparsemax", alpha=1.0).fit(X, y)  # never stuck


def loss_of_constant(fit, p):
    """The mean penalty of the class frequencies p as outputs for all rows."""
    value = fit.pairing_.penalty.value
    return np.sum(p * value(np.ones_like(p), p) + (1 - p) * value(0 * p, p))


def test_a_fit_that_stays_at_the_class_frequencies_warns():
    X, y = make_blobs(centers=3, random_state=0, cluster_std=20)
    weights = {0: 1000, 1: 1e-4, 2: 1e-4}
    stuck = small("sparsemax", "least_squares", hidden_layer_sizes=())
    stuck.set_params(class_weight=weights, alpha=1e-4)
    with pytest.warns(ConvergenceWarning, match="learned nothing.*natural"):
        stuck.fit(X, y)
    assert set(stuck.predict(X)) == {0}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("limit", [{"max_iter": 1}, {"max_fun": 2}], ids=str)
def test_a_fit_ended_by_a_limit_does_not_restart(limit):
    rng = np.random.default_rng(0)
    y = rng.integers(3, size=300)
    X = rng.normal(size=(300, 3))
    fit = small("logistic", "least_squares", init="uniform", **limit).fit(X, y)
    p = np.bincount(y) / len(y)
    assert fit.loss_ > 1.02 * loss_of_constant(fit, p)
    assert fit.loss_ == fit.init_losses_[0]
    assert fit.solver_result_["reason"] == next(iter(limit))


def test_parameters_of_a_penalty_are_set_on_a_copy():
    penalty = GeneralizedCrossEntropy(q=0.7)
    fitted = small(penalty=penalty).fit(IRIS, IRIS_Y)
    before = fitted.predict_proba(IRIS)
    fitted.set_params(penalty__q=0.3)
    assert fitted.penalty.q == 0.3
    assert penalty.q == 0.7
    assert fitted.pairing_.penalty is penalty
    np.testing.assert_array_equal(fitted.predict_proba(IRIS), before)
    with pytest.raises(ValueError, match=r"q=3 must be a number in \(0, 1\]"):
        fitted.set_params(penalty__q=3)
    assert fitted.penalty.q == 0.3
    other = GeneralizedCrossEntropy(q=0.5)
    fitted.set_params(penalty=other, penalty__q=0.6)
    assert fitted.penalty.q == 0.6
    assert other.q == 0.5
    with pytest.raises(ValueError, match=r"penalty='natural' has no parameters"):
        small().set_params(penalty__q=0.6)
    with pytest.raises(ValueError, match=r"pass an instance"):
        small(penalty=GeneralizedCrossEntropy).set_params(penalty__q=0.6)


def test_units_can_be_removed_from_a_fitted_network():
    fitted = small().fit(IRIS, IRIS_Y)
    fitted.coefs_[1][2] = 0  # so that nothing hears of the unit
    expected = fitted.predict_proba(IRIS)
    kept = [0, 1, 3, 4, 5]
    fitted.coefs_ = [fitted.coefs_[0][:, kept], fitted.coefs_[1][kept]]
    fitted.intercepts_ = [fitted.intercepts_[0][kept], fitted.intercepts_[1]]
    np.testing.assert_allclose(fitted.predict_proba(IRIS), expected, rtol=1e-12)
    assert summary(fitted).layer_sizes == (4, 5, 3)
    assert summary(fitted).n_parameters == 43
    fitted.coefs_[1] = fitted.coefs_[1][:-1]
    with pytest.raises(ValueError, match=r"coefs_ and intercepts_ have the shapes"):
        fitted.predict(IRIS)
    moderated = small(moderated=True).fit(IRIS, IRIS_Y)
    moderated.coefs_ = [moderated.coefs_[0][:, kept], moderated.coefs_[1][kept]]
    moderated.intercepts_ = [moderated.intercepts_[0][kept], moderated.intercepts_[1]]
    with pytest.raises(ValueError, match=r"have units been removed"):
        moderated.predict_proba(IRIS)


INFINITE = np.zeros((4, 6))
INFINITE[0, 2] = np.inf
TAMPERED = {
    "a feature less": lambda fit: {"coefs_": [fit.coefs_[0][:-1], fit.coefs_[1]]},
    "a unit less": lambda fit: {"coefs_": [fit.coefs_[0][:, :-1], fit.coefs_[1]]},
    "flat": lambda fit: {"coefs_": [fit.coefs_[0].ravel(), fit.coefs_[1]]},
    "empty": lambda fit: {"coefs_": [], "intercepts_": []},
    "lists": lambda fit: {"coefs_": [coef.tolist() for coef in fit.coefs_]},
    "complex": lambda fit: {"coefs_": [1j * fit.coefs_[0], fit.coefs_[1]]},
    "objects": lambda fit: {"coefs_": [coef.astype(object) for coef in fit.coefs_]},
    "None": lambda fit: {"coefs_": [fit.coefs_[0], None]},
    "nothing": lambda fit: {"coefs_": None},
    "not finite": lambda fit: {"coefs_": [np.nan * fit.coefs_[0], fit.coefs_[1]]},
    # of which a saturated unit shows nothing
    "infinite": lambda fit: {"coefs_": [fit.coefs_[0] - INFINITE, fit.coefs_[1]]},
    "an infinite bias": lambda fit: {
        "intercepts_": [fit.intercepts_[0] - INFINITE[0], fit.intercepts_[1]]
    },
    "a bias less": lambda fit: {"intercepts_": [b[:1] for b in fit.intercepts_]},
    "a layer less": lambda fit: {"intercepts_": fit.intercepts_[:1]},
    "columns": lambda fit: {"intercepts_": [b[:, None] for b in fit.intercepts_]},
    "numbers": lambda fit: {"intercepts_": [0.0, 0.0]},
    "a class less": lambda fit: {"classes_": fit.classes_[:-1]},
    "a class more": lambda fit: {"classes_": np.arange(4)},
    "classes in a column": lambda fit: {"classes_": fit.classes_[:, None]},
    "a skip layer more": lambda fit: {"skip_coef_": np.zeros((4, 3))},
}
TAMPERED_SKIP = {
    "no skip layer": lambda fit: {"skip_coef_": None},
    "a feature less": lambda fit: {"skip_coef_": fit.skip_coef_[:-1]},
    "an output less": lambda fit: {"skip_coef_": fit.skip_coef_[:, :-1]},
    "transposed": lambda fit: {"skip_coef_": fit.skip_coef_.T},
    "a list": lambda fit: {"skip_coef_": fit.skip_coef_.tolist()},
    "not finite": lambda fit: {"skip_coef_": np.inf * fit.skip_coef_},
}
TAMPERED_COVARIANCE = {
    "a row less": lambda matrix: matrix[:-1],
    "a column less": lambda matrix: matrix[:, :-1],
    "one column": lambda matrix: matrix[:, :1],
    "one row": lambda matrix: matrix[0],
    "not finite": lambda matrix: np.inf * matrix,
    "one infinite": lambda matrix: np.where(matrix == matrix[0, 0], np.inf, matrix),
}
METHODS = ("predict", "predict_proba", "predict_log_proba", "decision_function")


@pytest.mark.parametrize(
    ("changes", "skip"),
    [(change, False) for change in TAMPERED.values()]
    + [(change, True) for change in TAMPERED_SKIP.values()],
    ids=[*TAMPERED, *(f"skip_coef_: {name}" for name in TAMPERED_SKIP)],
)
def test_an_estimator_that_was_tampered_with_does_not_predict(changes, skip):
    for parameters in ({}, {"moderated": True}):
        fitted = small(skip_layer=skip, **parameters).fit(IRIS, IRIS_Y)
        (attribute, *_), changed = changes(fitted), changes(fitted)
        vars(fitted).update(changed)
        for method in (*METHODS, "predict_outputs"):
            with pytest.raises(ValueError, match=attribute):
                getattr(fitted, method)(IRIS)
        for function in (standard_errors, hessian, summary):
            with pytest.raises(ValueError, match=attribute):
                function(fitted, IRIS, IRIS_Y)
        with pytest.raises(ValueError, match="warm_start"):
            fitted.set_params(warm_start=True).fit(IRIS, IRIS_Y)


@pytest.mark.parametrize("name", TAMPERED_COVARIANCE)
def test_a_covariance_that_was_tampered_with_moderates_nothing(name):
    fitted = small(moderated=True).fit(IRIS, IRIS_Y)
    covariance = fitted.posterior_covariance_
    fitted.posterior_covariance_ = TAMPERED_COVARIANCE[name](covariance)
    for method in METHODS:
        with pytest.raises(ValueError, match="posterior_covariance_"):
            getattr(fitted, method)(IRIS)


@pytest.mark.parametrize("moderated", [False, True])
def test_coefs_that_are_edited_in_place_predict_as_they_are(moderated):
    fitted = small(moderated=moderated).fit(IRIS, IRIS_Y)
    for edit in (0.5, -2):
        fitted.predict(IRIS)
        fitted.coefs_[1] *= edit
        fitted.intercepts_[0][2] += edit
        fresh = pickle.loads(pickle.dumps(fitted))
        for method in METHODS:
            np.testing.assert_array_equal(
                getattr(fitted, method)(IRIS), getattr(fresh, method)(IRIS)
            )
        network, theta = fitted._fitted_network
        buffers = Workspace(network, float).buffers(len(IRIS))
        z = network.forward(Layers(network, theta), IRIS, buffers)
        if not moderated:
            np.testing.assert_allclose(fitted.decision_function(IRIS), z.T, rtol=1e-9)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("method", METHODS)
def test_a_prediction_of_one_row_copies_no_weights(method, dtype):
    X = IRIS.astype(dtype)
    fitted = small(hidden_layer_sizes=(500, 500), max_iter=1, growing_sample=False)
    with pytest.warns(ConvergenceWarning):
        fitted.fit(X, IRIS_Y)
    predict = getattr(fitted, method)
    predict(X[:1])
    tracemalloc.start()
    predict(X[:1])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < fitted.coefs_[1].nbytes / 20


def test_the_kernel_does_not_take_a_wider_x_for_one_with_a_column_of_ones():
    network, theta = small().fit(IRIS, IRIS_Y)._fitted_network
    wider, buffers = IRIS[:, [0, 1, 2, 3, 3]], Workspace(network, float).buffers(150)
    with pytest.raises(ValueError, match="mismatch"):
        network.forward(Layers(network, theta), wider, buffers)


@pytest.mark.parametrize(
    ("parameters", "n_objectives", "n_networks"),
    [
        ({}, 1, 1),
        ({"n_init": 3}, 1, 1),
        ({"early_stopping": True, "n_init": 3}, 2, 1),
        ({"early_stopping": True, "scoring": "accuracy"}, 1, 1),
    ],
    ids=str,
)
def test_a_fit_builds_its_objective_and_network_once(
    parameters, n_objectives, n_networks, monkeypatch
):
    built = Counter()
    for kind in (Objective, Network):

        def counted(self, *args, kind=kind, build=kind.__init__, **kwargs):
            built[kind] += 1
            build(self, *args, **kwargs)

        monkeypatch.setattr(kind, "__init__", counted)
    small(**parameters).fit(IRIS, IRIS_Y)
    assert built == {Objective: n_objectives, Network: n_networks}
