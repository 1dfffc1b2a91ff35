"""Rows on a cluster: partitions stay with their workers, sums travel.

SciPy runs on the client. An evaluation is one round trip: the parameters go to each
worker that holds partitions, which answers with the sums over its subtrees. Where a
worker is lost, the evaluation is repeated, with the same bits.
"""

import asyncio
import time
from dataclasses import replace
from functools import cached_property, partial, reduce
from math import fsum

import numpy as np

from skce._inputs.weights import check_total
from skce._network.executors import QUIET
from skce._network.rows import RowsLost, digest_of
from skce._network.standardization import Moments
from skce._support.optional import optional
from skce.dask._cluster import BROKEN, LOOK_EVERY, OPERATION, ClusterLostError
from skce.dask._partitions import (
    digest_of_part,
    moments_of_part,
    prepare,
    weight_sums,
)
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
        self._cluster = partitions.cluster
        self._n_jobs = -1 if n_jobs is None else n_jobs
        self._assigned = None
        self._direct = None
        total, recipe = self._weigh(partitions, recipe)
        with np.errstate(over="ignore"):
            self.total_weight = float(np.ldexp(total, recipe.exponent))
        self._parts = partitions.each(partial(prepare, recipe=recipe))
        self._cluster.wait(self._parts)
        partitions.release()

    def _weigh(self, partitions, recipe):
        """Return the sum of the scaled weights, and the recipe with their mean."""
        sums = self._cluster.gather(
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
        texts = "".join(self._of_parts(digest_of_part)).encode()
        return digest_of(np.frombuffer(texts, dtype=np.uint8))

    @cached_property
    def moments(self):
        """Weighted moments of the columns of X."""
        return reduce(Moments.merged, self._of_parts(moments_of_part))

    def _of_parts(self, function):
        """Return the results of a function of a `Part`, of all in their order."""
        client = self._cluster.client
        return self._cluster.gather(
            self._cluster.hold(client.map, function, self._parts, pure=False)
        )

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
        cluster = self._cluster
        message = {
            "kind": kind,
            "vectors": [distributed.protocol.to_serialize(v) for v in vectors],
            "n_jobs": self._n_jobs,
        }
        while True:
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
                answers = cluster.call(self._ask, message, workers=self._assigned)
            except BROKEN:
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
        holders = self._cluster.who_has(self._parts)
        for future in self._parts:
            # of several that hold it, the one with the least to do
            address = min(holders[future.key], key=lambda a: (len(plan.get(a, ())), a))
            plan.setdefault(address, []).append(future.key)
        self._direct = self._cluster.call(self._reachable, next(iter(plan)))
        return plan

    async def _reachable(self, address):
        """Return whether the client reaches a worker without the scheduler."""
        try:
            call = self._cluster.client.rpc(address).identity()
            await asyncio.wait_for(call, 5 * LOOK_EVERY)
        except (OSError, TimeoutError):
            return False
        return True

    async def _ask(self, message):
        """Return the answers of all workers, in the order of `_assigned`."""
        calls = [
            asyncio.ensure_future(self._call(address, message | {"keys": keys}))
            for address, keys in self._assigned.items()
        ]
        try:
            return await asyncio.gather(*calls)
        finally:
            for call in calls:
                call.cancel()

    async def _call(self, address, message):
        client = self._cluster.client
        if self._direct:
            return await getattr(client.rpc(address), OPERATION)(**message)
        message = {"op": OPERATION, **message}
        return await client.scheduler.proxy(msg=message, worker=address)
