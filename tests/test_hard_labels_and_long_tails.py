"""Penalties for wrong labels and rare classes: formulas, estimates, frequencies."""

import pickle

import mpmath
import numpy as np
import pytest
from problems import WITH_PARAMETERS, central_differences, label, random_targets
from scipy.optimize import brentq, minimize
from scipy.special import logsumexp, softmax
from sklearn.base import clone
from sklearn.datasets import load_iris, make_multilabel_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GridSearchCV

from skce import PairedMLPClassifier, PenaltyDisplay, pairing_grid, pairing_status
from skce.losses.activations import ACTIVATIONS, Activation, Softmax
from skce.losses.intervals import Interval
from skce.losses.pairings import ComposedPairing, pair
from skce.losses.penalties import (
    PENALTIES,
    Asymmetric,
    BinaryCrossEntropy,
    CrammerSingerHinge,
    CrossEntropy,
    LogitAdjusted,
    SymmetricCrossEntropy,
)

X, Y = load_iris(return_X_y=True)
FREQUENCIES = (0.9, 0.09, 0.01)
PENALTIES_HERE = [
    SymmetricCrossEntropy(),
    SymmetricCrossEntropy(a=2, b=0.5, log_zero=-9),
    SymmetricCrossEntropy(a=0),
    LogitAdjusted(1, FREQUENCIES),
    LogitAdjusted(2.5, np.array([3, 100, 1])),
    CrammerSingerHinge(),
    CrammerSingerHinge(temperature=3),
    Asymmetric(),
    Asymmetric(gamma_pos=2, gamma_neg=1.5, clip=0),
    Asymmetric(gamma_pos=0.5, gamma_neg=0.5, clip=0),
    Asymmetric(gamma_pos=1, gamma_neg=4, clip=0.3),
]
PAIRINGS = [
    pair(f, penalty)
    for f in ("identity", "logistic", "softmax", "sparsemax")
    for penalty in PENALTIES_HERE
    if pairing_status(f, penalty) != "undefined"
]
TARGETS = ["one-of-q", "sets", "fractions"]


@pytest.fixture(params=PAIRINGS, ids=label)
def pairing(request):
    return request.param


@pytest.mark.parametrize("kind", TARGETS)
def test_delta_and_hessian_product_against_central_differences(pairing, kind):
    rng, h = np.random.default_rng(0), 1e-5
    z, dz = rng.normal(size=(2, 3, 60))
    t = random_targets(rng, (3, 60), kind)
    delta = pairing.loss_and_delta(z, t)[1]
    for k in range(3):
        shift = np.zeros_like(z)
        shift[k] = h
        above, below = (pairing.loss_and_delta(z + s, t)[0] for s in (shift, -shift))
        np.testing.assert_allclose(delta[k], (above - below) / (2 * h), atol=2e-8)
    above, below = (pairing.loss_and_delta(z + s * dz, t)[1] for s in (h, -h))
    product = pairing.delta_derivative(z, t, dz)
    np.testing.assert_allclose(product, (above - below) / (2 * h), atol=2e-7)


@pytest.mark.parametrize("penalty", PENALTIES_HERE, ids=label)
def test_derivatives_in_y_are_those_of_the_value(penalty):
    rng = np.random.default_rng(0)
    y, dy = rng.uniform(0.4, 0.9, (3, 1)), rng.normal(size=(3, 1))
    t = random_targets(rng, y.shape, "fractions")
    slopes = central_differences(lambda y: penalty.value(t, y).sum(), y, 1e-6)
    np.testing.assert_allclose(penalty.derivative(t, y).ravel(), slopes, atol=1e-7)
    bend = central_differences(lambda y: penalty.derivative(t, y).ravel(), y, 1e-6)
    product = penalty.curvature(t, y, dy).ravel()
    np.testing.assert_allclose(product, bend.T @ dy.ravel(), rtol=1e-6, atol=1e-6)


