"""The objective on a cluster: partitions stay with their workers, sums travel.

SciPy runs on the client. An evaluation is one round trip: the parameters go to each
worker that holds partitions, which answers with the sums over its subtrees
(`skce.dask._partitions`). dask computes the partitions, keeps them, and computes them
again where a worker is lost; the evaluation is then repeated, with the same bits.
"""

import asyncio
import time
from concurrent.futures import CancelledError
from functools import partial

import numpy as np

from skce._network.executors import QUIET, blas_held, serial, share_out
from skce._support.optional import optional
from skce.dask._partitions import root_sum, subtree_sums

distributed = optional("distributed", "skce.dask")

__all__ = ["ClusterLostError", "ClusterObjective", "Evaluations", "Holders"]

OPERATION = "skce_subtree_sums"

# Seconds between two looks at who is still there
LOOK_EVERY = 1.0

# What speaks of the connection, not of the data
BROKEN = (OSError, TimeoutError, CancelledError, asyncio.CancelledError)


class ClusterLostError(RuntimeError):
    """The cluster cannot go on with a fit.

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

    best = None


class _Interrupt(KeyboardInterrupt):
    """Ends a minimisation as Ctrl-C does: with the best weights so far."""


class Evaluations(distributed.WorkerPlugin):
    """Gives a worker the operation that sums its partitions."""

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
        # the threads that tasks run in, so that neither takes the cores of the other
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
    """`subtree_sums`, and the seconds that it took."""
    start = time.perf_counter()
    run = serial if n_threads == 1 else partial(share_out, pool, n_threads - 1)
    with blas_held():
        nodes, sums = subtree_sums(kind, vectors, parts, run, n_threads)
    return nodes, sums, time.perf_counter() - start


class Holders:
    """Futures that are kept on the workers, and the waiting for them.

    Parameters
    ----------
    client : distributed.Client
    timeout : float
        Seconds without any worker, or without the scheduler, before it is given up.
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
                with self.client.as_current():  # wait() knows no client= of its own
                    distributed.wait(futures, timeout=LOOK_EVERY)
                break
            except BROKEN as error:
                self._give_up_cancelled(futures, error)
                alone_since = self._alone_since(alone_since)
        for future in futures:
            if future.status == "error":
                error = future.exception()
                if isinstance(error, distributed.KilledWorker):
                    raise ClusterLostError(
                        f"A partition has cost several workers their lives: {error}"
                    ) from error
                raise error

    def gather(self, futures):
        """Their results."""
        futures = list(futures)
        self.wait(futures)

        async def results():
            return await self.client.gather(futures, asynchronous=True)

        alone_since = None
        while True:
            try:
                return self.client.sync(results, callback_timeout=10 * LOOK_EVERY)
            except BROKEN as error:
                self._give_up_cancelled(futures, error)
                alone_since = self._alone_since(alone_since)

    def _of_scheduler(self, call, **arguments):
        """What the scheduler answers; a TimeoutError if it stays silent."""
        return self.client.sync(call, callback_timeout=10 * LOOK_EVERY, **arguments)

    def who_has(self, futures):
        """The holders of each future in memory: key to addresses."""
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

    def _give_up_cancelled(self, futures, error):
        if any(future.cancelled() for future in futures):
            raise ClusterLostError(
                "A partition is lost and cannot be computed again: its data were sent "
                "to the cluster by scatter(), or the client was closed or cut off. "
                "Build X and y from files or dask.array.from_array, which dask can "
                "read again."
            ) from error

    def _alone_since(self, since):
        """When the last worker was seen; raises if that is too long ago."""
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


