"""Threads: the same bits for any number, and BLAS's setting is restored."""

import inspect
import os
import subprocess
import sys
from multiprocessing import get_context
from threading import Barrier, Event, Thread, current_thread, main_thread

import numpy as np
import pytest
from problems import NAMES
from threadpoolctl import ThreadpoolController, threadpool_limits

from skce import PairedMLPClassifier
from skce._network import executors
from skce._network.blocks import MIN_WORK
from skce._network.executors import (
    MIN_HELD_WORK,
    serial,
    with_blas_held,
    with_workers,
)

LARGE = MIN_WORK


LIBRARIES = ThreadpoolController().select(user_api="blas").lib_controllers


def settings():
    return [library.num_threads for library in LIBRARIES]


@pytest.fixture(autouse=True)
def two_blas_threads():
    with threadpool_limits(2, user_api="blas"):
        yield
        assert set(settings()) == {2}


@pytest.mark.parametrize("names", NAMES, ids=" x ".join)
@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_same_bits_for_any_number_of_threads(names, skip):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30_000, 4))
    y = (X[:, 0] + rng.normal(size=30_000) > 0) + (X[:, 1] > 1).astype(int)
    fits = [
        PairedMLPClassifier(
            *names,
            hidden_layer_sizes=8,
            skip_layer=skip,
            max_iter=5,
            random_state=0,
            n_jobs=n_jobs,
        ).fit(X, y)
        for n_jobs in (1, 2, 4, None)
    ]
    for other in fits[1:]:
        np.testing.assert_array_equal(other.coefs_[0], fits[0].coefs_[0])
        if skip:
            np.testing.assert_array_equal(other.skip_coef_, fits[0].skip_coef_)
        assert other.loss_curve_ == fits[0].loss_curve_
        np.testing.assert_array_equal(other.predict_proba(X), fits[0].predict_proba(X))


def test_blas_has_one_thread_inside_and_is_restored_after():
    def inner(budget):
        assert budget == 2
        assert set(settings()) == {1}

    def outer(budget):
        inner(budget)
        with_blas_held(inner)
        assert set(settings()) == {1}

    with_blas_held(outer)
    assert set(settings()) == {2}


def test_blas_is_restored_after_an_error():
    with pytest.raises(ZeroDivisionError):
        with_workers(LARGE, None, lambda run: run(lambda item: item / 0, [1]))
    assert set(settings()) == {2}


def in_two_threads(first, second):
    """Run both; each is given a Barrier of two."""
    barrier, errors = Barrier(2, timeout=60), []

    def run(function):
        try:
            function(barrier)
        except BaseException as error:
            barrier.abort()
            errors.append(error)

    pair = [Thread(target=run, args=[function]) for function in (first, second)]
    for thread in pair:
        thread.start()
    for thread in pair:
        thread.join()
    assert errors == []


def test_blas_is_restored_after_overlapping_limits():
    def first(barrier):
        def inside(budget):
            barrier.wait()
            barrier.wait()

        with_blas_held(inside)
        barrier.wait()

    def second(barrier):
        barrier.wait()

        def inside(budget):
            barrier.wait()
            barrier.wait()
            assert budget == 2
            assert set(settings()) == {1}

        with_blas_held(inside)

    in_two_threads(first, second)
    assert set(settings()) == {2}


@pytest.mark.parametrize("limit", [1, 3])
@pytest.mark.parametrize("ends", ["before", "after"])
def test_a_limit_of_another_thread_is_kept_and_leaves_nothing_behind(limit, ends):
    """One that is entered while BLAS is held finds one thread, and sets that again."""

    def fit(barrier):
        def inside(budget):
            barrier.wait()
            barrier.wait()

        with_blas_held(inside)
        barrier.wait()

    def limited(barrier):
        barrier.wait()
        with threadpool_limits(limit, user_api="blas"):
            if ends == "after":
                barrier.wait()
                barrier.wait()
                assert set(settings()) == {limit}
        if ends == "before":
            barrier.wait()
            barrier.wait()

    in_two_threads(fit, limited)
    if ends == "after":
        assert with_blas_held(lambda budget: budget) == 2
    assert set(settings()) == {2}


