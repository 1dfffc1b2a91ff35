"""The paper's table 1, printed and derived, against central differences."""

import numpy as np
import pytest
from problems import random_targets

from skce.pairings import pair

# As printed by Dunne & Campbell, with y for their z*
PRINTED = {
    ("logistic", "least_squares"): lambda t, y: (y - t) * (y - y**2),
    ("logistic", "cross_entropy"): lambda t, y: y - t,
    ("softmax", "least_squares"): lambda t, y: (
        y**2 - t * y - y * (t * y - y**2).sum(axis=0)
    ),
    ("softmax", "cross_entropy"): lambda t, y: y - t,
}
# Derived: erratum 1 has the factor t_k of the paper's own derivation, erratum 2 a plus
DERIVED = PRINTED | {
    ("logistic", "cross_entropy"): lambda t, y: t * (y - 1),
    ("softmax", "least_squares"): lambda t, y: (
        y**2 - t * y + y * (t * y - y**2).sum(axis=0)
    ),
}
ERRATA = {("logistic", "cross_entropy"), ("softmax", "least_squares")}


def case(names):
    """Targets, outputs and d loss / d z by central differences, 4 classes."""
    rng = np.random.default_rng(0)
    z, h = rng.normal(size=(4, 20)), 1e-5
    t, pairing = random_targets(rng, z.shape, "one-of-q"), pair(*names)
    differences = np.empty_like(z)
    for k in range(4):
        shift = np.zeros_like(z)
        shift[k] = h
        above, below = (pairing.loss_and_delta(z + s, t)[0] for s in (shift, -shift))
        differences[k] = (above - below) / (2 * h)
    return z, t, pairing.activation.value(z), differences


@pytest.mark.parametrize("names", PRINTED, ids=" x ".join)
def test_derived_table_1_passes_the_difference_test(names):
    z, t, y, differences = case(names)
    np.testing.assert_allclose(DERIVED[names](t, y), differences, atol=1e-8)
    ours = pair(*names).loss_and_delta(z, t)[1]
    np.testing.assert_allclose(ours, DERIVED[names](t, y), atol=1e-15)


@pytest.mark.parametrize("names", PRINTED, ids=" x ".join)
def test_printed_table_1_fails_it_in_the_two_errata_and_only_there(names):
    _, t, y, differences = case(names)
    worst = np.abs(PRINTED[names](t, y) - differences).max()
    assert worst > 0.1 if names in ERRATA else worst < 1e-8


def test_printed_logistic_x_cross_entropy_is_that_of_binary_cross_entropy():
    z, t, y, _ = case(("logistic", "cross_entropy"))
    binary = pair("logistic", "binary_cross_entropy").loss_and_delta(z, t)[1]
    np.testing.assert_allclose(
        binary, PRINTED["logistic", "cross_entropy"](t, y), atol=1e-15
    )
