"""Checkpoints: an interrupted fit resumes bit-identically."""

import os
import signal
import subprocess
import sys
import time
import warnings
from contextlib import suppress
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from problems import plain
from sklearn.base import clone
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
    "skip layer": {"skip_layer": True},
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
    np.testing.assert_array_equal(fit.skip_coef_, other.skip_coef_)
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


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.95])
def test_a_fit_resumes_in_and_after_its_minibatches(share, tmp_path):
    penalty = Ends()
    clf, whole = (
        classifier(penalty=penalty, growing_sample="minibatches") for _ in range(2)
    )
    penalty.left = enough = 10**6
    whole.fit(X, Y)
    penalty.left = int(share * (enough - penalty.left))
    assert penalty.left > 0
    with suppress(KeyboardInterrupt):
        clf.fit(X, Y, checkpoint=tmp_path / "fit")
    assert penalty.left <= 0
    penalty.left = np.inf
    assert_same(clf.fit(X, Y, checkpoint=tmp_path / "fit"), whole)


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
    fails(r"initial weights", clf, coefs_init=start[0], intercepts_init=start[1])
    assert vars(clf) == state
    fails(r"alpha=1\.0 \(before: 0\.1\)", classifier(alpha=1))
    fails(r"standardize", classifier(standardize=True))
    fails(r"layer_sizes=\[2, 4, 3\]", classifier(), X[:, :2])
    fails(r"integer random_state", classifier(random_state=None))
    text.write_bytes(b'{"precious": 1}')
    fails(r"is not a 'skce checkpoint 3' file", classifier(), path=text)
    assert text.read_bytes() == b'{"precious": 1}'
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
    with pytest.raises(ValueError, match=r"belongs to a fit to other rows"):
        clf.fit(X[::-1], Y, checkpoint=tmp_path / "fit")


def test_an_unfinished_first_line_is_rewritten(tmp_path):
    path = tmp_path / "fit"
    classifier().fit(X, Y, checkpoint=path)
    whole = path.read_bytes()
    path.write_bytes(whole[:50])
    classifier().fit(X, Y, checkpoint=path)
    assert path.read_bytes() == whole


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"x",
        b"not one\nof these",
        b"\0" * 2**20,
        b"\xff\xfe\n",
        b"[" * 10**5 + b"\n",
        b'{"a":' * 10**5 + b"\n",
        b"1" * 10**5 + b"\n",
        b"[1]\n",
        b"null\n",
        b'{"format": "FORMAT"}\n',
        b'{"format": "FORMAT", "parameters": 1, "starts": [], "rows": ""}\n',
        b'{"format": "FORMAT", "parameters": {}, "starts": 1, "rows": ""}\n',
        b'{"format": "FORMAT", "parameters": {}, "starts": [], "rows": []}\n',
        b'{"format": "FORMAT", "parameters": {}, "starts": [1], "rows": ""}\n',
        b'{"format": "FORMAT", "parameters": {"a": [{}]}, "starts": [], "rows": ""}\n',
    ],
    ids=lambda content: repr(content[:70]),
)
@pytest.mark.parametrize("warm_start", [False, True])
def test_a_malformed_file_is_one_clear_error(content, warm_start, tmp_path):
    path = tmp_path / "fit"
    content = content.replace(b"FORMAT", checkpoint.FORMAT.encode())
    path.write_bytes(content)
    clf = classifier(warm_start=warm_start, tol=0.1)
    if not content:  # of tempfile.NamedTemporaryFile, say
        clf.fit(X, Y, checkpoint=path)
        return
    for _ in range(2):
        with pytest.raises(
            ValueError, match=r"checkpoint='.*fit' (exists and|belongs to)"
        ):
            clf.fit(X, Y, checkpoint=path)
        assert path.read_bytes() == content
        clf.fit(X, Y)  # that a warm start begins from


def header_size(path):
    return path.read_bytes().index(b"\n") + 1


