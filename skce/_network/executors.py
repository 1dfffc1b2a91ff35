"""Who runs the shares of the rows: serial or threads, with BLAS held to one thread.

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

import numpy as np
from threadpoolctl import ThreadpoolController

from skce._network.blocks import LEAST_WORK

__all__ = ["QUIET", "blas_held", "serial", "share_out", "workers"]

# Rows x parameters below which OpenBLAS takes one thread by itself: its products of a
# matrix and a vector take several from 9216 elements on
LEAST_HELD = 2**13

# For np.errstate: what overflows is found by its result
QUIET = {"over": "ignore", "invalid": "ignore", "divide": "ignore"}

_lock = Lock()
_holders = 0
_before = []


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
    """Hold BLAS to one thread; gives the number of threads that it had.

    The setting is the process's own. So the first to enter saves it and the last to
    leave restores it, in whatever thread and however they leave.
    """
    global _holders
    libraries = _libraries()
    with _lock:
        if _holders == 0:
            _before[:] = [library.num_threads for library in libraries]
            for library in libraries:
                _set_num_threads(library, 1)
        _holders += 1
        budget = max(_before, default=os.cpu_count() or 1)
    try:
        yield budget
    finally:
        with _lock:
            _holders -= 1
            if _holders == 0:
                for library, number in zip(libraries, _before, strict=True):
                    _set_num_threads(library, number)


def _forget_holders():
    # A forked child has none of its parent's threads, but a copy of their state
    global _lock, _holders
    _lock = Lock()
    if _holders:
        _holders = 0
        for library, number in zip(_libraries(), _before, strict=True):
            _set_num_threads(library, number)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_holders)


def serial(function, items, on_interrupt=None):
    """`function` of each item, in their order."""
    return [function(item) for item in items]


def _ignore_overflow():
    # a thread does not inherit the caller's np.errstate
    np.seterr(**QUIET)


@contextmanager
def workers(work, n_jobs=None):
    """A `run(function, items)` that gives the results in the order of the items.

    Parameters
    ----------
    work : int
        Rows x parameters. For little of it all is done here and now; for less than
        `LEAST_HELD`, nothing is set up at all.
    n_jobs : int or None
        Threads; None for as many as BLAS had, -1 for all cores.
    """
    if work < LEAST_HELD:
        yield serial
        return
    with blas_held() as budget:
        n_threads = {None: budget, -1: os.cpu_count() or 1}.get(n_jobs, n_jobs)
        if n_threads == 1 or work < LEAST_WORK:
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
