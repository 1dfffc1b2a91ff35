"""check_gradient finds wrong derivatives and passes correct ones."""

import numpy as np
import pandas as pd
import pytest
from problems import NAMES, WITH_PARAMETERS, Exponential, Huber
from scipy import sparse
from sklearn.datasets import load_iris, make_multilabel_classification

from skce import PairedMLPClassifier, check_gradient
from skce.losses.hidden import HIDDEN_ACTIVATIONS
from skce.losses.penalties import CrossEntropy, LeastSquares

X, y = load_iris(return_X_y=True)


def classifier(*names, **parameters):
    return PairedMLPClassifier(*names, **{"hidden_layer_sizes": (4, 3)} | parameters)


@pytest.mark.parametrize(
    "names",
    [
        *NAMES,
        *WITH_PARAMETERS,
        (Exponential(), "least_squares"),
        (Exponential(), Huber()),
    ],
    ids=str,
)
@pytest.mark.parametrize(
    "hidden_activation",
    [name for name, f in HIDDEN_ACTIVATIONS.items() if not f.has_kinks],
)
def test_correct_derivatives_pass(names, hidden_activation):
    estimator = classifier(*names, hidden_activation=hidden_activation)
    errors = check_gradient(estimator, X, y)
    # sparsemax and Huber have kinks
    assert errors["gradient"] < 1e-6
    assert errors["hessian"] < (1e-2 if "Huber" in str(names) else 1e-6)
    assert not hasattr(estimator, "coefs_")


class WrongSlope(CrossEntropy):
    name = "wrong_slope"

    def derivative(self, t, y):
        return -t / (y + 0.01)


class WrongBend(LeastSquares):
    name = "wrong_bend"

    def second_derivative(self, t, y):
        return 0.9 + 0 * y


class NoBend(LeastSquares):
    name = "no_bend"

    def second_derivative(self, t, y):
        raise NotImplementedError


def test_wrong_derivatives_are_found():
    assert check_gradient(classifier("softmax", WrongSlope()), X, y)["gradient"] > 1e-3
    errors = check_gradient(classifier("softmax", WrongBend()), X, y)
    assert errors["gradient"] < 1e-6
    assert errors["hessian"] > 1e-3
    assert check_gradient(classifier("softmax", NoBend()), X, y)["hessian"] is None


@pytest.mark.parametrize(
    "convert",
    [
        sparse.csr_array,
        sparse.coo_matrix,
        np.float32,
        np.ndarray.tolist,
        lambda X: sparse.csc_array(X.astype(np.float32)),
        lambda X: pd.DataFrame(X, columns=list("abcd")).astype({"a": "float32"}),
    ],
    ids=["csr", "coo", "float32", "list", "csc-float32", "frame"],
)
def test_every_kind_of_features_that_fit_accepts_is_checked(convert):
    estimator = classifier(alpha=0.1)
    errors = check_gradient(estimator, convert(X), y)
    assert errors["gradient"] < 1e-6
    assert errors["hessian"] < 1e-6
    wrong = check_gradient(classifier("softmax", WrongSlope()), convert(X), y)
    assert wrong["gradient"] > 1e-3
    assert not hasattr(estimator, "n_features_in_")


def test_features_that_fit_refuses_are_refused():
    with pytest.raises(ValueError, match="contains NaN"):
        check_gradient(classifier(), np.where(X > 5, np.nan, X), y)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        check_gradient(classifier(), X, y[:-1])


def test_labels_of_any_kind():
    rows, labels = make_multilabel_classification(300, n_classes=3, random_state=0)
    assert check_gradient(classifier("logistic"), rows, labels)["gradient"] < 1e-6
    names = np.array(["a", "b", "c"])[y]
    assert check_gradient(classifier(), X, names)["gradient"] < 1e-6
    assert check_gradient(classifier("logistic"), X, y == 0)["hessian"] < 1e-6
