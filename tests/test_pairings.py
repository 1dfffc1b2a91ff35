import pickle
from itertools import pairwise

import mpmath
import numpy as np
import pytest
from problems import (
    BUILT_IN,
    BUILT_IN_ACTIVATIONS,
    BUILT_IN_PENALTIES,
    COMPOSED,
    DEGENERATE,
    NAMES,
    ORDINAL,
    PAIRINGS,
    UNDEFINED,
    Exponential,
    Huber,
    label,
    random_targets,
)

from skce import pairing_grid, pairing_status
from skce.losses.activations import ACTIVATIONS, Ordinal, Softmax
from skce.losses.pairings import (
    ComposedPairing,
    LogComposedPairing,
    legal_penalties,
    pair,
)
from skce.losses.penalties import (
    PENALTIES,
    BinaryCrossEntropy,
    CrossEntropy,
    LeastSquares,
)

BUILT_IN_ELEMENTWISE = ("identity", "logistic", "probit", "cloglog")
NOT_NATURAL = ("probit", "cloglog", "ordinal")
TARGETS = ["one-of-q", "sets", "fractions"]


@pytest.fixture(
    params=PAIRINGS + COMPOSED, ids=lambda p: f"{label(p)}-{type(p).__name__}"
)
def any_pairing(request):
    return request.param


@pytest.fixture(params=PAIRINGS, ids=label)
def pairing(request):
    return request.param


@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize("q", [2, 5])
def test_delta_against_central_differences(any_pairing, kind, q):
    rng = np.random.default_rng(0)
    z, t, h = rng.normal(size=(q, 60)) * 2, random_targets(rng, (q, 60), kind), 1e-5
    delta = any_pairing.loss_and_delta(z, t)[1]
    for k in range(q):
        shift = np.zeros_like(z)
        shift[k] = h
        above, below = (
            any_pairing.loss_and_delta(z + s, t)[0] for s in (shift, -shift)
        )
        np.testing.assert_allclose(delta[k], (above - below) / (2 * h), atol=1e-8)


@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize("q", [2, 5])
def test_hessian_product_against_central_differences(any_pairing, kind, q):
    rng = np.random.default_rng(1)
    z, dz = rng.normal(size=(2, q, 60))
    t, h = random_targets(rng, (q, 60), kind), 1e-5
    above, below = (any_pairing.loss_and_delta(z + s * dz, t)[1] for s in (h, -h))
    product = any_pairing.delta_derivative(z, t, dz)
    np.testing.assert_allclose(product, (above - below) / (2 * h), atol=1e-8)


