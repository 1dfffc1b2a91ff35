"""Label smoothing and soft targets agree with labels and with each other."""

import numpy as np
import pytest
from problems import DEGENERATE, NAMES, plain
from scipy import sparse
from sklearn.datasets import load_iris, make_multilabel_classification

from skce.losses.activations import get_activation

X, y = load_iris(return_X_y=True)
X = (X - X.mean(axis=0)) / X.std(axis=0)
SOFT = np.random.default_rng(0).dirichlet(np.ones(3), size=len(y))
pytestmark = pytest.mark.filterwarnings("ignore::skce.DegeneratePairingWarning")


def classifier(*names, **parameters):
    defaults = {"hidden_layer_sizes": 3, "alpha": 1.0, "random_state": 0}
    return plain(*names, **defaults | {"max_iter": 5000} | parameters)


def assert_same(a, b):
    np.testing.assert_allclose(a.predict_outputs(X), b.predict_outputs(X), atol=2e-4)


@pytest.mark.parametrize("names", NAMES, ids=" x ".join)
@pytest.mark.filterwarnings("ignore:The classes are taken in the order of the alpha")
def test_one_hot_targets_are_labels(names):
    one = classifier(*names).fit_targets(X, np.eye(3)[y], classes=["a", "b", "c"])
    other = classifier(*names).fit(X, np.array(["a", "b", "c"])[y])
    assert_same(one, other)
    assert list(one.classes_) == ["a", "b", "c"]
    if names not in DEGENERATE:
        assert (one.predict(X) == other.predict(X)).mean() > 0.99


@pytest.mark.parametrize("names", NAMES, ids=" x ".join)
def test_smoothing_is_a_fit_to_smoothed_targets(names):
    share = 0.2
    parts = 2 if get_activation(names[0]).elementwise else 3
    one = classifier(*names, label_smoothing=share).fit(X, y)
    smoothed = (1 - share) * np.eye(3)[y] + share / parts
    # only on the simplex: smoothed targets of element-wise outputs do not sum to 1
    if parts == 3:
        assert_same(one, classifier(*names).fit_targets(X, smoothed))
    penalty = one.pairing_.penalty
    if penalty is not None:
        value = penalty.value(smoothed, one.predict_outputs(X)).sum(axis=1).mean()
        decay = sum((W**2).sum() for W in one.coefs_) / (2 * len(y))
        assert one.loss_ == pytest.approx(value + decay, rel=1e-6)


def test_soft_targets_of_a_natural_pair_are_weighted_repetitions():
    one = classifier(tol=1e-6).fit_targets(X, SOFT)
    other = classifier(tol=1e-6).fit(
        np.repeat(X, 3, axis=0), np.tile(range(3), len(y)), SOFT.ravel()
    )
    assert_same(one, other)


@pytest.mark.parametrize("activation", ["logistic", "identity", "softmax"])
def test_soft_targets_of_two_classes(activation):
    p = SOFT[:, :1]
    fit = classifier(activation).fit_targets(
        X, np.hstack([p, 1 - p]), classes=["yes", "no"]
    )
    assert list(fit.classes_) == ["no", "yes"]
    found = fit.predict_proba(X)[:, 1]
    assert abs(found.mean() - p.mean()) < 0.05
    np.testing.assert_array_equal(fit.predict(X), np.where(found > 0.5, "yes", "no"))
    watched = classifier(activation, early_stopping=True, scoring="accuracy")
    watched.fit_targets(
        X,
        np.hstack(
            [
                1 - np.eye(2)[(y == 0).astype(int)][:, 1:],
                np.eye(2)[(y == 0).astype(int)][:, 1:],
            ]
        ),
    )
    assert watched.best_validation_score_ > 0.8


def test_smoothing_bounds_probabilities_of_two_classes_and_labels():
    for rows, labels in (
        (X, (y == 0).astype(int)),
        make_multilabel_classification(100, n_classes=3, random_state=0),
    ):
        rows = (rows - rows.mean(axis=0)) / rows.std(axis=0)
        fit = classifier("logistic", label_smoothing=0.3, alpha=1e-3).fit(rows, labels)
        assert fit.predict_proba(rows).min() > 0.1
        free = classifier("logistic", alpha=1e-3).fit(rows, labels)
        assert free.predict_proba(rows).min() < 0.1


def test_probabilities_tend_to_the_smoothed_targets():
    fit = classifier(label_smoothing=0.3, alpha=1e-4, hidden_layer_sizes=10)
    p = fit.fit(X, y).predict_proba(X)
    assert p.max() < 0.9
    assert np.median(p.max(axis=1)) == pytest.approx(0.8, abs=0.02)


