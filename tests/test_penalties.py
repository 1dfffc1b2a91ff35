import pickle
from contextlib import suppress
from functools import partial

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import xlogy
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV

from skce import PairedMLPClassifier
from skce.losses._numerics import negentropy
from skce.losses.activations import ACTIVATIONS, ElementwiseActivation
from skce.losses.hidden import HiddenReLU
from skce.losses.intervals import REAL_LINE, Interval
from skce.losses.pairings import legal_penalties, pair, pairing_status
from skce.losses.penalties import (
    PARAMETRIC_PENALTIES,
    PENALTIES,
    CrossEntropy,
    Focal,
    GeneralizedCrossEntropy,
    Penalty,
)


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


def test_an_incomplete_penalty_names_the_missing_method():
    class Half(Penalty):
        pass

    for method in ("value", "derivative", "second_derivative"):
        with pytest.raises(NotImplementedError, match=f"Half must define {method}"):
            getattr(Half(), method)(1.0, 0.5)


X, Y = load_iris(return_X_y=True)


class Steepness(ElementwiseActivation):
    """y = 1/2 + arctan(s z) / pi."""

    range = Interval(0, 1)

    def __init__(self, s=1.0):
        if s <= 0:
            raise ValueError(f"s={s!r} must be positive.")
        self.s = s

    def value(self, z):
        return 0.5 + np.arctan(self.s * z) / np.pi

    def derivative(self, z, y):
        return self.s / (np.pi * (1 + (self.s * z) ** 2))


class Leaky(HiddenReLU):
    def __init__(self, slope=0.1):
        self.slope = slope

    def apply(self, a):
        np.maximum(a, self.slope * a, out=a)

    def derivative(self, y):
        return np.where(y > 0, 1.0, self.slope)


class Sum(Penalty):
    """The sum of two penalties, as parameters of this one."""

    domain = REAL_LINE

    def __init__(self, one, other):
        self.one = one
        self.other = other


def small(*pair, **parameters):
    defaults = {"hidden_layer_sizes": 3, "alpha": 0.1, "random_state": 0, "tol": 1e-2}
    return PairedMLPClassifier(*pair, **defaults | parameters)


def test_parameters_can_be_read_and_set():
    penalty = GeneralizedCrossEntropy(0.3)
    assert penalty.get_params() == {"q": 0.3}
    assert penalty.set_params(q=0.5) is penalty
    assert penalty.q == 0.5
    assert CrossEntropy().get_params() == {}


def test_set_params_validates_like_the_constructor():
    penalty = GeneralizedCrossEntropy(0.3)
    with pytest.raises(ValueError, match=r"q=5 must be a number in \(0, 1\]"):
        penalty.set_params(q=5)
    with pytest.raises(ValueError, match=r"'r' is not a parameter.*parameters 'q'"):
        penalty.set_params(q=0.6, r=1)
    with pytest.raises(ValueError, match=r"CrossEntropy\(\), which has no parameters"):
        CrossEntropy().set_params(q=0.5)
    with pytest.raises(ValueError, match=r"q=0\.3 has no parameters"):
        penalty.set_params(q__r=0.5)
    assert penalty.get_params() == {"q": 0.3}


def test_parameters_can_be_nested():
    penalty = Sum(Focal(1), GeneralizedCrossEntropy(0.3))
    assert penalty.get_params(deep=False).keys() == {"one", "other"}
    assert penalty.get_params()["other__q"] == 0.3
    given = penalty.other
    penalty.set_params(other__q=0.5, one=Focal(2))
    assert (penalty.other.q, penalty.one.gamma, given.q) == (0.5, 2, 0.3)
    with pytest.raises(ValueError, match="q=5 must be"):
        penalty.set_params(other__q=5, one=Focal(3))
    assert (penalty.other.q, penalty.one.gamma) == (0.5, 2)


def test_an_argument_that_is_not_stored_is_no_parameter():
    class Hidden(Penalty):
        def __init__(self, q=1):
            self._q = q

    assert Hidden().get_params() == {}
    with pytest.raises(ValueError, match=r"write self\.q = q in __init__"):
        Hidden().set_params(q=2)
    small(penalty=Hidden()).set_params(alpha=1)


def test_clone_copies_the_penalty():
    penalty = GeneralizedCrossEntropy(0.3)
    copy = clone(penalty)
    assert type(copy) is GeneralizedCrossEntropy
    assert copy is not penalty
    assert copy.q == 0.3
    estimator = small("softmax", penalty)
    clone(estimator).set_params(penalty__q=0.5)
    assert penalty.q == 0.3


