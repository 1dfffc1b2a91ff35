import mpmath
import numpy as np
import pytest
from problems import INSTANCES, central_differences
from scipy.special import expit

from skce.losses._numerics import project_on_simplex
from skce.losses.activations import ACTIVATIONS
from skce.losses.hidden import HIDDEN_ACTIVATIONS


@pytest.fixture(params=[*ACTIVATIONS.values(), *INSTANCES], ids=lambda f: f.name)
def activation(request):
    return request.param


@pytest.fixture(params=HIDDEN_ACTIVATIONS.values(), ids=HIDDEN_ACTIVATIONS)
def hidden_activation(request):
    return request.param


def test_jacobian_products_are_exact(activation):
    rng = np.random.default_rng(0)
    z, u = rng.normal(size=(4, 1)), rng.normal(size=(4, 1))
    y = activation.value(z)
    transposed = central_differences(lambda z: activation.value(z)[:, 0], z)
    product = activation.jacobian_product(z, y, u)[:, 0]
    np.testing.assert_allclose(product, transposed @ u[:, 0], atol=1e-9)
    change = activation.direction(z, y, u)[:, 0]
    np.testing.assert_allclose(change, transposed.T @ u[:, 0], atol=1e-9)


def test_jacobian_derivative_is_that_of_the_product(activation):
    rng = np.random.default_rng(1)
    z, dz, u = rng.normal(size=(3, 4, 50))

    def product(z):
        return activation.jacobian_product(z, activation.value(z), u)

    h = 1e-5
    expected = (product(z + h * dz) - product(z - h * dz)) / (2 * h)
    change = activation.jacobian_derivative(z, activation.value(z), dz, u)
    np.testing.assert_allclose(change, expected, atol=1e-8)


def test_outputs_lie_in_the_range_and_on_the_simplex_as_declared(activation):
    z = np.random.default_rng(2).normal(scale=5, size=(4, 500))
    y = activation.value(z)
    assert activation.range.low <= y.min()
    assert y.max() <= activation.range.high
    sums_to_one = np.allclose(y.sum(axis=0), 1, atol=1e-12)
    assert activation.on_simplex == sums_to_one


@pytest.mark.parametrize("scale", [1, 30, 800])
def test_log_probabilities_are_the_logarithms_of_probabilities(activation, scale):
    z = np.random.default_rng(3).normal(size=(5, 300)) * scale
    p = activation.probabilities(z)
    np.testing.assert_allclose(p.sum(axis=0), 1, atol=1e-12)
    assert p.min() >= 0
    with np.errstate(divide="ignore"):
        expected = np.log(p)
    normal = p > 1e-300
    log_p = activation.log_probabilities(z)
    np.testing.assert_allclose(log_p[normal], expected[normal], rtol=1e-9, atol=1e-12)
    assert not np.isnan(log_p).any()


def test_probabilities_in_single_precision_are_accurate(activation):
    rng = np.random.default_rng(9)
    z = rng.uniform(-799, 799, 300) + rng.uniform(-1, 1, size=(5, 300))
    z = z.astype(np.float32)
    exact = activation.probabilities(z.astype(np.float64))
    p = activation.probabilities(z)
    assert p.dtype == np.float32
    np.testing.assert_allclose(p, exact, rtol=0, atol=1e-6)
    with np.errstate(divide="ignore"):
        p = np.exp(activation.log_probabilities(z))
    np.testing.assert_allclose(p, exact, rtol=0, atol=1e-6)


def test_marginals_of_elementwise_units_sum_to_one(activation):
    if not activation.elementwise:
        pytest.skip("not element-wise")
    z = np.random.default_rng(4).normal(size=(3, 200)) * 2
    off, on = activation.marginals(z)
    np.testing.assert_allclose(off + on, 1, atol=1e-15)
    np.testing.assert_array_equal(on > 0.5, activation.decision(z) > 0)
    log_off, log_on = activation.log_marginals(z)
    np.testing.assert_allclose(np.exp(log_on), on, rtol=1e-13)
    np.testing.assert_allclose(np.exp(log_off), off, rtol=1e-13)


def test_logistic_logarithm_is_exact_in_both_tails():
    log_off, log_on = ACTIVATIONS["logistic"].log_marginals(np.array([[-800.0, 800.0]]))
    np.testing.assert_array_equal(log_on, [[-800, 0]])
    np.testing.assert_array_equal(log_off, [[0, -800]])