@pytest.mark.parametrize("solver", ["newton-cg", "trust-krylov"])
def test_newton_solvers_reach_the_minimum_of_lbfgs(solver):
    options = {"label_smoothing": 0.1, "hidden_layer_sizes": (), "tol": 1e-7}
    fits = [classifier(solver=s, **options).fit(X, y) for s in (solver, "lbfgs")]
    assert fits[0].loss_ == pytest.approx(fits[1].loss_, rel=1e-7)


def test_sparse_rows_weights_and_early_stopping_are_supported():
    weights = np.random.default_rng(0).uniform(0.5, 2, len(y))
    one = classifier().fit_targets(sparse.csr_array(X), SOFT, weights)
    assert_same(one, classifier().fit_targets(X, SOFT, weights))
    fit = classifier(early_stopping=True).fit_targets(X, SOFT)
    assert len(fit.validation_scores_) == fit.n_iter_


def test_float_indicators_are_labels():
    rows, labels = make_multilabel_classification(100, n_classes=3, random_state=0)
    one = classifier("logistic", "least_squares", alpha=0.1).fit(
        rows / 10, labels.astype(float)
    )
    other = classifier("logistic", "least_squares", alpha=0.1).fit(rows / 10, labels)
    np.testing.assert_array_equal(one.coefs_[0], other.coefs_[0])


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize(("activation", "q"), [("softmax", 1000), ("sparsemax", 500)])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_targets_are_probabilities_to_the_rounding_of_their_dtype(activation, q, dtype):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(4 * q, 10)).astype(np.float32)
    teacher = classifier(activation, hidden_layer_sizes=(), max_iter=5)
    teacher.fit(rows, np.tile(np.arange(q), 4))
    targets = teacher.predict_proba(rows).astype(dtype)
    exact = targets.astype(float)
    assert np.abs(exact.sum(axis=1) - 1).max() > 1e-6
    student = classifier(activation, hidden_layer_sizes=(), max_iter=2)
    losses = [
        student.fit_targets(rows, given).loss_
        for given in (targets, exact / exact.sum(axis=1, keepdims=True))
    ]
    assert losses[0] == losses[1]
    with pytest.raises(ValueError, match=r"differs from 1 by up to 0\.1"):
        student.fit_targets(rows, (1.1 * exact).astype(dtype))


@pytest.mark.parametrize(
    ("targets", "options", "message"),
    [
        (SOFT * 2, {}, "the sum of a row differs from 1 by up to 1"),
        (SOFT - 0.5, {}, "must be probabilities, but the smallest entry is -"),
        (SOFT[:, :1], {}, "targets has 1 column"),
        (SOFT, {"classes": [0, 1]}, r"3 columns.*classes \[0, 1\]"),
        (SOFT, {"classes": [0, 1, 1]}, "must be distinct labels"),
        (y, {}, r"shape \(\d+,\).*For labels use fit"),
        (SOFT[:9], {}, "inconsistent numbers"),
        (SOFT * np.nan, {}, "NaN"),
    ],
)
def test_invalid_targets_are_refused(targets, options, message):
    with pytest.raises(ValueError, match=message):
        classifier().fit_targets(X, targets, **options)


def test_invalid_parameters_are_refused():
    with pytest.raises(ValueError, match="class_weight is not defined for soft"):
        classifier(class_weight="balanced").fit_targets(X, SOFT)
    for share in (1.0, -0.1, "0.1"):
        with pytest.raises(ValueError, match=r"label_smoothing=.* must be a number"):
            classifier(label_smoothing=share).fit(X, y)


# the targets are random: nothing can be learned
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("names", [("softmax",), ("logistic",), ("sparsemax",)])
def test_validation_rows_and_a_start_can_be_given(names):
    clf = classifier(*names, early_stopping=True).fit_targets(
        X[::2], SOFT[::2], X_val=X[1::2], targets_val=SOFT[1::2]
    )
    assert len(clf.validation_scores_) == clf.n_iter_
    again = classifier(*names).fit_targets(
        X, SOFT, coefs_init=clf.coefs_, intercepts_init=clf.intercepts_
    )
    assert again.loss_ <= classifier(*names).fit_targets(X, SOFT).loss_ * 1.1
    with pytest.raises(ValueError, match=r"fit_targets"):
        clf.fit(X, SOFT)
    with pytest.raises(ValueError, match=r"targets has 2 columns|y_val has 2 columns"):
        clf.fit_targets(X, SOFT, X_val=X, targets_val=SOFT[:, :2])
