"""Hessians of fitted objectives, and standard errors against the known formulas."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skce import (
    PairedMLPClassifier,
    hessian,
    pairing_grid,
    pairing_status,
    standard_errors,
)
from skce.losses.hidden import HIDDEN_ACTIVATIONS
from skce.uncertainty._curvature import flat, unflat
from skce.uncertainty._standard_errors import _Refit

X3, Y3 = load_iris(return_X_y=True)
X3 = StandardScaler().fit_transform(X3)
X2, Y2 = load_breast_cancer(return_X_y=True)
X2 = StandardScaler().fit_transform(X2)[:, [1, 4, 9]]
WITH_ONE = np.column_stack([X2, np.ones(len(X2))])
PAIRS = [
    {name: value[0] for name, value in pair.items()}
    for pair in pairing_grid(include_degenerate=True, ordered=True)
]


def exact(**params):
    """A classifier without hidden units that is fitted to its minimum."""
    given = {"hidden_layer_sizes": (), "alpha": 0, "solver": "trust-ncg", "tol": 1e-7}
    return PairedMLPClassifier(**given | params)


def by_differences(clf, X, y, weights, step=1e-5):
    """The Hessian by central differences of the objective's gradient."""
    refit = _Refit.of(clf, X, y, weights)
    network = refit.problem.network
    p = flat(clf.coefs_, clf.intercepts_, clf.skip_coef_)
    places = np.arange(network.n_parameters)
    layers, skip = network.unpack(places), network.skip_weights(places).T
    order = flat([A[:, :-1].T for A in layers], [A[:, -1] for A in layers], skip)

    def gradient(objective, p):
        theta = network.pack_coefs(*unflat(network, p))
        return network.slopes(objective.value_and_gradient(theta)[1])[order]

    def differences(objective):
        return np.array(
            [
                (gradient(objective, p + e) - gradient(objective, p - e)) / (2 * step)
                for e in step * np.eye(len(p))
            ]
        )

    return refit.with_objective(differences)