def exact_loss(penalty, activation, z, t):
    """The loss of one row by the formula of its source, in the arithmetic of mpmath."""
    exp, log, q = mpmath.exp, mpmath.log, len(z)
    if isinstance(penalty, CrammerSingerHinge):
        T = mpmath.mpf(penalty.temperature)
        return mpmath.fsum(
            t[k]
            * T
            * log(mpmath.fsum(exp(((j != k) + z[j] - z[k]) / T) for j in range(q)))
            for k in range(q)
        )
    if activation == "softmax":
        total = mpmath.fsum(exp(v) for v in z)
        y = [exp(v) / total for v in z]
        rest = [mpmath.fsum(y[:k] + y[k + 1 :]) for k in range(q)]
    else:
        y, rest = [1 / (1 + exp(-v)) for v in z], [1 / (1 + exp(v)) for v in z]
    if isinstance(penalty, Asymmetric):
        p, n, m = map(mpmath.mpf, (penalty.gamma_pos, penalty.gamma_neg, penalty.clip))
        loss = mpmath.mpf(0)
        for k in range(q):
            y_m = max(y[k] - m, mpmath.mpf(0))
            loss -= t[k] * rest[k] ** p * log(y[k])
            loss -= (1 - t[k]) * y_m**n * log(rest[k] + m if y_m > 0 else 1)
        return loss
    entropy = mpmath.fsum(v * log(v) for v in t if v > 0)
    if isinstance(penalty, LogitAdjusted):
        prior = [mpmath.mpf(float(v)) ** penalty.tau for v in penalty.frequencies]
        total = mpmath.fsum(a * b for a, b in zip(y, prior, strict=True))
        parts = zip(t, y, prior, strict=True)
        return entropy - mpmath.fsum(a * log(b * c / total) for a, b, c in parts)
    A = mpmath.mpf(penalty.log_zero)
    forward = entropy - mpmath.fsum(a * log(b) for a, b in zip(t, y, strict=True))
    reverse = -mpmath.fsum(
        b * max(log(a), A) if a > 0 else b * A for a, b in zip(t, y, strict=True)
    )
    return penalty.a * forward + penalty.b * reverse


