"""Rows on a cluster: partitions stay with their workers, sums travel.

SciPy runs on the client. An evaluation is one round trip: the parameters go to each
worker that holds partitions, which answers with the sums over its subtrees. Where a
worker is lost, the evaluation is repeated, with the same bits.
"""

import asyncio
import time
from dataclasses import replace
from functools import partial, reduce
from math import fsum

import numpy as np

from skce._inputs.weights import check_total
from skce._network.executors import QUIET
from skce._network.rows import RowsLost, digest_of
from skce._network.standardization import Moments
from skce._support.optional import optional
from skce.dask._cluster import BROKEN, LOOK_EVERY, OPERATION, ClusterLostError
from skce.dask._partitions import digest_of_part, moments_of, prepare, weight_sums
from skce.dask._tree import root_sum

distributed = optional("distributed", "skce.dask")

__all__ = ["ClusterRows"]


class ClusterRows:
    """`Rows` on the workers of a cluster.

    Parameters
    ----------
    partitions : Partitions
    recipe : Recipe
    n_jobs : int or None
        Threads of an evaluation on a worker, never more than its own.

    Attributes
    ----------
    seconds : dict
        Those of the kernels in the last evaluation, by the worker's address.

    Raises
    ------
    ValueError
        If no row has a positive weight.
    """

    n_bytes = np.inf  # the rows cannot be copied to the client

    def __init__(self, partitions, recipe, n_jobs=None):
        summary, expected = partitions.summary, recipe.expected
        self.network = recipe.network
        self.n_rows = summary.n_rows
        self.dtype = expected.dtype
        self.sample, self.largest = summary.sample, summary.largest
        self.seconds = {}
        self._holders = partitions.holders
        self._n_threads = None if n_jobs in (None, -1) else n_jobs
        self._assigned = None
        self._direct = None
        total, recipe = self._weigh(partitions, recipe)
        with np.errstate(over="ignore"):
            self.total_weight = float(np.ldexp(total, recipe.exponent))
        parts = partitions.each(partial(moments_of, recipe=recipe))
        self.moments = reduce(Moments.merged, self._holders.gather(parts))
        self._parts = partitions.each(partial(prepare, recipe=recipe))
        self._holders.wait(self._parts)
        partitions.release()

    def _weigh(self, partitions, recipe):
        """Return the sum of the scaled weights, and the recipe with their mean."""
        sums = self._holders.gather(
            partitions.each(partial(weight_sums, recipe=recipe), of_labels=True)
        )
        totals, minima, maxima, targets = zip(*sums, strict=True)
        total = fsum(totals)
        check_total(total)
        self.class_frequencies = np.array(
            [fsum(of_output) / total for of_output in zip(*targets, strict=True)]
        )
        if min(minima) < max(maxima):
            recipe = replace(recipe, mean_weight=total / self.n_rows)
        return total, recipe

    def digest(self):
        """Return a fingerprint of the rows, for checkpoints."""
        digests = self._holders.client.map(digest_of_part, self._parts, pure=False)
        texts = "".join(self._holders.gather(digests)).encode()
        return digest_of(np.frombuffer(texts, dtype=np.uint8))

    def sums(self, kind, vectors):
        """Return [loss, vector...] summed over the rows; see `Rows`."""
        try:
            nodes = self._nodes(kind, vectors)
        except ClusterLostError as error:
            raise RowsLost(error) from error
        with np.errstate(**QUIET):
            return root_sum(nodes, len(self._parts))

    def _nodes(self, kind, vectors):
        """Return the sums of the workers; ask again until none of them is lost."""
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
                if self._assigned is None:
                    self._assigned = self._assign()
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
            self._assigned = None
            time.sleep(0.05)
        self.seconds = {
            address: answer["seconds"]
            for address, answer in zip(self._assigned, answers, strict=True)
        }
        return {
            tuple(node): total
            for answer in answers
            for node, total in zip(answer["nodes"], answer["sums"], strict=True)
        }

    def _assign(self):
        """Assign to each worker the keys of the parts that it sums, in their order."""
        plan = {}
        holders = self._holders.who_has(self._parts)
        for future in self._parts:
            # of several that hold it, the one with the least to do
            address = min(holders[future.key], key=lambda a: (len(plan.get(a, ())), a))
            plan.setdefault(address, []).append(future.key)
        self._direct = self._holders.client.sync(self._reachable, next(iter(plan)))
        return plan

    async def _reachable(self, address):
        """Return whether the client reaches a worker without the scheduler."""
        try:
            call = self._holders.client.rpc(address).identity()
            await asyncio.wait_for(call, 5 * LOOK_EVERY)
        except (OSError, TimeoutError):
            return False
        return True

    async def _ask(self, message):
        """Return the answers of all workers; None if one of them is lost."""
        client = self._holders.client
        calls = [
            asyncio.ensure_future(self._call(address, {**message, "keys": keys}))
            for address, keys in self._assigned.items()
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
                if not set(self._assigned) <= set(there):
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