@pytest.mark.parametrize(
    ("name", "parameters", "values"),
    [
        ("penalty__q", {"penalty": GeneralizedCrossEntropy()}, [0.3, 0.5]),
        (
            "activation__s",
            {"activation": Steepness(), "penalty": "least_squares"},
            [1.0, 2.0],
        ),
        ("hidden_activation__slope", {"hidden_activation": Leaky()}, [0.2, 0.3]),
    ],
)
def test_parameters_of_instances_can_be_searched(name, parameters, values):
    estimator = small(**parameters)
    outer, _, inner = name.partition("__")
    given = parameters[outer]
    before = given.get_params()
    search = GridSearchCV(estimator, {name: values}, cv=2).fit(X, Y)
    assert search.cv_results_[f"param_{name}"].tolist() == values
    assert search.best_params_[name] in values
    best = search.best_estimator_
    assert getattr(best.get_params()[outer], inner) == search.best_params_[name]
    assert getattr(estimator, outer) is given
    assert given.get_params() == before
    # each value gives a different model
    fits = [clone(estimator).set_params(**{name: v}).fit(X, Y) for v in values]
    assert np.abs(fits[0].predict_proba(X) - fits[1].predict_proba(X)).max() > 1e-6
    # ... which setting the parameter changes only after another fit
    P = fits[0].predict_proba(X)
    stored = pickle.loads(pickle.dumps(fits[0]))
    fits[0].set_params(**{name: values[1]})
    np.testing.assert_array_equal(fits[0].predict_proba(X), P)
    np.testing.assert_array_equal(stored.predict_proba(X), P)
    np.testing.assert_array_equal(
        fits[0].fit(X, Y).predict_proba(X), fits[1].predict_proba(X)
    )
    assert f"{inner}={values[0]!r}" in repr(stored)
    assert type(given).__name__ in stored._repr_html_()


def test_an_estimator_that_names_its_penalty_leaves_the_registry_alone(monkeypatch):
    monkeypatch.setitem(PENALTIES, "gce", GeneralizedCrossEntropy(0.5))
    estimator = small("softmax", "gce").fit(X, Y)
    assert "penalty__q" not in estimator.get_params()
    with pytest.raises(ValueError, match="pass an instance"):
        estimator.set_params(penalty__q=0.3)
    assert PENALTIES["gce"].q == 0.5


def test_names_are_derived_from_class_and_parameters():
    class LogCosh(Penalty):
        pass

    assert LogCosh().name == "log_cosh"
    assert Leaky(0.3).name == "leaky(slope=0.3)"
    assert GeneralizedCrossEntropy(0.7).name == "generalized_cross_entropy(q=0.7)"
    shown = str(pair("softmax", GeneralizedCrossEntropy(0.7)))
    assert shown == "softmax x generalized_cross_entropy(q=0.7)"


# Numbers of which each parameter takes those of its range: its ends, and just inside
NUMBERS = [0, 1e-9, 1e-4, 0.5, 1 - 1e-16, 1, 1.5, 2 - 1e-9, 2, 1e4, 1e9]


def with_numbers(numbers):
    """All classes with parameters, each parameter set to each of these numbers."""
    activations = {type(f) for f in ACTIVATIONS.values() if f.get_params()}
    for kind in sorted({*PARAMETRIC_PENALTIES, *activations}, key=str):
        for name, default in kind().get_params().items():
            if isinstance(default, float):
                yield from (partial(kind, **{name: number}) for number in numbers)


def allowed():
    for make in with_numbers([*NUMBERS, *(-number for number in NUMBERS)]):
        with suppress(ValueError):
            yield make()


def logits_everywhere(q, dtype):
    """Equal ones, and differences from rounding errors to underflow."""
    rng = np.random.default_rng(0)
    ends = [(0, 1), (12, 18), (30, 40), (85, 105), (700, 800)]
    sizes = np.concatenate([rng.uniform(*pair, (q, 40)) for pair in ends], axis=1)
    signs = rng.choice([-1, 0, 1], sizes.shape)
    return np.concatenate([sizes * signs, np.zeros((q, 1))], axis=1).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("function", [*allowed()], ids=str)
def test_results_are_finite_for_every_parameter_that_is_allowed(function, dtype):
    z = logits_everywhere(3, dtype)
    rng = np.random.default_rng(1)
    shares, labels = (
        rng.dirichlet(np.ones(3), z.shape[1]),
        rng.integers(3, size=z.shape[1]),
    )
    if isinstance(function, Penalty):
        function = function.for_frequencies(lambda: np.array([1e-300, 0.5, 0.5]))
        pairs = [(f, function) for f in ACTIVATIONS]
    else:
        pairs = [(function, penalty) for penalty in legal_penalties(function)]
    for names in pairs:
        if pairing_status(*names) in ("undefined", "degenerate"):
            continue
        pairing = pair(*names)
        for t in (np.eye(3)[labels].T.astype(dtype), shares.T.astype(dtype)):
            with np.errstate(over="raise", invalid="raise", divide="raise"):
                arrays = [
                    *pairing.loss_and_delta(z, t),
                    pairing.delta_derivative(
                        z, t, rng.normal(size=z.shape).astype(dtype)
                    ),
                ]
            assert all(np.isfinite(array).all() for array in arrays), names


@pytest.mark.parametrize(
    "make", [*with_numbers([5e-324, 1e-310, 1e300, np.nan])], ids=str
)
def test_parameters_of_a_size_that_cannot_be_computed_are_refused(make):
    ((name, _),) = make.keywords.items()
    with pytest.raises(ValueError, match=f"{name}=.* must (be a number|have a m)"):
        make()
