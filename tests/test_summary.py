"""Summary and calibration figures, against scikit-learn's metrics."""

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skce import PairedMLPClassifier, pairing_grid, summary
from skce.inspection import calibration
from skce.losses.activations import get_activation

X, Y = load_iris(return_X_y=True)
WEIGHTS = np.random.default_rng(0).uniform(0.5, 2, len(X))


def classifier(**params):
    return PairedMLPClassifier(
        **{"hidden_layer_sizes": 4, "alpha": 0.1, "random_state": 0} | params
    )


@pytest.mark.parametrize("pair", pairing_grid(ordered=True), ids=str)
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["", "weights"])
def test_figures_agree_with_the_fit_and_scikit_learn(pair, weights):
    pair = {name: value[0] for name, value in pair.items()}
    model = make_pipeline(StandardScaler(), classifier(**pair, n_init=2)).fit(X, Y)
    clf, found = model[-1], summary(model, X, Y, weights)
    p = model.predict_proba(X)
    rows = found.calibration
    weigh = {"sample_weight": weights}
    assert rows.accuracy == pytest.approx(accuracy_score(Y, model.predict(X), **weigh))
    if np.isfinite(rows.log_loss):
        assert rows.log_loss == pytest.approx(log_loss(Y, p, **weigh))
    brier = np.average(((p - np.eye(3)[Y]) ** 2).sum(axis=1), weights=weights)
    assert rows.brier == pytest.approx(brier)
    fitted = get_activation(clf.activation).free_parameters(3) or np.ones((2, 3))
    weights, biases = np.sum(fitted, axis=1)
    assert found.n_parameters == 4 * 4 + 4 + 4 * weights + biases
    assert found.loss == clf.loss_
    assert found.layer_sizes == (4, 4, 3)
    assert not found.skip_layer
    assert found.n_starts == 2
    for text in (str(clf.pairing_), clf.pairing_.status, clf.solver_result_["reason"]):
        assert text in str(found)
    assert found.to_dict()["calibration"]["accuracy"] == rows.accuracy


def test_skip_layer_connections_are_shown_and_counted():
    # as many as nnet(..., skip = TRUE) has
    clf = classifier(skip_layer=True).fit(X, Y)
    found = summary(clf)
    assert found.n_parameters == (4 + 1) * 4 + (4 + 1) * 3 + 4 * 3
    assert "4 - 4 - 3 with a skip layer, relu: 47 parameters" in str(found)
    assert clf.skip_coef_.shape == (4, 3)


def both(p):
    return np.column_stack([1 - p, p])


def test_calibration_error_of_known_probabilities():
    rng = np.random.default_rng(1)
    p = rng.uniform(size=200_000)
    y = (rng.uniform(size=len(p)) < p).astype(float)
    right = calibration(both(y), both(p))
    assert right.calibration_error < 0.005
    assert right.confidence == pytest.approx(right.accuracy, abs=0.005)
    # if all probabilities are 0 or 1, the error rate
    wrong = calibration(both(y), both((p >= 0.5).astype(float)))
    assert wrong.calibration_error == pytest.approx(1 - wrong.accuracy)
    assert wrong.log_loss == np.inf
    # a weight of 2 counts as two rows, and the order does not matter
    few, twice = slice(1000), np.repeat(np.arange(1000), 2)
    weighted = calibration(both(y[few]), both(p[few]), False, np.full(1000, 2.0))
    repeated = calibration(both(y[twice]), both(p[twice]))
    order = np.argsort(y[few])
    ordered = calibration(both(y[few][order]), both(p[few][order]))
    for name in ("accuracy", "log_loss", "brier", "calibration_error"):
        assert getattr(weighted, name) == pytest.approx(getattr(repeated, name))
        assert getattr(weighted, name) == pytest.approx(getattr(ordered, name))


