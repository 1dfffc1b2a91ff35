"""What theory says of a pair: known answers, and wrong declarations that are caught."""

import pickle
import time

import numpy as np
import pytest
from problems import (
    BUILT_IN,
    NAMES,
    ORDINAL,
    PAIRINGS,
    WITH_PARAMETERS,
    Exponential,
    label,
)

from skce import PairingPropertiesDisplay, pairing_properties, pairing_status
from skce.losses._findings import computed
from skce.losses._risk import ConditionalRisk
from skce.losses.activations import ElementwiseActivation, Identity, Softmax
from skce.losses.intervals import REAL_LINE, Interval
from skce.losses.pairings import pair
from skce.losses.penalties import (
    Asymmetric,
    CrammerSingerHinge,
    Focal,
    GeneralizedCrossEntropy,
    LeastSquares,
    LogitAdjusted,
    LogPenalty,
    PartialLabels,
    Penalty,
    SymmetricCrossEntropy,
)
from skce.losses.properties import TITLES

FREQUENCIES = (0.6, 0.3, 0.1)
P = np.array([[0.5, 0.3, 0.2], [0.42, 0.33, 0.25], [0.8, 0.15, 0.05]])


class Hinge(Penalty):
    """max(0, 1 + max_{j != k} y_j - y_k) for the label k, with its kinks."""

    domain = REAL_LINE
    elementwise = False

    def _slack(self, y):
        others = np.array([np.delete(y, k, axis=0).max(axis=0) for k in range(len(y))])
        return 1 + others - y

    def value(self, t, y):
        return t * np.maximum(self._slack(y), 0)

    def derivative(self, t, y):
        slope = np.zeros_like(y)
        for k, slack in enumerate(self._slack(y)):
            others = y.copy()
            others[k] = -np.inf
            on = t[k] * (slack > 0)
            slope[k] -= on
            slope[others.argmax(axis=0), np.arange(y.shape[1])] += on
        return slope


class Cubic(Penalty):
    """|t - y|^3: P (1 - y)^2 = (1 - P) y^2 where its expectation is smallest."""

    domain = REAL_LINE

    def value(self, t, y):
        return np.abs(t - y) ** 3 / 3

    def derivative(self, t, y):
        return np.sign(y - t) * (y - t) ** 2


class Exponential1(Penalty):
    """exp(-y) for labels that are on, exp(y) for others: y = log(P / (1 - P)) / 2."""

    domain = REAL_LINE

    def value(self, t, y):
        return np.exp((1 - 2 * t) * y)

    def derivative(self, t, y):
        return (1 - 2 * t) * np.exp((1 - 2 * t) * y)


class Tsallis(Penalty):
    """y^3 / 3 - t y^2 / 2, of derivative y (y - t): proper on (0, 1)."""

    domain = REAL_LINE

    def value(self, t, y):
        return y**3 / 3 - t * y**2 / 2

    def derivative(self, t, y):
        return y * (y - t)


class Reward(Penalty):
    """-t y: only ever rewards a larger y."""

    domain = REAL_LINE

    def value(self, t, y):
        return -t * y

    def derivative(self, t, y):
        return -t


class Step(Penalty):
    """1 where y is on the wrong side of 1/2."""

    domain = REAL_LINE

    def value(self, t, y):
        return (np.abs(t - y) > 0.5).astype(y.dtype)

    def derivative(self, t, y):
        return 0 * y


class Constant(Penalty):
    domain = REAL_LINE

    def value(self, t, y):
        return 0 * y + t

    def derivative(self, t, y):
        return 0 * y


def answers(properties):
    """The answers of a pair as a word: y, n or - for each, in the order of `TITLES`."""
    signs = {True: "y", False: "n", None: "-"}
    return "".join(signs[f.value] for f in properties.findings.values())


