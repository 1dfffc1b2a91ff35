"""Links: their tails with many digits, and regressions against an own Newton method."""

import mpmath
import numpy as np
import pytest
from scipy import stats
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import StandardScaler

from skce import PairedMLPClassifier, standard_errors
from skce.losses._binary_links import BinaryLink
from skce.losses._links import LINKS as ALL_LINKS
from skce.losses._links import ComplementaryLogLogLink, ProbitLink
from skce.losses.activations import ACTIVATIONS

X, Y = load_breast_cancer(return_X_y=True)
X = StandardScaler().fit_transform(X)[:, [1, 4, 9]]
BINARY = [name for name, f in ACTIVATIONS.items() if isinstance(f, BinaryLink)]


# F' / F, 1 - F, and the logarithmic derivative of F', with log F and log(1 - F)
def normal(x):
    f = mpmath.npdf(x)
    return mpmath.log(mpmath.ncdf(x)), f / mpmath.ncdf(x), -x


def normal_survival(x):
    value, slope, bend = normal(-x)
    return value, -slope, -bend


def gumbel(x):
    u = mpmath.exp(x)
    F = -mpmath.expm1(-u)
    return mpmath.log(F), u * mpmath.exp(-u) / F, 1 - u


def gumbel_survival(x):
    u = mpmath.exp(x)
    return -u, -u, 1 - u


TAILS = {
    "probit": (ProbitLink().log_cdf, normal),
    "probit above": (ProbitLink().log_survival, normal_survival),
    "cloglog": (ComplementaryLogLogLink().log_cdf, gumbel),
    "cloglog above": (ComplementaryLogLogLink().log_survival, gumbel_survival),
}


@pytest.mark.parametrize("name", TAILS)
def test_tails_are_exact(name):
    tail, exact = TAILS[name]
    x = np.concatenate(
        [np.linspace(-12, 12, 97), [-2000, -800, -101.3, -99, -40, 30, 99, 200]]
    )
    x = np.concatenate([x, [800, 2000]]) if "probit" in name else x
    found = tail(x)
    with mpmath.workdps(900):
        rows = []
        for point in x:
            value, slope, of_density = exact(mpmath.mpf(float(point)))
            rows.append((value, slope, slope * (of_density - slope)))
        expected = np.array(rows, dtype=float).T
    for ours, theirs in zip(
        (found.value, found.slope, found.bend), expected, strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=2e-13, atol=2e-15)


@pytest.mark.parametrize("name", TAILS)
def test_tails_in_single_precision(name):
    tail, _ = TAILS[name]
    x = np.linspace(-20, 20, 81)
    exact, found = tail(x), tail(x.astype(np.float32))
    for part in ("value", "slope", "bend"):
        ours = getattr(found, part)
        assert ours.dtype == np.float32
        np.testing.assert_allclose(ours, getattr(exact, part), rtol=2e-5, atol=1e-5)


@pytest.mark.parametrize("name", BINARY)
def test_logits_of_inverts_the_outputs(name):
    f = ACTIVATIONS[name]
    p = np.array([1e-300, 1e-9, 0.1, 0.5, 0.9, 1 - 1e-9])
    np.testing.assert_allclose(f.value(f.logits_of(p)), p, rtol=1e-12)
    np.testing.assert_allclose(f.value(np.array([[f.link.median]])), 0.5, rtol=1e-15)


@pytest.mark.parametrize("name", BINARY)
def test_loss_and_gradient_are_those_of_one_function_where_the_loss_overflows(name):
    link = ACTIVATIONS[name].link
    for dtype in (np.float64, np.float32):
        x = np.linspace(20, 800, 400).astype(dtype)
        off = link.log_survival(x)
        for part in (off.value, off.slope, off.bend):
            assert np.isfinite(part).all()
        steps = np.diff(off.value.astype(float)) / np.diff(x.astype(float))
        slope = off.slope.astype(float)
        assert np.all(slope[1:] * (1 + 1e-3) <= steps)  # concave
        assert np.all(steps <= slope[:-1] * (1 - 1e-3))


LINKS = {"probit": stats.norm, "cloglog": stats.gumbel_l}