class ClusterObjective:
    """F of `skce._network.objective.Objective`, its rows on a cluster; for `minimize`.

    Parameters
    ----------
    network : Network
    parts : list of Future of Part
        In the order of their numbers.
    n_rows : int
    decay : float
        alpha / S.
    holders : Holders
    n_jobs : int or None
        Threads of an evaluation on a worker, never more than its own.

    Attributes
    ----------
    lost : ClusterLostError or None
        Why an evaluation was ended with an `_Interrupt`.
    seconds : dict
        Those of the kernels in the last evaluation, by the worker's address.
    """

    def __init__(self, network, parts, n_rows, decay, holders, n_jobs=None):
        self.network = network
        self.n_rows = n_rows
        self.lost = None
        self.seconds = {}
        self._parts = parts
        self._factor = 1 / n_rows
        self._decay = decay * network.penalty_factors
        self._decayed = np.empty_like(self._decay)
        self._holders = holders
        self._n_threads = None if n_jobs in (None, -1) else n_jobs
        self._plan = None
        self._direct = None

    def value_and_gradient(self, theta):
        """F(theta) and its gradient; see `Objective`."""
        loss, gradient = self._mean("gradient", theta)
        decayed = np.multiply(self._decay, theta, out=self._decayed)
        gradient += decayed
        return loss + 0.5 * float(theta.dot(decayed)), gradient

    def mean_loss(self, theta):
        """The mean loss of the rows, without the L2 term; a float."""
        return self._mean("loss", theta)[0]

    def hessian_product(self, theta, v):
        """H(theta) v, shape (n_parameters,), float64."""
        _, product = self._mean("hessian", theta, v)
        product += self._decay * v
        return product

    def _mean(self, kind, *vectors):
        """Mean over the rows of the losses, and of the vectors of this kind."""
        try:
            nodes = self._nodes(kind, vectors)
        except ClusterLostError as error:
            self.lost = error
            raise _Interrupt(str(error)) from error
        with np.errstate(**QUIET):
            total = root_sum(nodes, len(self._parts))
            total *= self._factor
        return float(total[0]), total[1:]

    def _nodes(self, kind, vectors):
        """The sums of the workers; asked again until none of them is lost."""
        client = self._holders.client
        message = {
            "kind": kind,
            "vectors": [distributed.protocol.to_serialize(v) for v in vectors],
            "n_threads": self._n_threads,
        }
        while True:
            if client.status in ("closing", "closed"):
                raise ClusterLostError("The client was closed.")
            try:
                if self._plan is None:
                    self._plan = self._new_plan()
            except ClusterLostError:
                raise
            except Exception as error:
                raise ClusterLostError(
                    f"A partition is lost and cannot be computed again: {error!r}"
                ) from error
            try:
                answers = client.sync(self._ask, message)
            except BROKEN:
                answers = None
            except RuntimeError:
                if client.status == "running":
                    raise
                answers = None
            if answers is not None and not any("missing" in a for a in answers):
                break
            self._plan = None
            time.sleep(0.05)
        self.seconds = {
            address: answer["seconds"]
            for address, answer in zip(self._plan, answers, strict=True)
        }
        return {
            tuple(node): total
            for answer in answers
            for node, total in zip(answer["nodes"], answer["sums"], strict=True)
        }

    def _new_plan(self):
        """The keys of the parts that each worker is to sum, in their order."""
        plan = {}
        holders = self._holders.who_has(self._parts)
        for future in self._parts:
            # of several that hold it, the one with the least to do
            address = min(holders[future.key], key=lambda a: (len(plan.get(a, ())), a))
            plan.setdefault(address, []).append(future.key)
        self._direct = self._holders.client.sync(self._reachable, next(iter(plan)))
        return plan

    async def _reachable(self, address):
        """Whether the client can speak to a worker without the scheduler."""
        try:
            call = self._holders.client.rpc(address).identity()
            await asyncio.wait_for(call, 5 * LOOK_EVERY)
        except (OSError, TimeoutError):
            return False
        return True

    async def _ask(self, message):
        """The answers of all workers of the plan; None if one of them is lost."""
        client = self._holders.client
        calls = [
            asyncio.ensure_future(self._call(address, {**message, "keys": keys}))
            for address, keys in self._plan.items()
        ]
        try:
            while True:
                done, waiting = await asyncio.wait(
                    calls, timeout=LOOK_EVERY, return_when=asyncio.FIRST_EXCEPTION
                )
                broken = [call for call in done if call.exception() is not None]
                if broken:
                    error = broken[0].exception()
                    if isinstance(error, OSError):
                        return None
                    raise error
                if not waiting:
                    return [call.result() for call in calls]
                # a connection to a dead machine can stay silent for long
                ask = client.scheduler.ncores()
                there = await asyncio.wait_for(ask, 10 * LOOK_EVERY)
                if not set(self._plan) <= set(there):
                    return None
        finally:
            for call in calls:
                call.cancel()

    async def _call(self, address, message):
        client = self._holders.client
        if self._direct:
            return await getattr(client.rpc(address), OPERATION)(**message)
        message = {"op": OPERATION, **message}
        return await client.scheduler.proxy(msg=message, worker=address)