@pytest.mark.filterwarnings("ignore::skce.DegeneratePairingWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("pair", PAIRS, ids=str)
@pytest.mark.parametrize("hidden", [(), (3,), (3, 2)], ids=str)
@pytest.mark.parametrize("skip", [False, True])
def test_hessian_is_that_of_the_objective(pair, hidden, skip):
    weights = np.random.default_rng(0).uniform(0.5, 2, len(X3))
    clf = PairedMLPClassifier(
        **pair,
        hidden_layer_sizes=hidden,
        skip_layer=skip,
        hidden_activation="tanh",  # a step across a kink of relu is no derivative
        alpha=1,
        class_weight="balanced",
        label_smoothing=0.1,
        random_state=0,
        max_iter=20,
    ).fit(X3, Y3, sample_weight=weights)
    H = hessian(clf, X3, Y3, weights)
    expected = by_differences(clf, X3, Y3, weights)
    np.testing.assert_allclose(H, expected, atol=1e-6 * np.abs(H).max())


@pytest.mark.parametrize("hidden", [f for f in HIDDEN_ACTIVATIONS if f != "relu"])
@pytest.mark.parametrize("skip", [False, True])
def test_gauss_newton_is_the_hessian_less_the_curvature_of_the_network(hidden, skip):
    params = {"alpha": 1, "random_state": 0, "hidden_activation": hidden}
    params["skip_layer"] = skip
    flat_net = PairedMLPClassifier(hidden_layer_sizes=(), **params).fit(X3, Y3)
    np.testing.assert_array_equal(
        hessian(flat_net, X3, Y3), hessian(flat_net, X3, Y3, gauss_newton=True)
    )
    clf = PairedMLPClassifier(hidden_layer_sizes=3, **params).fit(X3, Y3)
    G = hessian(clf, X3, Y3, gauss_newton=True)
    assert np.linalg.eigvalsh(G).min() > -1e-12
    assert np.abs(G - hessian(clf, X3, Y3)).max() > 1e-3
    # J' W J with the Jacobian of the logits by differences
    p, step = flat(clf.coefs_, clf.intercepts_, clf.skip_coef_), 1e-6
    network = clf._network

    def logits(p):
        clf.coefs_, clf.intercepts_, clf.skip_coef_ = unflat(network, p)
        return clf.decision_function(X3)

    J = np.array(
        [(logits(p + e) - logits(p - e)) / (2 * step) for e in step * np.eye(len(p))]
    )
    logits(p)
    y = clf.predict_proba(X3)
    W = np.einsum("nk,kj->nkj", y, np.eye(3)) - np.einsum("nk,nj->nkj", y, y)
    expected = np.einsum("ank,nkj,bnj->ab", J, W, J) / len(X3)
    ones = [np.ones_like(coef) for coef in clf.coefs_]
    skip = None if clf.skip_coef_ is None else np.ones_like(clf.skip_coef_)
    expected += np.diag(flat(ones, [0 * b for b in clf.intercepts_], skip)) / len(X3)
    np.testing.assert_allclose(G, expected, atol=1e-8)


def test_standard_errors_of_logistic_regression():
    clf = exact(activation="logistic").fit(X2, Y2)
    p = clf.predict_proba(X2)[:, 1]
    information = WITH_ONE.T @ (WITH_ONE * (p * (1 - p))[:, np.newaxis])
    table = standard_errors(clf, X2, Y2)
    np.testing.assert_allclose(table.covariance, np.linalg.inv(information), rtol=1e-6)
    residual = (Y2 - p)[:, np.newaxis]
    inverse = np.linalg.inv(information)
    sandwich = inverse @ (WITH_ONE.T @ (WITH_ONE * residual**2)) @ inverse
    robust = standard_errors(clf, X2, Y2, kind="sandwich")
    np.testing.assert_allclose(robust.covariance, sandwich, rtol=1e-6)
    # softmax with two classes is the same model
    both = standard_errors(exact(tol=1e-8).fit(X2, Y2), X2, Y2, reference=0)
    np.testing.assert_allclose(both.estimates, table.estimates, rtol=1e-4)
    np.testing.assert_allclose(both.errors, table.errors, rtol=1e-4)


def test_standard_errors_of_multinomial_regression():
    X = X3[:, :2]
    clf = exact().fit(X, Y3)
    one = np.column_stack([X, np.ones(len(X))])
    p = clf.predict_proba(X)[:, 1:]  # log odds against the first class
    W = np.einsum("nk,kj->nkj", p, np.eye(2)) - np.einsum("nk,nj->nkj", p, p)
    information = np.einsum("ni,nkl,nj->ikjl", one, W, one).reshape(6, 6)
    table = standard_errors(clf, X, Y3, reference=0)
    assert table.outputs == [1, 2]
    np.testing.assert_allclose(table.covariance, np.linalg.inv(information), rtol=1e-4)
    # the sum of the centred coefficients is 0, and so is its variance
    centred = standard_errors(clf, X, Y3)
    np.testing.assert_allclose(centred.estimates.sum(axis=1), 0, atol=1e-9)
    sums = np.kron(np.eye(3), np.ones(3))
    scale = np.abs(centred.covariance).max()
    assert np.abs(sums @ centred.covariance @ sums.T).max() < 1e-9 * scale


def test_standard_errors_of_linear_regression():
    clf = exact(activation="identity").fit(X2, Y2)
    residual = Y2 - clf.predict_outputs(X2)[:, 0]
    inverse = np.linalg.inv(WITH_ONE.T @ WITH_ONE)
    expected = inverse * (residual @ residual) / (len(X2) - 4)
    table = standard_errors(clf, X2, Y2)
    np.testing.assert_allclose(table.covariance, expected, rtol=1e-8, atol=1e-15)
    hc0 = inverse @ (WITH_ONE.T @ (WITH_ONE * residual[:, None] ** 2)) @ inverse
    robust = standard_errors(clf, X2, Y2, kind="sandwich")
    np.testing.assert_allclose(robust.covariance, hc0, rtol=1e-8, atol=1e-15)
    # several outputs: errors of different outputs are correlated as their residuals
    several = exact(activation="identity").fit(X3, Y3)
    rest = np.eye(3)[Y3] - several.predict_outputs(X3)
    one = np.column_stack([X3, np.ones(len(X3))])
    expected = np.kron(np.linalg.inv(one.T @ one), rest.T @ rest / (len(X3) - 5))
    table = standard_errors(several, X3, Y3)
    np.testing.assert_allclose(table.covariance, expected, rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("kind", ["model", "sandwich"])
def test_integer_weights_equal_repeated_rows(kind):
    weights = np.random.default_rng(1).integers(0, 4, len(X2))
    repeated = np.repeat(np.arange(len(X2)), weights)
    clf = exact(activation="logistic").fit(X2, Y2, sample_weight=weights)
    weighted = standard_errors(clf, X2, Y2, weights, kind=kind)
    rows = standard_errors(clf, X2[repeated], Y2[repeated], kind=kind)
    np.testing.assert_allclose(weighted.errors, rows.errors, rtol=1e-9)


@pytest.mark.parametrize(
    "pair", [pair for pair in PAIRS if pair["activation"] != "sparsemax"], ids=str
)
@pytest.mark.filterwarnings("ignore::skce.DegeneratePairingWarning")
def test_sandwich_errors_are_the_spread_over_bootstrap_samples(pair):
    """The errors agree with the standard deviation of refits to bootstrap samples."""
    if pairing_status(**pair) == "degenerate":
        pytest.skip("has no minimum")
    rng = np.random.default_rng(2)
    X, y = X2[:, :2], Y2
    clf = exact(**pair, alpha=1, class_weight={0: 1, 1: 2}).fit(X, y)
    table = standard_errors(clf, X, y, kind="sandwich")
    samples = [rng.integers(len(X), size=len(X)) for _ in range(200)]
    several = [
        exact(**pair, alpha=1, class_weight={0: 1, 1: 2}).fit(X[rows], y[rows])
        for rows in samples
    ]
    estimates = np.array([flat(fit.coefs_, fit.intercepts_) for fit in several])
    if clf.thresholds_ is not None:
        estimates = np.array(
            [[*fit.coefs_[0][:, 1], *fit.thresholds_] for fit in several]
        )
    elif clf.n_outputs_ == 2:
        estimates = estimates.reshape(len(several), 3, 2)
        estimates -= estimates.mean(axis=2, keepdims=True)
    spread = estimates.reshape(len(several), -1).std(axis=0, ddof=1)
    np.testing.assert_allclose(table.errors.ravel(), spread, rtol=0.25)


@pytest.mark.parametrize("kind", ["model", "sandwich"])
@pytest.mark.parametrize("activation", ["softmax", "logistic", "identity"])
@pytest.mark.filterwarnings("ignore:.*could not lower the objective further")
def test_errors_do_not_depend_on_the_origin_of_a_feature(activation, kind):
    parameters = {"hidden_layer_sizes": (), "alpha": 0.1, "tol": 1e-6}
    tables = []
    for shift in (0, 1e6):
        X = X2 + np.array([0, shift, 0])
        clf = PairedMLPClassifier(activation, **parameters).fit(X, Y2)
        tables.append(standard_errors(clf, X, Y2, kind=kind))
    for name in ("estimates", "errors"):
        found, expected = (getattr(table, name)[:-1] for table in tables[::-1])
        np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_table_can_be_printed_and_converted_to_a_frame():
    clf = exact(activation="logistic").fit(X2, Y2)
    table = standard_errors(clf, X2, Y2)
    frame = table.to_frame()
    assert list(frame.columns) == ["estimate", "error", "z", "p", "lower", "upper"]
    assert frame.loc[(1, "intercept"), "estimate"] == clf.intercepts_[0][0]
    assert "std. error" in str(table)
    np.testing.assert_allclose(table.z, table.estimates / table.errors)
    assert np.all((table.p >= 0) & (table.p <= 1))


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.999])
@pytest.mark.parametrize("kind", ["model", "sandwich"])
def test_confidence_intervals_are_normal_quantiles(level, kind):
    clf = exact(activation="logistic").fit(X2, Y2)
    table = standard_errors(clf, X2, Y2, kind=kind, confidence_level=level)
    expected = np.stack(norm.interval(level, table.estimates, table.errors))
    np.testing.assert_allclose((table.lower, table.upper), expected, rtol=1e-12)
    frame = table.to_frame()
    np.testing.assert_array_equal(frame["lower"], table.lower[:, 0])
    np.testing.assert_array_equal(frame["upper"], table.upper[:, 0])
    assert f"{100 * level:g} % interval" in str(table)


