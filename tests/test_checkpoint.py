"""Checkpoints: an interrupted fit resumes bit-identically."""

import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from problems import plain
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning

from skce import alpha_path
from skce._fitting import checkpoint
from skce._fitting.fits import MIN_WORK_OF_A_START
from skce._fitting.solvers import SOLVERS
from skce._network.objective import Objective
from skce.losses.penalties import LeastSquares

RAW, Y = load_iris(return_X_y=True)
X = (RAW - RAW.mean(axis=0)) / RAW.std(axis=0)
CASES = {solver: {"solver": solver} for solver in SOLVERS} | {
    "growing": {"growing_sample": True},
    "starts": {"n_init": 3},
    "early": {"early_stopping": True, "scoring": "accuracy"},
    "float32": {},
    "standardized": {"standardize": True, "hidden_activation": "relu"},
}


class Ends(LeastSquares):
    """Interrupts the fit at a given evaluation, as Ctrl-C does."""

    name = "least_squares"

    def __init__(self):
        self.left = np.inf

    def __repr__(self):
        return "Ends()"

    def value(self, t, y):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt
        return super().value(t, y)


def classifier(**params):
    given = {"hidden_layer_sizes": 4, "alpha": 0.1, "random_state": 0, "tol": 1e-5}
    return plain("softmax", **given | params)


def assert_same(fit, other):
    for a, b in zip(fit.coefs_, other.coefs_, strict=True):
        np.testing.assert_array_equal(a, b)
    assert fit.loss_curve_ == other.loss_curve_
    np.testing.assert_array_equal(fit.init_losses_, other.init_losses_)
    assert fit.stages_ == other.stages_


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("cut", [0, 11])
def test_an_interrupted_fit_resumes_bit_identically(case, cut, tmp_path, monkeypatch):
    rows = {"float32": X.astype(np.float32), "standardized": RAW}.get(case, X)
    penalty, path = Ends(), tmp_path / "fit"
    clf = classifier(penalty=penalty, **CASES[case])
    whole = classifier(penalty=penalty, **CASES[case]).fit(rows, Y)
    for left in (9, 7):  # interrupted twice
        penalty.left = left
        clf.fit(rows, Y, checkpoint=path)
        assert clf.solver_result_["reason"] == "interrupted"
    penalty.left = np.inf
    with open(path, "r+b") as file:  # as after a crash in the middle of writing
        file.truncate(path.stat().st_size - cut)
    clf.fit(rows, Y, checkpoint=path)
    assert_same(clf, whole)
    # every evaluation is on file now: the same fit computes almost nothing
    calls, kernel = [], Objective.value_and_gradient
    monkeypatch.setattr(
        Objective,
        "value_and_gradient",
        lambda self, theta: calls.append(0) or kernel(self, theta),
    )
    assert_same(clf.fit(rows, Y, checkpoint=path), whole)
    n_objectives = len(clf.stages_) * len(clf.init_losses_)
    assert len(calls) <= n_objectives


def test_a_larger_max_iter_resumes_a_fit_that_a_smaller_one_ended(tmp_path):
    path = tmp_path / "fit"
    with pytest.warns(ConvergenceWarning, match=r"max_iter=5"):
        classifier(max_iter=5).fit(X, Y, checkpoint=path)
    size = path.stat().st_size
    on = classifier().fit(X, Y, checkpoint=path)
    assert path.stat().st_size > size
    assert_same(on, classifier().fit(X, Y))


SLOW = """
import sys, time
import numpy as np
sys.path.insert(0, {tests!r})
from test_checkpoint import X, Y, Slow, classifier
classifier(penalty=Slow(), max_iter=40).fit(X, Y, checkpoint={path!r})
"""


class Slow(Ends):
    """Slow enough for its process to be killed during the fit."""

    def __init__(self, seconds=0.02):
        super().__init__()
        self.seconds = seconds

    def value(self, t, y):
        time.sleep(self.seconds)
        return super().value(t, y)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_fit_resumes_after_its_process_was_killed(tmp_path):
    path = tmp_path / "fit"
    code = SLOW.format(tests=str(Path(__file__).parent), path=str(path))
    process = subprocess.Popen([sys.executable, "-W", "ignore", "-c", code])
    deadline = time.monotonic() + 60
    while not path.exists() or path.stat().st_size < 4000:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(process.pid, getattr(signal, "SIGKILL", signal.SIGTERM))
    process.wait()
    before = path.read_bytes()
    clf = classifier(penalty=Slow(0), max_iter=40).fit(X, Y, checkpoint=path)
    assert path.read_bytes()[: len(before) - 2000] == before[: len(before) - 2000]
    assert_same(clf, classifier(penalty=Slow(0), max_iter=40).fit(X, Y))


def test_a_file_of_another_fit_is_refused_and_kept(tmp_path):
    path, text = tmp_path / "fit", tmp_path / "text"
    clf = classifier().fit(X, Y, checkpoint=path)
    state, size = dict(vars(clf)), path.stat().st_size

    def fails(match, clf, rows=X, path=path, **weights):
        with pytest.raises(ValueError, match=match):
            clf.fit(rows, Y, checkpoint=path, **weights)

    fails(r"other rows", clf, X + 1e-9)
    fails(r"other rows", clf, sample_weight=np.arange(150))
    start = clf.coefs_, [b + 1 for b in clf.intercepts_]
    fails(r"start weights", clf, coefs_init=start[0], intercepts_init=start[1])
    assert vars(clf) == state
    fails(r"alpha=1\.0 \(before: 0\.1\)", classifier(alpha=1))
    fails(r"standardize", classifier(standardize=True))
    fails(r"layer_sizes=\[2, 4, 3\]", classifier(), X[:, :2])
    fails(r"integer random_state", classifier(random_state=None))
    for content in ("not one\nof these", '{"precious": 1}', "x", b"\0" * 2**20):
        text.write_bytes(content if isinstance(content, bytes) else content.encode())
        before = text.read_bytes()
        fails(r"is no 'skce checkpoint 1'", classifier(), path=text)
        assert text.read_bytes() == before
    assert path.stat().st_size == size
    with pytest.raises(FileNotFoundError):
        classifier().fit(X, Y, checkpoint=tmp_path / "no" / "fit")
    with pytest.raises(ValueError, match=r"alpha_path makes several"):
        alpha_path(clf, X, Y, [1, 2], checkpoint=path)