@pytest.mark.parametrize("composed", COMPOSED, ids=label)
@pytest.mark.parametrize("kind", TARGETS)
def test_natural_and_log_pairs_equal_composed(composed, kind):
    rng = np.random.default_rng(2)
    z, dz = rng.normal(size=(2, 4, 200))
    t = random_targets(rng, (4, 200), kind)
    own = pair(composed.activation, composed.penalty)
    for ours, theirs in zip(
        own.loss_and_delta(z, t), composed.loss_and_delta(z, t), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(
        own.delta_derivative(z, t, dz),
        composed.delta_derivative(z, t, dz),
        rtol=1e-12,
        atol=1e-12,
    )


# Losses and deltas by definition, with 900 digits, which resolve 1 - y at a logit of
# 800. Derivatives are those of the textbooks: the Jacobian times rho', with nothing
# cancelled.
def diagonal(values):
    n = range(len(values))
    return [[values[k] * (j == k) for j in n] for k in n]


# F, 1 - F and F'
EXACT_LINKS = {
    "logistic": lambda z: (
        1 / (1 + mpmath.exp(-z)),
        1 / (1 + mpmath.exp(z)),
        1 / (mpmath.exp(-z) + 2 + mpmath.exp(z)),
    ),
    "probit": lambda z: (mpmath.ncdf(z), mpmath.ncdf(-z), mpmath.npdf(z)),
    "cloglog": lambda z: (
        -mpmath.expm1(-mpmath.exp(z)),
        mpmath.exp(-mpmath.exp(z)),
        mpmath.exp(z - mpmath.exp(z)),
    ),
}


def mirrored(link):
    def of_mirrored(z):
        F, rest, slope = link(-z)
        return rest, F, slope

    return of_mirrored


EXACT_ORDINAL = {
    "logit": EXACT_LINKS["logistic"],
    "probit": EXACT_LINKS["probit"],
    "cloglog": EXACT_LINKS["cloglog"],
    "loglog": mirrored(EXACT_LINKS["cloglog"]),
    "cauchit": lambda z: (
        mpmath.atan2(1, -z) / mpmath.pi,
        mpmath.atan2(1, z) / mpmath.pi,
        1 / (mpmath.pi * (1 + z * z)),
    ),
}


def exact_ordinal(link, z):
    """y, 1 - y, and the transposed Jacobian."""
    q, F = len(z), EXACT_ORDINAL[link]
    cuts, slopes = [-z[1]], [1 / (1 + mpmath.exp(-value)) for value in z]
    for value in z[2:]:
        cuts.append(cuts[-1] + mpmath.log1p(mpmath.exp(value)))
    zero, one = mpmath.mpf(0), mpmath.mpf(1)
    ends = [(zero, one, zero), *map(F, cuts), (one, zero, zero)]
    y, rest = [], []
    for (low, above_low, _), (high, above_high, _) in pairwise(ends):
        y.append(high - low if high < above_low else above_low - above_high)
        rest.append(low + above_high)
    jacobian = [[zero] * q for _ in range(q)]
    for k in range(1, q):
        for m in range(q - 1):  # d cut m / d z_k
            by = -one if k == 1 else slopes[k] * (m >= k - 1)
            jacobian[k][m] += ends[m + 1][2] * by
            jacobian[k][m + 1] -= ends[m + 1][2] * by
    return y, rest, jacobian


def exact_outputs(activation, z):
    """y, 1 - y, and the transposed Jacobian."""
    name = activation.name
    if isinstance(activation, Ordinal):
        return exact_ordinal(activation.link, z)
    if name in EXACT_LINKS:
        y, rest, slope = zip(*map(EXACT_LINKS[name], z), strict=True)
        return y, rest, diagonal(slope)
    y, jacobian = exact_outputs_and_jacobian(name, z)
    return y, [1 - value for value in y], jacobian


def exact_outputs_and_jacobian(name, z):
    if name == "identity":
        return z, diagonal([mpmath.mpf(1)] * len(z))
    if name == "softmax":
        total = mpmath.fsum(mpmath.exp(value) for value in z)
        y = [mpmath.exp(value) / total for value in z]
        return y, [
            [y[k] * ((j == k) - y[j]) for j in range(len(z))] for k in range(len(z))
        ]
    if name == "entmax":
        return exact_entmax(z)
    assert name == "sparsemax"
    ordered = sorted(z, reverse=True)
    sizes = [
        m
        for m in range(1, len(z) + 1)
        if 1 + m * ordered[m - 1] > mpmath.fsum(ordered[:m])
    ]
    tau = (mpmath.fsum(ordered[: sizes[-1]]) - 1) / sizes[-1]
    y = [max(value - tau, mpmath.mpf(0)) for value in z]
    inside = [value > 0 for value in y]
    share = mpmath.mpf(1) / sum(inside)
    return y, [
        [(mpmath.mpf(j == k) - share) * inside[j] * inside[k] for j in range(len(z))]
        for k in range(len(z))
    ]


def exact_entmax(z):
    """Algorithm 2 of Peters, Niculae & Martins (2019): the support by sorting."""
    half = [value / 2 for value in z]
    ordered = sorted(half, reverse=True)
    for m in range(1, len(z) + 1):
        mean = mpmath.fsum(ordered[:m]) / m
        spread = mpmath.fsum((value - mean) ** 2 for value in ordered[:m])
        if spread > 1:
            break
        candidate = mean - mpmath.sqrt((1 - spread) / m)
        if candidate <= ordered[m - 1]:
            tau = candidate
    root = [max(value - tau, mpmath.mpf(0)) for value in half]
    total = mpmath.fsum(root)
    return [r * r for r in root], [
        [root[k] * ((j == k) - root[j] / total) for j in range(len(z))]
        for k in range(len(z))
    ]


def xlog(x, y):
    return mpmath.mpf(0) if x == 0 else x * mpmath.log(y)


def exact_penalty(name, t, y, rest_of_y):
    if name == "least_squares":
        return (t - y) ** 2 / 2, y - t
    slope = -t / y if t else mpmath.mpf(0)
    value = xlog(t, t) - xlog(t, y)
    if name == "cross_entropy":
        return value, slope
    assert name == "binary_cross_entropy"
    rest = 1 - t
    return (
        value + xlog(rest, rest) - xlog(rest, rest_of_y),
        slope + (rest / rest_of_y if rest else 0),
    )


def exact_loss_and_delta(pairing, z, t):
    z, t = [mpmath.mpf(v) for v in z], [mpmath.mpf(v) for v in t]
    y, rest, jacobian = exact_outputs(pairing.activation, z)
    if pairing.penalty is None:
        # a Fenchel-Young loss of sum_k y_k^alpha / (alpha (alpha - 1)), times the mass
        alpha = {"sparsemax": 2, "entmax": mpmath.mpf(1.5)}[pairing.activation.name]
        s = mpmath.fsum(t)
        if s == 0:
            return mpmath.mpf(0), [mpmath.mpf(0)] * len(z)

        def negentropy(p):
            return mpmath.fsum(v**alpha for v in p) / (alpha * (alpha - 1))

        conjugate = mpmath.fsum(a * b for a, b in zip(y, z, strict=True))
        conjugate -= negentropy(y)
        own = negentropy([v / s for v in t])
        inner = mpmath.fsum(a * b for a, b in zip(t, z, strict=True))
        return s * (conjugate + own) - inner, [
            s * a - b for a, b in zip(y, t, strict=True)
        ]
    parts = [
        exact_penalty(pairing.penalty.name, *each)
        for each in zip(t, y, rest, strict=True)
    ]
    delta = [
        mpmath.fsum(jacobian[k][j] * parts[j][1] for j in range(len(z)))
        for k in range(len(z))
    ]
    return mpmath.fsum(value for value, _ in parts), delta


EXACT = [pair(*names) for names in BUILT_IN]
EXACT += [pair(f, penalty) for f in ORDINAL[1:] for penalty in legal_penalties(f)]


@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize("scale", [1, 40, 800])
@pytest.mark.parametrize("pairing", EXACT, ids=label)
def test_value_and_gradient_are_exact_at_large_logits(pairing, kind, scale):
    if pairing.activation in ORDINAL and "loglog" in pairing.activation.link:
        scale = min(scale, 75)  # three of them are less than 236
    rng = np.random.default_rng(3)
    z = np.concatenate(
        [
            rng.choice([-scale, scale], size=(3, 12)),
            rng.choice([-scale, 0, scale], size=(3, 12)) + rng.normal(size=(3, 12)),
        ],
        axis=1,
    )
    t = random_targets(rng, z.shape, kind)
    loss, delta = pairing.loss_and_delta(z, t)
    with mpmath.workdps(900):
        exact = [
            exact_loss_and_delta(pairing, *row) for row in zip(z.T, t.T, strict=True)
        ]
        exact_loss = np.array([float(value) for value, _ in exact])
        exact_delta = np.array([[float(v) for v in row] for _, row in exact]).T
    for found, exact in ((loss, exact_loss), (delta, exact_delta)):
        # beyond exp(236) cloglog is its tangent
        known = np.abs(exact) < 1e100
        np.testing.assert_allclose(found[known], exact[known], rtol=1e-13, atol=1e-13)
        assert (np.abs(found[~known]) > 1e100).all()
        assert known.all() or "loglog" in pairing.activation.name


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", TARGETS)
def test_results_are_finite_at_large_logits_and_keep_their_dtype(pairing, kind, dtype):
    rng = np.random.default_rng(4)
    z = rng.choice([-800, -100, 0, 100, 800], size=(4, 200)).astype(dtype)
    t, dz = random_targets(rng, z.shape, kind).astype(dtype), rng.normal(size=z.shape)
    loss, delta = pairing.loss_and_delta(z, t)
    product = pairing.delta_derivative(z, t, dz.astype(dtype))
    for array in (loss, delta, product):
        assert array.dtype == dtype
        assert np.isfinite(array).all()


def test_targets_that_are_known_to_be_labels_give_the_same_loss(pairing):
    rng = np.random.default_rng(10)
    z = rng.normal(size=(4, 50)) * rng.choice([1, 800], 50)
    t = random_targets(rng, z.shape, "one-of-q")
    for ours, general in zip(
        pairing.loss_and_delta(z, t, labels=True),
        pairing.loss_and_delta(z, t),
        strict=True,
    ):
        np.testing.assert_allclose(ours, general, rtol=1e-13, atol=1e-13)


def test_natural_delta_is_mass_times_output_minus_target():
    rng = np.random.default_rng(5)
    z, t = rng.normal(size=(4, 50)), rng.uniform(0, 1, (4, 50))
    for name, activation in ACTIVATIONS.items():
        if activation.natural_loss is None:
            continue
        mass = t.sum(axis=0) if activation.on_simplex else 1
        expected = mass * activation.value(z) - t
        delta = pair(name, "natural").loss_and_delta(z, t)[1]
        np.testing.assert_allclose(delta, expected, atol=1e-15)


def test_sparsemax_loss_is_that_of_martins_and_astudillo():
    """Equation 27 of Martins & Astudillo (2016), one-of-q targets."""
    rng = np.random.default_rng(6)
    z, t = rng.normal(size=(4, 100)), random_targets(rng, (4, 100), "one-of-q")
    y = ACTIVATIONS["sparsemax"].value(z)
    tau = z.max(axis=0) - y.max(axis=0)
    on = y > 0
    expected = -(t * z).sum(axis=0) + 0.5 * ((z**2 - tau**2) * on).sum(axis=0) + 0.5
    loss = pair("sparsemax", "natural").loss_and_delta(z, t)[0]
    np.testing.assert_allclose(loss, expected, atol=1e-14)


def test_status_of_every_pair():
    statuses = {
        (a, p): pairing_status(a, p)
        for a in BUILT_IN_ACTIVATIONS
        for p in (*BUILT_IN_PENALTIES, "natural")
    }
    natural = {
        ("identity", "least_squares"),
        ("logistic", "binary_cross_entropy"),
        ("softmax", "cross_entropy"),
    } | {(a, "natural") for a in BUILT_IN_ACTIVATIONS if a not in NOT_NATURAL}
    assert {k for k, v in statuses.items() if v == "natural"} == natural
    assert {k for k, v in statuses.items() if v == "degenerate"} == {
        (a, "cross_entropy") for a in ("logistic", "probit", "cloglog")
    }
    assert {k for k, v in statuses.items() if v == "undefined"} == {
        (a, p)
        for a in ("identity", "entmax", "sparsemax")
        for p in ("cross_entropy", "binary_cross_entropy")
    } | {(a, "natural") for a in NOT_NATURAL}


def test_likelihoods_are_those_of_classes_or_of_single_outputs():
    found = {(a, p) for a, p in NAMES if pair(a, p).is_likelihood}
    assert {names for names in found if names in BUILT_IN} == {
        ("softmax", "cross_entropy"),
        ("ordinal", "cross_entropy"),
        *((a, "binary_cross_entropy") for a in ("logistic", "probit", "cloglog")),
    }
    # the penalty that an error of penalty="natural" names first
    for a in NOT_NATURAL:
        best = legal_penalties(a)[0]
        assert pair(a, best).is_likelihood
        with pytest.raises(ValueError, match=f"can be paired with {best!r}, "):
            pair(a, "natural")


def test_status_follows_from_range_domain_and_simplex():
    for a, activation in ACTIVATIONS.items():
        for p, penalty in PENALTIES.items():
            status = pairing_status(a, p)
            inside = activation.range <= penalty.domain
            assert (status == "undefined") == (not inside)
            if status != "natural":
                degenerate = penalty.needs_simplex and not activation.on_simplex
                assert (status == "degenerate") == (inside and degenerate)
    assert ("logistic", "cross_entropy") in DEGENERATE


@pytest.mark.parametrize(("activation", "penalty"), UNDEFINED)
def test_undefined_pair_names_the_legal_penalties(activation, penalty):
    with pytest.raises(ValueError, match="cannot be paired") as caught:
        pair(activation, penalty)
    assert "'least_squares'" in str(caught.value)
    for name in legal_penalties(activation):
        assert repr(name) in str(caught.value)


def test_grid_lists_each_pair_once():
    grid = pairing_grid("clf__", ordered=True)
    pairs = [(*g["clf__activation"], *g["clf__penalty"]) for g in grid]
    assert len(set(pairs)) == len(pairs)
    assert set(NAMES) - set(pairs) == set(DEGENERATE)
    assert ("logistic", "cross_entropy") in DEGENERATE
    for name in ACTIVATIONS:
        assert {p for a, p in NAMES if a == name} == set(legal_penalties(name))
    unordered = pairing_grid("clf__")
    assert unordered == [
        g for g in grid if not ACTIVATIONS[g["clf__activation"][0]].ordered
    ]
    assert len(unordered) < len(grid)
    multilabel = {g["activation"][0] for g in pairing_grid(multilabel=True)}
    assert multilabel == {name for name, f in ACTIVATIONS.items() if f.elementwise}
    assert multilabel & set(BUILT_IN_ACTIVATIONS) == set(BUILT_IN_ELEMENTWISE)


def test_pickle_keeps_the_pair(pairing):
    z = np.random.default_rng(7).normal(size=(3, 5))
    copy = pickle.loads(pickle.dumps(pairing))
    assert repr(copy) == repr(pairing)
    np.testing.assert_array_equal(
        copy.loss_and_delta(z, np.eye(3, 5))[1],
        pairing.loss_and_delta(z, np.eye(3, 5))[1],
    )


def test_user_defined_classes_are_paired():
    assert pairing_status(Exponential(), "natural") == "undefined"
    assert pairing_status(Exponential(), "cross_entropy") == "degenerate"
    assert pairing_status(Exponential(), "binary_cross_entropy") == "undefined"
    assert pairing_status(Exponential(), Huber()) == "workable"
    assert type(pair("softmax", Huber())) is ComposedPairing
    with pytest.raises(ValueError, match=r"defines no natural loss.*'least_squares'"):
        pair(Exponential(), "natural")
    with pytest.raises(ValueError, match=r"write Huber\(\)"):
        pair("softmax", Huber)
    with pytest.raises(ValueError, match=r"write Exponential\(\)"):
        pair(Exponential, "natural")


class Half(Softmax):
    """Softmax at half the logits: no longer natural with cross-entropy."""

    def value(self, z):
        return super().value(z / 2)

    def jacobian_product(self, z, y, u):
        return super().jacobian_product(z, y, u) / 2


class HalfWithItsLoss(Half):
    def natural_loss(self, z, y, t):
        return 2 * Softmax().natural_loss(z / 2, y, t)


def test_a_subclass_with_another_value_does_not_inherit_the_natural_loss():
    z, t = (
        np.random.default_rng(8).normal(size=(3, 20)),
        np.eye(3)[:, np.arange(20) % 3],
    )
    assert pairing_status(Half(), "natural") == "undefined"
    composed = pair(Half(), "cross_entropy")
    assert composed.status == "workable"
    y = Softmax().value(z / 2)
    loss, delta = composed.loss_and_delta(z, t)
    np.testing.assert_allclose(loss, -np.log((y * t).sum(axis=0)))
    np.testing.assert_allclose(delta, (y - t) / 2, atol=1e-15)
    loss, delta = pair(HalfWithItsLoss(), "natural").loss_and_delta(z, t)
    np.testing.assert_allclose(loss, -2 * np.log((y * t).sum(axis=0)))
    np.testing.assert_allclose(delta, y - t, atol=1e-15)


LARGE = np.array([[800.0, 0, -800], [0, 0, 0], [-800, 800, 0.5]])


class RenamedCrossEntropy(CrossEntropy):
    name = "my_cross_entropy"


class RenamedBinary(BinaryCrossEntropy):
    pass


class RenamedSoftmax(Softmax):
    name = "my_softmax"


@pytest.mark.parametrize(
    ("renamed", "names"),
    [
        (("softmax", RenamedCrossEntropy()), ("softmax", "cross_entropy")),
        ((RenamedSoftmax(), "cross_entropy"), ("softmax", "cross_entropy")),
        ((RenamedSoftmax(), RenamedCrossEntropy()), ("softmax", "cross_entropy")),
        ((RenamedSoftmax(), "natural"), ("softmax", "cross_entropy")),
        ((RenamedSoftmax(), RenamedBinary()), ("softmax", "binary_cross_entropy")),
        (("logistic", RenamedBinary()), ("logistic", "binary_cross_entropy")),
        (("logistic", RenamedCrossEntropy()), ("logistic", "cross_entropy")),
    ],
)
def test_a_subclass_that_changes_nothing_keeps_its_pairs(renamed, names):
    ours, theirs = pair(*renamed), pair(*names)
    assert (type(ours), ours.status) == (type(theirs), theirs.status)
    assert ours.is_likelihood == theirs.is_likelihood
    for t in (np.eye(3), np.full((3, 3), 0.25)):
        for a, b in zip(
            ours.loss_and_delta(LARGE, t), theirs.loss_and_delta(LARGE, t), strict=True
        ):
            np.testing.assert_array_equal(a, b)


def test_a_renamed_penalty_is_shown_by_its_name():
    assert str(pair("softmax", RenamedCrossEntropy())) == "softmax x my_cross_entropy"
    assert str(pair(RenamedSoftmax(), "natural")) == "my_softmax x cross_entropy"


class Doubled(LeastSquares):
    """Twice the loss; defines no name."""

    def value(self, t, y):
        return 2 * super().value(t, y)

    def derivative(self, t, y):
        return 2 * super().derivative(t, y)


class DoubledCrossEntropy(CrossEntropy):
    """Twice the loss as a function of y alone."""

    def value(self, t, y):
        return 2 * super().value(t, y)

    def derivative(self, t, y):
        return 2 * super().derivative(t, y)


class DoubledLogarithm(CrossEntropy):
    def log_value(self, t, log_y):
        return 2 * super().log_value(t, log_y)

    def log_derivative(self, t, log_y):
        return 2 * super().log_derivative(t, log_y)


@pytest.mark.parametrize(
    ("activation", "penalty", "kind"),
    [
        ("identity", Doubled(), ComposedPairing),
        ("softmax", DoubledCrossEntropy(), ComposedPairing),
        ("softmax", DoubledLogarithm(), LogComposedPairing),
    ],
)
def test_a_subclass_that_changes_a_formula_is_composed(activation, penalty, kind):
    doubled = pair(activation, penalty)
    assert (type(doubled), doubled.status) == (kind, "workable")
    z, t = np.random.default_rng(9).normal(size=(3, 4)), np.eye(3, 4)
    for ours, natural in zip(
        doubled.loss_and_delta(z, t),
        pair(activation, "natural").loss_and_delta(z, t),
        strict=True,
    ):
        np.testing.assert_allclose(ours, 2 * natural, atol=1e-15)


def test_a_subclass_that_changes_a_formula_has_its_own_name():
    assert Doubled().name == "doubled"
    assert Half().name == "half"
    assert str(pair("softmax", DoubledLogarithm())) == "softmax x doubled_logarithm"
    assert pairing_status(HalfWithItsLoss(), "cross_entropy") == "workable"
    assert str(pair(HalfWithItsLoss(), "natural")) == "half_with_its_loss x natural"


def test_the_natural_loss_of_sparsemax_has_one_name():
    assert str(pair("sparsemax", "natural")) == "sparsemax x natural"
    assert legal_penalties("sparsemax")[0] == "natural"


class SuperHalf(Softmax):
    """Softmax at half the logits, with shortcuts that call the base by super()."""

    def value(self, z):
        return super().value(z / 2)

    def log_probabilities(self, z):
        return super().log_probabilities(z / 2)

    def natural_loss(self, z, y, t):
        return 2 * super().natural_loss(z / 2, y, t)


def test_an_override_can_call_the_base_method_through_super():
    z, t = np.random.default_rng(8).normal(size=(3, 5)), np.eye(3, 5)
    own = SuperHalf()
    np.testing.assert_allclose(np.exp(own.log_probabilities(z)), own.value(z))
    loss, y = own.natural_loss_and_value(z, t)
    np.testing.assert_array_equal(y, own.value(z))
    np.testing.assert_allclose(loss, 2 * Softmax().natural_loss(z / 2, y, t))
    assert own.log_outputs is None


@pytest.mark.parametrize(
    ("parameters", "hint"),
    [
        (("relu", "natural"), "hidden_activation='relu'"),
        (("softmax", "l2"), "alpha"),
        (("softmax", None), "alpha"),
        (("softmax", "log_loss"), "Did you mean 'cross_entropy'"),
        (("softmax", "sparsemax"), "penalty='natural'"),
        (("softmax", "entmax_loss"), "activation='entmax', penalty='natural'"),
        (("sigmoid", "natural"), "Did you mean 'logistic'"),
        (("cross_entropy", "softmax"), "write penalty='cross_entropy'"),
        (((10,), "natural"), "hidden_layer_sizes="),
        ((3, "natural"), "'logistic'"),
    ],
)
def test_unknown_names_are_explained(parameters, hint):
    with pytest.raises(ValueError, match=hint):
        pair(*parameters)
