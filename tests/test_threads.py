"""Threads: the same bits for any number, and BLAS's setting is restored."""

import inspect
import os
import sys
from multiprocessing import get_context
from threading import Barrier, Thread, current_thread, main_thread

import numpy as np
import pytest
from problems import NAMES
from threadpoolctl import ThreadpoolController, threadpool_limits

from skce import PairedMLPClassifier
from skce._network.blocks import MIN_WORK
from skce._network.executors import MIN_HELD_WORK, blas_held, serial, workers

LARGE = MIN_WORK


def settings():
    controller = ThreadpoolController().select(user_api="blas")
    return [library.num_threads for library in controller.lib_controllers]


@pytest.fixture(autouse=True)
def two_blas_threads():
    with threadpool_limits(2, user_api="blas"):
        yield
        assert set(settings()) == {2}


@pytest.mark.parametrize("names", NAMES, ids=" x ".join)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_same_bits_for_any_number_of_threads(names):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30_000, 4))
    y = (X[:, 0] + rng.normal(size=30_000) > 0) + (X[:, 1] > 1).astype(int)
    fits = [
        PairedMLPClassifier(
            *names, hidden_layer_sizes=8, max_iter=5, random_state=0, n_jobs=n_jobs
        ).fit(X, y)
        for n_jobs in (1, 2, 4, None)
    ]
    for other in fits[1:]:
        np.testing.assert_array_equal(other.coefs_[0], fits[0].coefs_[0])
        assert other.loss_curve_ == fits[0].loss_curve_
        np.testing.assert_array_equal(other.predict_proba(X), fits[0].predict_proba(X))


def test_blas_has_one_thread_inside_and_is_restored_after():
    with blas_held() as budget:
        assert budget == 2
        assert set(settings()) == {1}
        with blas_held() as inner:
            assert inner == 2
            assert set(settings()) == {1}
        assert set(settings()) == {1}
    assert set(settings()) == {2}


def test_blas_is_restored_after_an_error():
    with pytest.raises(ZeroDivisionError), workers(LARGE) as run:
        run(lambda item: item / 0, [1])
    assert set(settings()) == {2}


def test_blas_is_restored_after_overlapping_limits():
    first_in, second_in, first_out = Barrier(2), Barrier(2), Barrier(2)
    seen = []

    def first():
        with blas_held():
            first_in.wait()
            second_in.wait()
        first_out.wait()

    def second():
        first_in.wait()
        with blas_held() as budget:
            second_in.wait()
            first_out.wait()
            seen.append((budget, set(settings())))

    pair = [Thread(target=first), Thread(target=second)]
    for thread in pair:
        thread.start()
    for thread in pair:
        thread.join()
    assert seen == [(2, {1})]
    assert set(settings()) == {2}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_child_forked_inside_is_not_limited():
    with blas_held():
        child = get_context("fork").Process(target=check_child)
        child.start()
        child.join()
    assert child.exitcode == 0


def check_child():
    assert set(settings()) == {2}
    with blas_held():
        assert set(settings()) == {1}
    assert set(settings()) == {2}


def test_little_work_does_not_limit_blas():
    with workers(MIN_HELD_WORK - 1) as run:
        assert run is serial
        assert set(settings()) == {2}


def test_work_too_small_for_threads_still_limits_blas():
    with workers(MIN_WORK - 1) as run:
        assert run is serial
        assert set(settings()) == {1}


def test_the_number_of_threads_is_that_of_blas():
    with threadpool_limits(1, user_api="blas"), workers(LARGE) as run:
        assert run is serial
    with workers(LARGE) as run:
        assert run is not serial
        assert run(lambda i: i * i, range(5)) == [0, 1, 4, 9, 16]


def test_an_error_in_a_helper_thread_is_raised():
    both_busy = Barrier(2)

    def work(item):
        both_busy.wait(timeout=60)
        if current_thread() is not main_thread():
            raise ZeroDivisionError

    with workers(LARGE, 2) as run, pytest.raises(ZeroDivisionError):
        run(work, [1, 2])


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


def test_restored_wherever_ctrl_c_comes():
    source, first = inspect.getsourcelines(blas_held.__wrapped__)

    def interrupted_at(line):
        """Hold BLAS, with Ctrl-C at a line of the entry; whether it had so many."""
        count = 0

        def trace(frame, event, argument):
            nonlocal count
            if frame.f_code is not blas_held.__wrapped__.__code__:
                return None
            text = source[frame.f_lineno - first]
            # Python checks for signals after calls, not between a lock and its with
            if event == "line" and "with _lock" not in text:
                count += 1
                if count == line:
                    raise KeyboardInterrupt
            return trace

        previous = sys.gettrace()
        try:
            sys.settrace(trace)
            with blas_held():
                sys.settrace(previous)
        except KeyboardInterrupt:
            return True
        finally:
            sys.settrace(previous)
        return False

    n_lines = 0
    while interrupted_at(n_lines + 1):
        n_lines += 1
        assert set(settings()) == {2}, f"line {n_lines}"
    assert n_lines > 5
    with blas_held() as budget:
        assert budget == 2
        assert set(settings()) == {1}
