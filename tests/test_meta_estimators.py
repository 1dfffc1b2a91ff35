"""The classifier inside scikit-learn's meta-estimators, displays and inspection."""

import warnings
from functools import partial
from itertools import chain, repeat

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV, CalibrationDisplay
from sklearn.datasets import load_iris
from sklearn.ensemble import BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_selection import SequentialFeatureSelector
from sklearn.frozen import FrozenEstimator
from sklearn.inspection import (
    DecisionBoundaryDisplay,
    PartialDependenceDisplay,
    permutation_importance,
)
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    StratifiedKFold,
    TunedThresholdClassifierCV,
    cross_val_predict,
    cross_val_score,
)
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier

from skce import PairedMLPClassifier, compare_pairings
from skce._fitting.monitor import Monitor
from skce._support.fitted import innermost

X, y = load_iris(return_X_y=True)
X = StandardScaler().fit_transform(X)
PAIRS = [("softmax", "natural"), ("logistic", "natural"), ("sparsemax", "natural")]


@pytest.fixture(params=PAIRS, ids=" x ".join)
def classifier(request):
    return PairedMLPClassifier(
        *request.param, hidden_layer_sizes=4, alpha=1, random_state=0, max_iter=3000
    )


@pytest.mark.parametrize(
    "wrap",
    [
        lambda c: CalibratedClassifierCV(c, cv=3),
        lambda c: VotingClassifier([("a", c), ("b", c)], voting="soft"),
        lambda c: StackingClassifier([("a", c)], final_estimator=c, cv=3),
        lambda c: BaggingClassifier(c, n_estimators=3, random_state=0),
        OneVsRestClassifier,
        OneVsOneClassifier,
        lambda c: make_pipeline(SequentialFeatureSelector(c, cv=2), c),
    ],
    ids=["calibrated", "voting", "stacking", "bagging", "ovr", "ovo", "selector"],
)
def test_meta_estimators_fit_and_score(wrap, classifier):
    assert wrap(classifier).fit(X, y).score(X, y) > 0.9


def test_a_frozen_classifier_can_be_calibrated(classifier):
    frozen = FrozenEstimator(classifier.fit(X, y))
    calibrated = CalibratedClassifierCV(frozen).fit(X, y)
    np.testing.assert_allclose(calibrated.predict_proba(X).sum(axis=1), 1)


def test_multioutput_chains_and_self_training_accept_the_classifier(classifier):
    both = np.column_stack([y == 0, y == 1]).astype(int)
    assert MultiOutputClassifier(classifier).fit(X, both).score(X, both) > 0.85
    assert ClassifierChain(classifier).fit(X, both).score(X, both) > 0.85
    some = np.where(np.arange(len(y)) % 3 == 0, y, -1)
    assert SelfTrainingClassifier(classifier).fit(X, some).score(X, y) > 0.9


def test_inspection_and_displays_accept_the_classifier(classifier):
    classifier.fit(X, y)
    importance = permutation_importance(classifier, X, y, n_repeats=2, random_state=0)
    assert importance.importances_mean.max() > 0.1
    flat = PairedMLPClassifier(
        classifier.activation, hidden_layer_sizes=3, alpha=1, random_state=0
    ).fit(X[:, :2], y == 0)
    DecisionBoundaryDisplay.from_estimator(flat, X[:, :2], grid_resolution=5)
    PartialDependenceDisplay.from_estimator(
        classifier, X, [0], target=1, grid_resolution=4
    )
    CalibrationDisplay.from_estimator(flat, X[:, :2], y == 0, n_bins=3)
    plt.close("all")


def test_sample_weights_are_routed(classifier):
    weights = np.where(y == 0, 2.0, 1.0)
    with config_context(enable_metadata_routing=True):
        classifier.set_fit_request(sample_weight=True)
        classifier.set_score_request(sample_weight=True)
        search = GridSearchCV(classifier, {"alpha": [1, 10]}, cv=3)
        search.fit(X, y, sample_weight=weights)
        predicted = cross_val_predict(
            classifier, X, y, params={"sample_weight": weights}
        )
    assert search.best_score_ > 0.8
    assert (predicted == y).mean() > 0.8


def test_polars_frames_give_the_results_of_pandas(classifier):
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame(X, schema=list("abcd"))
    fitted = classifier.fit(frame, polars.Series(y))
    assert list(fitted.feature_names_in_) == list("abcd")
    expected = fitted.predict_proba(pd.DataFrame(X, columns=list("abcd")))
    np.testing.assert_array_equal(fitted.predict_proba(frame), expected)


