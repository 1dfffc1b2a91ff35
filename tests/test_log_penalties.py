"""Penalties of log y: derivatives, saturation, limits, searches, robustness."""

import mpmath
import numpy as np
import pytest
from problems import central_differences, random_targets
from sklearn.datasets import load_digits, load_iris
from sklearn.model_selection import GridSearchCV

from skce import DegeneratePairingWarning, PairedMLPClassifier, pairing_status
from skce.losses.activations import Softmax
from skce.losses.pairings import ComposedPairing, LogComposedPairing, pair
from skce.losses.penalties import (
    CrossEntropy,
    Focal,
    GeneralizedCrossEntropy,
    LogPenalty,
)

INSTANCES = [Focal(g) for g in (0, 1, 1.5, 2, 5)] + [
    GeneralizedCrossEntropy(q) for q in (0.1, 0.7, 1.0)
]
PAIRINGS = [pair(a, p) for a in ("softmax", "logistic") for p in INSTANCES]


@pytest.mark.parametrize("penalty", INSTANCES, ids=str)
def test_derivatives_are_those_of_the_value(penalty):
    rng = np.random.default_rng(0)
    y, t, h = rng.uniform(0.05, 0.95, 200), rng.uniform(0, 1, 200), 1e-6
    for function, slope in (
        (penalty.value, penalty.derivative),
        (penalty.derivative, penalty.second_derivative),
    ):
        differences = (function(t, y + h) - function(t, y - h)) / (2 * h)
        np.testing.assert_allclose(slope(t, y), differences, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("pairing", PAIRINGS, ids=str)
@pytest.mark.parametrize("kind", ["one-of-q", "sets", "fractions"])
def test_delta_and_hessian_product_against_central_differences(pairing, kind):
    rng = np.random.default_rng(0)
    z, t = rng.normal(size=(4, 1)) * 2, random_targets(rng, (4, 1), kind)
    slopes = central_differences(lambda z: pairing.loss_and_delta(z, t)[0][0], z)
    np.testing.assert_allclose(
        pairing.loss_and_delta(z, t)[1].ravel(), slopes, atol=1e-8
    )
    dz = rng.normal(size=(4, 1))
    bend = central_differences(lambda z: pairing.loss_and_delta(z, t)[1].ravel(), z)
    np.testing.assert_allclose(
        pairing.delta_derivative(z, t, dz).ravel(), bend.T @ dz.ravel(), atol=1e-7
    )


@pytest.mark.parametrize("pairing", PAIRINGS, ids=str)
def test_derivatives_by_log_y_equal_those_by_y(pairing):
    assert type(pairing) is LogComposedPairing
    rng = np.random.default_rng(0)
    z, dz = rng.normal(size=(2, 4, 50))
    t = random_targets(rng, (4, 50), "fractions")
    other = ComposedPairing(pairing.activation, pairing.penalty)
    for ours, theirs in zip(
        (*pairing.loss_and_delta(z, t), pairing.delta_derivative(z, t, dz)),
        (*other.loss_and_delta(z, t), other.delta_derivative(z, t, dz)),
        strict=True,
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-12)


def exact_delta(penalty, z, k):
    """delta of softmax for the one-of-q target k, with 900 digits."""
    with mpmath.workdps(900):
        z = [mpmath.mpf(value) for value in z]
        total = mpmath.fsum(mpmath.exp(value) for value in z)
        y = [mpmath.exp(value) / total for value in z]
        p, m = y[k], 1 - y[k]
        if isinstance(penalty, Focal):
            g = mpmath.mpf(penalty.gamma)
            v = -(m**g) * (1 - g * p * mpmath.log(p) / m)
            loss = -(m**g) * mpmath.log(p)
        else:
            q = mpmath.mpf(penalty.q)
            v, loss = -(p**q), (1 - p**q) / q
        return float(loss), [float(v * ((j == k) - y[j])) for j in range(len(z))]


@pytest.mark.parametrize("penalty", INSTANCES, ids=str)
@pytest.mark.parametrize(
    "z", [(800.0, 0, -800), (-800, 3, 1), (0, 40, -5), (0.3, 1, 2)]
)
def test_exact_where_the_outputs_saturate(penalty, z):
    for k in range(3):
        t = np.eye(3)[:, [k]]
        pairing = pair("softmax", penalty)
        loss, delta = pairing.loss_and_delta(np.array(z, float)[:, None], t)
        expected = exact_delta(penalty, z, k)
        np.testing.assert_allclose(loss, expected[0], rtol=1e-11, atol=1e-300)
        np.testing.assert_allclose(delta.ravel(), expected[1], rtol=1e-11, atol=1e-300)


def test_limits_are_cross_entropy_and_the_absolute_error():
    rng = np.random.default_rng(0)
    z, t = rng.normal(size=(3, 40)), random_targets(rng, (3, 40), "one-of-q")
    natural = pair("softmax", CrossEntropy()).loss_and_delta(z, t)
    for penalty in (Focal(0), GeneralizedCrossEntropy(1e-9)):
        found = pair("softmax", penalty).loss_and_delta(z, t)
        for ours, theirs in zip(found, natural, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-7)
    y = pair("softmax", "cross_entropy").activation.value(z)
    loss = pair("softmax", GeneralizedCrossEntropy(1)).loss_and_delta(z, t)[0]
    np.testing.assert_allclose(loss, np.abs(t - y).sum(axis=0) / 2)


def test_pairing_status_and_grid_search():
    X, y = load_iris(return_X_y=True)
    assert pairing_status("softmax", Focal()) == "workable"
    assert pairing_status("logistic", Focal()) == "degenerate"
    assert pairing_status("identity", Focal()) == "undefined"
    classifier = PairedMLPClassifier(hidden_layer_sizes=4, alpha=0.1, random_state=0)
    grid = {"penalty": [Focal(1), Focal(2), GeneralizedCrossEntropy(0.5)]}
    search = GridSearchCV(classifier, grid, cv=3).fit(X, y)
    assert search.cv_results_["mean_test_score"].min() > 0.9
    with pytest.warns(DegeneratePairingWarning):
        classifier.set_params(activation="logistic", penalty=Focal()).fit(X, y)


@pytest.mark.parametrize("solver", ["newton-cg", "trust-ncg", "trust-krylov"])
@pytest.mark.parametrize("penalty", [Focal(2), GeneralizedCrossEntropy(0.7)], ids=str)
def test_newton_solvers_reach_the_minimum_of_lbfgs(penalty, solver):
    X, y = load_iris(return_X_y=True)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    fits = [
        PairedMLPClassifier(
            penalty=penalty, hidden_layer_sizes=(), alpha=1, solver=s, tol=1e-7
        ).fit(X, y)
        for s in (solver, "lbfgs")
    ]
    assert fits[0].loss_ == pytest.approx(fits[1].loss_, rel=1e-6)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_bounded_penalty_is_robust_to_wrong_labels():
    X, y = load_digits(return_X_y=True)
    X = X / 16
    rng = np.random.default_rng(0)
    wrong = rng.uniform(size=len(y)) < 0.4
    noisy = np.where(wrong, (y + rng.integers(1, 10, size=len(y))) % 10, y)
    train, test = slice(0, 1300), slice(1300, None)
    scores = [
        PairedMLPClassifier(
            penalty=penalty,
            hidden_layer_sizes=30,
            alpha=1,
            max_iter=200,
            random_state=0,
        )
        .fit(X[train], noisy[train])
        .score(X[test], y[test])
        for penalty in ("cross_entropy", GeneralizedCrossEntropy(0.7))
    ]
    assert scores[1] > scores[0] + 0.02


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Focal(-1), "gamma=-1 must be"),
        (lambda: Focal(np.inf), "gamma=inf must be"),
        (lambda: Focal("2"), "gamma='2' must be"),
        (lambda: GeneralizedCrossEntropy(0), "q=0 must be"),
        (lambda: GeneralizedCrossEntropy(2), "q=2 must be"),
    ],
)
def test_invalid_parameters_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_an_incomplete_penalty_names_the_missing_method():
    class Half(LogPenalty):
        pass

    for method in ("log_value", "log_derivative", "log_second_derivative"):
        with pytest.raises(NotImplementedError, match=f"Half must define {method}"):
            getattr(Half(), method)(1.0, -0.5)


