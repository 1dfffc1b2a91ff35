"""Futures held on a cluster, and requests to its workers.

dask computes the partitions, keeps them, and computes them again where a worker is
lost.
"""

import asyncio
import time
from concurrent.futures import CancelledError
from functools import partial
from typing import Any

from skce._network.executors import serial, share_out, with_blas_held
from skce._support.optional import optional
from skce.dask._tree import subtree_sums

distributed = optional("distributed", "skce.dask")

__all__ = [
    "BROKEN",
    "LOOK_EVERY",
    "OPERATION",
    "ClusterLostError",
    "Evaluations",
    "Holders",
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
    """Adds to a worker the operation that sums its partitions."""

    name = "skce"

    def setup(self, worker):
        """Called by dask on each worker, and on those that come later."""
        self.worker = worker
        worker.handlers[OPERATION] = self.sums

    async def sums(self, kind, vectors, keys, n_threads):
        """Answer one evaluation; see `subtree_sums`."""
        worker = self.worker
        missing = [key for key in keys if key not in worker.data]
        if missing:
            return {"status": "OK", "missing": missing}
        parts = [worker.data[key] for key in keys]
        # the threads of its tasks, so that neither takes the cores of the other
        pool = worker.executors["default"]
        n_threads = min(n_threads or worker.state.nthreads, worker.state.nthreads)
        nodes, sums, seconds = await asyncio.get_running_loop().run_in_executor(
            pool, _timed_sums, kind, vectors, parts, pool, n_threads
        )
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


class Holders:
    """Futures that are kept on the workers: waits for them, and finds their workers.

    Parameters
    ----------
    client : distributed.Client
    timeout : float
        Seconds without any worker, or without the scheduler, after which to give up.
    """

    def __init__(self, client, timeout):
        self.client = client
        self.timeout = timeout

    def wait(self, futures):
        """Wait until all are in memory.

        Raises
        ------
        ClusterLostError
            If there is no worker, or a future cannot be computed any more.
        Exception
            What a task has raised.
        """
        alone_since = None
        while True:
            try:
                with self.client.as_current():  # wait() has no client argument
                    distributed.wait(futures, timeout=LOOK_EVERY)
                break
            except BROKEN as error:
                self._raise_if_cancelled(futures, error)
                alone_since = self._alone_since(alone_since)
        for future in futures:
            if future.status == "error":
                cause = future.exception()
                if isinstance(cause, distributed.KilledWorker):
                    raise ClusterLostError(
                        f"Several workers died while computing a partition: {cause}"
                    ) from cause
                raise cause

    def gather(self, futures):
        """Return their results."""
        futures = list(futures)
        self.wait(futures)

        async def results():
            return await self.client.gather(futures, asynchronous=True)

        alone_since = None
        while True:
            try:
                return self.client.sync(results, callback_timeout=10 * LOOK_EVERY)
            except BROKEN as error:
                self._raise_if_cancelled(futures, error)
                alone_since = self._alone_since(alone_since)

    def _of_scheduler(self, call, **arguments):
        """Return the scheduler's answer; a TimeoutError if there is none."""
        return self.client.sync(call, callback_timeout=10 * LOOK_EVERY, **arguments)

    def who_has(self, futures):
        """Return the workers that hold each future: key to addresses."""
        alone_since = None
        while True:
            self.wait(futures)
            try:
                keys = [future.key for future in futures]
                ask = self.client.scheduler.who_has
                holders = self._of_scheduler(ask, keys=keys)
            except BROKEN:
                holders = {}
            if all(holders.get(future.key) for future in futures):
                return holders
            alone_since = self._alone_since(alone_since)
            time.sleep(0.05)  # dask is about to learn that they are lost

    def _raise_if_cancelled(self, futures, error):
        if any(future.cancelled() for future in futures):
            raise ClusterLostError(
                "A partition is lost and cannot be computed again: its data were sent "
                "to the cluster by scatter(), or the client was closed or cut off. "
                "Build X and y from files or dask.array.from_array, which dask can "
                "read again."
            ) from error

    def _alone_since(self, since):
        """Return when the last worker was seen; raise if that is too long ago."""
        try:
            if self.client.status == "running" and self._of_scheduler(
                self.client.scheduler.ncores
            ):
                return None
        except (*BROKEN, RuntimeError):
            pass
        now = time.monotonic()
        since = now if since is None else since
        if now - since >= self.timeout:
            raise ClusterLostError(
                f"The cluster has had no worker, or no scheduler, for "
                f"{self.timeout:g} seconds (worker_timeout)."
            )
        if self.client.status != "running":
            time.sleep(LOOK_EVERY)
        return since
