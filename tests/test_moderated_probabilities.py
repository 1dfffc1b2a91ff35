"""Moderated probabilities against averages over draws from the posterior."""

import re

import numpy as np
import pytest
from problems import best_penalty
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler

from skce import PairedMLPClassifier, _estimator, hessian, pairing_grid
from skce._network import executors
from skce.losses import HIDDEN_ACTIVATIONS
from skce.losses import pair as pairing_of
from skce.losses.activations import get_activation
from skce.uncertainty import _laplace as moderation
from skce.uncertainty._curvature import flat, unflat

X, Y = load_iris(return_X_y=True)
X = StandardScaler().fit_transform(X)
TARGETS = {
    "two classes": (Y == 1).astype(int),
    "three classes": Y,
    "labels": np.column_stack([Y > 0, X[:, 0] > 0]).astype(int),
}
CASES = [
    (activation, kind)
    for activation in ("softmax", "logistic", "probit", "cloglog")
    for kind in TARGETS
    if not (activation == "softmax" and kind == "labels")
]


def classifier(activation="softmax", **params):
    params = {
        "hidden_layer_sizes": 3,
        "alpha": 1,
        "random_state": 0,
        "tol": 1e-3,
    } | params
    return PairedMLPClassifier(
        activation, **{"penalty": best_penalty(activation)} | params
    )


def fits(activation, **params):
    plain = classifier(activation, **params)
    return plain, classifier(activation, moderated=True, **params)


@pytest.mark.parametrize(("activation", "kind"), CASES)
@pytest.mark.parametrize(
    ("hidden", "skip"), [((), False), ((3,), False), ((3, 2), False), ((3, 2), True)]
)
def test_mean_over_the_posterior_of_the_logits(activation, kind, hidden, skip):
    """Near the average over logits drawn from the normal approximation."""
    y = TARGETS[kind]
    # beside a skip layer, logistic units would be drawn to 0, where nothing is normal
    f = "tanh" if skip else "logistic"
    smooth = {"hidden_layer_sizes": hidden, "hidden_activation": f, "skip_layer": skip}
    plain, moderated = (clf.fit(X, y) for clf in fits(activation, **smooth))
    network = plain._network
    p, step = flat(plain.coefs_, plain.intercepts_, plain.skip_coef_), 1e-5
    z = np.atleast_2d(plain._of_logits(X, lambda z: z))

    def logits(p):
        plain.coefs_, plain.intercepts_, plain.skip_coef_ = unflat(network, p)
        return plain._of_logits(X, lambda z: z)

    J = np.array(
        [(logits(p + e) - logits(p - e)) / (2 * step) for e in step * np.eye(len(p))]
    )
    logits(p)
    rng = np.random.default_rng(0)
    covariance = moderated.posterior_covariance_
    zeros = np.zeros(len(p))
    f = plain.pairing_.activation
    n_draws, total = 0, 0
    while n_draws < 16_000:  # the mean of 4000 has an error of up to 0.006
        draws = rng.multivariate_normal(zeros, covariance, 1000, method="eigh")
        n_draws += len(draws)
        for shift in np.einsum("sp,pnk->snk", draws, J):
            drawn = (z + shift).T
            if kind == "labels" or plain.n_outputs_ == 1:
                total = total + f.marginals(drawn)[1].T
            else:
                total = total + f.probabilities(drawn).T
    expected = total / n_draws
    found = moderated.predict_proba(X)
    found = found[:, 1:] if plain.n_outputs_ == 1 else found
    # units of several classes are averaged one by one, and then divided by their sum
    steep = activation == "probit" and kind == "three classes"
    assert np.abs(found - expected).max() < (0.08 if steep else 0.035)
    # much nearer than the probabilities without moderation
    before = plain.predict_proba(X)
    before = before[:, 1:] if plain.n_outputs_ == 1 else before
    if hidden:
        gain = np.abs(before - expected).mean() / np.abs(found - expected).mean()
        # each of several logistic outputs is moderated by itself, then normalised
        assert gain > (1.7 if skip else 2)