# proper, strictly, calibrated; convex, bounded, flat where wrong, small probabilities
KNOWN = {
    ("identity", "least_squares"): "yyyynnn",
    ("logistic", "binary_cross_entropy"): "yyyynny",
    ("logistic", "least_squares"): "yyynyyn",
    ("logistic", "cross_entropy"): "nnnynyn",
    ("probit", "binary_cross_entropy"): "yyyynny",
    ("probit", "least_squares"): "yyynyyn",
    ("probit", "cross_entropy"): "nnnynyn",
    ("cloglog", "binary_cross_entropy"): "yyyynny",
    ("cloglog", "least_squares"): "yyynyyn",
    ("cloglog", "cross_entropy"): "nnnynyn",
    ("ordinal", "cross_entropy"): "yyyynny",
    ("ordinal", "least_squares"): "yyynyyn",
    ("ordinal", "binary_cross_entropy"): "yyynnny",
    ("softmax", "cross_entropy"): "yyyynny",
    ("softmax", "least_squares"): "yyynyyn",
    ("softmax", "binary_cross_entropy"): "yyynnny",
    ("entmax", "natural"): "yyyynnn",
    ("entmax", "least_squares"): "yyynyyn",
    ("sparsemax", "natural"): "yyyynnn",
    ("sparsemax", "least_squares"): "yyynyyn",
    ("softmax", Focal(2)): "nnynnny",
    ("softmax", Focal(0)): "yyyynny",
    ("softmax", GeneralizedCrossEntropy(0.7)): "nnynyyn",
    ("softmax", GeneralizedCrossEntropy(1)): "nnynyyn",  # mean absolute error
    ("softmax", SymmetricCrossEntropy()): "nnynnny",
    ("softmax", SymmetricCrossEntropy(a=0)): "nnynyyn",
    ("softmax", PartialLabels()): "yyyynny",
    ("softmax", LogitAdjusted(1, FREQUENCIES)): "nnnynny",
    ("softmax", LogitAdjusted(0, FREQUENCIES)): "yyyynny",
    ("identity", CrammerSingerHinge()): "nnyynny",
    ("logistic", Asymmetric()): "nnynny-",
    ("logistic", Asymmetric(gamma_neg=0)): "nnynnyn",  # a kink at y = clip
    # made up, with answers by hand
    ("identity", Hinge()): "nnnynnn",
    ("identity", Cubic()): "nnyynnn",
    ("identity", Exponential1()): "nnyynny",
    ("logistic", Tsallis()): "yyynyyn",
    ("softmax", Reward()): "nnynyyn",
    ("logistic", Reward()): "nnnnyyn",
    ("identity", Reward()): "nnnynn-",  # unbounded below
    ("identity", Step()): "ynnnyyn",
    ("identity", Constant()): "ynnyyyn",
}


@pytest.mark.parametrize(("activation", "penalty"), KNOWN, ids=label)
def test_known_answers(activation, penalty):
    properties = pairing_properties(activation, penalty)
    assert answers(properties) == KNOWN[activation, penalty], str(properties)
    assert properties.contradictions == ()


def test_known_answers_are_those_of_every_pair_of_the_package():
    assert set(BUILT_IN) <= set(KNOWN)
    assert {type(p) for _, p in WITH_PARAMETERS} <= {type(p) for _, p in KNOWN}


@pytest.mark.parametrize("pairing", PAIRINGS, ids=label)
def test_what_is_declared_is_what_is_computed_in_less_than_a_second(pairing):
    penalty = "natural" if pairing.penalty is None else pairing.penalty
    begin = time.process_time()
    properties = pairing_properties(pairing.activation, penalty)
    assert properties.contradictions == ()
    assert time.process_time() - begin < 2  # a tenth of a second, alone
    by = {finding.by for finding in properties.findings.values()}
    assert by <= {"formula", "computation"}
    if pairing.status == "natural":
        assert by == {"formula"}


@pytest.mark.parametrize("n_classes", [2, 5])
@pytest.mark.parametrize(("activation", "penalty"), BUILT_IN, ids=label)
def test_answers_do_not_depend_on_the_number_of_classes(activation, penalty, n_classes):
    properties = pairing_properties(activation, penalty, n_classes=n_classes)
    assert properties.contradictions == ()
    expected = KNOWN[activation, penalty]
    if n_classes == 5 and (activation, penalty) == ("ordinal", "cross_entropy"):
        expected = "yyynnny"  # convex in the thresholds, and not in the logits of gaps
    both = activation in ("softmax", "ordinal") and penalty == "binary_cross_entropy"
    if n_classes == 2 and both:
        expected = KNOWN["softmax", "cross_entropy"]  # it is twice that
    assert answers(properties) == expected


def test_the_hinge_is_calibrated_for_two_classes_only():
    assert pairing_properties("identity", Hinge(), n_classes=2).calibrated
    assert not pairing_properties("identity", Hinge(), n_classes=3).calibrated


def test_answers_are_the_same_in_every_run():
    first, second = (pairing_properties("softmax", Focal(2)) for _ in range(2))
    assert first == second
    assert str(pickle.loads(pickle.dumps(first))) == str(first)


def by_multiplier(p, q):
    """y_k proportional to p_k^(1 / (1 - q))."""
    y = p ** (1 / (1 - q))
    return y / y.sum(axis=-1, keepdims=True)