WITHIN = {
    "search": lambda c: GridSearchCV(c, {"alpha": [1, 10]}, cv=2, refit=False).fit,
    "cross-validation": lambda c: partial(cross_val_score, c, cv=3),
    "comparison": lambda c: partial(compare_pairings, c, pairings=PAIRS[:1], cv=3),
    "calibration": lambda c: CalibratedClassifierCV(c, cv=3).fit,
    "bagging": lambda c: BaggingClassifier(c, n_estimators=3).fit,
    "voting": lambda c: VotingClassifier([("a", c), ("b", c)]).fit,
    "tuned threshold": lambda c: TunedThresholdClassifierCV(c, cv=2).fit,
    "pipeline in a search": lambda c: GridSearchCV(
        Pipeline([("c", c)]), {"c__alpha": [1, 10]}, cv=2
    ).fit,
}
ALONE = {
    "classifier": lambda c: c.fit,
    "pipeline": lambda c: make_pipeline(StandardScaler(), c).fit,
    "refit": lambda c: GridSearchCV(c, {"alpha": [1]}, cv=2).fit,
    "threshold": lambda c: FixedThresholdClassifier(c).fit,
}


@pytest.fixture
def press(monkeypatch):
    """Return a function that makes Ctrl-C come in the n-th iteration from now on."""
    original = Monitor.record_iteration

    def at(n):
        presses = chain([False] * (n - 1), [True], repeat(False))

        def record_iteration(self, theta):
            if next(presses):
                raise KeyboardInterrupt
            return original(self, theta)

        monkeypatch.setattr(Monitor, "record_iteration", record_iteration)

    return at


@pytest.mark.parametrize("name", WITHIN)
def test_ctrl_c_ends_what_scikit_learn_makes_several_fits_for(name, press):
    fit = WITHIN[name](PairedMLPClassifier(hidden_layer_sizes=4, random_state=0))
    press(5)  # a fit cut after four iterations must not be scored as a whole one
    with pytest.raises(KeyboardInterrupt):
        fit(X, y == 1)


@pytest.mark.parametrize("name", ALONE)
def test_ctrl_c_keeps_the_best_weights_of_a_fit_by_itself(name, press):
    clf = PairedMLPClassifier(hidden_layer_sizes=4, alpha=1, random_state=0)
    n_before = 0
    if name == "refit":
        halves = StratifiedKFold(2).split(X, y == 1)
        n_before = sum(clone(clf).fit(X[i], y[i] == 1).n_iter_ for i, _ in halves)
    press(n_before + 5)
    with pytest.warns(ConvergenceWarning, match="was interrupted"):
        fitted = ALONE[name](clf)(X, y == 1)
    assert innermost(fitted).solver_result_["reason"] == "interrupted"


def test_validation_rows_that_a_search_has_cut_are_told():
    clf = PairedMLPClassifier(hidden_layer_sizes=4, early_stopping=True)
    search = GridSearchCV(clf, {"alpha": [1]}, cv=3)
    rows, labels = X[::2], y[::2]
    with pytest.warns(UserWarning, match="X_val has 50 rows, as many as X.*drop one"):
        search.fit(rows, labels, X_val=X[1::2], y_val=y[1::2])
    search.fit(rows, labels, X_val=X[3::2], y_val=y[3::2])  # of another length
    clf.fit(rows, labels, X_val=X[1::2], y_val=y[1::2])  # by itself


@pytest.mark.parametrize(
    ("wrap", "is_cut"),
    [
        (lambda c: BaggingClassifier(c, n_estimators=2, max_samples=0.5), True),
        (lambda c: TunedThresholdClassifierCV(c, cv=2), True),
        (FixedThresholdClassifier, False),
        (MultiOutputClassifier, False),
        (OneVsRestClassifier, False),
        (lambda c: make_pipeline(StandardScaler(), FixedThresholdClassifier(c)), False),
    ],
)
def test_only_validation_rows_that_may_have_been_cut_are_told(wrap, is_cut):
    """X_val is as long as what `fit` is given, after a cut or without one."""
    clf = PairedMLPClassifier(hidden_layer_sizes=2, early_stopping=True, random_state=0)
    model, labels, labels_val = wrap(clf), (y == 1)[::2], (y == 1)[1::2]
    if isinstance(model, MultiOutputClassifier):
        labels = np.column_stack([labels, ~labels])
    given = {"X_val": X[1::2], "y_val": labels_val}
    with config_context(enable_metadata_routing=True):
        clf.set_fit_request(X_val=True, y_val=True)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model.fit(X[::2], labels, **given)
    assert is_cut == any("as many as X" in str(each.message) for each in caught)
