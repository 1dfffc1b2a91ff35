"""DaskPairedMLPClassifier: PairedMLPClassifier on the rows of a cluster."""

import inspect
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace
from math import fsum
from os import PathLike
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skce._estimator import BasePairedMLP
from skce._fitting.problem import Given, Problem
from skce._inputs.labels import class_labels, indicator_labels, ordered_categories
from skce._inputs.sampling import given_validation
from skce._inputs.weights import class_factors
from skce._network.standardization import Standardization
from skce._support.optional import optional
from skce.classifier import PairedMLPClassifier
from skce.dask._cluster import Cluster, ClusterLostError, distributed
from skce.dask._collections import (
    Partitions,
    check_collection,
    delayed_partitions,
    meta_row,
    one_chunk_of_columns,
)
from skce.dask._partitions import Recipe, check_block
from skce.dask._rows import ClusterRows
from skce.prediction import _has_logits

dask = optional("dask", "skce.dask")
da = optional("dask.array", "skce.dask")

__all__ = ["DaskPairedMLPClassifier"]

OWN = {"client": None, "worker_timeout": 30.0}


@dataclass(frozen=True, kw_only=True)
class GivenOnCluster(Given):
    """The arguments of `fit`, and the cluster that has the rows."""

    cluster: Cluster


