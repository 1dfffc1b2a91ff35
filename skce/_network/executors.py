"""Executors of the shares of the rows: serial or threads, with BLAS held to one thread.

NumPy and SciPy bring a BLAS each, with a pool of spinning threads each. An objective
in NumPy and the vectors of L-BFGS-B in SciPy call them in turn, and on few cores each
pool steals the cores of the other: a fit takes up to ten times as long. So BLAS is held
to one thread, and the cores go to blocks of rows.
"""

import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from threading import Lock, Thread
from typing import Any

import numpy as np
from joblib import cpu_count
from threadpoolctl import ThreadpoolController

from skce._network.blocks import MIN_WORK

__all__ = [
    "QUIET",
    "Executor",
    "serial",
    "share_out",
    "threads_of",
    "with_blas_held",
    "with_workers",
]

# Rows x parameters below which OpenBLAS takes one thread by itself: its products of a
# matrix and a vector take several from 9216 elements on
MIN_HELD_WORK = 2**13

# For np.errstate, also where the user has set np.seterr(all="raise"): what overflows is
# found by its result, and an underflow to 0 is right
QUIET: dict[str, Any] = {"all": "ignore"}

_lock = Lock()
# One for each call in progress, which has it locked as long as it lasts
_holders: list[Any] = []
# What each library had before, None while none is held
_before: list[int] | None = None
# What a library had before another thread took it over, see `_restore`
_taken_over: dict[Any, int] = {}


@cache
def _libraries():
    """The BLAS libraries of this process: a scan of 3 to 10 ms, made once."""
    return ThreadpoolController().select(user_api="blas").lib_controllers


def _release(library, force=False):
    # threadpoolctl lets one Python thread alone set OpenBLAS: the first that did, for
    # as long as it lives, or as its `with threadpool_limits` lasts
    if hasattr(library, "clear_controlling_thread"):
        library.clear_controlling_thread(force=force)


def with_blas_held(function):
    """Call `function(n_threads)`, of the threads that BLAS had, with BLAS held to one.

    The setting is the process's own. So the first to enter saves it and the last to
    leave restores it, in whatever thread and however they leave. Where a second Ctrl-C
    comes while one leaves, the next one that enters finds its lock released, and
    restores it.
    """
    # Not a context manager of Python code, which Ctrl-C can keep from leaving: the
    # interpreter releases a lock whatever comes.
    held = Lock()
    with held:
        try:
            return function(_enter(held))
        finally:
            _leave(held)


def _enter(held):
    global _before
    with _lock:
        # each step leaves a state from which the next one to enter can go on
        _holders[:] = [other for other in _holders if other.locked()]
        if not _holders:
            _restore()
            _take_back()
            _before = [library.num_threads for library in _libraries()]
        _holders.append(held)
        if len(_holders) == 1:
            for library in _libraries():
                if library.num_threads == 1:  # perhaps a limit of the user's
                    continue
                _release(library, force=True)
                library.set_num_threads(1)
                _release(library)
        return max(_before) if _before else cpu_count()


def _leave(held):
    with _lock:
        _holders[:] = [
            other for other in _holders if other is not held and other.locked()
        ]
        if not _holders:
            _restore()


def _restore():
    """Give the libraries the threads that they had, if they are held.

    A limit that another thread has set meanwhile is left as it is. Where it is one of
    `with threadpool_limits`, its end will set the one thread that it found.
    """
    global _before
    if _before is None:
        return
    for library, number in zip(_libraries(), _before, strict=True):
        if number == 1:  # it was not changed
            continue
        if library.num_threads == 1:
            library.set_num_threads(number)
            _release(library)
        if library.num_threads != number:
            _taken_over[library] = number
    _before = None


def _take_back():
    """Undo what the end of another thread's limit has set; see `_restore`.

    A limit of one thread that is in force is not: a new thread cannot change it.
    """
    if any(library.num_threads == 1 for library in _taken_over):
        setter = Thread(target=_set_taken_over)
        setter.start()
        setter.join()
    for library in list(_taken_over):
        if library.num_threads != 1:  # or it was set to something since
            del _taken_over[library]


def _set_taken_over():
    for library, number in _taken_over.items():
        if library.num_threads == 1:
            library.set_num_threads(number)
            _release(library)


def _forget_holders():
    # A forked child has none of its parent's threads, but a copy of their state
    global _lock
    _lock = Lock()
    _holders.clear()
    _restore()


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
        See `with_workers`.
    """

    def __init__(self, n_jobs=None):
        self.n_jobs = n_jobs
        self._run = serial

    def __call__(self, function, items):
        """Return the results in the order of the items."""
        return self._run(function, items)

    def opened(self, work, function):
        """Return `function()`, with threads if the work is worth them.

        Parameters
        ----------
        work : int
            Rows x parameters.
        function : callable
        """

        def with_run(run):
            before, self._run = self._run, run
            try:
                return function()
            finally:
                self._run = before

        return with_workers(work, self.n_jobs, with_run)


def threads_of(n_jobs, n_cores):
    """Return the number of threads: -1 is all cores, -2 all but one, and so on."""
    return n_jobs if n_jobs > 0 else max(1, n_cores + 1 + n_jobs)


def with_workers(work, n_jobs, function):
    """Return `function(run)` of an executor.

    `run(function, items)` gives the results in the order of the items.

    Parameters
    ----------
    work : int
        Rows x parameters. Little of it is done serially; for less than
        `MIN_HELD_WORK`, BLAS is not held either.
    n_jobs : int or None
        Threads, as in `threads_of`; None for as many as BLAS may use.
    function : callable
    """

    def with_budget(budget):
        n_threads = budget if n_jobs is None else threads_of(n_jobs, cpu_count())
        if work < MIN_WORK or n_threads == 1:
            return function(serial)
        with ThreadPoolExecutor(
            n_threads - 1, "skce", initializer=_ignore_overflow
        ) as pool:
            return function(partial(share_out, pool, n_threads - 1))

    if work < MIN_HELD_WORK:
        return function(serial)
    return with_blas_held(with_budget)


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
