"""Stored estimators: skops loads them, and later versions read them."""

import pickle
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from problems import BUILT_IN, BUILT_IN_HIDDEN, WITH_PARAMETERS
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.datasets import load_iris, make_multilabel_classification
from sklearn.ensemble import VotingClassifier
from sklearn.impute import SimpleImputer
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    KFold,
    RandomizedSearchCV,
    ShuffleSplit,
    StratifiedKFold,
    TunedThresholdClassifierCV,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import skce
from skce import PairedMLPClassifier, PairedMLPClassifierCV, pairing_grid
from skce._fitting.solvers import SOLVERS
from skce.persistence import trusted_types

GOLDEN = Path(__file__).parent / "golden"
X, y = load_iris(return_X_y=True)
X = StandardScaler().fit_transform(X)[::2].round(2)
y = y[::2]
LABELS = np.array(["setosa", "versicolor", "virginica"])

pytestmark = [
    pytest.mark.filterwarnings("ignore::skce.DegeneratePairingWarning"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]


def small(activation="softmax", penalty="natural", **parameters):
    defaults = {"hidden_layer_sizes": 3, "alpha": 0.1, "random_state": 0}
    defaults |= {"max_iter": 50, "tol": 1e-2}
    return PairedMLPClassifier(activation, penalty, **defaults | parameters)


CASES = {
    **{f"{a} x {b}": small(a, b) for a, b in BUILT_IN},
    **{type(penalty).__name__: small(f, penalty) for f, penalty in WITH_PARAMETERS},
    **{f"hidden {f}": small(hidden_activation=f) for f in BUILT_IN_HIDDEN},
    **{solver: small(solver=solver) for solver in SOLVERS},
    "several starts": small(n_init=2),
    "early stopping": small(early_stopping=True),
    "scorer": small(early_stopping=True, scoring="accuracy"),
    "stages": small(growing_sample=True),
    "weights": small(class_weight={0: 1.0, 1: 2.0, 2: 0.5}),
    "moderated": small(moderated=True),
    "no hidden layer": small(hidden_layer_sizes=()),
    "skip layer": small(skip_layer=True),
}


@pytest.mark.parametrize("name", CASES)
def test_skops_needs_to_trust_no_types_but_those_listed(name):
    io = pytest.importorskip("skops.io")
    fitted = CASES[name].fit(X, y)
    if name == "stages":
        assert len(fitted.stages_) > 1
    stored = io.dumps(fitted)
    assert set(io.get_untrusted_types(data=stored)) <= set(trusted_types())
    loaded = io.loads(stored, trusted=trusted_types())
    np.testing.assert_array_equal(loaded.predict_proba(X), fitted.predict_proba(X))
    assert vars(loaded).keys() == vars(fitted).keys()
    assert repr(loaded.pairing_) == repr(fitted.pairing_)
    assert loaded.stages_ == fitted.stages_
    assert loaded.solver_result_ == fitted.solver_result_
    again = loaded.fit(X, y)
    np.testing.assert_array_equal(again.predict_proba(X), fitted.predict_proba(X))


def wrapped():
    """Estimators with a classifier in them, by name, to be fitted to three columns."""
    classifier = small(max_iter=10)
    prepare = make_column_transformer(
        (SimpleImputer(), make_column_selector(dtype_include="number")),
        remainder=OneHotEncoder(handle_unknown="ignore"),
    )
    pipeline = Pipeline([("prepare", prepare), ("clf", classifier)])
    chooser = PairedMLPClassifierCV(
        alphas=[1], hidden_layer_sizes=3, cv=StratifiedKFold(2)
    )
    grid = [pair | {"clf__alpha": [0.1, 1]} for pair in pairing_grid("clf__")[:2]]
    several = {"scoring": ["accuracy", "roc_auc_ovr"], "refit": "accuracy"}
    alphas = {"clf__alpha": [0.1, 1]}
    return {
        "the pipeline of the guide": pipeline,
        "its search": Pipeline([("prepare", prepare), ("clf", chooser)]),
        "its grid": GridSearchCV(pipeline, grid, scoring="neg_log_loss", cv=2),
        "metrics": GridSearchCV(pipeline, alphas, cv=KFold(2, shuffle=True), **several),
        "default": RandomizedSearchCV(pipeline, alphas, n_iter=2, cv=ShuffleSplit(2)),
        "sigmoid": CalibratedClassifierCV(pipeline, cv=2),
        "isotonic": CalibratedClassifierCV(pipeline, cv=2, method="isotonic"),
        "votes": VotingClassifier([("a", pipeline)], voting="soft"),
    }


@pytest.mark.parametrize("name", wrapped())
def test_what_scikit_learn_wraps_around_a_classifier_can_be_stored(name):
    io = pytest.importorskip("skops.io")
    frame = pd.DataFrame(X[:, :2], columns=["a", "b"])
    frame["c"] = np.where(X[:, 2] > 0, "deep", "pale")
    fitted = wrapped()[name].fit(frame, LABELS[y])
    stored = io.dumps(fitted)
    assert set(io.get_untrusted_types(data=stored)) <= set(trusted_types())
    loaded = io.loads(stored, trusted=trusted_types())
    expected = fitted.predict_proba(frame)
    np.testing.assert_array_equal(loaded.predict_proba(frame), expected)
    loaded.fit(frame, LABELS[y])


@pytest.mark.parametrize("kind", [FixedThresholdClassifier, TunedThresholdClassifierCV])
def test_a_classifier_with_a_threshold_can_be_stored(kind):
    io = pytest.importorskip("skops.io")
    fitted = kind(make_pipeline(StandardScaler(), small())).fit(X, y == 0)
    loaded = io.loads(io.dumps(fitted), trusted=trusted_types())
    np.testing.assert_array_equal(loaded.predict(X), fitted.predict(X))


def test_a_progress_bar_is_trusted_and_the_address_of_a_socket_is_not():
    io = pytest.importorskip("skops.io")
    callback = pytest.importorskip("sklearn.callback")
    with redirect_stdout(StringIO()):
        fitted = small().set_callbacks(callback.ProgressBar()).fit(X, y)
    loaded = io.loads(io.dumps(fitted), trusted=trusted_types())
    np.testing.assert_array_equal(loaded.predict(X), fitted.predict(X))
    monitor = callback.ScoringMonitor(scoring="accuracy")
    fitted = small().set_callbacks(monitor).fit(X, y)
    stored = io.dumps(fitted)
    refused = set(io.get_untrusted_types(data=stored)) - set(trusted_types())
    assert "sklearn.callback._transport.ListenerHandle" in refused
    fitted.set_callbacks()
    io.loads(io.dumps(fitted), trusted=trusted_types())


def test_trusted_types_are_fixed_and_of_this_package_scikit_learn_or_numpy():
    for name in trusted_types():
        package, _, kind = name.rpartition(".")
        assert package.split(".")[0] in ("skce", "sklearn") or name == "numpy.dtype"
        if package.startswith("skce"):
            found = getattr(__import__(package, fromlist=[kind]), kind)
            assert isinstance(found, type)


def stored_cases():
    """Fitted estimators with what they predict, {name: (estimator, X, y, P)}."""
    rows, labels = X[::3], y[::3]
    multi, multi_y = make_multilabel_classification(
        n_samples=25, n_features=4, n_classes=3, random_state=0
    )
    several = {
        name: (CASES[name], rows, labels) for name in CASES if name not in SOLVERS
    }
    several |= {
        "two classes, one unit": (small("logistic"), rows, labels == 0),
        "two classes, two units": (small("softmax"), rows, labels == 0),
        "multilabel": (small("logistic"), multi / 10, multi_y),
        "float32": (small(), rows.astype(np.float32), labels),
        "strings": (small(), rows, LABELS[labels]),
        "pipeline": (make_pipeline(StandardScaler(), small("sparsemax")), rows, labels),
    }
    return {
        name: (model.fit(X, y), X, y, model.predict_proba(X))
        for name, (model, X, y) in several.items()
    }


def test_this_version_has_stored_files(request):
    """`pytest tests/test_persistence.py --regenerate` writes them, and no others.

    Best on the oldest supported versions of NumPy and scikit-learn, as their files are
    read by later ones.
    """
    files = [GOLDEN / f"fitted-{skce.__version__}.{kind}" for kind in ("pkl", "joblib")]
    if request.config.getoption("--regenerate"):
        files[0].write_bytes(pickle.dumps(stored_cases(), protocol=5))
        joblib.dump(stored_cases(), files[1], compress=("gzip", 9))
    for file in files:
        assert 1_000 < file.stat().st_size < 80_000


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.InconsistentVersionWarning")
@pytest.mark.parametrize(
    "file", sorted(GOLDEN.glob("fitted-*")), ids=lambda file: file.name
)
def test_stored_files_of_all_versions_can_be_read(file):
    cases = joblib.load(file)  # reads plain pickles too
    assert len(cases) > 10
    for name, (fitted, X, y, expected) in cases.items():
        P = fitted.predict_proba(X)
        assert P.dtype == expected.dtype
        atol = 1e-12 if P.dtype == np.float64 else 1e-6
        np.testing.assert_allclose(P, expected, rtol=0, atol=atol, err_msg=name)
        names = [n for n in fitted.get_params() if n.split("__")[-1] == "standardize"]
        fitted.set_params(**dict.fromkeys(names, False))  # as in that version
        again = fitted.fit(X, y).predict_proba(X)
        # another SciPy takes other steps, and with a loose tol stops elsewhere
        assert np.median(np.abs(again - expected)) < 0.1, name


@pytest.mark.parametrize("name", PairedMLPClassifier().get_params())
def test_a_parameter_newer_than_the_file_gets_its_default(name):
    fitted = small().fit(X, y)
    state = dict(fitted.__getstate__())
    del state[name], state["skip_coef_"]
    loaded = PairedMLPClassifier.__new__(PairedMLPClassifier)
    loaded.__setstate__(state)
    default = PairedMLPClassifier().get_params()[name]
    assert loaded.get_params() == fitted.get_params() | {name: default}
    np.testing.assert_array_equal(loaded.predict_proba(X), fitted.predict_proba(X))
    loaded.set_params(max_iter=5).fit(X, y)


def test_a_subclass_with_an_additional_parameter_can_be_read():
    loaded = Subclass.__new__(Subclass)
    loaded.__setstate__({"needed": 3})
    assert loaded.get_params()["needed"] == 3
    assert loaded.get_params()["alpha"] == PairedMLPClassifier().alpha


class Subclass(PairedMLPClassifier):
    def __init__(self, needed, alpha=2.0):
        super().__init__(alpha=alpha)
        self.needed = needed