@pytest.mark.parametrize("penalty", [Focal(0.5), Focal(np.float64(2))], ids=str)
def test_curvature_is_finite_at_saturation_and_keeps_the_dtype(penalty):
    z = np.array([[800.0, 0, -800], [40, 0, 0], [0.5, 1, 2]], dtype=np.float32).T
    t = np.eye(3, dtype=np.float32)
    pairing = pair("softmax", penalty)
    with np.errstate(all="raise", under="ignore", divide="ignore", invalid="ignore"):
        found = (*pairing.loss_and_delta(z, t), pairing.delta_derivative(z, t, z / 100))
    for array in found:
        assert np.isfinite(array).all()
        assert array.dtype == np.float32


class Sharper(Softmax):
    """softmax(2 z), so not the value of its parent."""

    def value(self, z):
        return super().value(2 * z)

    def jacobian_product(self, z, y, u):
        return 2 * super().jacobian_product(z, y, u)


def test_a_subclass_with_another_value_inherits_no_shortcut():
    X, y = load_iris(return_X_y=True)
    fit = PairedMLPClassifier(Sharper(), Focal(), hidden_layer_sizes=3, random_state=0)
    fit.fit(X, y)
    assert type(fit.pairing_) is ComposedPairing
    p = fit.predict_proba(X)
    np.testing.assert_allclose(p, fit.predict_outputs(X))
    np.testing.assert_allclose(np.exp(fit.predict_log_proba(X)), p, rtol=1e-9)