ESTIMATES = {
    ("softmax", "least_squares"): lambda p: p,
    ("softmax", "binary_cross_entropy"): lambda p: p,
    ("sparsemax", "least_squares"): lambda p: p,
    ("entmax", "natural"): lambda p: p,
    ("logistic", "least_squares"): lambda p: p,
    ("softmax", GeneralizedCrossEntropy(0.7)): lambda p: by_multiplier(p, 0.7),
    ("softmax", GeneralizedCrossEntropy(0.3)): lambda p: by_multiplier(p, 0.3),
    ("softmax", GeneralizedCrossEntropy(1)): lambda p: np.eye(3)[p.argmax(axis=-1)],
    ("softmax", LogitAdjusted(1, FREQUENCIES)): lambda p: (
        (p / FREQUENCIES) / (p / FREQUENCIES).sum(axis=-1, keepdims=True)
    ),
    ("identity", Cubic()): lambda p: np.sqrt(p) / (np.sqrt(p) + np.sqrt(1 - p)),
    ("identity", Exponential1()): lambda p: np.log(p / (1 - p)) / 2,
    ("logistic", "cross_entropy"): np.ones_like,
}


@pytest.mark.parametrize(("activation", "penalty"), ESTIMATES, ids=label)
def test_estimates_in_closed_form(activation, penalty):
    properties = pairing_properties(activation, penalty, verify=False)
    expected = ESTIMATES[activation, penalty](P)
    np.testing.assert_allclose(properties.minimizing_outputs(P), expected, atol=1e-4)


@pytest.mark.parametrize("gamma", [0.5, 1, 2, 5])
def test_focal_estimate_recovers_the_posterior_in_closed_form(gamma):
    pairing = pair("softmax", Focal(gamma))
    y = pairing_properties("softmax", Focal(gamma)).minimizing_outputs(P)
    m = 1 - y
    weights = y / (m**gamma - gamma * m ** (gamma - 1) * y * np.log(y))
    closed = weights / weights.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(closed, P, atol=1e-5)
    np.testing.assert_allclose(pairing.posterior_of(y.T), closed.T, atol=1e-12)


@pytest.mark.parametrize(
    ("activation", "penalty"),
    [
        *WITH_PARAMETERS[:3],
        ("softmax", SymmetricCrossEntropy(2, 0.5, -9)),
        ("softmax", LogitAdjusted(2, FREQUENCIES)),
        ("identity", CrammerSingerHinge(2)),
        ("logistic", Asymmetric(2, 1.5, 0)),
        ("logistic", Asymmetric()),
    ],
    ids=label,
)
def test_posterior_of_inverts_the_minimum(activation, penalty):
    y = pairing_properties(activation, penalty, verify=False).minimizing_outputs(P)
    found = pair(activation, penalty).posterior_of(y.T)
    np.testing.assert_allclose(found, P.T, atol=1e-4)


@pytest.mark.parametrize(("activation", "penalty"), WITH_PARAMETERS, ids=label)
def test_posterior_of_certain_outputs_is_certain(activation, penalty):
    if activation == "identity":
        return
    if isinstance(penalty, LogitAdjusted):
        penalty = LogitAdjusted(1, FREQUENCIES)
    ends = np.eye(3)
    np.testing.assert_array_equal(pair(activation, penalty).posterior_of(ends), ends)


@pytest.mark.parametrize("pairing", PAIRINGS, ids=label)
def test_posterior_of_proper_pairs_is_the_outputs(pairing):
    y = P.T
    found = pairing.posterior_of(y)
    if pairing.status == "degenerate":
        assert found is None
    else:
        np.testing.assert_array_equal(found, y)


def test_a_subclass_with_another_formula_inherits_no_posterior():
    class Squared(Focal):
        def log_value(self, t, log_y):
            return super().log_value(t, log_y) ** 2

        def log_derivative(self, t, log_y):
            return 2 * super().log_value(t, log_y) * super().log_derivative(t, log_y)

    assert pair("softmax", Squared()).posterior_of(P.T) is None
    assert pairing_properties("softmax", Squared()).contradictions == ()


SUPREMA = {
    ("softmax", "least_squares"): 1,
    ("sparsemax", "least_squares"): 1,
    ("logistic", "least_squares"): 1.5,
    ("softmax", GeneralizedCrossEntropy(0.7)): 1 / 0.7,
    ("softmax", SymmetricCrossEntropy(a=0, b=2, log_zero=-3)): 6,
    ("softmax", "cross_entropy"): np.inf,
    ("identity", Hinge()): np.inf,
}


