"""Fits learn from the start that the defaults give them, or say that they did not."""

import warnings

import numpy as np
import pytest
from problems import DEGENERATE, NAMES
from scipy import sparse
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.ensemble import AdaBoostClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import cross_val_score
from sklearn.preprocessing import StandardScaler

from skce import PairedMLPClassifier, ScaleWarning, summary
from skce._fitting.starts import start_parameters
from skce._network.blocks import cut
from skce._network.data import Data, Encoding
from skce._network.kernels import Network, Workspace
from skce._network.parameters import Layers
from skce.losses.activations import ACTIVATIONS
from skce.losses.hidden import HIDDEN_ACTIVATIONS
from skce.losses.pairings import pair

RAW, Y = load_iris(return_X_y=True)
X = StandardScaler().fit_transform(RAW)
PROPER = [names for names in NAMES if names not in DEGENERATE]

LEAST_SQUARES = [names for names in PROPER if names[1] == "least_squares"]


def classifier(*names, **parameters):
    return PairedMLPClassifier(*names, **{"random_state": 0} | parameters)


@pytest.mark.parametrize("name", HIDDEN_ACTIVATIONS)
def test_the_start_preserves_the_variance_at_depth_12(name):
    sizes = (50, *(200,) * 12, 3)
    network = Network(sizes, HIDDEN_ACTIVATIONS[name], pair("softmax", "natural"))
    theta = start_parameters(network, init="glorot", random_state=0)
    rng = np.random.default_rng(0)
    data = Data(rng.normal(size=(300, 50)), rng.integers(0, 3, 300))
    (block,) = cut(data, Encoding(3), 300)
    work = Workspace(network, float)
    buffers, parameters = work.buffers(300), Layers(network, theta)
    network.forward(parameters, block.X, buffers, block.has_ones)
    sizes = [np.mean(y**2) for y in buffers.hidden]
    # each layer has the second moment of the first, and none dies out or explodes
    assert max(sizes) < 4 * min(sizes)
    network.loss_and_gradient(parameters, block, buffers, work.gradient)
    slopes = [np.abs(G[:, :-1]).mean() for G in work.gradient.matrices[1:-1]]
    assert max(slopes) < 30 * min(slopes)


@pytest.mark.parametrize("name", HIDDEN_ACTIVATIONS)
@pytest.mark.parametrize("depth", [7, 12])
def test_deep_networks_learn(name, depth):
    fit = classifier(
        hidden_layer_sizes=(10,) * depth, hidden_activation=name, alpha=1e-4
    ).fit(X, Y)
    assert fit.score(X, Y) > 0.95


@pytest.mark.parametrize("factor", [1e-3, 1e-6, 1e6])
def test_a_small_column_beside_a_large_one_is_learned(factor):
    rng = np.random.RandomState(0)
    features = rng.normal(size=(500, 2))
    labels = features[:, 1] > 0
    features[:, 1] *= factor
    assert classifier().fit(features, labels).score(features, labels) > 0.98


@pytest.mark.parametrize("seed", range(5))
def test_a_single_relu_unit_is_not_dead(seed):
    fit = classifier(hidden_layer_sizes=1, alpha=0.01, random_state=seed).fit(X, Y)
    assert fit.score(X, Y) > 0.9


@pytest.mark.parametrize("n_of_others", [1000, 2000])
def test_sparsemax_with_least_squares_learns_rare_classes(n_of_others):
    rng = np.random.RandomState(0)
    features = rng.normal(size=(10 + n_of_others, 5))
    features[:10] += 2.5
    labels = np.r_[[1] * 10, [0] * n_of_others]
    for seed in range(5):
        fit = classifier("sparsemax", "least_squares", random_state=seed)
        assert fit.fit(features, labels).predict(features)[:10].sum() >= 7