def newton(distribution, X, y):
    """Maximum likelihood and the inverse of the observed information."""
    A = np.column_stack([X, np.ones(len(X))])
    beta = np.zeros(A.shape[1])
    for _ in range(100):
        x = A @ beta
        p, q, f = (getattr(distribution, m)(x) for m in ("cdf", "sf", "pdf"))
        slope = -x if distribution is stats.norm else 1 - np.exp(x)
        score = np.where(y, f / p, -f / q)
        bend = np.where(y, f / p, -f / q) * slope - score**2
        information = -A.T @ (A * bend[:, np.newaxis])
        step = np.linalg.solve(information, A.T @ score)
        beta += step
        if np.abs(step).max() < 1e-12:
            break
    return beta, np.linalg.inv(information)


@pytest.mark.parametrize("name", BINARY)
def test_a_unit_without_hidden_ones_is_a_binomial_regression(name):
    clf = PairedMLPClassifier(
        name,
        "binary_cross_entropy",
        hidden_layer_sizes=(),
        alpha=0,
        solver="trust-ncg",
        tol=1e-9,
    ).fit(X, Y)
    beta, covariance = newton(LINKS[name], X, Y)
    table = standard_errors(clf, X, Y)
    np.testing.assert_allclose(table.estimates[:, 0], beta, rtol=1e-7)
    np.testing.assert_allclose(table.covariance, covariance, rtol=1e-6)
    np.testing.assert_allclose(
        clf.predict_proba(X)[:, 1],
        LINKS[name].cdf(clf.decision_function(X) + clf.pairing_.activation.link.median),
        rtol=1e-10,
    )


def cauchy_tail(x):
    return mpmath.atan2(1, -x) / mpmath.pi


# F, 1 - F, F' and (log F')'
EXACT = {
    "logit": (
        lambda x: 1 / (1 + mpmath.exp(-x)),
        lambda x: 1 / (1 + mpmath.exp(x)),
        lambda x: 1 / (mpmath.exp(-x) + 2 + mpmath.exp(x)),
        lambda x: -mpmath.tanh(x / 2),
    ),
    "probit": (mpmath.ncdf, lambda x: mpmath.ncdf(-x), mpmath.npdf, lambda x: -x),
    "cloglog": (
        lambda x: -mpmath.expm1(-mpmath.exp(x)),
        lambda x: mpmath.exp(-mpmath.exp(x)),
        lambda x: mpmath.exp(x - mpmath.exp(x)),
        lambda x: 1 - mpmath.exp(x),
    ),
    "loglog": (
        lambda x: mpmath.exp(-mpmath.exp(-x)),
        lambda x: -mpmath.expm1(-mpmath.exp(-x)),
        lambda x: mpmath.exp(-x - mpmath.exp(-x)),
        lambda x: mpmath.exp(-x) - 1,
    ),
    "cauchit": (
        cauchy_tail,
        lambda x: cauchy_tail(-x),
        lambda x: 1 / (mpmath.pi * (1 + x * x)),
        lambda x: -2 * x / (1 + x * x),
    ),
}


@pytest.mark.parametrize("link", ALL_LINKS)
def test_intervals_and_their_derivatives_are_exact(link):
    F, S, f, slope = EXACT[link]
    end = 50 if "loglog" in link else 790
    a = np.array([-end, -30, -7, -2.5, -0.3, 0, 0.4, 3, 8, 33, end])
    g = np.array([-500, -30, -8, -1, -0.1, 0.3, 0.9, 1.5, 3, 5])
    a, g = (values.ravel() for values in np.meshgrid(a, g))
    d = np.exp(g)
    found = np.array(ALL_LINKS[link].log_interval(a, g, d))
    expected = []
    with mpmath.workdps(900):
        for each_a, each_g in zip(a, g, strict=True):
            low, width = (
                mpmath.mpf(float(each_a)),
                mpmath.exp(mpmath.mpf(float(each_g))),
            )
            high = low + width
            y = F(high) - F(low) if low + high < 0 else S(low) - S(high)
            at_low, at_high = f(low) / y, f(high) / y
            by_a, by_g = at_high - at_low, width * at_high
            bend = slope(high) - by_a
            expected.append(
                [
                    mpmath.log(y),
                    by_a,
                    by_g,
                    at_high * bend - at_low * (slope(low) - by_a),
                    by_g * bend,
                    by_g * (1 + width * (slope(high) - at_high)),
                ]
            )
        expected = np.array(expected, dtype=float).T
    # the width itself has a rounding error of exp(g)
    np.testing.assert_allclose(found, expected, rtol=2e-12, atol=2e-12)