@pytest.mark.parametrize(("activation", "penalty"), SUPREMA, ids=label)
def test_supremum_of_the_loss_of_a_wrong_row(activation, penalty):
    risk = ConditionalRisk(pair(activation, penalty), 3)
    assert risk.supremum() == pytest.approx(SUPREMA[activation, penalty], rel=1e-6)


EXPONENTS = {
    ("softmax", "least_squares"): 2,
    ("softmax", "binary_cross_entropy"): 1,
    ("softmax", GeneralizedCrossEntropy(0.05)): 1 / 0.95,
    ("softmax", GeneralizedCrossEntropy(0.3)): 1 / 0.7,
    ("softmax", GeneralizedCrossEntropy(1)): np.inf,
}


@pytest.mark.parametrize(("activation", "penalty"), EXPONENTS, ids=label)
def test_cost_of_twice_a_small_probability(activation, penalty):
    risk = ConditionalRisk(pair(activation, penalty), 3)
    expected = EXPONENTS[activation, penalty]
    assert risk.cost_exponent(known=False) == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize("pairing", PAIRINGS, ids=label)
def test_counterexamples_and_flat_rays_are_what_they_say(pairing):
    if pairing.activation in ORDINAL and "loglog" in pairing.activation.link:
        pytest.skip("flat is relative to the largest slope, which is exp(236) here")
    risk = ConditionalRisk(pairing, 3)
    flat = risk.flatness()
    if flat is not None:
        z = (100 * (1 + flat.size) * flat.direction)[:, np.newaxis]
        assert np.abs(risk.losses_and_slopes(z)[1][:, flat.label]).max() < 1e-3
        chances = risk.decisions(z)[:, 0]
        assert chances[flat.label] <= np.delete(chances, flat.label).max()
    bend = risk.downward_curvature()
    kinks = str(pairing).startswith(("sparsemax", "entmax(alpha=2)"))
    if bend is not None and not kinks:
        z, t, h = bend.z, np.eye(3)[:, [bend.label]], 1e-4
        slopes = [
            pairing.loss_and_delta((z + s)[:, np.newaxis], t)[1][:, 0]
            for e in h * np.eye(3)
            for s in (e, -e)
        ]
        hessian = np.subtract(slopes[::2], slopes[1::2]) / (2 * h)
        lowest = np.linalg.eigvalsh((hessian + hessian.T) / 2)[0]
        assert lowest == pytest.approx(bend.value, rel=1e-3, abs=1e-6)


@pytest.mark.parametrize(("activation", "margin"), [("sparsemax", 1), ("entmax", 2)])
def test_classes_out_of_the_support_have_no_slope(activation, margin):
    flat = ConditionalRisk(pair(activation, "least_squares"), 3).flatness()
    assert flat.margin == pytest.approx(margin, rel=0.13)  # the step of the sizes
    assert flat.margin >= 0.99 * margin


class WrongDerivative(LeastSquares):
    def derivative(self, t, y):
        return 2 * (y - t)


class WrongPosterior(Cubic):
    def posterior_of(self, y, activation):
        """P = y."""
        return y


class WrongNeed(Reward):
    needs_simplex = False


class NeedsNothing(LeastSquares):
    needs_simplex = True


class WrongDomain(LogPenalty):
    domain = REAL_LINE

    def log_value(self, t, log_y):
        return -t * log_y

    def log_derivative(self, t, log_y):
        return -t


class WrongRange(ElementwiseActivation):
    range = Interval(0, 1)

    def value(self, z):
        return np.tanh(z)

    def derivative(self, z, y):
        return 1 - y * y


class WrongSimplex(Identity):
    on_simplex = True


class WrongElementwise(ElementwiseActivation):
    range = Interval(0, 1)

    def value(self, z):
        return Softmax().value(z)

    def jacobian_product(self, z, y, u):
        return Softmax().jacobian_product(z, y, u)


class WrongNaturalLoss(Softmax):
    def natural_loss(self, z, y, t):
        return np.square(y - t).sum(axis=0)


class WrongLogits(Softmax):
    def logits_of(self, p):
        return 2 * np.log(p)