@pytest.mark.parametrize("activation", ["softmax", "logistic"])
def test_formula_of_mackay_for_two_classes(activation):
    y = TARGETS["two classes"]
    plain, moderated = (
        clf.fit(X, y) for clf in fits(activation, hidden_layer_sizes=())
    )
    A = len(X) * hessian(plain, X, y)
    one = np.column_stack([X, np.ones(len(X))])
    J = one if activation == "logistic" else np.kron(one, [[-1, 1]])
    variance = np.einsum("na,ab,nb->n", J, np.linalg.pinv(A, hermitian=True), J)
    decision = plain.decision_function(X)
    expected = decision / np.sqrt(1 + np.pi * variance / 8)
    np.testing.assert_allclose(moderated.decision_function(X), expected, rtol=1e-8)
    np.testing.assert_allclose(
        moderated.predict_proba(X)[:, 1], 1 / (1 + np.exp(-expected)), rtol=1e-8
    )


@pytest.mark.parametrize(("activation", "kind"), CASES)
@pytest.mark.parametrize("hidden_activation", HIDDEN_ACTIVATIONS)
def test_probabilities_are_less_certain_and_all_else_is_unchanged(
    activation, kind, hidden_activation
):
    y = TARGETS[kind]
    plain, moderated = (
        clf.fit(X, y) for clf in fits(activation, hidden_activation=hidden_activation)
    )
    p, q = plain.predict_proba(X), moderated.predict_proba(X)
    sure, less = np.abs(p - 0.5), np.abs(q - 0.5)
    assert less.mean() < sure.mean()
    if kind != "three classes" and activation != "cloglog":  # which is not symmetric
        assert np.all(less <= sure + 1e-12)
    if kind != "labels":
        np.testing.assert_allclose(q.sum(axis=1), 1)
    np.testing.assert_allclose(np.exp(moderated.predict_log_proba(X)), q, rtol=1e-6)
    outputs = moderated.predict_outputs(X), plain.predict_outputs(X)
    np.testing.assert_array_equal(*outputs)
    np.testing.assert_array_equal(moderated.coefs_[0], plain.coefs_[0])
    # a nearly dead unit has a variance that magnifies rounding (of gelu 1e13)
    alive = moderated.posterior_covariance_.max() < 1e6
    as_sparse = moderated.predict_proba(sparse.csr_array(X))
    np.testing.assert_allclose(as_sparse, q, atol=0 if alive else 1e-6)
    if alive and hidden_activation != "relu":  # its slope jumps at the kink
        single = moderated.predict_proba(X.astype(np.float32))
        np.testing.assert_allclose(single, q, atol=1e-5)
    # far from the training rows they stay finite
    far = moderated.predict_proba(1e6 * X)
    assert np.isfinite(far).all()


@pytest.mark.parametrize(("activation", "kind"), CASES)
@pytest.mark.parametrize("seed", range(3))
def test_a_unit_that_is_0_for_all_rows_leaves_the_covariance_finite(
    activation, kind, seed
):
    y = TARGETS[kind]
    start = classifier(activation, random_state=seed).fit(X, y)
    start.coefs_[0][:, 0], start.intercepts_[0][0] = 0, -1
    moderated = clone(start).set_params(moderated=True)
    moderated.fit(X, y, coefs_init=start.coefs_, intercepts_init=start.intercepts_)
    covariance = moderated.posterior_covariance_
    # of its weights the prior's, and of its bias that of directions without curvature
    weights = covariance[[0, 3, 6, 9], [0, 3, 6, 9]]
    np.testing.assert_allclose(weights, 1 / moderated.alpha, rtol=1e-6)
    assert covariance[12, 12] == 0
    least, *_, largest = np.linalg.eigvalsh(covariance)
    assert -1e-12 * largest < least <= largest < 1e6


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_is_kept(dtype):
    clf = classifier(moderated=True).fit(X.astype(dtype), Y)
    assert clf.predict_proba(X.astype(dtype)).dtype == dtype