@pytest.mark.parametrize("kind", ["one-of-q", "fractions"])
@pytest.mark.parametrize("scale", [1, 40, 800])
@pytest.mark.parametrize(
    "pairing",
    [
        pair(f, penalty)
        for penalty in PENALTIES_HERE
        for f in {
            CrammerSingerHinge: ["identity"],
            Asymmetric: ["logistic", "softmax"],
        }.get(type(penalty), ["softmax"])
    ],
    ids=label,
)
def test_value_and_gradient_are_exact_at_large_logits(pairing, scale, kind):
    rng = np.random.default_rng(3)
    z = rng.choice([-scale, 0, scale], size=(3, 8)) + rng.normal(size=(3, 8))
    z[:, :3] = np.array([[1, 0, -1], [1, 1, -1], [-1, -1, 1]]).T * float(scale)
    t = random_targets(rng, z.shape, kind)
    loss, delta = pairing.loss_and_delta(z, t)
    exact = np.empty((4, 8))
    with mpmath.workdps(1500):
        h = mpmath.mpf(10) ** -300

        def function(z, t):
            return exact_loss(pairing.penalty, pairing.activation.name, z, t)

        for i in range(z.shape[1]):
            row, target = map(mpmath.mpf, z[:, i]), map(mpmath.mpf, t[:, i])
            row, target = list(row), list(target)
            exact[3, i] = float(function(row, target))
            for k in range(3):
                above, below = row.copy(), row.copy()
                above[k] += h
                below[k] -= h
                slope = (function(above, target) - function(below, target)) / (2 * h)
                exact[k, i] = float(slope)
    np.testing.assert_allclose(loss, exact[3], rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(delta, exact[:3], rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", TARGETS)
def test_results_are_finite_at_large_logits_and_keep_their_dtype(pairing, kind, dtype):
    rng = np.random.default_rng(4)
    z = rng.choice([-800, -100, 0, 100, 800], size=(3, 200)).astype(dtype)
    t, dz = random_targets(rng, z.shape, kind).astype(dtype), rng.normal(size=z.shape)
    loss, delta = pairing.loss_and_delta(z, t)
    product = pairing.delta_derivative(z, t, dz.astype(dtype))
    for array in (loss, delta, product):
        assert array.dtype == dtype
        assert np.isfinite(array).all()


class Tempered(Activation):
    """Softmax of z / 2, of which no log y or log-odds is known."""

    range = Interval(0, 1)
    on_simplex = True

    def value(self, z):
        return Softmax().value(z / 2)

    def jacobian_product(self, z, y, u):
        return Softmax().jacobian_product(z / 2, y, u) / 2

    def jacobian_derivative(self, z, y, dz, u):
        return Softmax().jacobian_derivative(z / 2, y, dz / 2, u) / 2


@pytest.mark.parametrize("penalty", PENALTIES_HERE, ids=label)
def test_pairs_in_log_y_equal_those_in_y(penalty):
    rng = np.random.default_rng(0)
    z, dz = rng.normal(size=(2, 3, 50))
    t = random_targets(rng, (3, 50), "fractions")
    ours, theirs = pair("softmax", penalty), pair(Tempered(), penalty)
    assert type(theirs) is ComposedPairing
    for a, b, factor in zip(
        (*ours.loss_and_delta(z, t), ours.delta_derivative(z, t, dz)),
        (*theirs.loss_and_delta(2 * z, t), theirs.delta_derivative(2 * z, t, 2 * dz)),
        (1, 2, 2),
        strict=True,
    ):
        np.testing.assert_allclose(a, factor * b, rtol=1e-9, atol=1e-11)


def test_special_cases_are_the_losses_that_they_generalise():
    rng = np.random.default_rng(1)
    z = 2 * rng.normal(size=(3, 40))
    cases = [
        ("softmax", SymmetricCrossEntropy(1, 0), CrossEntropy()),
        ("softmax", LogitAdjusted(0, FREQUENCIES), CrossEntropy()),
        ("softmax", LogitAdjusted(3, (7, 7, 7)), CrossEntropy()),
        ("logistic", Asymmetric(0, 0, 0), BinaryCrossEntropy()),
        ("softmax", Asymmetric(0, 0, 0), BinaryCrossEntropy()),
    ]
    t = random_targets(rng, z.shape, "one-of-q")
    for activation, penalty, other in cases:
        for ours, theirs in zip(
            pair(activation, penalty).loss_and_delta(z, t),
            pair(activation, other).loss_and_delta(z, t),
            strict=True,
        ):
            np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-14)


def test_symmetric_cross_entropy_of_a_label_is_that_of_wang():
    z = np.random.default_rng(0).normal(size=(4, 10))
    p, label = softmax(z, axis=0)[2], np.eye(4)[:, [2] * 10]
    loss = pair("softmax", SymmetricCrossEntropy(0.3, 2, -5)).loss_and_delta(z, label)[
        0
    ]
    np.testing.assert_allclose(loss, -0.3 * np.log(p) + 2 * 5 * (1 - p), rtol=1e-12)


def test_logit_adjustment_of_a_label_is_that_of_menon():
    """Equation 10 of Menon et al. (2021)."""
    z = np.random.default_rng(0).normal(size=(3, 10))
    f = z + 1.5 * np.log(FREQUENCIES)[:, None]
    loss = pair("softmax", LogitAdjusted(1.5, FREQUENCIES)).loss_and_delta(
        z, np.eye(3)[:, [1] * 10]
    )[0]
    np.testing.assert_allclose(loss, logsumexp(f, axis=0) - f[1], rtol=1e-12)


@pytest.mark.parametrize("n_outputs", [1, 2, 4])
def test_the_smoothed_hinge_tends_to_that_of_crammer_and_singer(n_outputs):
    rng = np.random.default_rng(0)
    y = rng.normal(size=(n_outputs, 50))
    two = np.concatenate([1 - y, y]) if n_outputs == 1 else y
    k = rng.integers(len(two), size=50)
    t = np.eye(len(two))[:, k][-n_outputs:]
    margin = (np.arange(len(two))[:, None] != k) + two - two[k, np.arange(50)]
    hinge = margin.max(axis=0)
    for T in (1, 0.1, 1e-6):
        excess = CrammerSingerHinge(T).value(t, y).sum(axis=0) - hinge
        assert (excess >= -1e-12).all()
        assert (excess <= T * np.log(len(two)) + 1e-12).all()


def test_one_output_of_the_hinge_counts_as_two():
    rng, h = np.random.default_rng(0), 1e-5
    penalty, (z, dz) = CrammerSingerHinge(0.5), rng.normal(size=(2, 1, 20))
    for activation in ("identity", "logistic"):
        pairing, t = (
            pair(activation, penalty),
            rng.integers(0, 2, (1, 20)).astype(float),
        )
        above, below = (pairing.loss_and_delta(z + s * dz, t) for s in (h, -h))
        _, delta = pairing.loss_and_delta(z, t)
        slope = (above[0] - below[0]) / (2 * h)
        np.testing.assert_allclose((delta * dz)[0], slope, atol=1e-8)
        product = pairing.delta_derivative(z, t, dz)
        np.testing.assert_allclose(product, (above[1] - below[1]) / (2 * h), atol=1e-8)


# What each estimates: the outputs at which the expected loss is smallest, against the
# formula of the docstring
POSTERIORS = [(0.5, 0.3, 0.2), (0.8, 0.15, 0.05), (0.4, 0.35, 0.25), (0.97, 0.02, 0.01)]


def best_logits(pairing, P):
    """argmin over z of sum_k P_k loss(z, label k); of one unit, P = (off, on)."""
    one_unit = pairing.activation.name == "logistic"
    t = np.array([[0.0, 1.0]]) if one_unit else np.eye(len(P))

    def expected(z):
        columns = np.repeat(z[:, None], t.shape[1], axis=1)
        loss, delta = pairing.loss_and_delta(columns, t)
        return loss @ P, delta @ P

    start = np.log(P[1:]) if one_unit else np.log(P)
    found = minimize(expected, start, jac=True, method="BFGS", options={"gtol": 1e-10})
    assert np.abs(found.jac).max() < 1e-7
    return found.x


@pytest.mark.parametrize("P", POSTERIORS, ids=str)
@pytest.mark.parametrize("parameters", [(0.1, 1, -4), (1, 0.5, -6)])
def test_what_symmetric_cross_entropy_estimates(parameters, P):
    a, b, A = parameters
    P = np.array(P)

    def y(c):
        return a * P / (c + b * A * P)

    low = -b * A * P.max()
    c = brentq(lambda c: y(c).sum() - 1, low + 1e-9, low + 3 * a, xtol=1e-15)
    z = best_logits(pair("softmax", SymmetricCrossEntropy(*parameters)), P)
    np.testing.assert_allclose(softmax(z), y(c), atol=1e-6)


def test_symmetric_cross_entropy_is_as_sure_as_its_docstring_says():
    z = best_logits(pair("softmax", SymmetricCrossEntropy()), np.array([0.8, 0.2]))
    assert softmax(z).round(2).tolist() == [0.99, 0.01]


@pytest.mark.parametrize("P", POSTERIORS, ids=str)
@pytest.mark.parametrize("tau", [0.5, 1, 2])
def test_what_logit_adjustment_estimates(tau, P):
    z = best_logits(pair("softmax", LogitAdjusted(tau, FREQUENCIES)), np.array(P))
    expected = np.array(P) / np.array(FREQUENCIES) ** tau
    np.testing.assert_allclose(softmax(z), expected / expected.sum(), rtol=1e-5)


@pytest.mark.parametrize("P", POSTERIORS, ids=str)
@pytest.mark.parametrize("T", [0.3, 1, 5])
def test_what_the_hinge_estimates(T, P):
    y = best_logits(pair("identity", CrammerSingerHinge(T)), np.array(P))
    s = softmax(y / T)
    odds = s * (1 + np.expm1(-1 / T) * s)
    np.testing.assert_allclose(odds / odds.sum(), P, rtol=1e-5)
    assert (np.diff(y) < 0).all()


@pytest.mark.parametrize("on", [0.01, 0.13, 0.5, 0.9])
@pytest.mark.parametrize("parameters", [(0, 4, 0.05), (1, 2, 0.2), (2, 1, 0)])
def test_what_the_asymmetric_loss_estimates(parameters, on):
    p, n, m = parameters
    z = best_logits(pair("logistic", Asymmetric(*parameters)), np.array([1 - on, on]))
    y = 1 / (1 + np.exp(-z[0]))
    g = y - m
    off = y * (g**n / (1 - g) - n * g ** (n - 1) * np.log(1 - g))
    odds = off / ((1 - y) ** p - p * y * (1 - y) ** (p - 1) * np.log(y))
    assert odds / (1 + odds) == pytest.approx(on, rel=1e-5)
    if parameters == (0, 4, 0.05) and on == 0.13:
        assert y == pytest.approx(0.5, abs=0.005)


def test_status_with_every_activation_of_the_package():
    expected = {
        SymmetricCrossEntropy: ["undefined", "workable", "workable", "undefined"],
        LogitAdjusted: ["undefined", "workable", "workable", "undefined"],
        CrammerSingerHinge: ["workable"] * 4,
        Asymmetric: ["undefined", "workable", "workable", "undefined"],
    }
    for kind, statuses in expected.items():
        found = [
            pairing_status(f, kind())
            for f in ("identity", "logistic", "softmax", "sparsemax")
        ]
        assert found == statuses, kind
    # an activation that is registered later as well: from its range
    for f in ACTIVATIONS.values():
        assert (pairing_status(f, CrammerSingerHinge()) == "undefined") == (
            not f.range <= CrammerSingerHinge().domain
        )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SymmetricCrossEntropy(a=-1), r"a=-1 must be a number in \[0, inf\)"),
        (
            lambda: SymmetricCrossEntropy(b=np.nan),
            r"b=nan must be a number in \[0, inf",
        ),
        (
            lambda: SymmetricCrossEntropy(log_zero=0),
            r"log_zero=0 must be .*\(-inf, 0\)",
        ),
        (lambda: SymmetricCrossEntropy(0, 0), "the loss is always 0"),
        (lambda: LogitAdjusted(-1), r"tau=-1 must be a number in \[0, inf\)"),
        (
            lambda: LogitAdjusted(1, [0.5, 0]),
            r"frequencies=\[0.5, 0\] must be positive",
        ),
        (lambda: LogitAdjusted(1, [[0.5]]), "one for each class"),
        (
            lambda: CrammerSingerHinge(0),
            r"temperature=0 must be a number in \(0, inf\)",
        ),
        (lambda: CrammerSingerHinge("1"), "temperature='1' must be"),
        (
            lambda: Asymmetric(gamma_neg=-1),
            r"gamma_neg=-1 must be a number in \[0, inf",
        ),
        (lambda: Asymmetric(gamma_pos=np.inf), "gamma_pos=inf must be"),
        (lambda: Asymmetric(clip=1), r"clip=1 must be a number in \[0, 1\)"),
    ],
)
def test_invalid_parameters_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("hinge", "CrammerSingerHinge"),
        ("asl", "Asymmetric"),
        ("sce", "SymmetricCrossEntropy"),
        ("logit_adjusted", "LogitAdjusted"),
        ("focal_loss", "Focal"),
        ("GCE", "GeneralizedCrossEntropy"),
    ],
)
def test_names_of_penalties_with_parameters_are_explained(name, hint):
    with pytest.raises(ValueError, match=rf"write skce\.losses\.{hint}\("):
        pair("softmax", name)