class DaskPairedMLPClassifier(BasePairedMLP):
    """PairedMLPClassifier whose training rows are a dask array or data frame.

    SciPy runs on the client, and the partitions stay on their workers. An evaluation
    sends the parameters to each worker once and adds up the losses and gradients that
    come back, in a fixed order. So the result is bit-identical for any number of
    workers. Up to rounding, it equals that of PairedMLPClassifier on all rows with
    growing_sample=False. If a worker is lost, its partitions are recomputed. See
    "Distributed training with Dask" in the documentation.

    Parameters
    ----------
    activation, penalty, ...
        All parameters of PairedMLPClassifier, with the same defaults. `growing_sample`
        must be "auto" or False, which mean the same; `early_stopping` needs X_val and
        y_val; `n_jobs` is the number of threads per evaluation on a worker: None or -1
        for all threads of the worker, -2 for all but one; the starts of `n_init` run
        one after the other.
    client : distributed.Client, default=None
        The cluster; None: the current client. It is not pickled, and not copied by
        `clone`.
    worker_timeout : float, default=30.0
        Seconds without any worker, or without an answer of the scheduler, after which
        a fit or score ends with a ClusterLostError.

    Attributes
    ----------
    client_ : distributed.Client
        `client`, or the current one.
    classes_, coefs_, ...
        All attributes of PairedMLPClassifier. `stages_` has one stage.

    Examples
    --------
    >>> import dask.array as da
    >>> from distributed import Client, LocalCluster
    >>> from skce.dask import DaskPairedMLPClassifier
    >>> client = Client(LocalCluster(
    ...     n_workers=1, threads_per_worker=1, processes=False, dashboard_address=":0"))
    >>> rng = da.random.default_rng(0)
    >>> X = rng.standard_normal((4000, 3), chunks=(1000, 3)).persist()
    >>> y = (X[:, 0] > X[:, 1]).astype(int)
    >>> clf = DaskPairedMLPClassifier(hidden_layer_sizes=3, alpha=1, random_state=0)
    >>> clf.fit(X, y).score(X, y) > 0.98
    True
    >>> clf.predict(X)
    dask.array<..., shape=(4000,), dtype=int64, chunksize=(1000,), ...>
    >>> clf.to_local()
    PairedMLPClassifier(alpha=1, hidden_layer_sizes=3, random_state=0)
    >>> client.shutdown()
    """

    _ignored_by_checkpoint = (*BasePairedMLP._ignored_by_checkpoint, *OWN)

    def __init__(
        self,
        *arguments: Any,
        client: Any = None,
        worker_timeout: float = 30.0,
        **parameters: Any,
    ) -> None:
        try:
            super().__init__(*arguments, **parameters)
        except TypeError as error:
            raise TypeError(f"Dask{error}") from None
        self.client = client
        self.worker_timeout = worker_timeout

    # get_params reads the names from here
    vars(__init__)["__signature__"] = inspect.Signature(
        [
            *inspect.signature(BasePairedMLP.__init__).parameters.values(),
            *(
                inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default)
                for name, default in OWN.items()
            ),
        ]
    )

    def __sklearn_clone__(self):
        # what clone copies besides the parameters stays scikit-learn's business
        bare = copy(self)
        bare.client = None
        cloned = super(DaskPairedMLPClassifier, bare).__sklearn_clone__()
        cloned.client = self.client
        return cloned

    def __getstate__(self):
        return {**super().__getstate__(), "client": None}

    @property
    def client_(self) -> Any:
        """Client that is used.

        Raises
        ------
        AttributeError
            If there is none.
        """
        client = self.client
        if client is None:
            try:
                client = distributed.get_client()
            except ValueError as error:
                raise AttributeError(
                    "There is no dask client. Start one, for this machine with "
                    "`from distributed import Client, LocalCluster; client = "
                    "Client(LocalCluster())`, for a running cluster with "
                    "`Client('tcp://address:8786')`, or pass client=."
                ) from error
        if not isinstance(client, distributed.Client):
            raise AttributeError(
                f"client={client!r} must be None or a distributed.Client, such as "
                "Client('tcp://address:8786') or Client(cluster)."
            )
        if client.status in ("closing", "closed"):
            raise AttributeError("The client is closed: pass one that is not.")
        if client.asynchronous:
            raise AttributeError(
                "The client is asynchronous, but fit is not: pass a Client made "
                "without asynchronous=True."
            )
        return client

    def to_local(self) -> PairedMLPClassifier:
        """Return a PairedMLPClassifier with the same parameters and attributes."""
        local = PairedMLPClassifier()
        for name, value in vars(self).items():
            if name not in OWN:
                setattr(local, name, value)
        return local

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: ArrayLike | None = None,
        coefs_init: Sequence[ArrayLike] | None = None,
        intercepts_init: Sequence[ArrayLike] | None = None,
        skip_coef_init: ArrayLike | None = None,
        checkpoint: str | PathLike[str] | None = None,
    ) -> Self:
        """Fit the network to the rows of a cluster.

        Parameters
        ----------
        X : dask Array or DataFrame of shape (n_samples, n_features)
            Persisted or not, with known or unknown chunk sizes. The blocks of an array
            may be sparse. float32 is processed in float32, everything else in float64.
        y : dask Array, Series or DataFrame of shape (n_samples,) or \
                (n_samples, n_labels)
            Partitioned like X. An array with known chunk sizes is rechunked like X, as
            are array-likes in memory.
        sample_weight : dask Array or Series of shape (n_samples,), default=None
            Weights of the rows.
        X_val, y_val : array-like, default=None
            Rows for early stopping, in the memory of the client.
        sample_weight_val : array-like of shape (n_val,), default=None
            Weights of the validation rows.
        coefs_init, intercepts_init : list of array-like, default=None
            Initial weights; see PairedMLPClassifier.
        skip_coef_init : array-like of shape (n_features, n_outputs), default=None
            With `skip_layer`, those of the skip-layer connections.
        checkpoint : path-like, default=None
            A file on the client from which a fit can be resumed; see
            PairedMLPClassifier.

        Returns
        -------
        self : DaskPairedMLPClassifier

        Raises
        ------
        ValueError
            As in PairedMLPClassifier, with the number of the partition.
        TypeError
            If X is not a dask collection.
        ClusterLostError
            If the cluster is gone, or a partition cannot be recomputed. The best
            weights so far are kept, as after Ctrl-C: in the estimator, so that a fit
            with warm_start=True continues from there, and in the attribute `best` of
            the error. Before the first iteration the estimator does not change.

        Warns
        -----
        ConvergenceWarning
            As PairedMLPClassifier.
        """
        validation = X_val, y_val, sample_weight_val
        start = coefs_init, intercepts_init, skip_coef_init
        with Cluster(self._client(), self.worker_timeout) as cluster:
            given = GivenOnCluster(
                X, y, sample_weight, validation, start, cluster=cluster
            )
            lost = self._fit(given, checkpoint).interrupt.lost
        if lost is not None:
            error = ClusterLostError(
                f"{lost} The fit ended after {self.n_iter_} iterations; the estimator "
                "keeps the best weights so far. To continue from them, fit again with "
                "warm_start=True."
            )
            error.best = self.to_local()
            raise error
        return self

    def fit_targets(self, X, targets, sample_weight=None, classes=None, **options):
        """Raise an error: soft targets are fitted by PairedMLPClassifier.

        Raises
        ------
        NotImplementedError
            Always.
        """
        raise NotImplementedError(
            "Soft targets cannot be fitted on a cluster: use PairedMLPClassifier, or "
            "repeat each row once per class, with the probability as its sample_weight."
        )

    def _problem(self, given, executor, random_state):
        """Make the Problem of rows on the cluster."""
        self._check_available(given)
        pairing, network_for = self._architecture()
        X, y, weights = given.X, given.y, given.sample_weight
        partitions = Partitions(self, given.cluster, X, y, weights)
        summary = partitions.summary
        if summary.n_columns:
            shape = (summary.n_rows, summary.n_columns)
            labels = indicator_labels(shape, summary.one_hot, pairing.activation)
        else:
            order = ordered_categories(y)
            labels = class_labels(summary.classes, pairing.activation, order)
        totals = np.atleast_2d(summary.class_totals)
        factors = class_factors(self.class_weight, labels, lambda: list(totals))
        of_targets = (
            totals[:, 1] if labels.multilabel else totals[0, -labels.n_outputs :]
        )
        frequencies = of_targets / totals[0].sum()
        network = network_for(
            partitions.expected.n_features, labels, lambda: frequencies
        )
        held_out = given_validation(self, given.validation, labels)
        if held_out is not None:
            held_out = replace(held_out, factors=factors)
        encoding = labels.encoding(pairing.activation, self.label_smoothing)
        recipe = Recipe(
            partitions.expected,
            network,
            labels,
            encoding,
            factors,
            summary.exponent,
            kept=partitions.kept,
        )
        rows = ClusterRows(partitions, recipe, self.n_jobs)
        standardization = Standardization.of(rows.moments) if self.standardize else None
        alpha = float(self.alpha)
        return Problem(
            network, labels, rows, encoding, alpha, standardization, held_out
        )

    def _grows(self, problem):
        """Return False: the rows stay where they are."""
        return False

    def _check_available(self, given):
        """Raise an error for what a cluster does not offer."""
        if self.growing_sample != "auto" and self.growing_sample:
            raise ValueError(
                f"growing_sample={self.growing_sample!r} is not available on a "
                "cluster, whose rows stay where they are: set it to 'auto' or False."
            )
        if any(dask.is_dask_collection(rows) for rows in given.validation):
            raise TypeError(
                "X_val, y_val and sample_weight_val must be in memory: hold out as "
                "many rows as fit there, and pass X_val.compute()."
            )
        if self.moderated:
            raise ValueError(
                "moderated=True is not available on a cluster: fit with "
                "moderated=False."
            )
        if self.early_stopping and given.validation[0] is None:
            raise ValueError(
                "early_stopping=True needs X_val and y_val on a cluster: split the "
                "rows, for instance with DataFrame.random_split, and pass a part of "
                "them in memory."
            )

    def _client(self):
        if in_task():
            raise ValueError(
                "A fit cannot run inside a dask task (as in a search with "
                "joblib.parallel_config('dask')): it would wait forever for the "
                "thread that it occupies. Fit from the client, or use "
                "PairedMLPClassifier if the rows fit into the memory of a worker."
            )
        try:
            return self.client_
        except AttributeError as error:
            raise ValueError(str(error)) from error.__cause__

    @staticmethod
    def _client_of_dask():
        """Return the client that dask.compute would use; None where it needs none."""
        if in_task():  # which dask.compute lets go of its thread
            return None
        owner = getattr(dask.base.get_scheduler(), "__self__", None)
        return owner if isinstance(owner, distributed.Client) else None

    def predict(self, X: Any) -> Any:
        """Predict the class of each row; see PairedMLPClassifier.

        Parameters
        ----------
        X : dask Array or DataFrame, array-like or sparse matrix of shape \
                (n_samples, n_features)

        Returns
        -------
        y : of shape (n_samples,) or (n_samples, n_labels)
            Lazily a dask Array for a dask Array, and a dask Series or DataFrame with
            the index of a dask DataFrame; else an ndarray.
        """
        return self._predicted("predict", X)

    def predict_proba(self, X: Any) -> Any:
        """Predict class probabilities; see `predict`."""
        return self._predicted("predict_proba", X)

    def predict_log_proba(self, X: Any) -> Any:
        """Predict the logarithms of the class probabilities, as `predict_proba`."""
        return self._predicted("predict_log_proba", X)

    @available_if(_has_logits)
    def decision_function(self, X: Any) -> Any:
        """Compute the logits, as `predict_proba`; see PairedMLPClassifier."""
        return self._predicted("decision_function", X)

    def predict_outputs(self, X: Any) -> Any:
        """Compute the outputs, as `predict_proba`; see PairedMLPClassifier."""
        return self._predicted("predict_outputs", X)

    def _predicted(self, method, X):
        check_is_fitted(self)
        local = self.to_local()
        check_collection("X", X)
        if not dask.is_dask_collection(X):
            return getattr(local, method)(X)
        if X.ndim != 2:
            raise ValueError(
                f"X has {X.ndim} dimensions; it must have 2: rows, features."
            )
        local.n_jobs = 1  # dask has one thread per partition
        if isinstance(X, da.Array):
            X = one_chunk_of_columns(X)
            example = np.ones((1, X.shape[1]), dtype=X.dtype)
        else:
            example = meta_row(X)
        meta = _predict_part(example, local, method)[:0]
        model = dask.delayed(local)
        if not isinstance(X, da.Array):
            return X.map_partitions(_predict_part, model, method, meta=meta)
        one_dimensional = meta.ndim == 1
        if one_dimensional:  # as a column: dask concatenates what loses a dimension
            meta = meta[:, None]
        predicted = X.map_blocks(
            _predict_part,
            model,
            method,
            dtype=meta.dtype,
            meta=meta,
            chunks=(X.chunks[0], (meta.shape[1],)),
            as_column=one_dimensional,
        )
        return predicted[:, 0] if one_dimensional else predicted

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Compute the accuracy; for a multilabel y, the share of rows entirely right.

        Parameters
        ----------
        X, y, sample_weight
            As of `fit`, or all in memory.

        Returns
        -------
        score : float
        """
        check_collection("X", X)
        if not dask.is_dask_collection(X):
            return super().score(X, y, sample_weight)
        check_is_fitted(self)
        right = dask.delayed(_right)
        local = self.to_local()
        local.n_jobs = 1
        model = dask.delayed(local)
        parts = zip(*delayed_partitions(X, y, sample_weight), strict=True)
        sums = [right(model, number, *part) for number, part in enumerate(parts)]
        client = self._client_of_dask() if self.client is None else self.client_
        if client is None:
            sums = dask.compute(*sums)
        else:
            with Cluster(client, self.worker_timeout) as cluster:
                sums = cluster.gather(cluster.hold(client.compute, sums))
        hits, total = (fsum(column) for column in zip(*sums, strict=True))
        if not 0 < total < np.inf:
            raise ValueError(
                f"The weights of the rows sum to {total:g}, which must be a positive "
                "number."
            )
        return hits / total


def in_task():
    """Return whether this thread runs a task of a worker."""
    return hasattr(distributed.worker.thread_state, "execution_state")


def _predict_part(X, model, method, as_column=False):
    """Predict a partition: for a frame, a frame or series with its index."""
    check_block("A block of X", X)
    if X.shape[0]:
        predicted = getattr(model, method)(X)
    else:
        row = np.ones((1, X.shape[1]))
        if hasattr(X, "columns"):
            row = optional("pandas", "A dask DataFrame").DataFrame(
                row, columns=X.columns
            )
        predicted = getattr(model, method)(row)[:0]
    if not hasattr(X, "columns"):
        return predicted[:, None] if as_column else predicted
    pandas = optional("pandas", "A dask DataFrame")
    if predicted.ndim == 1:
        return pandas.Series(predicted, index=X.index, name=method)
    named = predicted.shape[1] == len(model.classes_)
    columns = model.classes_ if named else np.arange(predicted.shape[1])
    return pandas.DataFrame(predicted, index=X.index, columns=columns)


def _right(model, number, X, y, weights):
    """Weight of the rows that are predicted correctly, and of all."""
    y = np.asarray(y)
    check_block(f"Partition {number}: X", X)
    check_block(f"Partition {number}: y", y)
    if len(y) != X.shape[0]:
        raise ValueError(
            f"Partition {number}: X has {X.shape[0]} rows and y has {len(y)}."
        )
    if len(y) == 0:
        return 0.0, 0.0
    right = model.predict(X) == y.reshape(len(y), *model.predict(X[:1]).shape[1:])
    if right.ndim == 2:
        right = right.all(axis=1)
    weights = np.ones(len(y)) if weights is None else np.asarray(weights).reshape(-1)
    return float(weights[right].sum()), float(weights.sum())
