"""Executors of the shares of the rows: serial or threads, with BLAS held to one thread.

NumPy and SciPy bring a BLAS each, with a pool of spinning threads each. An objective
in NumPy and the vectors of L-BFGS-B in SciPy call them in turn, and on few cores each
pool steals the cores of the other: a fit takes up to ten times as long. So BLAS is held
to one thread, and the cores go to blocks of rows.
"""

import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache, partial
from threading import Lock
from typing import Any

import numpy as np
from joblib import cpu_count
from threadpoolctl import ThreadpoolController

from skce._network.blocks import MIN_WORK

__all__ = ["QUIET", "Executor", "blas_held", "serial", "share_out", "workers"]

# Rows x parameters below which OpenBLAS takes one thread by itself: its products of a
# matrix and a vector take several from 9216 elements on
MIN_HELD_WORK = 2**13

# For np.errstate: what overflows is found by its result
QUIET: dict[str, Any] = {"over": "ignore", "invalid": "ignore", "divide": "ignore"}

_lock = Lock()
_holders: set[object] = set()
_before: list[int] = []


@cache
def _libraries():
    """The BLAS libraries of this process: a scan of 3 to 10 ms, made once."""
    return ThreadpoolController().select(user_api="blas").lib_controllers


def _set_num_threads(library, number):
    # From 3.7 on, threadpoolctl lets one Python thread alone set OpenBLAS: the first
    # that did, for as long as it lives. Here the last to leave restores, whoever it is.
    release = getattr(library, "clear_controlling_thread", lambda force: None)
    release(force=True)
    library.set_num_threads(number)
    release(force=True)


@contextmanager
def blas_held():
    """Hold BLAS to one thread; yields the number of threads that it had.

    The setting is the process's own. So the first to enter saves it and the last to
    leave restores it, in whatever thread and however they leave.
    """
    libraries, token = _libraries(), object()
    try:
        with _lock:
            if not _holders:
                _before[:] = [library.num_threads for library in libraries]
            # before anything is set, so that it is restored wherever Ctrl-C comes
            _holders.add(token)
            if len(_holders) == 1:
                for library in libraries:
                    _set_num_threads(library, 1)
            budget = max(_before) if _before else cpu_count()
        yield budget
    finally:
        with _lock:
            if token in _holders:
                _holders.remove(token)
                if not _holders:
                    _restore(libraries)


def _restore(libraries):
    for library, number in zip(libraries, _before, strict=True):
        _set_num_threads(library, number)


def _forget_holders():
    # A forked child has none of its parent's threads, but a copy of their state
    global _lock
    _lock = Lock()
    if _holders:
        _holders.clear()
        _restore(_libraries())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_holders)


def serial(function, items, on_interrupt=None):
    """`function` of each item, in their order.

    (Ctrl-C comes within `function`, which is interrupted by it.)
    """
    return [function(item) for item in items]


def _ignore_overflow():
    # a thread does not inherit the caller's np.errstate
    np.seterr(**QUIET)


class Executor:
    """Calls a function on each item: in threads while it is open, else serially.

    Parameters
    ----------
    n_jobs : int or None
        See `workers`.
    """

    def __init__(self, n_jobs=None):
        self.n_jobs = n_jobs
        self._run = serial

    def __call__(self, function, items):
        """Return the results in the order of the items."""
        return self._run(function, items)

    @contextmanager
    def opened(self, work):
        """Use threads meanwhile, if the work (rows x parameters) is worth them."""
        before = self._run
        with workers(work, self.n_jobs) as self._run:
            try:
                yield
            finally:
                self._run = before


@contextmanager
def workers(work, n_jobs=None):
    """A `run(function, items)` that gives the results in the order of the items.

    Parameters
    ----------
    work : int
        Rows x parameters. Little of it is done serially; for less than
        `MIN_HELD_WORK`, BLAS is not held either.
    n_jobs : int or None
        Threads; None for as many as BLAS may use, -1 for all cores.
    """
    if work < MIN_HELD_WORK:
        yield serial
        return
    with blas_held() as budget:
        if work < MIN_WORK:
            yield serial
            return
        n_threads = budget if n_jobs is None else n_jobs
        n_threads = cpu_count() if n_jobs == -1 else n_threads
        if n_threads == 1:
            yield serial
            return
        with ThreadPoolExecutor(
            n_threads - 1, "skce", initializer=_ignore_overflow
        ) as pool:
            yield partial(share_out, pool, n_threads - 1)


def share_out(pool, n_helpers, function, items, on_interrupt=None):
    """`function` of each item, in their order, by the caller and its helpers.

    All have ended when it returns or raises; `on_interrupt` is called if Ctrl-C comes
    while the caller waits for the last of them, and may have them end sooner.
    """
    results = [None] * len(items)
    waiting = deque(enumerate(items))

    def work():
        while True:
            try:
                i, item = waiting.popleft()
            except IndexError:
                return
            results[i] = function(item)

    helpers = []
    try:
        for _ in range(min(n_helpers, len(items) - 1)):
            helpers.append(pool.submit(work))
        work()
    finally:
        waiting.clear()
        # a helper that has not begun by now is not waited for
        errors = [_error_of(helper, on_interrupt) for helper in helpers]
    for error in filter(None, errors):
        raise error
    return results


def _error_of(helper, on_interrupt):
    """The exception of a helper that has begun, once it has ended; else None."""
    if helper.cancel():
        return None
    try:
        return helper.exception()
    except KeyboardInterrupt as interrupt:
        if on_interrupt is not None:
            on_interrupt()
        return helper.exception() or interrupt