@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1)])
def test_rows_of_equal_confidence_share_a_bin(order):
    y = np.repeat([1.0, 0.0], [28, 12])[order]
    found = calibration(both(y), both(np.full(40, 0.7)))
    assert found.calibration_error < 1e-12
    by_weights = calibration(
        both(np.array([1.0, 0.0])), both(np.full(2, 0.7)), False, [28, 12]
    )
    assert by_weights.calibration_error < 1e-12


def test_soft_targets_are_compared_as_probabilities():
    p = np.column_stack([np.linspace(0.2, 0.8, 50), np.linspace(0.8, 0.2, 50)])
    rows = np.linspace(-2, 2, 50)[:, np.newaxis]
    for activation in ("softmax", "logistic"):
        clf = classifier(activation=activation, hidden_layer_sizes=())
        clf.fit_targets(rows, p, classes=["b", "a"])  # columns out of order
        found = summary(clf, rows, p).calibration
        predicted = clf.predict_proba(rows)[:, ::-1]
        assert found.log_loss == pytest.approx(-(p * np.log(predicted)).sum() / 50)
        assert found.brier == pytest.approx(np.square(p - predicted).sum() / 50)
        assert found.accuracy == pytest.approx(np.mean(p.max(axis=1)), abs=0.02)
        hard = summary(clf, rows, np.array(["b", "a"])[p.argmax(axis=1)])
        assert hard.calibration.accuracy > 0.9


def test_multilabel_figures_are_means_over_rows_and_labels():
    y = np.column_stack([Y > 0, X[:, 0] > 6]).astype(int)
    clf = classifier(activation="logistic").fit(X, y)
    found, p = summary(clf, X, y, WEIGHTS).calibration, clf.predict_proba(X)
    weights = WEIGHTS / WEIGHTS.sum() / 2
    hits = (clf.predict(X) == y).sum(axis=1)
    assert found.accuracy == pytest.approx(weights @ hits)
    own = -np.log(np.where(y == 1, p, 1 - p)).sum(axis=1)
    assert found.log_loss == pytest.approx(weights @ own)
    assert found.n_rows == len(X)
    mean = np.average(y, axis=0, weights=WEIGHTS)
    entropy = -(mean * np.log(mean) + (1 - mean) * np.log(1 - mean))
    assert found.log_loss_of_frequencies == pytest.approx(entropy.mean())


def test_summary_accepts_searches_early_stopping_and_string_labels():
    search = GridSearchCV(classifier(), {"alpha": [0.1, 1]}, cv=2).fit(X, Y)
    assert summary(search).alpha == search.best_params_["alpha"]
    early = classifier(early_stopping=True).fit(X, Y)
    assert "validation" in str(summary(early))
    names = np.array(["a", "b", "c"])[Y]
    assert summary(classifier().fit(X, names), X, names).calibration.accuracy > 0.9


def test_summary_ignores_parameters_set_after_the_fit():
    clf = classifier().fit(X, Y)
    before = summary(clf)
    assert summary(clf.set_params(alpha=5, solver="bfgs", tol=1)) == before


def test_unfitted_and_other_estimators_are_refused():
    with pytest.raises(NotFittedError):
        summary(classifier())
    with pytest.raises(ValueError, match=r"contains no fitted PairedMLPClassifier"):
        summary(LogisticRegression().fit(X / 10, Y))
    several = CalibratedClassifierCV(classifier(), cv=2).fit(X, Y)
    with pytest.raises(ValueError, match=r"contains 2 fitted classifiers"):
        summary(several)
    one = CalibratedClassifierCV(classifier(), cv=2, ensemble=False).fit(X, Y)
    assert summary(one, X, Y).layer_sizes == (4, 4, 3)
    clf = classifier().fit(X, Y)
    with pytest.raises(ValueError, match=r"X and y"):
        summary(clf, X)
    with pytest.raises(ValueError, match=r"labels \[3\]"):
        summary(clf, X, Y + 1)