@pytest.mark.parametrize("hidden_activation", HIDDEN_ACTIVATIONS)
@pytest.mark.parametrize(
    "activation", [n for n, _ in LEAST_SQUARES if not ACTIVATIONS[n].ordered]
)
def test_least_squares_loses_no_class(activation, hidden_activation):
    features, labels = load_digits(return_X_y=True)
    for seed in range(3):
        fit = classifier(
            activation,
            "least_squares",
            hidden_layer_sizes=30,
            hidden_activation=hidden_activation,
            random_state=seed,
        ).fit(features[::2], labels[::2])
        assert set(fit.predict(features[1::2])) == set(range(10))


@pytest.mark.parametrize("names", LEAST_SQUARES, ids=" x ".join)
def test_no_fit_ends_above_the_class_frequencies_without_a_word(names):
    rng = np.random.RandomState(0)
    features = rng.normal(size=(2010, 5))
    features[:10] += 2.5
    labels = np.r_[[1] * 10, [0] * 2000]
    n_learned = 0
    for seed in range(5):
        fit = classifier(*names, random_state=seed)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            n_learned += fit.fit(features, labels).predict(features)[:10].sum() >= 7
        constant = 10 * 2000 / 2010**2 / (2 if fit.n_outputs_ == 1 else 1)
        if fit.loss_ > constant:
            assert "lower tol" in str(caught[0].message)
    one_unit = names[0] in ("logistic", "cloglog", "ordinal")  # in effect
    assert n_learned >= (0 if one_unit else 4)


@pytest.mark.parametrize("names", PROPER, ids=" x ".join)
def test_a_fit_no_better_than_the_class_frequencies_warns(names):
    constant = np.ones((len(Y), 2))
    with pytest.warns(ConvergenceWarning, match="has learned nothing"):
        fit = classifier(*names).fit(constant, Y)
    assert not fit.solver_result_["learned"]
    assert summary(fit).verdict.startswith("stuck")
    assert classifier(*names).fit(X, Y).solver_result_["learned"]


def test_an_alpha_that_leaves_nothing_warns():
    features, labels = load_wine(return_X_y=True)
    deep = classifier(
        hidden_layer_sizes=(50,) * 4, hidden_activation="logistic", alpha=20.0
    )
    with pytest.warns(ConvergenceWarning, match="lower alpha, or use fewer hidden"):
        deep.fit(features, labels)


def test_weights_that_sum_to_1_are_named():
    weights = np.full(len(Y), 1 / len(Y))
    with pytest.warns(ConvergenceWarning, match="to a mean of 1"):
        classifier().fit(X, Y, weights)
    with pytest.warns(ConvergenceWarning, match="to a mean of 1"):
        AdaBoostClassifier(classifier(), n_estimators=2).fit(X, Y)


