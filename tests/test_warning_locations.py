"""Warnings name the line of the caller outside the package."""

import contextlib
import functools
import warnings
from pathlib import Path

import numpy as np
import pytest
import sklearn.pipeline
from problems import plain
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import skce
from skce import DegeneratePairingWarning, PairedMLPClassifier, ScaleWarning
from skce._support.warn import warn

PACKAGE = Path(skce.__file__).parent
X = np.random.default_rng(0).normal(size=(40, 3))
y = (X[:, 0] > X[:, 1]).astype(int)


def located(call):
    """(file, line) of the only warning that a call issues."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    (warning,) = caught
    return Path(warning.filename), warning.lineno


def inside(call, directory=PACKAGE):
    """`call`, called by a function whose source appears to be in `directory`."""
    names = {"call": call}
    source = compile("lambda: call()", str(directory / "made_up.py"), "eval")
    return eval(source, names)


def line_of(function):
    """The line of a one-line lambda of this file."""
    return function.__code__.co_firstlineno


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_frames_of_the_package_are_skipped(depth):
    call = functools.partial(warn, "message", UserWarning)
    for _ in range(depth):
        call = inside(call)
    user = lambda: call()  # noqa: E731
    assert located(user) == (Path(__file__), line_of(user))


def test_frames_of_wrappers_are_skipped():
    call = inside(functools.partial(warn, "message", UserWarning))
    call = contextlib.contextmanager(lambda: iter([None]))()(call)
    call = inside(call, Path(sklearn.__file__).parent / "callback")
    user = lambda: call()  # noqa: E731
    assert located(user) == (Path(__file__), line_of(user))


def test_the_innermost_frame_outside_is_named():
    callback = lambda: warn("message", UserWarning)  # noqa: E731
    assert located(inside(callback)) == (Path(__file__), line_of(callback))


def test_a_folder_with_the_same_prefix_is_outside():
    call = inside(functools.partial(warn, "message", UserWarning))
    neighbour = PACKAGE.with_name("skce_models")
    assert located(inside(call, neighbour))[0] == neighbour / "made_up.py"


@pytest.mark.parametrize(
    ("category", "settings", "rows"),
    [
        (ConvergenceWarning, {"max_iter": 1}, X),
        (ConvergenceWarning, {"max_iter": 1, "n_init": 3, "n_jobs": 2}, X),
        (ConvergenceWarning, {"max_iter": 1, "early_stopping": True}, X),
        (ScaleWarning, {}, X * 1e4),
        (
            DegeneratePairingWarning,
            {"activation": "logistic", "penalty": "cross_entropy"},
            X,
        ),
    ],
)
def test_warnings_of_a_fit_name_the_line_that_calls_fit(category, settings, rows):
    classifier = plain(hidden_layer_sizes=2, random_state=0, **settings)
    user = lambda: classifier.fit(rows, y)  # noqa: E731
    assert located(user) == (Path(__file__), line_of(user))


def test_warnings_of_a_fit_in_a_pipeline_name_the_pipeline():
    classifier = PairedMLPClassifier(hidden_layer_sizes=2, max_iter=1, random_state=0)
    pipeline = make_pipeline(FunctionTransformer(), classifier)
    file, _ = located(lambda: pipeline.fit(X, y))
    assert file == Path(sklearn.pipeline.__file__)