@pytest.mark.parametrize(
    ("activation", "penalty", "named"),
    [
        ("identity", WrongDerivative(), "derivative"),
        ("logistic", WrongPosterior(), "posterior_of"),
        ("logistic", WrongNeed(), "needs_simplex"),
        ("logistic", NeedsNothing(), "needs_simplex"),
        ("identity", WrongDomain(), "domain"),
        (WrongRange(), "least_squares", "range"),
        (WrongSimplex(), "least_squares", "on_simplex"),
        (WrongElementwise(), "least_squares", "elementwise"),
        (WrongNaturalLoss(), "natural", "derivative"),
        (WrongLogits(), "least_squares", "logits_of"),
    ],
    ids=label,
)
def test_wrong_declarations_are_caught(activation, penalty, named):
    properties = pairing_properties(activation, penalty)
    assert any(named in text for text in properties.contradictions)
    assert "WRONG DECLARATION" in str(properties)
    assert {f.by for f in properties.findings.values()} == {"computation"}
    trusting = pairing_properties(activation, penalty, verify=False)
    assert trusting.contradictions == ()


def test_verify_decides_whether_the_declared_is_computed(monkeypatch):
    asked = []

    def recorded(risk, names):
        asked.append(set(names))
        return computed(risk, names)

    monkeypatch.setattr("skce.losses.properties.computed", recorded)
    pairing_properties("softmax", "cross_entropy", verify=False)
    pairing_properties("softmax", "cross_entropy")
    pairing_properties("softmax", Focal(2), verify=False)
    declared = {"proper", "strictly_proper", "calibrated"}
    checked = set(TITLES) - {"sensitive_to_small_probabilities"}
    assert asked == [set(), checked, set(TITLES) - declared]


def test_outputs_that_cannot_be_the_posterior_are_not_proper():
    class Upper(ElementwiseActivation):
        range = Interval(0.5, 1)

        def value(self, z):
            return 0.75 + np.tanh(z) / 4

        def derivative(self, z, y):
            return (1 - np.tanh(z) ** 2) / 4

    properties = pairing_properties(Upper(), "least_squares")
    assert not properties.proper
    assert "no outputs are P" in properties.proper.reason
    assert not properties.calibrated
    assert pairing_properties(Exponential(), "least_squares").strictly_proper


def test_status_of_undeclared_penalties_is_computed():
    assert pairing_status("logistic", Reward()) == "degenerate"
    assert pairing_status("softmax", Reward()) == "workable"
    for penalty in (Tsallis(), Cubic(), Exponential1(), Hinge()):
        assert not penalty.needs_simplex
    assert SymmetricCrossEntropy(b=0).needs_simplex
    assert not SymmetricCrossEntropy(b=0.1).needs_simplex


@pytest.mark.parametrize(("activation", "penalty"), NAMES, ids=label)
def test_degenerate_pairs_estimate_nothing(activation, penalty):
    properties = pairing_properties(activation, penalty)
    assert properties.calibrated.value == (properties.pairing.status != "degenerate")


def test_refuses_what_it_cannot_answer():
    with pytest.raises(ValueError, match="cannot be paired"):
        pairing_properties("identity", "cross_entropy")
    with pytest.raises(ValueError, match="n_classes=1 must be an integer"):
        pairing_properties("softmax", "cross_entropy", n_classes=1)
    with pytest.raises(ValueError, match="pass frequencies"):
        pairing_properties("softmax", LogitAdjusted())
    with pytest.raises(ValueError, match=r"shape \(2,\); it must be \(3,\)"):
        pairing_properties("softmax", "cross_entropy").minimizing_outputs([0.5, 0.5])


@pytest.mark.parametrize(("activation", "penalty"), NAMES, ids=label)
def test_display_draws_the_loss_its_slope_and_the_estimate(activation, penalty):
    display = PairingPropertiesDisplay.from_pairing(activation, penalty)
    slopes = np.gradient(display.losses, display.margins)
    kinks = np.abs(display.slopes - slopes) > 0.1
    assert kinks.mean() < 0.05
    if pairing_properties(activation, penalty, verify=False).proper:
        np.testing.assert_allclose(display.outputs, display.posteriors, atol=1e-3)
    lines = [line.get_label() for ax in display.axes_ for line in ax.lines]
    assert {"slope", "P itself", "output"} <= set(lines)


def test_display_takes_axes():
    pyplot = pytest.importorskip("matplotlib.pyplot")
    axes = pyplot.subplots(1, 2)[1]
    display = PairingPropertiesDisplay.from_pairing(
        "softmax", "least_squares", axes=axes, lw=3
    )
    assert display.axes_[0] is axes[0]
    assert display.axes_[0].lines[0].get_linewidth() == 3
    with pytest.raises(ValueError, match="two matplotlib axes"):
        display.plot(axes[0])