@pytest.mark.parametrize("limit", [1, 3])
def test_a_limit_of_one_thread_is_kept_after_that_of_another_thread(limit):
    """The two read alike: one thread that the end of a limit left, and a limit of 1."""

    def fit(barrier):
        with_blas_held(lambda budget: [barrier.wait() for _ in range(2)])
        barrier.wait()

    def limited(barrier):
        barrier.wait()
        with threadpool_limits(limit, user_api="blas"):
            barrier.wait()
            barrier.wait()

    def limited_to_one(barrier):
        with threadpool_limits(1, user_api="blas"):
            for _ in range(3):
                assert with_blas_held(lambda budget: budget) == 1
                assert set(settings()) == {1}

    in_two_threads(fit, limited)
    # in a thread without limits of its own, as those of the main thread last
    in_two_threads(limited_to_one, lambda barrier: None)
    assert with_blas_held(lambda budget: budget) == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_child_forked_inside_is_not_limited():
    def fork(budget):
        child = get_context("fork").Process(target=check_child)
        child.start()
        child.join()
        assert child.exitcode == 0

    with_blas_held(fork)


def check_child():
    assert set(settings()) == {2}
    with_blas_held(lambda budget: check_settings({1}))
    assert set(settings()) == {2}


def check_settings(expected):
    assert set(settings()) == expected


def test_little_work_does_not_limit_blas():
    def inside(run):
        assert run is serial
        assert set(settings()) == {2}

    with_workers(MIN_HELD_WORK - 1, None, inside)


def test_work_too_small_for_threads_still_limits_blas():
    def inside(run):
        assert run is serial
        assert set(settings()) == {1}

    with_workers(MIN_WORK - 1, None, inside)


def test_the_number_of_threads_is_that_of_blas():
    def squares(run):
        assert run is not serial
        return run(lambda i: i * i, range(5))

    with threadpool_limits(1, user_api="blas"):
        assert with_workers(LARGE, None, lambda run: run) is serial
    assert with_workers(LARGE, None, squares) == [0, 1, 4, 9, 16]


def test_negative_n_jobs_count_cores_from_the_last_as_in_joblib(monkeypatch):
    monkeypatch.setattr("skce._network.executors.cpu_count", lambda: 4)
    for n_jobs, expected in [(-1, 4), (-2, 3), (-4, 1), (-9, 1), (3, 3)]:
        run = with_workers(2**30, n_jobs, lambda run: run)
        # a pool of threads beside the caller
        n_threads = 1 if run is serial else 1 + run.args[0]._max_workers
        assert n_threads == expected


def test_an_error_in_a_helper_thread_is_raised():
    both_busy = Barrier(2)

    def work(item):
        both_busy.wait(timeout=60)
        if current_thread() is not main_thread():
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        with_workers(LARGE, 2, lambda run: run(work, [1, 2]))


def test_overflow_in_prediction_by_threads_is_an_error():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30_000, 4))
    fitted = PairedMLPClassifier(
        "identity",
        hidden_layer_sizes=(50,),
        hidden_activation="relu",
        max_iter=1,
        growing_sample=False,
    )
    with pytest.warns(UserWarning, match="max_iter"):
        fitted.fit(X, X[:, 0] > 0)
    fitted.coefs_[0] *= 1e10
    with pytest.raises(ValueError, match="overflows"):
        fitted.predict(X * 1e300)


