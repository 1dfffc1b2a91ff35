"""PartialLabels: rows of which several classes are possible."""

import mpmath
import numpy as np
import pytest
from problems import central_differences
from sklearn.datasets import load_iris
from sklearn.preprocessing import scale

from skce import PairedMLPClassifier, pairing_status
from skce.losses.pairings import pair
from skce.losses.penalties import LogitAdjusted, PartialLabels

X, y = load_iris(return_X_y=True)
X = scale(X)
PAIRING = pair("softmax", PartialLabels())


def some_targets(rng, q, n):
    """Between one and all classes are possible, with the same target each."""
    possible = rng.random((q, n)) < 0.4
    possible[rng.integers(0, q, n), np.arange(n)] = True
    return possible / possible.sum(axis=0)


@pytest.mark.parametrize("size", [1, 30, 800])
def test_loss_and_gradient_against_many_digits(size):
    rng = np.random.default_rng(0)
    z, t = size * rng.uniform(-1, 1, size=(5, 20)), some_targets(rng, 5, 20)
    loss, delta = PAIRING.loss_and_delta(z, t)
    with mpmath.workdps(900):
        for n in range(z.shape[1]):
            e = [mpmath.exp(mpmath.mpf(float(each))) for each in z[:, n]]
            within = [
                each if known else 0 for each, known in zip(e, t[:, n] > 0, strict=True)
            ]
            total, of_s = mpmath.fsum(e), mpmath.fsum(within)
            exact = float(mpmath.log(total / of_s))
            assert loss[n] == pytest.approx(exact, rel=1e-13, abs=1e-14)
            slopes = [
                float(a / total - b / of_s) for a, b in zip(e, within, strict=True)
            ]
            np.testing.assert_allclose(delta[:, n], slopes, rtol=1e-12, atol=1e-15)


def test_derivatives_against_central_differences():
    rng = np.random.default_rng(1)
    z, t = rng.normal(size=(4, 1)), some_targets(rng, 4, 1)
    t[:, 0] = [0.5, 0.5, 0, 0]
    slope = central_differences(lambda z: PAIRING.loss_and_delta(z, t)[0][0], z)
    np.testing.assert_allclose(PAIRING.loss_and_delta(z, t)[1][:, 0], slope, atol=1e-9)
    hessian = central_differences(lambda z: PAIRING.loss_and_delta(z, t)[1][:, 0], z)
    dz = rng.normal(size=(4, 1))
    product = PAIRING.delta_derivative(z, t, dz)[:, 0]
    np.testing.assert_allclose(product, hessian.T @ dz[:, 0], atol=1e-8)


def test_a_single_possible_class_is_cross_entropy():
    rng = np.random.default_rng(2)
    z, t = rng.normal(size=(4, 30)), np.eye(4)[rng.integers(0, 4, 30)].T
    found, expected = (
        one.loss_and_delta(z, t) for one in (PAIRING, pair("softmax", "cross_entropy"))
    )
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-13)
    np.testing.assert_allclose(found[1], expected[1], atol=1e-15)


def test_a_row_of_which_all_classes_are_possible_says_nothing():
    z = np.array([[1.0], [800.0], [-3.0]])
    loss, delta = PAIRING.loss_and_delta(z, np.full((3, 1), 1 / 3))
    np.testing.assert_array_equal(loss, 0)
    np.testing.assert_allclose(delta, 0, atol=1e-16)
    loss, delta = PAIRING.loss_and_delta(z, np.zeros((3, 1)))  # a row without mass
    np.testing.assert_array_equal(loss, 0)
    np.testing.assert_array_equal(delta, 0)


def test_rows_with_two_possible_classes_help_to_find_the_third():
    """Where only ten rows have one possible class, those with two are worth having."""
    known = np.r_[0:3, 50:53, 100:103]
    possible = np.eye(3)[y]
    rng = np.random.default_rng(0)
    wrong = (y + rng.integers(1, 3, len(y))) % 3
    ambiguous = np.setdiff1d(np.arange(len(y)), known)
    possible[ambiguous, wrong[ambiguous]] = 1
    targets = possible / possible.sum(axis=1, keepdims=True)
    options = {"hidden_layer_sizes": 5, "random_state": 0}
    few = PairedMLPClassifier(**options).fit(X[known], y[known])
    all_rows = PairedMLPClassifier("softmax", PartialLabels(), **options)
    all_rows.fit_targets(X, targets)
    assert all_rows.score(X, y) > few.score(X, y)
    assert all_rows.score(X, y) > 0.94


def test_which_activations_it_goes_with():
    assert pairing_status("softmax", PartialLabels()) == "workable"
    assert pairing_status("logistic", PartialLabels()) == "workable"
    assert pairing_status("sparsemax", PartialLabels()) == "undefined"


@pytest.mark.parametrize("penalty", [PartialLabels(), LogitAdjusted()])
@pytest.mark.parametrize("activation", ["logistic", "probit", "softmax"])
def test_several_outputs_need_not_sum_to_1_but_one_is_not_enough(activation, penalty):
    clf = PairedMLPClassifier(activation, penalty, hidden_layer_sizes=5, random_state=0)
    assert clf.fit(X, y).score(X, y) > 0.95
    if activation == "softmax":
        assert clf.fit(X, y == 1).score(X, y == 1) > 0.95
        return
    with pytest.raises(ValueError, match=r"a single output.*activation='softmax'"):
        clf.fit(X, y == 1)


def test_smoothed_labels_are_refused():
    clf = PairedMLPClassifier("softmax", PartialLabels(), label_smoothing=0.1)
    with pytest.raises(ValueError, match="makes every class of a row possible"):
        clf.fit(X, y)


def test_outputs_that_do_not_sum_to_1_are_divided_by_their_sum():
    t, y_ = np.array([[1.0], [0.0], [0.0]]), np.array([[0.9], [0.5], [0.1]])
    assert PartialLabels().value(t, y_).sum() == pytest.approx(np.log(1.5 / 0.9))
    slope = central_differences(lambda y: PartialLabels().value(t, y).sum(), y_)
    np.testing.assert_allclose(
        PartialLabels().derivative(t, y_)[:, 0], slope, atol=1e-9
    )
