"""Against independent implementations: LogisticRegression, Ridge, MLPClassifier."""

import numpy as np
import pytest
from problems import plain
from scipy.special import expit, logsumexp, xlogy
from sklearn.datasets import (
    load_breast_cancer,
    load_iris,
    make_multilabel_classification,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

from skce import PairedMLPClassifier
from skce.losses import HIDDEN_ACTIVATIONS

IRIS, IRIS_Y = load_iris(return_X_y=True)
IRIS = StandardScaler().fit_transform(IRIS)
CANCER, CANCER_Y = load_breast_cancer(return_X_y=True)
CANCER = StandardScaler().fit_transform(CANCER)
ALPHA = 2.0


def linear(activation, solver="lbfgs"):
    return plain(
        activation,
        hidden_layer_sizes=(),
        alpha=ALPHA,
        tol=1e-8,
        solver=solver,
        max_fun=100_000,
    )


def logistic_regression():
    return LogisticRegression(C=1 / ALPHA, tol=1e-10, max_iter=10_000)


@pytest.mark.parametrize("solver", ["lbfgs", "newton-cg", "trust-ncg"])
@pytest.mark.parametrize("weighted", [False, True])
def test_softmax_without_hidden_units_is_multinomial_logistic_regression(
    solver, weighted
):
    weights = np.random.default_rng(0).uniform(0, 2, len(IRIS)) if weighted else None
    # C multiplies the sum of the losses, so the scales agree for any weights
    ours = linear("softmax", solver).fit(IRIS, IRIS_Y, weights)
    theirs = logistic_regression().fit(IRIS, IRIS_Y, weights)
    np.testing.assert_allclose(ours.coefs_[0].T, theirs.coef_, rtol=1e-4)
    shift = ours.intercepts_[0].mean() - theirs.intercept_.mean()
    np.testing.assert_allclose(
        ours.intercepts_[0] - shift, theirs.intercept_, rtol=1e-4
    )
    np.testing.assert_allclose(
        ours.predict_proba(IRIS), theirs.predict_proba(IRIS), atol=1e-5
    )


@pytest.mark.parametrize("weighted", [False, True])
def test_by_default_it_is_that_of_standardized_features(weighted):
    X, y = load_iris(return_X_y=True)
    weights = np.random.default_rng(0).uniform(0, 2, len(X)) if weighted else None
    ours = linear("softmax").set_params(standardize=True).fit(X, y, weights)
    scaler = StandardScaler().fit(X, sample_weight=weights)
    theirs = logistic_regression().fit(scaler.transform(X), y, weights)
    # coefs_ are for X as it is
    np.testing.assert_allclose(
        ours.coefs_[0].T, theirs.coef_ / scaler.scale_, rtol=1e-4
    )
    np.testing.assert_allclose(
        ours.predict_proba(X), theirs.predict_proba(scaler.transform(X)), atol=1e-5
    )


@pytest.mark.parametrize("activation", ["softmax", "logistic"])
@pytest.mark.parametrize("standardize", [False, True])
def test_a_skip_layer_with_hidden_weights_of_0_is_logistic_regression(
    activation, standardize
):
    rows, y = load_iris(return_X_y=True)
    y, q = (y == 1, 1) if activation == "logistic" else (y, 3)
    X = rows if standardize else IRIS
    ours = linear(activation).set_params(standardize=standardize)
    ours.set_params(hidden_layer_sizes=5, hidden_activation="tanh", skip_layer=True)
    # where the weights on both sides of hidden units are 0, so are the gradients
    ours.fit(
        X,
        y,
        coefs_init=[np.zeros((4, 5)), np.zeros((5, q))],
        intercepts_init=[np.zeros(5), np.zeros(q)],
        skip_coef_init=np.zeros((4, q)),
    )
    assert not any(coef.any() for coef in ours.coefs_)
    theirs = logistic_regression().fit(IRIS, y)
    scale = rows.std(axis=0) if standardize else 1
    np.testing.assert_allclose(ours.skip_coef_.T, theirs.coef_ / scale, rtol=1e-4)
    np.testing.assert_allclose(
        ours.predict_proba(X), theirs.predict_proba(IRIS), atol=1e-4
    )


# relu ends at a kink, above tol
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("hidden_activation", HIDDEN_ACTIVATIONS)
@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize("activation", ["softmax", "logistic"])
def test_a_warm_start_adds_hidden_units_to_logistic_regression(
    activation, standardize, hidden_activation
):
    X, y = load_iris(return_X_y=True)
    X = X if standardize else IRIS
    clf = linear(activation).set_params(
        standardize=standardize, hidden_activation=hidden_activation, random_state=0
    )
    clf.fit(X, y)
    loss, expected, coef = clf.loss_, clf.predict_proba(X), clf.coefs_[0]
    clf.set_params(skip_layer=True).fit(X, y)
    assert clf.loss_ == loss  # the inputs are connected with the outputs anyway
    assert clf.skip_coef_ is None
    # with a tolerance so loose that the fit returns its start
    clf.set_params(hidden_layer_sizes=5, warm_start=True, tol=1e9).fit(X, y)
    assert clf.coefs_[0].all()
    assert not clf.coefs_[1].any()
    np.testing.assert_allclose(clf.skip_coef_, coef, rtol=1e-12)
    np.testing.assert_allclose(clf.predict_proba(X), expected, rtol=1e-9)
    clf.set_params(tol=1e-7).fit(X, y)
    assert clf.loss_ < loss * (1 + 1e-6)
    if hidden_activation != "logistic":  # whose units are drawn back to 0
        assert clf.loss_ < 0.9 * loss


def test_logistic_without_hidden_units_is_binary_logistic_regression():
    ours = linear("logistic").fit(CANCER, CANCER_Y)
    theirs = logistic_regression().fit(CANCER, CANCER_Y)
    np.testing.assert_allclose(ours.coefs_[0].T, theirs.coef_, rtol=1e-4)
    np.testing.assert_allclose(
        ours.decision_function(CANCER), theirs.decision_function(CANCER), atol=1e-4
    )


def test_logistic_is_one_logistic_regression_per_label():
    X, Y = make_multilabel_classification(n_samples=200, n_classes=3, random_state=0)
    X = StandardScaler().fit_transform(X)
    ours = linear("logistic").fit(X, Y)
    for k in range(3):
        theirs = logistic_regression().fit(X, Y[:, k])
        np.testing.assert_allclose(ours.coefs_[0][:, k], theirs.coef_[0], rtol=1e-4)
        np.testing.assert_allclose(ours.intercepts_[0][k], theirs.intercept_, rtol=1e-4)


def test_logistic_is_one_vs_rest_for_several_classes():
    ours = linear("logistic").fit(IRIS, IRIS_Y)
    for k in range(3):
        theirs = logistic_regression().fit(IRIS, k == IRIS_Y)
        np.testing.assert_allclose(ours.coefs_[0][:, k], theirs.coef_[0], rtol=1e-4)


def test_identity_without_hidden_units_is_ridge_regression_of_the_indicators():
    ours = linear("identity").fit(IRIS, IRIS_Y)
    T = np.eye(3)[IRIS_Y]
    closed = np.linalg.solve(IRIS.T @ IRIS + ALPHA * np.eye(4), IRIS.T @ (T - 1 / 3))
    np.testing.assert_allclose(ours.coefs_[0], closed, rtol=1e-4)
    np.testing.assert_allclose(ours.intercepts_[0], 1 / 3, rtol=1e-6)
    theirs = Ridge(ALPHA).fit(IRIS, T)
    np.testing.assert_allclose(
        ours.predict_outputs(IRIS), theirs.predict(IRIS), atol=1e-5
    )


def independent_objective(model, X, T, weights):
    """The objective from `coefs_` alone, by formulas independent of the package."""
    y = X
    for W, b in zip(model.coefs_[:-1], model.intercepts_[:-1], strict=True):
        y = expit(y @ W + b)
    z = y @ model.coefs_[-1] + model.intercepts_[-1]
    name = (
        model.activation,
        str(model.pairing_.penalty and model.pairing_.penalty.name),
    )
    if model.activation == "softmax":
        out = np.exp(z - logsumexp(z, axis=1, keepdims=True))
    elif model.activation == "logistic":
        out = expit(z)
    elif model.activation == "identity":
        out = z
    else:
        a = {"sparsemax": 2, "entmax": 1.5}[model.activation]
        out = np.array([bisected_entmax(row, a) for row in z])
    if name[1] == "None":
        losses = ((T**a - out**a) / (a * (a - 1)) + (out - T) * z).sum(1)
    elif name[1] == "least_squares":
        losses = 0.5 * ((T - out) ** 2).sum(1)
    elif name[1] == "cross_entropy":
        losses = -xlogy(T, out).sum(1)
    else:
        losses = -(xlogy(T, out) + xlogy(1 - T, 1 - out)).sum(1)
    squares = sum((W**2).sum() for W in model.coefs_)
    return (weights @ losses + model.alpha / 2 * squares) / weights.sum()


def bisected_entmax(z, a):
    def outputs(tau):
        return np.maximum((a - 1) * z - tau, 0) ** (1 / (a - 1))

    low, high = (a - 1) * z.max() - 1, (a - 1) * z.max()
    for _ in range(200):
        tau = (low + high) / 2
        low, high = (tau, high) if outputs(tau).sum() > 1 else (low, tau)
    return outputs(tau)


@pytest.mark.parametrize("hidden", [(), (4,), (4, 3)], ids=str)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    ("activation", "penalty"),
    [
        ("identity", "natural"),
        ("logistic", "natural"),
        ("logistic", "least_squares"),
        ("softmax", "natural"),
        ("softmax", "least_squares"),
        ("softmax", "binary_cross_entropy"),
        ("entmax", "natural"),
        ("entmax", "least_squares"),
        ("sparsemax", "natural"),
        ("sparsemax", "least_squares"),
    ],
)
def test_loss_is_the_objective_of_the_coefficients(
    activation, penalty, weighted, hidden
):
    rng = np.random.default_rng(1)
    weights = rng.uniform(0, 3, len(IRIS)) if weighted else np.ones(len(IRIS))
    model = plain(
        activation, penalty, hidden_layer_sizes=hidden, alpha=0.5, random_state=0
    ).fit(IRIS, IRIS_Y, weights if weighted else None)
    expected = independent_objective(model, IRIS, np.eye(3)[IRIS_Y], weights)
    assert model.loss_ == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("X", "y", "activation"),
    [(IRIS, IRIS_Y, "softmax"), (CANCER, CANCER_Y, "logistic")],
    ids=["softmax", "logistic"],
)
@pytest.mark.parametrize("hidden_activation", ["logistic", "tanh"])
def test_the_solution_of_mlpclassifier_is_a_stationary_point(
    X, y, activation, hidden_activation
):
    common = {"hidden_layer_sizes": (5,), "alpha": 1.0, "random_state": 0}
    theirs = MLPClassifier(
        solver="lbfgs",
        activation=hidden_activation,
        max_iter=5000,
        tol=1e-4,
        **common,
    ).fit(X, y)
    ours = PairedMLPClassifier(
        activation, hidden_activation=hidden_activation, warm_start=True, **common
    )
    ours.set_params(tol=0.02).fit(X, y)  # any fit, for the shapes
    ours.coefs_, ours.intercepts_ = theirs.coefs_, theirs.intercepts_
    # the tolerance that MLPClassifier reached: SciPy's ftol may end it early
    ours.set_params(tol=5e-4).fit(X, y)
    assert ours.n_iter_ == 0
    assert ours.loss_ == pytest.approx(theirs.loss_, rel=1e-12)
    np.testing.assert_allclose(
        ours.predict_proba(X), theirs.predict_proba(X), atol=1e-14
    )
