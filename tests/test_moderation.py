"""Moderated probabilities against averages over the posterior itself."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import load_iris
from sklearn.preprocessing import StandardScaler

from skce import PairedMLPClassifier, hessian, pairing_grid
from skce.curvature import flat, unflat
from skce.hidden import HIDDEN_ACTIVATIONS
from skce.inference import _refit

X, Y = load_iris(return_X_y=True)
X = StandardScaler().fit_transform(X)
TARGETS = {
    "two classes": (Y == 1).astype(int),
    "three classes": Y,
    "labels": np.column_stack([Y > 0, X[:, 0] > 0]).astype(int),
}
CASES = [
    (activation, kind)
    for activation in ("softmax", "logistic")
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
    return PairedMLPClassifier(activation, **params)


def fits(activation, **params):
    plain = classifier(activation, **params)
    return plain, classifier(activation, moderated=True, **params)


@pytest.mark.parametrize(("activation", "kind"), CASES)
@pytest.mark.parametrize("hidden", [(), (3,), (3, 2)], ids=str)
def test_mean_over_the_posterior_of_the_logits(activation, kind, hidden):
    """Near the average over logits drawn from the normal approximation."""
    y = TARGETS[kind]
    plain, moderated = (
        clf.fit(X, y) for clf in fits(activation, hidden_layer_sizes=hidden)
    )
    network = _refit(plain, X, y, None).network
    p, step = flat(plain.coefs_, plain.intercepts_), 1e-5
    z = np.atleast_2d(plain._map_logits(X, lambda z: z))

    def logits(p):
        plain.coefs_, plain.intercepts_ = unflat(network, p)
        return plain._map_logits(X, lambda z: z)

    J = np.array(
        [(logits(p + e) - logits(p - e)) / (2 * step) for e in step * np.eye(len(p))]
    )
    logits(p)
    rng = np.random.default_rng(0)
    covariance = moderated.posterior_covariance_
    draws = rng.multivariate_normal(np.zeros(len(p)), covariance, 4000, method="eigh")
    f = plain.pairing_.activation
    total = 0
    for shift in np.einsum("sp,pnk->snk", draws[:, :], J):
        drawn = (z + shift).T
        if kind == "labels" or plain.n_outputs_ == 1:
            total = total + f.marginals(drawn)[1].T
        else:
            total = total + f.probabilities(drawn).T
    expected = total / len(draws)
    found = moderated.predict_proba(X)
    found = found[:, 1:] if plain.n_outputs_ == 1 else found
    assert np.abs(found - expected).max() < 0.035
    # much nearer than what is not averaged
    before = plain.predict_proba(X)
    before = before[:, 1:] if plain.n_outputs_ == 1 else before
    if hidden:
        assert np.abs(found - expected).mean() < np.abs(before - expected).mean() / 2


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
def test_less_certain_and_otherwise_as_it_was(activation, kind, hidden_activation):
    y = TARGETS[kind]
    plain, moderated = (
        clf.fit(X, y) for clf in fits(activation, hidden_activation=hidden_activation)
    )
    p, q = plain.predict_proba(X), moderated.predict_proba(X)
    sure, less = np.abs(p - 0.5), np.abs(q - 0.5)
    assert less.mean() < sure.mean()
    if kind != "three classes":
        assert np.all(less <= sure + 1e-12)
    if kind != "labels":
        np.testing.assert_allclose(q.sum(axis=1), 1)
    np.testing.assert_allclose(np.exp(moderated.predict_log_proba(X)), q, rtol=1e-6)
    outputs = moderated.predict_outputs(X), plain.predict_outputs(X)
    np.testing.assert_array_equal(*outputs)
    np.testing.assert_array_equal(moderated.coefs_[0], plain.coefs_[0])
    np.testing.assert_allclose(moderated.predict_proba(sparse.csr_array(X)), q)
    if hidden_activation != "relu":  # whose slope jumps where a unit is at its kink
        single = moderated.predict_proba(X.astype(np.float32))
        np.testing.assert_allclose(single, q, atol=1e-5)
    # far from the rows it knows less, and stays a number
    far = moderated.predict_proba(1e6 * X)
    assert np.isfinite(far).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_is_kept(dtype):
    clf = classifier(moderated=True).fit(X.astype(dtype), Y)
    assert clf.predict_proba(X.astype(dtype)).dtype == dtype


def test_what_cannot_be_moderated_says_why():
    for pair in pairing_grid():
        pair = {name: value[0] for name, value in pair.items()}
        clf = classifier(**pair, moderated=True)
        if (pair["activation"], pair["penalty"]) in [
            ("softmax", "cross_entropy"),
            ("logistic", "binary_cross_entropy"),
        ]:
            clf.fit(X, Y)
            continue
        with pytest.raises(ValueError, match=r"log-likelihood.*'natural'"):
            clf.fit(X, Y)
    with pytest.raises(ValueError, match=r"alpha > 0"):
        classifier(moderated=True, alpha=0).fit(X, Y)
    with pytest.raises(ValueError, match=r"at most 5000"):
        classifier(moderated=True, hidden_layer_sizes=1000).fit(X, Y)