@pytest.mark.parametrize("level", [0, 1, 95, -0.5, np.nan])
def test_a_confidence_level_outside_0_and_1_is_refused(level):
    clf = exact(activation="logistic").fit(X2, Y2)
    with pytest.raises(ValueError, match=r"confidence_level=.* between 0 and 1"):
        standard_errors(clf, X2, Y2, confidence_level=level)
    with pytest.raises(ValueError, match=r"confidence_level=.* between 0 and 1"):
        replace(standard_errors(clf, X2, Y2), confidence_level=level)


def test_models_without_standard_errors_are_refused_with_a_reason():
    def fails(match, clf, **options):
        with pytest.raises(ValueError, match=match):
            standard_errors(clf.fit(X3, Y3), X3, Y3, **options)

    fails(r"hidden units", PairedMLPClassifier(hidden_layer_sizes=2, alpha=1))
    fails(r"use kind='sandwich'", exact(penalty="least_squares", alpha=1))
    fails(r"use kind='sandwich'", exact(activation="sparsemax", alpha=1))
    fails(r"class_weight='balanced'", exact(class_weight="balanced", alpha=1))
    fails(r"kind='bayes'", exact(alpha=1), kind="bayes")
    fails(r"reference=7 must be one of the classes", exact(alpha=1), reference=7)
    fails(r"of its own", exact(activation="identity"), reference=0)
    twice = np.column_stack([X2, X2[:, 0]])
    clf = exact(activation="logistic", solver="lbfgs", tol=1e-6).fit(twice, Y2)
    with pytest.raises(ValueError, match=r"do not determine"):
        standard_errors(clf, twice, Y2)
    large = PairedMLPClassifier(hidden_layer_sizes=2000, max_iter=1, alpha=1)
    with pytest.warns(ConvergenceWarning):
        large.fit(X3, Y3)
    with pytest.raises(ValueError, match=r"at most 5000"):
        hessian(large, X3, Y3)


