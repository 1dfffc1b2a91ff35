"""Penalties of the log-odds: exactness, derivatives, subclasses."""

import numpy as np
import pytest
from scipy.special import logsumexp

from skce.losses.activations import ACTIVATIONS, Softmax
from skce.losses.pairings import ComposedPairing, LogOddsPairing, pair
from skce.losses.penalties import Asymmetric, BinaryCrossEntropy, LogOddsPenalty

BY_LOG_ODDS = [name for name, f in ACTIVATIONS.items() if f.log_odds is not None]


def test_an_incomplete_penalty_names_the_missing_method():
    class Half(LogOddsPenalty):
        pass

    for method in ("value", "derivative", "second_derivative"):
        method = f"log_odds_{method}"
        with pytest.raises(NotImplementedError, match=f"Half must define {method}"):
            getattr(Half(), method)(1.0, -0.5)


TRANSFORMS = [
    (name, kind)
    for kind in ("log_outputs", "log_odds")
    for name, f in ACTIVATIONS.items()
    if getattr(f, kind) is not None
]


@pytest.mark.parametrize(("activation", "kind"), TRANSFORMS)
def test_transforms_are_those_of_the_outputs(activation, kind):
    f, rng = ACTIVATIONS[activation], np.random.default_rng(0)
    z = np.concatenate([rng.normal(size=(4, 50)), np.zeros((4, 1))], axis=1)
    y = f.value(z)
    expected = np.log(y) if kind == "log_outputs" else np.log(y / (1 - y))
    np.testing.assert_allclose(
        getattr(f, kind)(z).value, expected, rtol=1e-13, atol=1e-13
    )


@pytest.mark.parametrize(("activation", "kind"), TRANSFORMS)
def test_derivatives_of_transforms_are_those_of_their_value(activation, kind):
    transform, rng = getattr(ACTIVATIONS[activation], kind), np.random.default_rng(0)
    h = 1e-5
    z, dz, v = 2 * rng.normal(size=(3, 4, 50))
    above, below, x = transform(z + h * dz), transform(z - h * dz), transform(z)
    dx = (above.value - below.value) / (2 * h)
    np.testing.assert_allclose(x.direction(dz), dx, atol=1e-7)
    # D' v is the gradient of v.x, so that its product with dz is v.dx
    np.testing.assert_allclose(
        (x.product(v) * dz).sum(axis=0), (v * dx).sum(axis=0), atol=1e-7
    )
    turned = (above.product(v) - below.product(v)) / (2 * h)
    np.testing.assert_allclose(x.product_derivative(dz, v), turned, atol=1e-7)


def test_the_log_odds_of_softmax_are_exact_where_one_class_wins():
    z = np.array([[800.0, 0, -800], [40, 40, 0], [-1, 50, 50.5], [1e-9, 0, 0]]).T
    expected = z.copy()
    for k in range(3):
        expected[k] -= logsumexp(np.delete(z, k, axis=0), axis=0)
    found = Softmax().log_odds(z).value
    np.testing.assert_allclose(found, expected, rtol=1e-14, atol=1e-14)


class DoubledInY(BinaryCrossEntropy):
    def value(self, t, y):
        return 2 * super().value(t, y)

    def derivative(self, t, y):
        return 2 * super().derivative(t, y)


class DoubledInLogOdds(BinaryCrossEntropy):
    def log_odds_value(self, t, log_odds):
        return 2 * super().log_odds_value(t, log_odds)

    def log_odds_derivative(self, t, log_odds):
        return 2 * super().log_odds_derivative(t, log_odds)


@pytest.mark.parametrize(
    ("penalty", "kind"),
    [(DoubledInY(), ComposedPairing), (DoubledInLogOdds(), LogOddsPairing)],
)
@pytest.mark.parametrize("activation", BY_LOG_ODDS)
def test_a_subclass_that_changes_a_formula_is_composed(activation, penalty, kind):
    doubled = pair(activation, penalty)
    assert (type(doubled), doubled.status) == (kind, "workable")
    z, t = np.random.default_rng(9).normal(size=(3, 4)), np.eye(3, 4)
    for ours, own in zip(
        doubled.loss_and_delta(z, t),
        pair(activation, "binary_cross_entropy").loss_and_delta(z, t),
        strict=True,
    ):
        np.testing.assert_allclose(ours, 2 * own, atol=1e-14)


def test_values_at_certain_outputs_are_finite_where_the_penalty_is():
    t, y = np.array([1.0, 0.0]), np.array([1.0, 0.0])
    np.testing.assert_array_equal(Asymmetric(0, 0, 0).value(t, y), 0)
    np.testing.assert_array_equal(Asymmetric().value(t, y), 0)