def test_models_that_cannot_be_moderated_are_refused_with_a_reason():
    for pair in pairing_grid(ordered=True):
        pair = {name: value[0] for name, value in pair.items()}
        clf = classifier(**pair, moderated=True)
        if pairing_of(**pair).is_likelihood:
            clf.fit(X, Y)
            continue
        with pytest.raises(ValueError, match=r"log-likelihood|activation") as refused:
            clf.fit(X, Y)
        # the advice keeps the activation if it can, and can be followed
        advice = re.findall(r"(\w+)='(\w+)'", str(refused.value).partition(": use")[2])
        clf.set_params(**dict(advice)).fit(X, Y)
        kept = get_activation(pair["activation"]).moderated is not None
        assert (clf.activation == pair["activation"]) == kept
    with pytest.raises(ValueError, match=r"alpha > 0"):
        classifier(moderated=True, alpha=0).fit(X, Y)
    with pytest.raises(ValueError, match=r"at most 5000"):
        classifier(moderated=True, hidden_layer_sizes=1000).fit(X, Y)


def test_single_precision_gives_the_covariance_of_double():
    X = np.random.default_rng(0).normal(size=(500, 10))
    y = (X[:, 0] + X[:, 1] ** 2 > 1).astype(int)
    params = {"hidden_layer_sizes": 10, "alpha": 1e-3, "moderated": True}
    single = classifier(**params).fit(X.astype(np.float32), y)
    traces = []
    for dtype in (np.float32, np.float64):
        clf = classifier(**params, max_iter=1, tol=1e9)  # keeps the weights
        clf.fit(
            X.astype(dtype),
            y,
            None,
            None,
            None,
            None,
            single.coefs_,
            single.intercepts_,
        )
        traces.append(np.trace(clf.posterior_covariance_))
    assert traces[0] == pytest.approx(traces[1], rel=1e-3)
    assert traces[1] > 1e4  # uncertain where the prior is all there is


def test_moderation_can_be_switched_off_after_the_fit():
    plain, moderated = (clf.fit(X, Y) for clf in fits("softmax"))
    moderated.set_params(moderated=False)
    np.testing.assert_array_equal(moderated.predict_proba(X), plain.predict_proba(X))


@pytest.mark.parametrize(("activation", "kind"), CASES)
def test_probabilities_far_away_do_not_overflow(activation, kind):
    moderated = classifier(activation, hidden_layer_sizes=(), moderated=True)
    moderated.fit(X, TARGETS[kind])
    far = moderated.predict_proba(X * 1e200)
    np.testing.assert_allclose(far, moderated.predict_proba(X * 1e100), atol=1e-6)
    if activation in ("softmax", "logistic"):
        assert far.max() < 1 - 1e-6  # the direction is known, but not with certainty


def test_ctrl_c_before_the_covariance_keeps_the_fit(monkeypatch):
    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(_estimator, "posterior_covariance", interrupted)
    plain, moderated = fits("softmax")
    with pytest.warns(ConvergenceWarning, match=r"not moderated"):
        moderated.fit(X, Y)
    plain.fit(X, Y)
    np.testing.assert_array_equal(moderated.predict_proba(X), plain.predict_proba(X))


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_any_number_of_threads_gives_the_same_bits(n_jobs, monkeypatch):
    monkeypatch.setattr(executors, "MIN_WORK", 1)
    monkeypatch.setattr(moderation, "MAX_VALUES", 2**10)
    params = {"hidden_layer_sizes": 20, "moderated": True, "max_iter": 20, "tol": 0.1}
    one = classifier(**params, n_jobs=1).fit(X, Y)
    some = classifier(**params, n_jobs=n_jobs).fit(X, Y)
    covariances = [clf.posterior_covariance_ for clf in (one, some)]
    np.testing.assert_array_equal(*covariances)
    np.testing.assert_array_equal(one.predict_proba(X), some.predict_proba(X))
