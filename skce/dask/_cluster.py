"""Requests to a cluster, none of which hangs, and the futures that a fit holds there.

dask computes the partitions, keeps them, and computes them again where a worker is
lost.
"""

import asyncio
import time
from concurrent.futures import CancelledError, wait
from functools import partial
from typing import Any

from skce._network.executors import serial, share_out, threads_of, with_blas_held
from skce._support.optional import optional
from skce.dask._tree import subtree_sums

distributed = optional("distributed", "skce.dask")

__all__ = [
    "BROKEN",
    "LOOK_EVERY",
    "OPERATION",
    "Cluster",
    "ClusterLostError",
    "Evaluations",
]

# Name under which workers offer `Evaluations.sums`; called by `ClusterRows`
OPERATION = "skce_subtree_sums"

# Seconds between two checks of which workers are still there
LOOK_EVERY = 1.0

# Errors of the connection, not of the data
BROKEN = (OSError, TimeoutError, CancelledError, asyncio.CancelledError)


class ClusterLostError(RuntimeError):
    """The cluster cannot continue a fit.

    Attributes
    ----------
    best : PairedMLPClassifier or None
        Fitted, with the best weights so far; None if there was no iteration.

    Examples
    --------
    >>> from skce.dask import ClusterLostError
    >>> try:
    ...     raise ClusterLostError("The cluster has had no worker for 30 seconds.")
    ... except ClusterLostError as error:
    ...     print(error.best)
    None
    """

    best: Any = None


class Evaluations(distributed.WorkerPlugin):  # type: ignore[name-defined]
    """Worker plugin with the operation that sums the partitions of a worker."""

    name = "skce"

    def setup(self, worker):
        """Called by dask on each worker, and on those that come later."""
        self.worker = worker
        worker.handlers[OPERATION] = self.sums

    async def sums(self, kind, vectors, keys, n_jobs):
        """Answer one evaluation; see `subtree_sums`."""
        worker = self.worker
        missing = [key for key in keys if key not in worker.data]
        if missing:
            return {"status": "OK", "missing": missing}
        parts = [worker.data[key] for key in keys]
        # the threads of its tasks, so that neither takes the cores of the other
        pool = worker.executors["default"]
        n_most = worker.state.nthreads
        n_threads = min(threads_of(n_jobs, n_most), n_most)
        try:
            nodes, sums, seconds = await asyncio.get_running_loop().run_in_executor(
                pool, _timed_sums, kind, vectors, parts, pool, n_threads
            )
        except Exception:
            if worker.status in (distributed.Status.running, distributed.Status.paused):
                raise
            # it retires, and its threads are gone: others will have its partitions
            return {"status": "OK", "missing": list(keys)}
        return {
            "status": "OK",
            "nodes": nodes,
            "sums": [distributed.protocol.to_serialize(total) for total in sums],
            "seconds": seconds,
        }


def _timed_sums(kind, vectors, parts, pool, n_threads):
    """Return `subtree_sums`, and the seconds that it took."""
    start = time.perf_counter()
    run = serial if n_threads == 1 else partial(share_out, pool, n_threads - 1)
    nodes, sums = with_blas_held(
        lambda _: subtree_sums(kind, vectors, parts, run, n_threads)
    )
    return nodes, sums, time.perf_counter() - start