@pytest.mark.parametrize("load", [load_wine, load_breast_cancer])
def test_raw_tables_are_learned_as_well_as_scaled_ones(load):
    features, labels = load(return_X_y=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert cross_val_score(classifier(), features, labels).mean() > 0.96


@pytest.mark.parametrize(("sizes", "skip"), [((), False), ((5,), False), ((5,), True)])
def test_standardized_features_give_the_fit_of_scaled_ones(sizes, skip):
    options = {"hidden_layer_sizes": sizes, "hidden_activation": "tanh", "tol": 1e-6}
    options["skip_layer"] = skip
    raw = classifier(**options).fit(RAW, Y)
    scaled = classifier(standardize=False, **options).fit(X, Y)
    np.testing.assert_allclose(
        raw.predict_proba(RAW), scaled.predict_proba(X), atol=1e-7
    )
    of_sparse = classifier(**options).fit(sparse.csr_array(RAW), Y)
    np.testing.assert_allclose(of_sparse.coefs_[0], raw.coefs_[0], rtol=1e-6)
    if skip:
        # of Z = (X - m) / s as well
        expected = scaled.skip_coef_ / RAW.std(axis=0)[:, np.newaxis]
        np.testing.assert_allclose(raw.skip_coef_, expected, rtol=1e-3, atol=1e-5)
        np.testing.assert_allclose(of_sparse.skip_coef_, raw.skip_coef_, rtol=1e-6)
    # once is enough: on scaled features it changes nothing
    twice = classifier(**options).fit(X, Y)
    np.testing.assert_array_equal(twice.coefs_[0], scaled.coefs_[0])


def test_indicators_and_rare_values_are_not_blown_up():
    rng = np.random.default_rng(0)
    rare = (rng.uniform(size=(2000, 1)) < 0.01).astype(float)
    words = rare * rng.uniform(1, 3, size=(2000, 1))
    features = np.hstack([rng.normal(50, 9, size=(2000, 1)), rare, words])
    labels = features[:, 0] > 50
    for given in (features, sparse.csr_array(features)):
        fit = classifier(hidden_layer_sizes=3, max_iter=5, tol=10)
        with pytest.warns(ConvergenceWarning):
            fit.fit(given, labels)
        number, indicator, word = fit._standardization.scale
        assert number == pytest.approx(9, rel=0.1)
        assert indicator == 1
        assert 1 < word < 3


@pytest.mark.parametrize("scoring", ["f1_macro", "recall_macro", "roc_auc_ovr"])
def test_early_stopping_does_not_keep_the_random_start(scoring):
    for seed in range(15):
        fit = classifier(early_stopping=True, scoring=scoring, random_state=seed)
        fit.fit(RAW, Y)
        scores = fit.validation_scores_
        assert fit.best_validation_score_ == max(scores)
        assert fit.score(RAW, Y) > 0.6


def test_of_equal_validation_scores_the_last_is_kept():
    fit = classifier(early_stopping=True, scoring=lambda *_: 1.0, n_iter_no_change=5)
    fit.fit(X, Y)
    assert fit.n_iter_ == 6
    full = classifier(max_iter=6)
    with pytest.warns(ConvergenceWarning):
        assert full.fit(X, Y).n_iter_ == fit.n_iter_
    assert fit.loss_ == pytest.approx(fit.loss_curve_[-1])


def test_a_validation_score_worse_than_that_of_the_class_frequencies_is_told():
    wrong = np.random.default_rng(0).permutation(Y)
    fit = classifier(early_stopping=True, alpha=1e-4, n_iter_no_change=3)
    with pytest.warns(ConvergenceWarning, match="worse than that of the class freq"):
        fit.fit(X, Y, X_val=X, y_val=wrong)


def test_validation_rows_on_another_scale_are_recognised():
    fit = classifier(early_stopping=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        with pytest.warns(ScaleWarning, match="transform_input"):
            fit.fit(X[::2], Y[::2], X_val=RAW[1::2], y_val=Y[1::2])
        with pytest.warns(ScaleWarning, match="transform_input"):
            fit.fit(RAW[::2], Y[::2], X_val=X[1::2] / 1e3, y_val=Y[1::2])
    fit.fit(RAW[::2], Y[::2], X_val=RAW[1::2], y_val=Y[1::2])
    assert fit.score(RAW, Y) > 0.9


def test_a_plateau_is_a_success_and_a_low_tol_goes_on():
    fit = classifier().fit(X, Y)
    result = fit.solver_result_
    assert (result["reason"], result["success"]) == ("plateau", True)
    falls = -np.diff(fit.loss_curve_[-11:])
    assert falls.sum() < 0.004 * fit.loss_
    further = classifier(hidden_layer_sizes=(), tol=1e-7).fit(X, Y)
    assert further.solver_result_["reason"] == "tolerance"
    assert further.solver_result_["gradient_norm"] <= 1e-7


def test_the_advice_names_scaling_only_where_x_is_not_scaled():
    for features, advised in ((X, False), (RAW * 1e3, True)):
        fit = classifier(standardize=False, max_iter=2, tol=0)
        with pytest.warns(ConvergenceWarning) as caught:
            fit.fit(features, Y)
        assert any("set standardize=True" in str(w.message) for w in caught) == advised


def test_the_advice_names_the_kinks_of_relu():
    fit = classifier(hidden_layer_sizes=5, tol=0, max_iter=5000)
    with pytest.warns(ConvergenceWarning, match="relu has kinks"):
        fit.fit(X, Y)


def test_the_verdict_of_a_summary():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(120, 10))
    labels = (features[:, 0] + 2 * rng.normal(size=120) > 0).astype(int)
    strong, weak = classifier(), classifier(alpha=1e-4)
    halves = features[:60], labels[:60], features[60:], labels[60:]
    weak.fit(*halves[:2])
    verdict = summary(weak, *halves[2:]).verdict
    assert verdict.startswith("worse than the class frequencies")
    assert "raise alpha, now 0.0001" in verdict
    strong.fit(X, Y)
    assert summary(strong, X, Y).verdict == "nothing stands out"
    wrong = np.where(rng.uniform(size=len(Y)) < 0.15, (Y + 1) % 3, Y)
    assert summary(strong, X, wrong).verdict.startswith("overconfident by")


def test_the_verdict_names_standardize_where_it_is_off():
    for standardize in (False, True):
        fit = classifier(max_iter=2, standardize=standardize)
        with pytest.warns(ConvergenceWarning):
            fit.fit(X, Y)
        verdict = summary(fit).verdict
        assert verdict.startswith("not converged (max_iter)")
        assert ("set standardize=True" in verdict) is not standardize


def test_a_small_but_certain_gain_counts_as_learned():
    """Of many rows, a gain of less than a thousandth of the loss is not chance."""
    rng = np.random.RandomState(0)
    rows = rng.normal(size=(50_000, 1))
    labels = rng.uniform(size=50_000) < 1 / (1 + np.exp(-0.06 * rows[:, 0]))
    options = {"hidden_layer_sizes": (), "alpha": 0, "tol": 1e-7}
    fit = classifier("logistic", **options).fit(rows, labels)
    assert fit.solver_result_["learned"]
    with pytest.warns(ConvergenceWarning, match="X does not tell the classes apart"):
        classifier("logistic", **options).fit(
            rows[:5000], rng.permutation(labels[:5000])
        )


@pytest.mark.parametrize("seed", [0, 3])
def test_a_steep_ravine_is_no_plateau(seed):
    """Where the objective falls slowly, but steeply, the fit goes on."""
    rng = np.random.default_rng(0)
    radius = np.sqrt(rng.random(800))
    labels = rng.integers(0, 2, 800)
    angle = 4 * np.pi * radius + np.pi * labels
    arms = radius[:, np.newaxis] * np.column_stack([np.cos(angle), np.sin(angle)])
    rows = arms + 0.01 * rng.normal(size=arms.shape)
    deep = {"hidden_layer_sizes": (20, 20, 20), "hidden_activation": "tanh"}
    fit = classifier(**deep, random_state=seed).fit(rows[:400], labels[:400])
    assert fit.score(rows[400:], labels[400:]) > 0.9


def test_single_precision_far_from_0_is_told():
    """A mean of 1e6 leaves float32 one digit of a deviation of 1."""
    rng = np.random.default_rng(0)
    rows = rng.normal(1e6, 1, size=(200, 3))
    labels = rows[:, 0] > 1e6
    with warnings.catch_warnings():
        warnings.simplefilter("error", ScaleWarning)
        classifier().fit(rows, labels)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        classifier(max_iter=1).fit(rows.astype(np.float32), labels)
    (message,) = [str(w.message) for w in caught if w.category is ScaleWarning]
    assert "has mean 1e+06" in message
    assert "float64" in message


def test_entries_given_twice_are_standardised_as_their_sum():
    rng = np.random.default_rng(0)
    once = sparse.csr_array(rng.random((200, 6)) * (rng.random((200, 6)) < 0.3))
    labels = np.asarray(once.sum(axis=1)).ravel() > 0.8
    twice = once.copy()
    twice.data = np.repeat(twice.data / 2, 2)
    twice.indices = np.repeat(twice.indices, 2)
    twice.indptr = twice.indptr * 2
    fits = [classifier(hidden_layer_sizes=5).fit(X, labels) for X in (once, twice)]
    probabilities = [fit.predict_proba(once) for fit in fits]
    np.testing.assert_allclose(*probabilities, atol=1e-6)
    assert len(twice.data) == 2 * len(once.data)  # X is as it was