@pytest.mark.parametrize("option", [{"n_init": 2}, {"growing_sample": True}], ids=str)
def test_several_starts_and_growing_samples_need_the_same_max_iter(option, tmp_path):
    with pytest.warns(ConvergenceWarning):
        classifier(max_iter=5, **option).fit(X, Y, checkpoint=tmp_path / "fit")
    with pytest.raises(ValueError, match=r"max_iter=1000\.0 \(before: 5\.0\)"):
        classifier(**option).fit(X, Y, checkpoint=tmp_path / "fit")


def test_other_rows_are_refused_even_if_the_start_value_is_equal(tmp_path):
    """Without hidden units the objective begins with log q, whatever the rows."""
    clf = classifier(hidden_layer_sizes=())
    clf.fit(X, Y, checkpoint=tmp_path / "fit")
    with pytest.raises(ValueError, match=r"other rows"):
        clf.fit(X[::-1], Y, checkpoint=tmp_path / "fit")


def test_an_unfinished_first_line_is_rewritten(tmp_path):
    path = tmp_path / "fit"
    classifier().fit(X, Y, checkpoint=path)
    whole = path.read_bytes()
    path.write_bytes(whole[:50])
    classifier().fit(X, Y, checkpoint=path)
    assert path.read_bytes() == whole


def test_parameters_match_whatever_their_type_and_memory_address(tmp_path):
    def new_scorer():
        return lambda clf, X, y: clf.score(X, y)

    for alpha in (1, np.float64(1)):
        clf = classifier(alpha=alpha, early_stopping=True, scoring=new_scorer())
        clf.fit(X, Y, checkpoint=tmp_path / "fit")


def test_a_full_disk_ends_the_checkpoint_and_not_the_fit(tmp_path, monkeypatch):
    write, left = checkpoint._write, [10]

    def write_some(file, data):
        left[0] -= 1
        if left[0] < 0:
            file.write(data[:7])
            raise OSError("No space left on device")
        write(file, data)

    monkeypatch.setattr(checkpoint, "_write", write_some)
    with pytest.warns(UserWarning, match=r"No space left.*goes on without"):
        clf = classifier().fit(X, Y, checkpoint=tmp_path / "fit")
    monkeypatch.undo()
    assert_same(clf, classifier().fit(X, Y))
    assert_same(clf, classifier().fit(X, Y, checkpoint=tmp_path / "fit"))


@pytest.mark.skipif(checkpoint.flock is None, reason="needs file locks")
def test_two_fits_cannot_share_a_file(tmp_path):
    refused = []

    class Fits(LeastSquares):
        def value(self, t, y):
            if (tmp_path / "fit").exists() and not refused:
                with pytest.raises(ValueError, match=r"in use by another fit"):
                    classifier().fit(X, Y, checkpoint=tmp_path / "fit")
                refused.append(True)
            return super().value(t, y)

    classifier(penalty=Fits(), tol=0.05).fit(X, Y, checkpoint=tmp_path / "fit")
    assert refused


def test_fits_to_soft_targets_can_be_checkpointed(tmp_path):
    targets = np.eye(3)[Y] * 0.7 + 0.1
    first = classifier().fit_targets(X, targets, checkpoint=tmp_path / "fit")
    again = classifier().fit_targets(X, targets, checkpoint=tmp_path / "fit")
    assert_same(first, again)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_same(first, classifier().fit_targets(X, targets))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_several_starts_that_are_worth_threads_resume_as_well(tmp_path):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(3000, 10))
    labels = rows[:, 0] + rows[:, 1] ** 2 + rng.normal(size=3000) > 0
    clf = classifier(hidden_layer_sizes=10, n_init=3, max_iter=20, n_jobs=2)
    assert len(rows) * 131 >= MIN_WORK_OF_A_START
    first = classifier(hidden_layer_sizes=10, n_init=3, max_iter=20, n_jobs=2)
    first.fit(rows, labels, checkpoint=tmp_path / "fit")
    assert_same(clf.fit(rows, labels, checkpoint=tmp_path / "fit"), first)


def test_a_refused_alpha_leaves_no_file(tmp_path):
    with pytest.raises(ValueError, match=r"leaves nothing of the loss"):
        classifier(alpha=1e300).fit(X, Y, checkpoint=tmp_path / "fit")
    assert not (tmp_path / "fit").exists()


def test_the_scale_of_the_weights_matters_with_alpha_alone(tmp_path):
    weights = np.arange(1.0, 151.0)
    for alpha in (0, 0.1):
        clf = classifier(alpha=alpha, hidden_layer_sizes=(), tol=1e-2)
        path = tmp_path / f"fit {alpha}"
        clf.fit(X, Y, sample_weight=weights, checkpoint=path)
        if alpha == 0:
            clf.fit(X, Y, sample_weight=2 * weights, checkpoint=path)
            continue
        with pytest.raises(ValueError, match=r"weights"):
            clf.fit(X, Y, sample_weight=2 * weights, checkpoint=path)
