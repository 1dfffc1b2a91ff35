"""class_weight equals sample weights and repeated rows, and combines with them."""

import numpy as np
import pytest
from problems import NAMES
from scipy import sparse
from sklearn.datasets import load_iris, make_multilabel_classification
from sklearn.utils.class_weight import compute_sample_weight

from skce import PairedMLPClassifier

X, y = load_iris(return_X_y=True)
X = (X - X.mean(axis=0)) / X.std(axis=0)
X, y = X[:120], y[:120]  # 50, 50 and 20 of the classes


def classifier(*names, **parameters):
    defaults = {"hidden_layer_sizes": 3, "alpha": 1.0, "random_state": 0}
    return PairedMLPClassifier(*names, **defaults | parameters)


def assert_same(a, b, rtol=1e-6):
    np.testing.assert_allclose(a.predict_proba(X), b.predict_proba(X), rtol, 1e-6)


@pytest.mark.parametrize("names", NAMES, ids=" x ".join)
@pytest.mark.filterwarnings("ignore::skce.DegeneratePairingWarning")
def test_balanced_is_scikit_learns_sample_weight(names):
    options = {"max_iter": 3000}
    one = classifier(*names, class_weight="balanced", **options).fit(X, y)
    other = classifier(*names, **options).fit(
        X, y, compute_sample_weight("balanced", y)
    )
    assert_same(one, other)


def test_a_dict_multiplies_sample_weights_and_missing_labels_weigh_one():
    weights = np.random.default_rng(0).uniform(0.5, 2, len(y))
    one = classifier(class_weight={2: 4.0, 0: 0.5}).fit(X, y, weights)
    product = weights * np.array([0.5, 1, 4])[y]
    assert_same(one, classifier().fit(X, y, product))


def test_integer_weights_equal_repeated_rows_with_balanced_classes():
    counts = np.random.default_rng(0).integers(0, 4, len(y))
    one = classifier(class_weight="balanced").fit(X, y, counts)
    other = classifier(class_weight="balanced").fit(
        np.repeat(X, counts, axis=0), np.repeat(y, counts)
    )
    np.testing.assert_array_equal(one.coefs_[0], other.coefs_[0])


def test_multilabel_weights_multiply_over_the_labels():
    rows, labels = make_multilabel_classification(100, n_classes=3, random_state=0)
    rows = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    given = [{0: 1.0, 1: 3.0}, {1: 0.5}, {}]
    product = np.where(labels[:, 0], 3.0, 1.0) * np.where(labels[:, 1], 0.5, 1.0)
    one = classifier("logistic", class_weight=given).fit(rows, labels)
    other = classifier("logistic").fit(rows, labels, product)
    np.testing.assert_allclose(one.coefs_[0], other.coefs_[0], rtol=1e-4, atol=1e-6)
    balanced = classifier("logistic", class_weight="balanced").fit(rows, labels)
    expected = compute_sample_weight("balanced", labels)
    other = classifier("logistic").fit(rows, labels, expected)
    np.testing.assert_allclose(
        balanced.predict_proba(rows), other.predict_proba(rows), atol=1e-3
    )


def test_sparse_indicators_and_weights_of_absent_labels_are_allowed():
    rows, labels = make_multilabel_classification(60, n_classes=3, random_state=0)
    one = classifier("logistic", class_weight="balanced")
    other = one.fit(rows / 10, labels).coefs_[0]
    np.testing.assert_array_equal(
        one.fit(rows / 10, sparse.csr_matrix(labels)).coefs_[0], other
    )
    # a weight of an absent label is allowed if all labels of y have one
    few = y < 2
    classifier(class_weight={0: 1, 1: 2, 2: 3}).fit(X[few], y[few])


def test_labels_can_be_strings():
    names = np.array(["a", "b", "c"])[y]
    one = classifier(class_weight={"c": 4}).fit(X, names)
    assert_same(one, classifier(class_weight={2: 4}).fit(X, y))


@pytest.mark.parametrize(
    ("class_weight", "message"),
    [
        ("equal", "must be None, 'balanced' or a dict"),
        ([1, 2, 3], "must be None, 'balanced' or a dict"),
        ({7: 1}, "has the label 7, which is not in y, and"),
        ({0: -1}, "class_weight of 0 is -1; it must be a finite number"),
        ({0: np.inf}, "class_weight of 0 is inf"),
        ({0: "2"}, "class_weight of 0 is '2'"),
        ({0: 0, 1: 0, 2: 0}, "zero for every row"),
    ],
)
def test_invalid_class_weights_are_refused(class_weight, message):
    with pytest.raises(ValueError, match=message):
        classifier(class_weight=class_weight).fit(X, y)


def test_a_class_of_weight_zero_is_never_predicted():
    fitted = classifier(class_weight={0: 0}).fit(X, y)
    assert 0 not in fitted.predict(X)


@pytest.mark.parametrize("weight", [1e-310, 1e308])
def test_weights_that_vanish_or_overflow_together_are_refused(weight):
    rows, labels = load_iris(return_X_y=True)
    class_weight = dict.fromkeys(range(3), 1e-320 if weight < 1 else 1e308)
    clf = PairedMLPClassifier(class_weight=class_weight, hidden_layer_sizes=2)
    with pytest.raises(ValueError, match=r"weight"):
        clf.fit(rows, labels, sample_weight=np.full(150, weight))