def while_predicting(function, clf, X, allowed):
    """Call a function while another thread predicts, with one of the allowed results.

    Returns the number of predictions.
    """
    done, errors, count = Event(), [], 0
    allowed = {probabilities.tobytes() for probabilities in allowed}

    def predict():
        nonlocal count
        while not done.is_set():
            try:
                assert clf.predict_proba(X).tobytes() in allowed
            except BaseException as error:
                errors.append(error)
                return
            count += 1

    interval = sys.getswitchinterval()
    thread = Thread(target=predict)
    try:
        sys.setswitchinterval(1e-6)
        thread.start()
        function()
    finally:
        sys.setswitchinterval(interval)
        done.set()
        thread.join()
    assert errors == []
    return count


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_fitted_estimator_predicts_while_another_thread_fits_it_in_vain():
    X = np.random.default_rng(0).normal(size=(20, 3))
    clf = PairedMLPClassifier(hidden_layer_sizes=2, max_iter=3).fit(X, X[:, 0] > 0)

    def fail():
        for _ in range(150):
            with pytest.raises(ValueError, match=r"only one class"):
                clf.fit(X[:, :2], np.ones(20))

    assert while_predicting(fail, clf, X, [clf.predict_proba(X)]) > 50


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_prediction_is_of_one_fit_while_another_thread_fits():
    X = np.random.default_rng(0).normal(size=(20, 3))
    clf = PairedMLPClassifier(hidden_layer_sizes=2, max_iter=3, random_state=0)
    two, three = X[:, 0] > 0, np.digitize(X[:, 1], [-0.5, 0.5])
    allowed = [clf.fit(X, y).predict_proba(X) for y in (two, three)]

    def fit():
        for _ in range(40):
            clf.fit(X, two)
            clf.fit(X, three)

    assert while_predicting(fit, clf, X, allowed) > 20


def test_restored_by_the_next_call_wherever_ctrl_c_comes():
    """At a line of what enters or leaves, and again at a later one."""
    traced = with_blas_held, executors._enter, executors._leave, executors._restore
    codes = {function.__code__ for function in traced}
    source = inspect.getsource(executors).splitlines()

    def interrupted_at(*lines):
        """Hold BLAS, with Ctrl-C at some lines; whether it had so many."""
        count = 0

        def trace(frame, event, argument):
            nonlocal count
            if frame.f_code not in codes:
                return None
            # Python checks for signals after calls, not between a lock and its with
            text = source[frame.f_lineno - 1]
            if event == "line" and "with _lock" not in text and "with held" not in text:
                count += 1
                if count in lines:
                    raise KeyboardInterrupt
            return trace

        previous = sys.gettrace()
        try:
            sys.settrace(trace)
            with_blas_held(lambda budget: None)
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(previous)
        return count >= max(lines)

    n_lines = 0
    while interrupted_at(n_lines + 1):
        n_lines += 1
        for second in range(n_lines + 1, n_lines + 20):
            interrupted_at(n_lines, second)
            budget, held = with_blas_held(lambda budget: (budget, settings()))
            assert (budget, set(held)) == (2, {1}), (n_lines, second)
            assert set(settings()) == {2}, (n_lines, second)
    assert n_lines > 10


STORM = """
import os, random, signal, sys, time, warnings
from threading import Thread
import numpy as np
from threadpoolctl import ThreadpoolController, threadpool_limits
from skce import PairedMLPClassifier

warnings.simplefilter("ignore")
threadpool_limits(2, user_api="blas")
libraries = ThreadpoolController().select(user_api="blas").lib_controllers
X = np.random.default_rng(0).normal(size=(300, 4))
y = X[:, 0] > 0
clf = PairedMLPClassifier(hidden_layer_sizes=8, random_state=0, n_jobs=1).fit(X, y)
small = PairedMLPClassifier(hidden_layer_sizes=8, max_iter=2, n_jobs=1)
came, last = 0, None

def work():
    for _ in range(20):
        clf.predict_proba(X)
        small.fit(X, y)

def interrupt(number, frame):
    global came
    came += 1
    while frame is not None:
        if frame.f_code is work.__code__:
            raise KeyboardInterrupt
        frame = frame.f_back

def send():
    while came < 5000:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(random.uniform(0, 0.001))

signal.signal(signal.SIGINT, interrupt)
sender = Thread(target=send, daemon=True)
sender.start()
while came < 5000:
    try:
        work()
    except KeyboardInterrupt as error:
        last = error  # whose traceback keeps the frames
sender.join()
clf.predict_proba(X)
print([library.num_threads for library in libraries])
sys.exit(any(library.num_threads != 2 for library in libraries))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no signals to a process")
def test_a_storm_of_5000_interrupts_leaves_blas_as_it_was():
    run = subprocess.run(
        [sys.executable, "-c", STORM], capture_output=True, text=True, timeout=300
    )
    assert run.returncode == 0, run.stdout + run.stderr[-2000:]
