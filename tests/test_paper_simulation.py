"""Classes with a known posterior, and section 3 of the paper."""

import numpy as np
import pytest
from problems import central_differences
from scipy import stats

from skce.paper.simulation import (
    GAUSSIAN_CLASSES,
    POISSON_CLASSES,
    _asymptotic_variances,
    quantity_4,
    section_3,
)


def density(classes, X):
    """P(x | C_k) by SciPy's distributions, (n, q)."""
    if classes is GAUSSIAN_CLASSES:
        factors = stats.norm.pdf(X[:, None], loc=classes.theta)
    else:
        factors = stats.poisson.pmf(X[:, None], np.exp(classes.theta))
    return factors.prod(axis=2)


@pytest.mark.parametrize("classes", [GAUSSIAN_CLASSES, POISSON_CLASSES])
def test_posterior_is_bayes_rule(classes):
    X, _ = classes.sample(50, np.random.default_rng(0))
    likelihood = density(classes, X)
    bayes = likelihood / likelihood.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(classes.posterior(X), bayes, atol=1e-14)


@pytest.mark.parametrize("classes", [GAUSSIAN_CLASSES, POISSON_CLASSES])
def test_coefficients_are_centred_and_reproduce_the_posterior(classes):
    X, _ = classes.sample(50, np.random.default_rng(0))
    W, b = classes.coefficients()
    np.testing.assert_allclose(W.sum(axis=1), 0, atol=1e-14)
    assert b.sum() == pytest.approx(0, abs=1e-14)
    odds = np.exp(X @ W + b)
    p = odds / odds.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(p, classes.posterior(X), atol=1e-14)


@pytest.mark.parametrize("classes", [GAUSSIAN_CLASSES, POISSON_CLASSES])
def test_samples_have_the_moments_of_their_class(classes):
    n = 20_000
    X, y = classes.sample(n, np.random.default_rng(0))
    assert np.bincount(y).tolist() == [n] * 4
    gaussian = classes is GAUSSIAN_CLASSES
    mean = classes.theta if gaussian else np.exp(classes.theta)
    variance = np.ones_like(mean) if gaussian else mean
    for k in range(4):
        error = np.abs(X[y == k].mean(axis=0) - mean[k])
        assert (error < 5 * np.sqrt(variance[k] / n)).all()
        # the variance of a sample variance is (kurtosis - 1) v^2 / n, here under 4 v^2
        error = np.abs(X[y == k].var(axis=0) - variance[k])
        assert (error < 10 * variance[k] / np.sqrt(n)).all()


def test_coefficients_converge_at_the_theoretical_rate_and_constant():
    table = section_3(sizes=(400, 1600, 6400), n_repeats=40, seed=3)
    for _, rows in table.groupby("family"):
        # the bias of maximum likelihood at n = 400 is some 5 %
        allowed = 4 * rows["ratio_error"] + 20 / rows.index.get_level_values("n")
        assert (np.abs(rows["ratio"] - 1) < allowed).all()
        assert rows["slope"].iloc[0] == pytest.approx(-0.5, abs=0.12)


@pytest.mark.parametrize("classes", [GAUSSIAN_CLASSES, POISSON_CLASSES])
def test_asymptotic_variances_agree_with_a_numerical_hessian(classes):
    rng = np.random.default_rng(1)
    n = 100_000
    X = classes.draw(rng.integers(4, size=n), rng)
    x = np.column_stack([np.ones(n), X])
    W, b = classes.coefficients()
    exact = np.vstack([b, W])

    def gradient(theta):  # of the mean loss, without the term of the labels
        odds = np.exp(x @ theta.reshape(exact.shape))
        return (x.T @ (odds / odds.sum(axis=1, keepdims=True)) / n).ravel()

    hessian = central_differences(gradient, exact.ravel())
    expected = np.linalg.eigvalsh(np.linalg.pinv(hessian, rcond=1e-7))
    found = _asymptotic_variances(classes, rng)
    np.testing.assert_allclose(found, expected, rtol=0.04, atol=1e-6)


def test_standard_error_of_the_ratio_is_its_spread():
    tables = [section_3(sizes=(400,), n_repeats=8, seed=s) for s in range(25)]
    for family in ("Gaussian", "Poisson"):
        spread = np.std([table.loc[family, "ratio"].iloc[0] for table in tables])
        claimed = tables[0].loc[family, "ratio_error"].iloc[0]
        assert 0.6 < spread / claimed < 1.7


def test_quantity_4_with_and_without_the_1_over_n():
    rng = np.random.default_rng(0)
    p, q = rng.dirichlet(np.ones(4), size=(2, 400))
    assert quantity_4(p, q) == pytest.approx(np.linalg.norm(p - q))
    assert quantity_4(p, q, per_case=True) == pytest.approx(quantity_4(p, q) / 20)
    worst = np.eye(4)[[0] * 400], np.eye(4)[[1] * 400]
    assert quantity_4(*worst, per_case=True) == pytest.approx(np.sqrt(2))