def small(activation="softmax", penalty=None, **parameters):
    defaults = {"hidden_layer_sizes": 3, "alpha": 1, "random_state": 0, "tol": 1e-2}
    penalty = LogitAdjusted() if penalty is None else penalty
    return PairedMLPClassifier(activation, penalty, **defaults | parameters)


@pytest.mark.parametrize(("activation", "penalty"), WITH_PARAMETERS, ids=label)
def test_exported_graphs_predict_the_same(activation, penalty):
    pytest.importorskip("skl2onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    from skce.onnx import to_onnx

    fitted = small(activation, penalty).fit(X, Y)
    model = to_onnx(fitted, X[:1].astype(np.float32)).SerializeToString()
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    found = session.run(None, {session.get_inputs()[0].name: X.astype(np.float32)})[1]
    np.testing.assert_allclose(found, fitted.predict_proba(X), rtol=0, atol=1e-5)


class Gap(CrammerSingerHinge):
    """Another name; its formulas are those of its base."""


@pytest.mark.parametrize(
    "penalty", [CrammerSingerHinge(), Gap(), LogitAdjusted(1, (1, 2, 3, 4, 5))]
)
def test_a_loss_of_the_whole_row_takes_no_multilabel_y(penalty, monkeypatch):
    rows, sets = make_multilabel_classification(random_state=0)
    with pytest.raises(
        ValueError, match=r"y is multilabel, but penalty=.* the classes"
    ):
        small("logistic", penalty).fit(rows, sets)
    tags = small("logistic", penalty).__sklearn_tags__()
    assert not tags.classifier_tags.multi_label
    assert (
        small("logistic", Asymmetric()).__sklearn_tags__().classifier_tags.multi_label
    )
    monkeypatch.setitem(PENALTIES, "here", penalty)
    assert not any(g["penalty"] == ["here"] for g in pairing_grid(multilabel=True))
    assert any(g["penalty"] == ["here"] for g in pairing_grid())
    with pytest.raises(ValueError, match="compares the outputs of a row"):
        PenaltyDisplay.from_penalty(penalty)


# Class frequencies of LogitAdjusted
IMBALANCED = np.r_[0:50, 50:70, 100:105]
X3, Y3 = X[IMBALANCED], Y[IMBALANCED]


def frequencies(fitted):
    return np.asarray(fitted.pairing_.penalty.frequencies)


def test_without_hidden_units_it_is_cross_entropy_with_other_biases():
    ours, plain = (
        small(penalty=penalty, hidden_layer_sizes=(), tol=1e-8).fit(X3, Y3)
        for penalty in (LogitAdjusted(tau=1.5), CrossEntropy())
    )
    pi = np.bincount(Y3) / len(Y3)
    np.testing.assert_allclose(frequencies(ours), pi)
    np.testing.assert_allclose(ours.coefs_[0], plain.coefs_[0], atol=1e-5)
    shift = plain.intercepts_[0] - ours.intercepts_[0]
    np.testing.assert_allclose(np.diff(shift), 1.5 * np.diff(np.log(pi)), atol=1e-4)
    again = ours.predict_proba(X3) * pi**1.5
    again /= again.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(again, plain.predict_proba(X3), atol=1e-5)


def test_frequencies_are_those_of_the_weighted_training_rows():
    weights = np.random.default_rng(0).integers(1, 4, len(Y3))
    weighted = small().fit(X3, Y3, weights)
    repeated = small().fit(X3.repeat(weights, axis=0), Y3.repeat(weights))
    np.testing.assert_allclose(frequencies(weighted), frequencies(repeated), rtol=1e-14)
    np.testing.assert_allclose(
        weighted.predict_proba(X3), repeated.predict_proba(X3), rtol=1e-9
    )
    # class weights come on top
    balanced = small(class_weight="balanced").fit(X3, Y3)
    np.testing.assert_allclose(frequencies(balanced), np.bincount(Y3) / len(Y3))
    soft = small().fit_targets(X3, np.eye(3)[Y3])
    np.testing.assert_allclose(frequencies(soft), np.bincount(Y3) / len(Y3))


def test_validation_rows_do_not_count():
    fitted = small(early_stopping=True).fit(X3, Y3, X_val=X, y_val=Y)
    np.testing.assert_allclose(frequencies(fitted), np.bincount(Y3) / len(Y3))
    split = small(early_stopping=True, validation_fraction=0.5).fit(X3, Y3)
    counts = frequencies(split) * 37  # of 75 rows, 38 are held out
    np.testing.assert_allclose(counts, counts.round(), atol=1e-9)
    assert counts.sum() == pytest.approx(37)


def test_the_penalty_of_the_user_is_not_changed_by_a_fit():
    penalty = LogitAdjusted()
    fitted = small(penalty=penalty).fit(X3, Y3)
    assert fitted.penalty is penalty
    assert penalty.frequencies is None
    assert fitted.get_params()["penalty__frequencies"] is None
    assert (
        clone(fitted).fit(X, Y).pairing_.penalty.frequencies.round(3).tolist()
        == [0.333] * 3
    )
    copy = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(copy.predict_proba(X), fitted.predict_proba(X))
    np.testing.assert_array_equal(frequencies(copy), frequencies(fitted))
    given = LogitAdjusted(frequencies=(1, 2, 3))
    assert small(penalty=given).fit(X3, Y3).pairing_.penalty is given


def test_tau_can_be_searched_and_every_fold_has_its_frequencies():
    grid = {"penalty__tau": [0, 1, 2]}
    search = GridSearchCV(small(), grid, cv=2, scoring="balanced_accuracy").fit(X3, Y3)
    assert (
        search.best_estimator_.pairing_.penalty.tau
        == search.best_params_["penalty__tau"]
    )
    single = small(penalty=LogitAdjusted(search.best_params_["penalty__tau"]))
    np.testing.assert_array_equal(
        search.predict_proba(X), single.fit(X3, Y3).predict_proba(X)
    )


def test_memory_mapped_rows_give_the_same_frequencies(tmp_path):
    file = np.memmap(tmp_path / "X", dtype=float, mode="w+", shape=X3.shape)
    file[:] = X3
    mapped, plain = small().fit(file, Y3), small().fit(X3, Y3)
    np.testing.assert_array_equal(frequencies(mapped), frequencies(plain))
    np.testing.assert_array_equal(mapped.predict_proba(X), plain.predict_proba(X))


def test_a_class_without_weight_is_not_predicted():
    fitted = small().fit(X, Y, sample_weight=(Y != 2).astype(float))
    assert set(fitted.predict(X)) == {0, 1}


def test_the_frequencies_must_be_known_and_go_with_the_classes():
    z = np.zeros((3, 1))
    with pytest.raises(ValueError, match="to use it elsewhere, pass frequencies"):
        pair("softmax", LogitAdjusted()).loss_and_delta(z, np.eye(3)[:, :1])
    with pytest.raises(ValueError, match="of 2 classes, but there are 3 outputs"):
        small(penalty=LogitAdjusted(frequencies=(1, 2))).fit(X, Y)


def test_logit_adjustment_raises_the_balanced_accuracy_of_rare_classes():
    rng = np.random.default_rng(0)

    def sample(sizes):
        labels = np.repeat([0, 1], sizes)
        return rng.normal(size=(len(labels), 2)) + labels[:, None], labels

    rows, labels = sample([2000, 20])
    test, truth = sample([2000, 2000])
    scores = [
        balanced_accuracy_score(truth, model.fit(rows, labels).predict(test))
        for model in (small(penalty=CrossEntropy(), tol=1e-4), small(tol=1e-4))
    ]
    # the best possible is 0.76
    assert scores[0] < 0.6
    assert scores[1] > 0.7


@pytest.mark.parametrize("tau", [0.5, 1, 2])
def test_a_fit_to_the_frequencies_alone_has_learned_nothing(tau):
    rows, labels = np.zeros((111, 1)), np.repeat([0, 1, 2], [100, 10, 1])
    model = small(penalty=LogitAdjusted(tau), hidden_layer_sizes=(), tol=1e-7)
    with pytest.warns(ConvergenceWarning, match="of the class frequencies"):
        fitted = model.fit(rows, labels)
    assert not fitted.solver_result_["learned"]