def test_a_fit_short_of_its_minimum_warns():
    clf = exact(activation="logistic", tol=0.05).fit(X2, Y2)
    with pytest.warns(ConvergenceWarning, match=r"standard errors away"):
        standard_errors(clf, X2, Y2)


def test_soft_targets_and_sparse_rows_are_accepted():
    from scipy import sparse

    targets = np.eye(3)[Y3] * 0.7 + 0.1
    clf = exact(alpha=1).fit_targets(X3, targets)
    np.testing.assert_allclose(
        hessian(clf, sparse.csr_array(X3), targets), hessian(clf, X3, targets)
    )
    hard = hessian(exact(alpha=1).fit(X3, Y3), X3, Y3)
    assert np.abs(hard - hessian(clf, X3, targets)).max() > 1e-3


@pytest.mark.parametrize("classes", [["yes", "no"], ["no", "yes"]])
@pytest.mark.parametrize("activation", ["softmax", "logistic"])
def test_columns_of_soft_targets_keep_their_classes(classes, activation):
    p = 1 / (1 + np.exp(-X2[:, 0]))
    targets = np.column_stack([1 - p, p])
    clf = exact(activation=activation, alpha=1).fit_targets(
        X2, targets, classes=classes
    )
    table = standard_errors(clf, X2, targets, kind="sandwich")  # no warning
    assert table.errors.max() < 0.1


def test_a_pipeline_transforms_its_rows():
    X, y = load_iris(return_X_y=True)
    pipeline = make_pipeline(StandardScaler(), exact(alpha=1)).fit(X, y)
    table = standard_errors(pipeline, X, y)
    np.testing.assert_array_equal(
        table.errors, standard_errors(pipeline[-1], X3, Y3).errors
    )
    np.testing.assert_array_equal(
        hessian(pipeline, X, y), hessian(pipeline[-1], X3, Y3)
    )
    with pytest.raises(TypeError, match=r"is neither a PairedMLPClassifier"):
        hessian(LogisticRegression().fit(X3, Y3), X3, Y3)


def test_as_many_coefficients_as_rows_have_no_variance():
    clf = exact(activation="identity", alpha=1).fit(X2[:4], [0, 1, 0, 1])
    with pytest.raises(ValueError, match=r"more rows than the \d+ coefficients"):
        standard_errors(clf, X2[:4], [0, 1, 0, 1])


def test_labels_may_be_a_column_and_unknown_ones_are_refused():
    clf = exact(alpha=1).fit(X3, Y3)
    np.testing.assert_array_equal(hessian(clf, X3, Y3[:, None]), hessian(clf, X3, Y3))
    with pytest.raises(ValueError, match=r"^y has the labels \[3\]"):
        hessian(clf, X3, Y3 + 1)


@pytest.mark.parametrize("kind", ["model", "sandwich"])
def test_weights_whose_sum_overflows_are_named(kind):
    X, y = load_iris(return_X_y=True)
    clf = PairedMLPClassifier(hidden_layer_sizes=(), alpha=1, max_iter=5000).fit(X, y)
    with pytest.raises(ValueError, match="multiply sample_weight by a small constant"):
        standard_errors(clf, X, y, np.full(len(y), 1e308), kind=kind)