def test_projection_is_the_nearest_point_of_the_simplex():
    rng = np.random.default_rng(5)
    z = rng.normal(size=(4, 200)) * 2
    y = project_on_simplex(z)
    np.testing.assert_allclose(y.sum(axis=0), 1, atol=1e-14)
    others = rng.dirichlet(np.full(4, 0.3), size=(500, 200)).transpose(0, 2, 1)
    distances = ((others - z) ** 2).sum(axis=1)
    assert (((y - z) ** 2).sum(axis=0) <= distances.min(axis=0) + 1e-12).all()
    # the condition of optimality: (z - y) . (v - y) <= 0 at every vertex v
    assert (np.eye(4) @ (z - y) - ((z - y) * y).sum(axis=0)).max() < 1e-12


def test_projection_brings_outputs_nearer_to_any_posterior():
    rng = np.random.default_rng(6)
    posterior = rng.dirichlet(np.ones(4), 1000).T
    outputs = posterior + rng.normal(scale=0.3, size=posterior.shape)
    projected = project_on_simplex(outputs)
    before = ((outputs - posterior) ** 2).sum(axis=0)
    assert (((projected - posterior) ** 2).sum(axis=0) <= before + 1e-15).all()


def kept(hidden_activation, a):
    """What a layer keeps for the derivatives: the input or the output."""
    y = a.copy()
    hidden_activation.apply(y)
    return a.copy() if hidden_activation.of_input else y


def test_hidden_derivatives_against_central_differences(hidden_activation):
    f, h = hidden_activation, 1e-5
    a = np.random.default_rng(7).normal(size=(3, 100))
    above, below = a + h, a - h
    slope, change = f.derivative(kept(f, a)), above.copy()
    f.apply(change)
    y_below = below.copy()
    f.apply(y_below)
    change -= y_below
    np.testing.assert_allclose(slope, change / (2 * h), atol=1e-9)
    bend = f.derivative(kept(f, above)) - f.derivative(kept(f, below))
    np.testing.assert_allclose(
        f.second_derivative(kept(f, a)), bend / (2 * h), atol=1e-8
    )
    d = np.random.default_rng(8).normal(size=a.shape)
    expected = d * slope
    f.multiply_slope(kept(f, a), d)
    np.testing.assert_allclose(d, expected, rtol=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_hidden_activations_are_finite_at_large_inputs(hidden_activation, dtype):
    size = np.finfo(dtype).max / 2
    a = np.array([-size, -1e10, -800, -40, 40, 800, 1e10, size], dtype=dtype)
    y = a.copy()
    with np.errstate(all="ignore"):
        hidden_activation.apply(y)
        derivatives = [
            hidden_activation.derivative(kept(hidden_activation, a)),
            hidden_activation.second_derivative(kept(hidden_activation, a)),
        ]
    for values in (y, *derivatives):
        assert values.dtype == dtype
        assert np.isfinite(values).all()


SMOOTH_RELUS = {
    "softplus": lambda a: mpmath.log1p(mpmath.exp(a)),
    "silu": lambda a: a / (1 + mpmath.exp(-a)),
    "gelu": lambda a: a * mpmath.ncdf(a),
}


@pytest.mark.parametrize("name", SMOOTH_RELUS)
def test_smooth_relus_against_many_digits(name):
    f, value = HIDDEN_ACTIVATIONS[name], SMOOTH_RELUS[name]
    a = np.concatenate([np.linspace(-30, 30, 61), [-800, 800]])
    y = a.copy()
    f.apply(y)
    with mpmath.workdps(900):
        points = [mpmath.mpf(float(each)) for each in a]
        exact = [[mpmath.diff(value, x, n) for x in points] for n in (0, 1, 2)]
        exact = np.array(exact, dtype=float)
    found = [y, f.derivative(kept(f, a)), f.second_derivative(kept(f, a))]
    for one, other in zip(found, exact, strict=True):
        np.testing.assert_allclose(one, other, rtol=4e-15, atol=4e-15)


def test_hidden_saturates_tells_whether_the_slope_vanishes(hidden_activation):
    a = np.array([[-50.0, 50.0]])
    slope = hidden_activation.derivative(kept(hidden_activation, a))
    assert hidden_activation.saturates == (np.abs(slope).max() < 1e-6)


def test_hidden_logistic_is_the_logistic_function():
    a = np.linspace(-40, 40, 1001)
    expected = expit(a)
    HIDDEN_ACTIVATIONS["logistic"].apply(a)
    np.testing.assert_allclose(a, expected, rtol=0, atol=2.3e-16)
