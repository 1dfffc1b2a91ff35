"""The paper's table 1, as printed and as derived, against central differences."""

import numpy as np
import pytest
from problems import random_targets

from skce.losses.pairings import pair
from skce.paper._errata import table_1
from skce.paper._published import DERIVED_DELTA, LOGISTIC_CE, PRINTED_DELTA, SOFTMAX_LS

ERRATA = {LOGISTIC_CE, SOFTMAX_LS}


def case(name):
    rng = np.random.default_rng(1)
    z, pairing = rng.normal(size=(4, 20)), pair(*name.split(" x "))
    t = random_targets(rng, z.shape, "one-of-q")
    return t, pairing.activation.value(z), pairing.loss_and_delta(z, t)[1]


@pytest.mark.parametrize("seed", range(5))
def test_derived_table_1_agrees_with_central_differences(seed):
    table = table_1(seed)
    assert (table["derived_error"] < 1e-8).all()
    assert (table["package_error"] < 1e-8).all()


@pytest.mark.parametrize("seed", range(5))
def test_printed_table_1_agrees_except_for_the_two_errata(seed):
    table = table_1(seed)
    assert set(table.index[table["erratum"]]) == ERRATA
    for name, error in table["printed_error"].items():
        assert error > 0.1 if name in ERRATA else error < 1e-8


@pytest.mark.parametrize("name", DERIVED_DELTA)
def test_delta_of_the_package_is_the_derived_formula(name):
    t, y, delta = case(name)
    np.testing.assert_allclose(delta, DERIVED_DELTA[name][1](t, y), atol=1e-15)


def test_printed_logistic_x_cross_entropy_belongs_to_binary_cross_entropy():
    t, y, delta = case("logistic x binary_cross_entropy")
    np.testing.assert_allclose(delta, PRINTED_DELTA[LOGISTIC_CE][1](t, y), atol=1e-15)