def records(path):
    """Where the records of a file begin, and its end."""
    data, starts = path.read_bytes(), [header_size(path)]
    while starts[-1] < len(data):
        _, length, _ = checkpoint.HEAD.unpack_from(data, starts[-1])
        size = checkpoint.HEAD.size + 8 * length + checkpoint.DIGEST_SIZE
        starts.append(starts[-1] + size)
    return starts


@pytest.mark.parametrize("damage", ["zeros", "huge length", "negative length"])
def test_a_damaged_record_ends_the_replay_with_a_warning(damage, tmp_path):
    path = tmp_path / "fit"
    clf = classifier().fit(X, Y, checkpoint=path)
    whole, starts = path.read_bytes(), records(path)
    begin, end = starts[-4], starts[-3]
    data = bytearray(whole)
    if damage == "zeros":
        data[begin + checkpoint.HEAD.size : end - checkpoint.DIGEST_SIZE] = bytes(
            end - begin - checkpoint.HEAD.size - checkpoint.DIGEST_SIZE
        )
    else:
        length = {"huge length": 2**62, "negative length": -1}[damage]
        data[begin + 16 : begin + 24] = length.to_bytes(8, sys.byteorder, signed=True)
    path.write_bytes(data)
    with pytest.warns(UserWarning, match=rf"damaged at evaluation {len(starts) - 3}"):
        assert_same(classifier().fit(X, Y, checkpoint=path), clf)
    assert path.read_bytes() == whole


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_flipped_bit_is_noticed_or_changes_nothing(tmp_path):
    """100 bits of a file: an error, or a warning and the same bits."""
    path, rng = tmp_path / "fit", np.random.default_rng(0)
    given = {"hidden_layer_sizes": 2, "max_iter": 20}
    clf = classifier(**given).fit(X, Y, checkpoint=path)
    whole = path.read_bytes()
    in_header = rng.integers(8 * header_size(path), size=20)
    warned = 0
    for bit in [*in_header, *rng.integers(8 * len(whole), size=80)]:
        data = bytearray(whole)
        data[bit // 8] ^= 1 << bit % 8
        path.write_bytes(data)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                fit = classifier(**given).fit(X, Y, checkpoint=path)
            except ValueError as error:
                fit, text = None, str(error)
        if fit is None:
            assert text.startswith("checkpoint=")
            assert path.read_bytes() == data
            continue
        warned += any("is damaged" in str(w.message) for w in caught)
        assert_same(fit, clf)
        assert path.read_bytes() == whole
    assert warned > 30


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("fitted", [False, True])
@pytest.mark.parametrize("n_init", [1, 2])
def test_a_warm_start_is_resumed_by_the_same_call(fitted, n_init, tmp_path):
    path, penalty = tmp_path / "fit", Ends()

    def new():
        clf = classifier(penalty=penalty, warm_start=True, n_init=n_init)
        return clf.set_params(alpha=1).fit(X, Y) if fitted else clf

    whole = new().set_params(alpha=0.1).fit(X, Y)
    clf = new().set_params(alpha=0.1)
    for left in (9, 7):
        penalty.left = left
        clf.fit(X, Y, checkpoint=path)
        assert clf.solver_result_["reason"] == "interrupted"
    penalty.left = np.inf
    assert_same(clf.fit(X, Y, checkpoint=path), whole)
    # also by a process that knows only the call, as after a crash
    again = classifier(penalty=penalty, warm_start=True, n_init=n_init)
    assert_same(again.fit(X, Y, checkpoint=path), whole)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("case", ["growing", "starts", "early", "newton-cg"])
def test_a_fit_resumes_wherever_ctrl_c_comes(case, tmp_path):
    """Also while answers are read, and in the first evaluation of a later stage."""
    penalty = Ends()

    def new():
        return classifier(penalty=penalty, tol=1e-2, max_iter=10, **CASES[case])

    whole = new().fit(X, Y, checkpoint=tmp_path / "whole")
    n_records = len(records(tmp_path / "whole"))
    step = 1 if case == "growing" else max(1, n_records // 15)
    for left in range(2, n_records + 1, step):
        path = tmp_path / str(left)
        penalty.left = left
        with suppress(KeyboardInterrupt):
            new().fit(X, Y, checkpoint=path)
        penalty.left = np.inf
        assert_same(new().fit(X, Y, checkpoint=path), whole)


def test_ctrl_c_while_answers_are_read_keeps_them(tmp_path, monkeypatch):
    path, answer, left = tmp_path / "fit", checkpoint.EvaluationLog.answer, [35]
    clf = classifier(growing_sample=True)
    whole = clone(clf).fit(X, Y, checkpoint=path)
    content = path.read_bytes()

    def interrupted(*arguments):
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt
        return answer(*arguments)

    monkeypatch.setattr(checkpoint.EvaluationLog, "answer", interrupted)
    with pytest.warns(ConvergenceWarning, match=r"Ctrl-C"):
        clf.fit(X, Y, checkpoint=path)
    assert len(clf.stages_) < len(whole.stages_)
    assert path.read_bytes() == content
    assert_same(clf.fit(X, Y, checkpoint=path), whole)


def test_an_unfinished_record_is_written_over(tmp_path, monkeypatch):
    """As where Ctrl-C comes within the writing of a record."""
    path, write, left = tmp_path / "fit", checkpoint._write, [8]

    def write_some(file, data):
        left[0] -= 1
        if left[0] == 0:
            file.write(data[: len(data) // 2])
            raise KeyboardInterrupt
        write(file, data)

    monkeypatch.setattr(checkpoint, "_write", write_some)
    clf = classifier(early_stopping=True)
    with pytest.warns(ConvergenceWarning, match=r"Ctrl-C"):
        clf.fit(X, Y, checkpoint=path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clf.fit(X, Y, checkpoint=path)
    assert_same(clf, classifier(early_stopping=True).fit(X, Y))


def in_child(function):
    """Start a forked process that calls a function."""
    process = get_context("fork").Process(target=function)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it has threads
        process.start()
    return process


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_30_kills_at_random_times_change_no_bit(tmp_path):
    rng = np.random.default_rng(0)
    for case in ("lbfgs", "trust-ncg", "growing", "starts", "early", "standardized"):
        path = tmp_path / case

        def fit(seconds=0.001, path=path, case=case):
            penalty = Slow(seconds)
            clf = classifier(penalty=penalty, max_iter=60, **CASES[case])
            return clf.fit(RAW, Y, checkpoint=path)

        for _ in range(5):
            child = in_child(fit)
            child.join(rng.uniform(0, 0.2))
            child.kill()
            child.join()
        resumed = fit(0)
        path.unlink(missing_ok=True)
        assert_same(resumed, fit(0))


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
    with pytest.warns(UserWarning, match=r"No space left.*continues without"):
        clf = classifier().fit(X, Y, checkpoint=tmp_path / "fit")
    monkeypatch.undo()
    assert_same(clf, classifier().fit(X, Y))
    assert_same(clf, classifier().fit(X, Y, checkpoint=tmp_path / "fit"))


@pytest.mark.skipif(checkpoint.flock is None, reason="needs file locks")
def test_a_file_in_use_is_not_emptied(tmp_path, monkeypatch):
    path = tmp_path / "fit"
    with open(path, "wb", buffering=0) as file:
        checkpoint.flock(file, checkpoint.LOCK_EX)
        file.write(b"of another fit")
        # which has made it since this one looked for it
        monkeypatch.setattr(Path, "exists", lambda self: False)
        with pytest.raises(ValueError, match=r"in use by another fit"):
            classifier().fit(X, Y, checkpoint=path)
    assert path.read_bytes() == b"of another fit"


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
    with pytest.raises(ValueError, match=r"swamps the loss"):
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
