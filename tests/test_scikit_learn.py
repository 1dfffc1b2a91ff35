"""Within scikit-learn: estimator checks, pipelines, searches, copies."""

import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
from problems import (
    BUILT_IN,
    DEGENERATE,
    INSTANCES,
    NAMES,
    WITH_PARAMETERS,
    Huber,
    best_penalty,
    label,
)
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from skce import PairedMLPClassifier, pairing_grid
from skce._fitting.solvers import SOLVERS
from skce.losses.activations import ACTIVATIONS, Softmax
from skce.losses.hidden import HIDDEN_ACTIVATIONS
from skce.losses.pairings import pair
from skce.losses.penalties import Focal, GeneralizedCrossEntropy, LeastSquares

X, y = load_iris(return_X_y=True)
OPTIONS = {"class_weight": "balanced", "early_stopping": True, "n_init": 2}


@pytest.mark.filterwarnings("ignore")  # the checks' data are not scaled
@parametrize_with_checks(
    [
        PairedMLPClassifier(*names, hidden_layer_sizes=hidden)
        for names in NAMES
        for hidden in [(), (10,), (10, 5)]  # of 5 relu units too many can die
    ]
    + [PairedMLPClassifier(*names, hidden_layer_sizes=5, **OPTIONS) for names in NAMES]
    + [
        PairedMLPClassifier(*pair, hidden_layer_sizes=5, **options)
        for pair in WITH_PARAMETERS
        for options in ({}, OPTIONS)
    ]
    + [
        PairedMLPClassifier(hidden_layer_sizes=5, solver=solver, **OPTIONS)
        for solver in SOLVERS
        if solver != "lbfgs"
    ]
    + [
        PairedMLPClassifier(
            f, best_penalty(f), hidden_layer_sizes=hidden, moderated=True
        )
        for f in ACTIVATIONS
        if pair(f, best_penalty(f)).is_likelihood
        for hidden in [(), (5,)]
    ]
    + [
        PairedMLPClassifier(hidden_layer_sizes=5, hidden_activation=name)
        for name in HIDDEN_ACTIVATIONS
        if name != "relu"
    ]
    + [
        PairedMLPClassifier(f, best_penalty(f), hidden_layer_sizes=10, alpha=0)
        for f in ACTIVATIONS
    ]
    + [
        PairedMLPClassifier(
            f,
            best_penalty(f),
            hidden_layer_sizes=10,
            growing_sample=True,
            label_smoothing=0.1,
        )
        for f in ACTIVATIONS
    ]
    + [
        PairedMLPClassifier(f, best_penalty(f), hidden_layer_sizes=10)
        for f in INSTANCES
    ]
    + [
        PairedMLPClassifier(penalty=penalty, hidden_layer_sizes=10)
        for penalty in (Focal(), GeneralizedCrossEntropy(q=0.3), LeastSquares())
    ]
    + [
        PairedMLPClassifier(
            *names, hidden_layer_sizes=hidden, skip_layer=True, **options
        )
        for names in NAMES
        for hidden, options in [((10, 5), {}), (5, OPTIONS)]
    ]
    + [PairedMLPClassifier(hidden_layer_sizes=5, skip_layer=True, moderated=True)]
)
def test_check_estimator(estimator, check):
    check(estimator)


def fitted(activation="softmax", penalty="natural", **parameters):
    defaults = {"hidden_layer_sizes": 4, "alpha": 1.0, "random_state": 0}
    model = PairedMLPClassifier(activation, penalty, **defaults | parameters)
    return model.fit(StandardScaler().fit_transform(X), y)


MEMBERS = [
    {"activation": activation, "penalty": penalty}
    for activation, penalty in [
        *NAMES,
        *WITH_PARAMETERS,
        *((f, best_penalty(f)) for f in INSTANCES),
    ]
] + [{"hidden_activation": name} for name in HIDDEN_ACTIVATIONS]


@pytest.mark.parametrize("member", MEMBERS, ids=label)
@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.filterwarnings("ignore::skce.DegeneratePairingWarning")
def test_pickle_joblib_and_clone(member, skip, tmp_path):
    model = fitted(**member, skip_layer=skip)
    joblib.dump(model, tmp_path / "model.joblib")
    for copy in (
        pickle.loads(pickle.dumps(model)),
        joblib.load(tmp_path / "model.joblib"),
    ):
        np.testing.assert_array_equal(copy.predict_proba(X), model.predict_proba(X))
        assert repr(copy.pairing_) == repr(model.pairing_)
    again = clone(model)
    assert not hasattr(again, "coefs_")
    assert repr(again.get_params()) == repr(model.get_params())


def pipeline():
    classifier = PairedMLPClassifier(hidden_layer_sizes=4, alpha=1.0, random_state=0)
    return Pipeline([("scale", StandardScaler()), ("clf", classifier)])


def test_grid_search_over_all_pairs():
    grid = pairing_grid("clf__", ordered=True)
    # other processes know the built-in names only
    names = [(*pair["clf__activation"], *pair["clf__penalty"]) for pair in grid]
    backend = "loky" if set(names) <= set(BUILT_IN) else "threading"
    with joblib.parallel_config(backend):
        search = GridSearchCV(pipeline(), grid, cv=3, n_jobs=2).fit(X, y)
    assert len(search.cv_results_["params"]) == len(grid)
    assert set(BUILT_IN) - set(names) == set(DEGENERATE)
    assert search.cv_results_["mean_test_score"].min() > 0.8
    assert search.best_score_ > 0.95


def test_instances_can_be_searched_in_a_grid():
    grid = {"clf__activation": [Softmax()], "clf__penalty": [Huber(), LeastSquares()]}
    search = GridSearchCV(pipeline(), grid, cv=3).fit(X, y)
    assert search.cv_results_["mean_test_score"].min() > 0.9


def test_cross_validate_with_three_scorers():
    scoring = ["accuracy", "neg_log_loss", "roc_auc_ovr"]
    result = cross_validate(pipeline(), X, y, cv=4, scoring=scoring)
    for name in scoring:
        assert result[f"test_{name}"].shape == (4,)
        assert np.isfinite(result[f"test_{name}"]).all()


def test_frame_with_mixed_columns_in_a_pipeline():
    frame = pd.DataFrame(X, columns=list("abcd"))
    frame["colour"] = np.where(y == 0, "red", "blue")
    encode = make_column_transformer(
        (StandardScaler(), list("abcd")), (OneHotEncoder(), ["colour"])
    )
    model = make_pipeline(encode, PairedMLPClassifier(random_state=0)).fit(frame, y)
    assert model.score(frame, y) > 0.95


def test_feature_names_are_those_of_the_frame():
    frame = pd.DataFrame(X, columns=list("abcd"))
    model = PairedMLPClassifier(hidden_layer_sizes=(), alpha=1.0).fit(frame, y)
    assert list(model.feature_names_in_) == list("abcd")
    assert model.score(frame, y) > 0.9


def test_html_and_text_representations():
    model = fitted()
    assert "PairedMLPClassifier" in model._repr_html_()
    assert repr(PairedMLPClassifier("logistic")) == (
        "PairedMLPClassifier(activation='logistic')"
    )