class Cluster:
    """The cluster as one fit sees it.

    No call waits for longer than `timeout` without a worker or an answer of the
    scheduler. On exit its futures are released, also those that the frames of an error
    still refer to.

    Parameters
    ----------
    client : distributed.Client
    timeout : float
        Seconds without any worker, or without the scheduler, after which to give up.
    """

    def __init__(self, client, timeout):
        self.client = client
        self.timeout = timeout
        self._futures = {}  # by id, as futures of the same key are equal

    def __enter__(self):
        return self

    def __exit__(self, *error):
        for future in self._futures.values():
            future.release()

    def check_open(self):
        """Raise a ClusterLostError if the client is closed."""
        if self.client.status in ("closing", "closed"):
            raise ClusterLostError(
                "The client is closed: by close(), or because it lost the scheduler."
            )

    def futures_of(self, collection):
        """Return the futures in a collection, or in nested lists."""
        try:
            return distributed.futures_of(collection)
        except CancelledError as error:
            raise _lost_partition(error) from error

    def hold(self, function, *arguments, **options):
        """Call a method of the client and hold the futures that it returns.

        Raises
        ------
        ClusterLostError
            If the client is closed, or what it is to compute from is lost.
        """
        try:
            made = function(*arguments, **options)
        except CancelledError as error:
            raise _lost_partition(error) from error
        except Exception:
            self.check_open()
            raise
        self._futures |= {id(future): future for future in self.futures_of(made)}
        return made

    def release(self, collection):
        """Release the futures of a collection that was held."""
        for future in self.futures_of(collection):
            self._futures.pop(id(future), None)
            future.release()

    def call(self, function, *arguments, workers=(), **options):
        """Run a coroutine function in the event loop of the client; return its result.

        Raises
        ------
        ClusterLostError
            If the cluster is gone before.
        ConnectionError
            If one of `workers`, addresses, is gone.
        """
        running = self._start(function, *arguments, **options)
        try:
            while not wait([running], LOOK_EVERY).done:
                # a connection to a dead machine can stay silent for long
                if not self.workers().issuperset(workers):
                    raise ConnectionError("A worker is gone.")
            return running.result()
        except RuntimeError:  # of the connections of a client that is being closed
            self.check_open()
            raise
        finally:
            running.cancel()

    def ask(self, function, *arguments, **options):
        """Like `call`, but repeated if the connection breaks."""
        broken_since = None
        while True:
            try:
                return self.call(function, *arguments, **options)
            except CancelledError as error:
                self.check_open()
                raise _lost_partition(error) from error
            except BROKEN as error:
                self.workers()
                now = time.monotonic()
                broken_since = broken_since or now
                if now - broken_since >= self.timeout:
                    raise ClusterLostError(
                        f"The connections to the cluster have been broken for "
                        f"{self.timeout:g} seconds (worker_timeout): {error}"
                    ) from error
            time.sleep(0.05)  # dask is about to learn what is lost

    def workers(self):
        """Return the addresses of the workers, as soon as there is one."""
        end = time.monotonic() + self.timeout
        while True:
            asked = self._start(self.client.scheduler.ncores)
            try:
                wait([asked], max(0, end - time.monotonic()))
                if asked.done() and asked.result():
                    return set(asked.result())
            except BROKEN:
                pass
            finally:
                asked.cancel()
            if time.monotonic() >= end:
                raise ClusterLostError(
                    f"There has been no worker, or no scheduler, for "
                    f"{self.timeout:g} seconds (worker_timeout)."
                )
            time.sleep(0.1)

    def wait(self, futures):
        """Wait until all are in memory.

        Raises
        ------
        ClusterLostError
            If there is no worker, or a future cannot be computed any more.
        Exception
            What a task has raised.
        """

        async def exceptions():
            return await asyncio.gather(*(future.exception() for future in futures))

        for cause in self.call(exceptions):
            if isinstance(cause, distributed.KilledWorker):
                raise ClusterLostError(
                    f"Several workers died while computing a partition: {cause}"
                ) from cause
            if cause is not None:
                raise cause
        if any(future.cancelled() for future in futures):
            self.check_open()
            raise _lost_partition()

    def gather(self, futures):
        """Return the results of futures that are held, and release these."""
        futures = list(futures)
        self.wait(futures)
        # in the loop, the client gives an awaitable
        results = self.ask(self.client.gather, futures)
        self.release(futures)
        return results

    def who_has(self, futures):
        """Return the workers that hold each future: key to addresses."""
        keys = [future.key for future in futures]
        while True:
            self.wait(futures)
            holders = self.ask(self.client.scheduler.who_has, keys=keys)
            if all(holders.get(key) for key in keys):
                return holders
            time.sleep(0.05)  # dask is about to learn that they are lost

    def _start(self, function, *arguments, **options):
        """Return a concurrent Future of a coroutine function."""
        self.check_open()

        async def answer():
            return await function(*arguments, **options)

        return asyncio.run_coroutine_threadsafe(answer(), self.client.loop.asyncio_loop)


def _lost_partition(error=None):
    return ClusterLostError(
        "A partition is lost and cannot be computed again: its data were sent to the "
        "cluster by scatter(), or the client was disconnected"
        f"{'' if error is None else f' ({error})'}. Build X and y from files or "
        "dask.array.from_array, which dask can read again."
    )
