import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import xlogy

from skce.losses._numerics import negentropy
from skce.losses.penalties import PENALTIES, Penalty


@pytest.fixture(params=PENALTIES.values(), ids=PENALTIES)
def penalty(request):
    return request.param


def outputs_inside(penalty, rng, n=200):
    low, high = max(penalty.domain.low, -2), min(penalty.domain.high, 2)
    return rng.uniform(low + 0.1, high - 0.1, n)


def test_derivatives_are_those_of_the_value(penalty):
    rng = np.random.default_rng(0)
    y, t, h = outputs_inside(penalty, rng), rng.uniform(0, 1, 200), 1e-5
    slope = (penalty.value(t, y + h) - penalty.value(t, y - h)) / (2 * h)
    bend = (penalty.derivative(t, y + h) - penalty.derivative(t, y - h)) / (2 * h)
    np.testing.assert_allclose(penalty.derivative(t, y), slope, rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(
        penalty.second_derivative(t, y), bend, rtol=1e-7, atol=1e-8
    )


def test_value_is_zero_at_the_target_and_finite_for_targets_0_and_1(penalty):
    t = np.array([0.2, 0.5, 0.9])
    np.testing.assert_allclose(penalty.value(t, t), 0, atol=1e-15)
    y = np.array([0.3, 0.3])
    assert np.isfinite(penalty.value(np.array([0.0, 1.0]), y)).all()


def test_needs_simplex_tells_whether_the_minimum_is_at_the_target(penalty):
    y = np.linspace(0.01, 0.99, 99)
    at = y[np.argmin(penalty.value(np.full_like(y, 0.3), y))]
    assert penalty.needs_simplex == (abs(at - 0.3) > 0.02)


def test_cross_entropy_surface_has_the_minimum_of_figure_1():
    rho = PENALTIES["cross_entropy"]
    found = minimize(
        lambda p: rho.value(p[0], p[1]),
        x0=[0.5, 0.5],
        bounds=[(0, 1), (1e-3, 1)],
        tol=1e-14,
    )
    np.testing.assert_allclose(found.x, [np.exp(-1), 1], atol=1e-6)
    assert found.fun == pytest.approx(-np.exp(-1), abs=1e-12)


@pytest.mark.parametrize(
    "t", [np.eye(3), np.array([[0.2, 1.0], [0.0, 2.5]]), np.zeros((2, 2))]
)
def test_negentropy(t):
    expected = xlogy(t, t).sum(axis=0)
    np.testing.assert_array_equal(negentropy(t) + np.zeros(t.shape[1]), expected)


def test_unfinished_penalty_says_what_it_must_define():
    class Half(Penalty):
        pass

    for method in ("value", "derivative", "second_derivative"):
        with pytest.raises(NotImplementedError, match=f"Half must define {method}"):
            getattr(Half(), method)(1.0, 0.5)
