"""dask collections: partitions of X, y and weights that belong together."""

from dataclasses import replace
from functools import partial

import numpy as np
from sklearn.utils.validation import validate_data

from skce._inputs.labels import as_labels
from skce._network.rows import SAMPLE_ROWS
from skce._support.optional import optional
from skce.dask._cluster import Evaluations
from skce.dask._partitions import Expected, merged, summarise

dask = optional("dask", "skce.dask")
da = optional("dask.array", "skce.dask")
distributed = optional("distributed", "skce.dask")

__all__ = [
    "Partitions",
    "check_collection",
    "delayed_partitions",
    "meta_row",
    "one_chunk_of_columns",
]


class Partitions:
    """The partitions of a fit, persisted on their workers.

    Parameters
    ----------
    estimator : DaskPairedMLPClassifier
        Whose `n_features_in_` is set.
    cluster : Cluster
    X, y, weights : dask collections or array-like
        Weights may be None.

    Attributes
    ----------
    expected : Expected
        Schema that all partitions share.
    summary : PartitionSummary
        Of all of them.
    kept : bool
        Whether the user keeps X on the workers anyway.
    """

    def __init__(self, estimator, cluster, X, y, weights):
        self.cluster = cluster
        client = cluster.client
        check_collection("X", X)
        if not dask.is_dask_collection(X):
            raise TypeError(
                f"X is of type {type(X).__name__}; it must be a dask array or data "
                "frame, such as dask.array.from_array(X, chunks=...). For data in "
                "memory use PairedMLPClassifier."
            )
        self.expected = replace(_expected(estimator, X), weighted=weights is not None)
        # in the loop, the client gives an awaitable
        cluster.ask(client.register_plugin, Evaluations())
        given = [rows for rows in _aligned(X, y, weights) if rows is not None]
        there = {future.key for future in cluster.futures_of(given)}
        self.kept = there.issuperset(dask.core.flatten(given[0].__dask_keys__()))
        # all at once, as dask then optimises X and y together
        self.held = cluster.hold(client.persist, given)
        lists = delayed_partitions(*self.held)
        if there:
            keys = list(dask.core.flatten(self.held[0].__dask_keys__()))
        else:
            persisted, self.held = self.held, _spread(cluster, lists)
            cluster.release(persisted)
            lists = self.held
            keys = [future.key for future in lists[0]]
        self.partitions = list(zip(*lists, strict=True))
        who_has = cluster.who_has(cluster.futures_of(self.held))
        self.places = [who_has.get(key) for key in keys]
        n_sample = -(-SAMPLE_ROWS // len(self.partitions))
        summaries = self.each(
            partial(summarise, expected=self.expected, n_sample=n_sample)
        )
        self.summary = merged(cluster.gather(summaries))

    def each(self, function, of_labels=False):
        """Return futures of `function(number, X, y, weights)`, or of y and weights."""
        task = dask.delayed(function, pure=False)
        delayed = []
        for number, partition in enumerate(self.partitions):
            # where X is, unless that worker is lost
            workers = list(self.places[number] or ())
            near = {"workers": workers, "allow_other_workers": True} if workers else {}
            with dask.annotate(**near):
                arguments = partition[1:] if of_labels else partition
                delayed.append(task(number, *arguments))
        return self.cluster.hold(
            self.cluster.client.compute, delayed, optimize_graph=False
        )

    def release(self):
        """Release what the fit itself has persisted; dask can compute it again."""
        self.cluster.release(self.held)
        del self.held, self.partitions


def _spread(cluster, lists):
    """Compute lists of futures of the partitions, neighbours on the same worker.

    So that the sums of a worker are those of few subtrees. What the user has persisted
    is left where it is.
    """
    # in the loop, the client gives an awaitable
    n_threads = cluster.ask(cluster.client.nthreads)
    # each worker once per thread
    slots = [worker for worker, n in sorted(n_threads.items()) for _ in range(n)]
    n = len(lists[0])
    here = dask.delayed(_here, pure=False)
    delayed = []
    for parts in lists:
        for i, part in enumerate(parts):
            if part is None or not slots:
                delayed.append(part)
                continue
            near = [slots[i * len(slots) // n]]
            with dask.annotate(workers=near, allow_other_workers=True):
                delayed.append(here(part))
    futures = cluster.hold(cluster.client.compute, delayed, optimize_graph=False)
    return [futures[i : i + n] for i in range(0, len(futures), n)]


def _here(part):
    return part


def _expected(estimator, X):
    """Return the schema of all partitions; set `n_features_in_`."""
    if X.ndim != 2:
        raise ValueError(f"X has {X.ndim} dimensions; it must have 2: rows, features.")
    if isinstance(X, da.Array):
        columns, dtypes = None, [X.dtype]
        example = np.ones((1, X.shape[1]))
    else:
        columns, dtypes = list(X.columns), list(X.dtypes)
        example = meta_row(X)
    if X.shape[1] == 0:
        raise ValueError("X has 0 features; at least one is needed.")
    validate_data(estimator, example, skip_check_array=True)
    all_float32 = all(dtype == np.float32 for dtype in dtypes)
    dtype = np.dtype(np.float32 if all_float32 else np.float64)
    return Expected(X.shape[1], columns, dtype)


def check_collection(name, rows):
    """Raise a TypeError for what is lazy, but neither an array nor a data frame."""
    lazy = dask.is_dask_collection(rows) or isinstance(rows, distributed.Future)
    # of the type, as a Delayed has any attribute; a Bag has none
    if lazy and not hasattr(type(rows), "ndim"):
        raise TypeError(
            f"{name} is a dask {type(rows).__name__}; it must be a dask array or data "
            "frame: make one with dask.array.from_delayed, "
            "dask.dataframe.from_delayed or Bag.to_dataframe."
        )


def meta_row(X):
    """Return a row with the columns and types of a dask data frame."""
    return X._meta_nonempty.iloc[:1]  # of nullable columns, the second row is NA


def one_chunk_of_columns(X):
    return X.rechunk({1: -1}) if X.numblocks[1] > 1 else X


def _aligned(X, y, weights):
    """Return the three with the same partitions."""
    if isinstance(X, da.Array):
        X = one_chunk_of_columns(X)
    n = X.npartitions
    given = []
    for name, values in (("y", y), ("sample_weight", weights)):
        if values is None:
            if name == "y":
                raise ValueError("y is None, but a classifier needs labels.")
            given.append(None)
            continue
        given.append(_cut_as(X, name, values))
        if given[-1].npartitions != n:
            raise ValueError(
                f"X has {n} partitions, but {name} has {given[-1].npartitions}: both "
                "need the same rows in the same partitions, as the columns of one data "
                "frame have."
            )
    return X, *given


def _cut_as(X, name, values):
    """Return `values` as a collection, in the chunks of X if these are known."""
    check_collection(name, values)
    chunks = X.chunks[0] if isinstance(X, da.Array) else (np.nan,)
    known = not np.isnan(chunks).any()
    if not dask.is_dask_collection(values):
        values = np.asarray(as_labels(values) if name == "y" else values)
        if values.ndim == 0 and known:
            values = np.full(sum(chunks), values)
        if not known:
            raise TypeError(
                f"{name} is in memory, but the chunk sizes of X are unknown: pass "
                f"{name} as a dask collection with X's partitions, or X with known "
                "chunk sizes (X.compute_chunk_sizes(), or "
                "X.to_dask_array(lengths=True) for a data frame)."
            )
        if len(values) != sum(chunks):
            raise ValueError(f"X has {sum(chunks)} rows, but {name} has {len(values)}.")
        return da.from_array(values, chunks=(chunks, *values.shape[1:]))
    if not isinstance(values, da.Array):
        return values
    if values.ndim > 1:
        values = one_chunk_of_columns(values)
    if known and not np.isnan(values.chunks[0]).any():
        if values.shape[0] != sum(chunks):
            raise ValueError(
                f"X has {sum(chunks)} rows in {len(chunks)} partitions, but {name} has "
                f"{values.shape[0]} in {values.npartitions}."
            )
        values = values.rechunk({0: chunks})
    return values


def delayed_partitions(X, y, weights=None):
    """Return lists of the delayed partitions of each; of None for no weights."""
    X, y, weights = _aligned(X, y, weights)
    return [
        [None] * X.npartitions if rows is None else list(np.ravel(rows.to_delayed()))
        for rows in (X, y, weights)
    ]
