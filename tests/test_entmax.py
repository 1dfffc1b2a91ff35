"""Entmax for any alpha against its definition with many digits, and its two ends."""

import mpmath
import numpy as np
import pytest
from problems import random_targets

from skce.losses.activations import (
    ACTIVATIONS,
    Entmax,
    Softmax,
    Sparsemax,
    get_activation,
)
from skce.losses.pairings import legal_penalties, pair

ALPHAS = [1.001, 1.1, 1.2, 1.5, 1.8, 2]


def exact_outputs(alpha, z):
    """y by bisection in the threshold, for z of mpmath."""
    b = mpmath.mpf(alpha) - 1
    x = [b * value for value in z]
    low, high = max(x) - 1, max(x)

    def outputs(tau):
        return [(v - tau) ** (1 / b) if v > tau else mpmath.mpf(0) for v in x]

    while high - low > mpmath.mpf(10) ** (8 - mpmath.mp.dps):
        middle = (low + high) / 2
        if mpmath.fsum(outputs(middle)) < 1:
            high = middle
        else:
            low = middle
    return outputs(low)


def exact_loss(alpha, z, t, y):
    """m (negentropy(t / m) - negentropy(y) + y.z) - t.z, m the sum of t."""
    m = mpmath.fsum(t)
    if m == 0:
        return mpmath.mpf(0)
    a = mpmath.mpf(alpha)
    entropies = mpmath.fsum((v / m) ** a - w**a for v, w in zip(t, y, strict=True))
    conjugate = entropies / (a * (a - 1)) + mpmath.fdot(y, z)
    return m * conjugate - mpmath.fdot(t, z)


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("scale", [0.01, 1, 40, 800])
@pytest.mark.parametrize("q", [2, 5])
def test_outputs_loss_and_delta_are_exact(alpha, scale, q):
    rng = np.random.default_rng(0)
    z = np.hstack(
        [
            rng.uniform(-scale, scale, size=(q, 6)),
            rng.uniform(-scale, scale, size=6) + rng.normal(size=(q, 6)),
            rng.choice([-scale, 0, scale], size=(q, 6)),
        ]
    )
    t = np.hstack([random_targets(rng, (q, 6), "one-of-q") for _ in range(3)])
    t[:, ::3] = random_targets(rng, (q, 6), "fractions")
    t[:, 1::3] *= 2
    y, pairing = Entmax(alpha).value(z), pair(Entmax(alpha), "natural")
    loss, delta = pairing.loss_and_delta(z, t)
    with mpmath.workdps(40):
        rows = [
            [[*map(mpmath.mpf, v)] for v in (a, b)]
            for a, b in zip(z.T, t.T, strict=True)
        ]
        exact = [exact_outputs(alpha, of_z) for of_z, _ in rows]
        losses = [
            exact_loss(alpha, *row, y) for row, y in zip(rows, exact, strict=True)
        ]
        exact = np.array(exact, dtype=float).T
        losses = np.array(losses, dtype=float)
    np.testing.assert_allclose(y, exact, rtol=1e-13, atol=2e-15)
    np.testing.assert_array_equal(y == 0, exact == 0)
    np.testing.assert_allclose(loss, losses, rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(delta, t.sum(axis=0) * exact - t, atol=1e-14)


@pytest.mark.parametrize("alpha", ALPHAS)
def test_jacobian_and_its_derivative_are_those_of_the_definition(alpha):
    rng = np.random.default_rng(1)
    z, dz, u = rng.normal(size=(3, 4, 8))
    entmax = Entmax(alpha)
    y = entmax.value(z)
    product = entmax.jacobian_product(z, y, dz)
    change = entmax.jacobian_derivative(z, y, dz, u)
    with mpmath.workdps(60):
        # differences of 60 digits leave 18 of the second derivative
        h = mpmath.mpf(10) ** -15
        for n in range(z.shape[1]):
            of_z, of_dz, of_u = ([*map(mpmath.mpf, v[:, n])] for v in (z, dz, u))

            def along(i, j, of_z=of_z, of_dz=of_dz, of_u=of_u):
                moved = zip(of_z, of_dz, of_u, strict=True)
                return exact_outputs(
                    alpha, [a + h * (i * b + j * c) for a, b, c in moved]
                )

            slopes = zip(along(1, 0), along(-1, 0), strict=True)
            slope = np.array([(a - b) / (2 * h) for a, b in slopes], dtype=float)
            np.testing.assert_allclose(product[:, n], slope, rtol=1e-12, atol=1e-14)
            corners = zip(
                along(1, 1), along(1, -1), along(-1, 1), along(-1, -1), strict=True
            )
            bends = [(a - b - c + d) / (4 * h * h) for a, b, c, d in corners]
            bend = np.array(bends, dtype=float)
            np.testing.assert_allclose(change[:, n], bend, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("alpha", ALPHAS)
def test_everything_is_0_outside_the_support(alpha):
    rng = np.random.default_rng(2)
    z, dz, u = rng.normal(size=(3, 6, 200)) * 5
    z[0] = -800
    entmax = Entmax(alpha)
    y = entmax.value(z)
    off = y == 0
    assert off[0].all() or alpha < 1.01
    for product in (
        entmax.jacobian_product(z, y, u),
        entmax.jacobian_derivative(z, y, dz, u),
    ):
        assert np.isfinite(product).all()
        assert (product[off] == 0).all()
        np.testing.assert_allclose(product.sum(axis=0), 0, atol=1e-11)


def test_alpha_2_is_sparsemax_and_alpha_1_would_be_softmax():
    rng = np.random.default_rng(3)
    z, dz, u = rng.normal(size=(3, 5, 100)) * 3
    t = rng.dirichlet(np.ones(5), 100).T
    for ours, theirs, atol in (
        (Entmax(2), Sparsemax(), 1e-14),
        (Entmax(1 + 1e-9), Softmax(), 1e-7),
    ):
        y = ours.value(z)
        np.testing.assert_allclose(y, theirs.value(z), atol=atol)
        for name, arguments in (
            ("jacobian_product", (u,)),
            ("jacobian_derivative", (dz, u)),
            ("natural_loss", (t,)),
        ):
            np.testing.assert_allclose(
                getattr(ours, name)(z, y, *arguments),
                getattr(theirs, name)(z, y, *arguments),
                atol=10 * atol,
            )


@pytest.mark.parametrize("alpha", ALPHAS)
def test_the_loss_is_0_at_its_minimum_and_positive_elsewhere(alpha):
    rng = np.random.default_rng(4)
    p = rng.dirichlet(np.full(4, 0.5), 200).T
    entmax = Entmax(alpha)
    z = entmax.logits_of(p)
    y = entmax.value(z)
    np.testing.assert_allclose(y, p, atol=1e-14)
    assert np.abs(entmax.natural_loss(z, y, 3 * p)).max() < 1e-14
    moved = z + rng.normal(scale=1e-3, size=z.shape)
    assert entmax.natural_loss(moved, entmax.value(moved), p).min() > 0
    assert (entmax.natural_loss(z, y, 0 * p) == 0).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("q", [2, 30, 1000])
def test_the_sum_is_1_whatever_the_spacing_of_the_logits(alpha, q, dtype):
    rng = np.random.default_rng(5)
    evenly = np.linspace(0, 1, q)[:, np.newaxis]
    scales = np.geomspace(1e-3, 800, 20)
    rows = [
        rng.normal(size=(q, 20)) * scales,
        -np.exp(rng.uniform(-12, 3, (q, 20))),
        -evenly * scales,
        -(evenly**3) * scales,
        np.zeros((q, 1)),
        rng.normal(size=(q, 5)) + 800,
        np.where(evenly < 0.5, -np.inf, evenly * scales),
    ]
    z = np.hstack(rows).astype(dtype)
    y = Entmax(alpha).value(z)
    atol = (10 + q / 4) * np.finfo(dtype).eps
    np.testing.assert_allclose(y.sum(axis=0), 1, rtol=0, atol=atol)
    alone = [Entmax(alpha).value(z[:, [n]]) for n in range(0, z.shape[1], 10)]
    np.testing.assert_allclose(
        np.hstack(alone), y[:, ::10], rtol=0, atol=50 * np.finfo(dtype).eps
    )


@pytest.mark.parametrize("alpha", [1, 0.5, 2.1, np.nan, "1.5", None])
def test_an_invalid_alpha_is_refused(alpha):
    with pytest.raises(ValueError, match=r"in \(1, 2\].*'softmax'.*'sparsemax'"):
        Entmax(alpha)


class Steeper(Entmax):
    """Entmax of 2 z."""

    def value(self, z):
        return super().value(2 * z)


def test_the_name_tells_alpha_unless_it_is_that_of_the_registry():
    assert get_activation("entmax") is ACTIVATIONS["entmax"]
    assert repr(get_activation("entmax")) == "Entmax(alpha=1.5)"
    assert Entmax(1.7).name == "entmax(alpha=1.7)"
    assert Entmax(1.7).set_params(alpha=1.5).name == "entmax"
    assert Steeper().name == "steeper(alpha=1.5)"
    assert str(pair(Entmax(1.7), "natural")) == "entmax(alpha=1.7) x natural"
    assert legal_penalties(Entmax(1.7)) == ["natural", "least_squares"]
