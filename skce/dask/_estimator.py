"""DaskPairedMLPClassifier: PairedMLPClassifier on the rows of a cluster."""

import inspect
import warnings
from copy import copy
from dataclasses import replace
from functools import partial
from math import fsum
from numbers import Real

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from skce._fitting.callbacks import with_callbacks
from skce._fitting.checkpoint import digest_of, tape_at
from skce._fitting.parameters import check_parameters
from skce._fitting.starts import new_starts
from skce._fitting.stopping import given_rows
from skce._inputs.labels import encode
from skce._inputs.validation import check_layer_sizes
from skce._inputs.weights import factors_of
from skce._network.kernels import Network
from skce._support.optional import optional
from skce.classifier import PairedMLPClassifier, unchanged_on_failure
from skce.dask._cluster import (
    ClusterLostError,
    ClusterObjective,
    Evaluations,
    Holders,
    distributed,
)
from skce.dask._partitions import (
    Expected,
    Recipe,
    digest_of_part,
    merged,
    prepare,
    summarise,
    weigh,
)
from skce.losses.hidden import get_hidden_activation
from skce.losses.pairings import (
    DegeneratePairingWarning,
    check_shapes,
    pair,
    why_degenerate,
)

dask = optional("dask", "skce.dask")
da = optional("dask.array", "skce.dask")

__all__ = ["ClusterLostError", "DaskPairedMLPClassifier"]

# Rows that the client looks at for a ScaleWarning
SAMPLE_ROWS = 1000

OWN = {"client": None, "worker_timeout": 30.0}


class DaskPairedMLPClassifier(PairedMLPClassifier):
    """PairedMLPClassifier whose training rows are a dask array or data frame.

    SciPy runs on the client, and the partitions stay with their workers: an evaluation
    sends the parameters to each worker once and adds up the losses and gradients that
    come back, in a fixed order. So the result has the same bits for any number of
    workers, and is that of PairedMLPClassifier to rounding: on all rows from the first
    iteration on, cut where the partitions end. A worker that is lost costs the time to
    compute its partitions again. `docs/cluster.md` has more.

    Parameters
    ----------
    activation, penalty, ...
        All parameters of PairedMLPClassifier, with its defaults. `growing_sample` may
        not be True, and "auto" means False; `early_stopping` needs X_val and y_val;
        `n_jobs` are the threads of an evaluation on a worker: None or -1 for the
        worker's own number, and never more; the starts of `n_init` run one after the
        other.
    client : distributed.Client, default=None
        The cluster. None is the current client. It is not pickled, and not copied by
        `clone`.
    worker_timeout : float, default=30.0
        Seconds without any worker, or without the scheduler, after which a fit ends
        with a ClusterLostError.

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

    def __init__(self, *arguments, client=None, worker_timeout=30.0, **parameters):
        super().__init__(*arguments, **parameters)
        self.client = client
        self.worker_timeout = worker_timeout

    # get_params reads the names from here
    __init__.__signature__ = inspect.Signature(
        [
            *inspect.signature(PairedMLPClassifier.__init__).parameters.values(),
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
    def client_(self):
        """The client that is used.

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
        if client.status in ("closing", "closed"):
            raise AttributeError("The client is closed: pass one that is not.")
        if client.asynchronous:
            raise AttributeError(
                "The client is asynchronous, but fit is not: pass a Client made "
                "without asynchronous=True."
            )
        return client

    def to_local(self):
        """A PairedMLPClassifier with the same parameters and fitted attributes."""
        state = {name: v for name, v in vars(self).items() if name not in OWN}
        local = PairedMLPClassifier()
        vars(local).update(state)
        return local

    @with_callbacks
    def fit(
        self,
        X,
        y,
        sample_weight=None,
        X_val=None,
        y_val=None,
        sample_weight_val=None,
        coefs_init=None,
        intercepts_init=None,
        checkpoint=None,
    ):
        """Fit the network to the rows of a cluster.

        Parameters
        ----------
        X : dask Array or DataFrame of shape (n_samples, n_features)
            Persisted or not; with unknown chunk sizes too. The blocks of an array may
            be sparse. float32 is computed as float32, everything else as float64.
        y : dask Array, Series or DataFrame of shape (n_samples,) or \
                (n_samples, n_labels)
            In the partitions of X; an array whose chunk sizes are known is cut as X,
            and so are an array-like y and sample_weight.
        sample_weight : dask Array or Series of shape (n_samples,), default=None
            Weights of the rows.
        X_val, y_val : array-like, default=None
            Rows for early stopping, in the memory of the client.
        sample_weight_val : array-like of shape (n_val,), default=None
            Weights of the validation rows.
        coefs_init, intercepts_init : list of array-like, default=None
            Where to start; see PairedMLPClassifier.
        checkpoint : path-like, default=None
            A file of the client that a fit can be taken up from again; see
            PairedMLPClassifier.

        Returns
        -------
        self : DaskPairedMLPClassifier

        Raises
        ------
        ValueError
            As PairedMLPClassifier, with the number of the partition at fault.
        TypeError
            If X is no dask collection.
        ClusterLostError
            If the cluster is gone, or a partition is lost for good. The best weights so
            far are kept, as after Ctrl-C: in the estimator, so that a fit with
            warm_start=True goes on from there, and as `best` of the error. Before the
            first iteration nothing changes.

        Warns
        -----
        ConvergenceWarning
            As PairedMLPClassifier.
        """
        with unchanged_on_failure(self):
            error = self._fit_cluster(
                (X, y, sample_weight),
                (X_val, y_val, sample_weight_val),
                (coefs_init, intercepts_init),
                checkpoint,
            )
        if error is not None:
            raise error
        return self

    def fit_targets(self, X, targets, sample_weight=None, classes=None, **options):
        """Not for dask collections: soft targets are fitted by PairedMLPClassifier.

        Raises
        ------
        NotImplementedError
            Always.
        """
        raise NotImplementedError(
            "Soft targets are not fitted on a cluster: take PairedMLPClassifier, or "
            "repeat each row once a class, with the probability as its sample_weight."
        )

    def _fit_cluster(self, data, validation, start, checkpoint):
        """Set the fitted attributes; the error, if the cluster was lost on the way."""
        check_parameters(self)
        self._check_own_parameters(validation)
        context = self._callback_context()
        pairing = pair(self.activation, self.penalty)
        hidden_activation = get_hidden_activation(self.hidden_activation)
        hidden_sizes = check_layer_sizes(self.hidden_layer_sizes)
        warm = self.warm_start and hasattr(self, "coefs_")
        holders = Holders(self._client(), self.worker_timeout)
        rows = _Rows(self, holders, *data)
        whole = rows.summary
        labels = encode(_example(whole), pairing.activation)
        if pairing.status == "degenerate":
            warnings.warn(
                why_degenerate(pairing), DegeneratePairingWarning, stacklevel=4
            )
        factors = None
        if self.class_weight is not None:
            masses = whole.masses if whole.n_columns else whole.masses[np.newaxis]
            factors = factors_of(self.class_weight, labels, list(masses))
        dtype = rows.expected.dtype
        network = Network(
            (rows.expected.n_features, *hidden_sizes, labels.n_outputs),
            hidden_activation,
            pairing,
        )
        check_shapes(pairing, labels.n_outputs)
        recipe = Recipe(
            network, labels, factors, whole.exponent, None, self._smoothing(network)
        )
        digests = rows.digests(recipe) if checkpoint is not None else []
        objective, frequencies, decay = rows.objective(recipe, self._decay)
        new_watch = None
        held_out = given_rows(self, validation, labels)
        if held_out is not None:
            new_watch = partial(
                self._new_watch, network, labels, held_out, factors, dtype
            )
        starts = new_starts(
            self,
            network,
            labels,
            whole.sample,
            check_random_state(self.random_state),
            given=start,
            warm=warm,
            grow=False,
        )

        def digest():
            others = () if held_out is None else held_out.rows
            return digest_of(*(theta for theta, *_ in starts), *others, *digests)

        try:
            self._run_and_keep(
                network,
                labels,
                starts,
                None,
                dtype,
                decay=decay,
                new_watch=new_watch,
                told={},
                context=context,
                tape=tape_at(
                    checkpoint, self, network, digest, several=len(starts) > 1
                ),
                largest=lambda: whole.largest,
                moved=warm or start != (None, None),
                whole=objective,
                frequencies=frequencies,
            )
        except KeyboardInterrupt:
            raise objective.lost or KeyboardInterrupt from None
        if objective.lost is None:
            return None
        error = ClusterLostError(
            f"{objective.lost} The fit ended after {self.n_iter_} iterations; the "
            "estimator keeps the best weights so far, and goes on from them in a fit "
            "with warm_start=True."
        )
        error.best = self.to_local()
        return error

    def _check_own_parameters(self, validation):
        timeout = self.worker_timeout
        if not (isinstance(timeout, Real) and 0 < timeout < np.inf):
            raise ValueError(
                f"worker_timeout={timeout!r} must be a positive number of seconds."
            )
        if not isinstance(self.growing_sample, str) and self.growing_sample:
            raise ValueError(
                "growing_sample=True is not available on a cluster, whose rows stay "
                "where they are: leave it at 'auto', or set False."
            )
        if any(dask.is_dask_collection(rows) for rows in validation):
            raise TypeError(
                "X_val, y_val and sample_weight_val must be in memory: pass "
                "X_val.compute(), of a part of the rows."
            )
        if self.moderated:
            raise ValueError(
                "moderated=True is not available on a cluster: fit with "
                "moderated=False."
            )
        if self.early_stopping and validation[0] is None:
            raise ValueError(
                "early_stopping=True needs X_val and y_val on a cluster: split the "
                "rows, for instance with DataFrame.random_split, and pass a part of "
                "them in memory."
            )

    def _client(self):
        if hasattr(distributed.worker.thread_state, "execution_state"):
            raise ValueError(
                "A fit cannot run in a task of dask (as a search does in "
                "joblib.parallel_config('dask')): it would wait for ever for the "
                "thread that it occupies. Fit from the client, or take "
                "PairedMLPClassifier for rows that fit into a worker."
            )
        try:
            return self.client_
        except AttributeError as error:
            raise ValueError(str(error)) from error.__cause__

    def predict(self, X):
        """The class of each row; see PairedMLPClassifier.

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

    def predict_proba(self, X):
        """Class probabilities, as `predict`; of a dask DataFrame a column a class."""
        return self._predicted("predict_proba", X)

    def predict_log_proba(self, X):
        """Logarithms of the class probabilities, as `predict_proba`."""
        return self._predicted("predict_log_proba", X)

    def decision_function(self, X):
        """The logits, as `predict_proba`; see PairedMLPClassifier."""
        return self._predicted("decision_function", X)

    def predict_outputs(self, X):
        """The outputs of the network, as `predict_proba`; see PairedMLPClassifier."""
        return self._predicted("predict_outputs", X)

    def _predicted(self, method, X):
        check_is_fitted(self)
        local = self.to_local()
        if not dask.is_dask_collection(X):
            return getattr(local, method)(X)
        if X.ndim != 2:
            raise ValueError(
                f"X has {X.ndim} dimensions; it must have 2: rows, features."
            )
        local.n_jobs = 1  # dask has a thread a partition
        if isinstance(X, da.Array):
            X = _one_chunk_of_columns(X)
            example = np.ones((1, X.shape[1]), dtype=X.dtype)
        else:
            example = X._meta_nonempty
        meta = _predict_part(example, local, method)[:0]
        model = dask.delayed(local)
        if not isinstance(X, da.Array):
            return X.map_partitions(_predict_part, model, method, meta=meta)
        one_dimensional = meta.ndim == 1
        return X.map_blocks(
            _predict_part,
            model,
            method,
            dtype=meta.dtype,
            meta=meta,
            drop_axis=1 if one_dimensional else None,
            chunks=(X.chunks[0],)
            if one_dimensional
            else (X.chunks[0], (meta.shape[1],)),
        )

    def score(self, X, y, sample_weight=None):
        """Accuracy; of a multilabel y, that all labels of a row are right.

        Parameters
        ----------
        X, y, sample_weight
            As of `fit`, or all in memory.

        Returns
        -------
        score : float
        """
        if not dask.is_dask_collection(X):
            return super().score(X, y, sample_weight)
        check_is_fitted(self)
        right = dask.delayed(_right)
        local = self.to_local()
        local.n_jobs = 1
        model = dask.delayed(local)
        parts = zip(*_partitions(X, y, sample_weight), strict=True)
        sums = [right(model, number, *part) for number, part in enumerate(parts)]
        if self.client is not None:
            sums = self.client.gather(self.client.compute(sums))
        else:
            sums = dask.compute(*sums)
        hits, total = (fsum(column) for column in zip(*sums, strict=True))
        if not 0 < total < np.inf:
            raise ValueError(
                f"The weights of the rows sum to {total:g}, which must be a positive "
                "number."
            )
        return hits / total


class _Rows:
    """The partitions of a fit, on their workers."""

    def __init__(self, estimator, holders, X, y, weights):
        self.holders = holders
        self.n_jobs = estimator.n_jobs
        client = holders.client
        if not dask.is_dask_collection(X) or not hasattr(X, "to_delayed"):
            raise TypeError(
                f"X is {type(X).__name__}; DaskPairedMLPClassifier fits dask arrays "
                "and data frames: dask.array.from_array(X, chunks=...). For data in "
                "memory take PairedMLPClassifier."
            )
        self.expected = _expected(estimator, X)
        client.register_plugin(Evaluations())
        given = [rows for rows in _aligned(X, y, weights) if rows is not None]
        there = {future.key for future in distributed.futures_of(given)}
        self.kept = there.issuperset(dask.core.flatten(given[0].__dask_keys__()))
        # all at once, as dask then optimises X and y together
        self.held = client.persist(given)
        lists = _partitions(*self.held)
        if there:
            keys = list(dask.core.flatten(self.held[0].__dask_keys__()))
        else:
            self.held = lists = _spread(client, lists)
            keys = [future.key for future in lists[0]]
        self.partitions = list(zip(*lists, strict=True))
        who_has = holders.who_has(distributed.futures_of(self.held))
        self.places = [who_has.get(key) for key in keys]
        n_sample = -(-SAMPLE_ROWS // len(self.partitions))
        summaries = self._each(
            partial(summarise, expected=self.expected, n_sample=n_sample),
            self.partitions,
        )
        self.summary = merged(holders.gather(summaries))

    def _each(self, function, partitions):
        """Futures of `function(number, *partition)`."""
        task = dask.delayed(function, pure=False)
        delayed = []
        for number, partition in enumerate(partitions):
            # where X is, unless that worker is lost
            here = list(self.places[number] or ())
            near = {"workers": here, "allow_other_workers": True} if here else {}
            with dask.annotate(**near):
                delayed.append(task(number, *partition))
        return self.holders.client.compute(delayed, optimize_graph=False)

    def digests(self, recipe):
        """What a checkpoint knows each partition by."""
        of_part = partial(digest_of_part, expected=self.expected, recipe=recipe)
        digests = self.holders.gather(self._each(of_part, self.partitions))
        return [np.frombuffer(digest.encode(), dtype=np.uint8) for digest in digests]

    def objective(self, recipe, decay_of):
        """The ClusterObjective, the class frequencies, and alpha / S.

        `decay_of` gives the last of the sum of the weights.
        """
        n_rows, n_outputs = self.summary.n_rows, recipe.labels.n_outputs
        of_labels = [(y, w) for _, y, w in self.partitions]
        sums = self.holders.gather(self._each(partial(weigh, recipe=recipe), of_labels))
        total = fsum(total for total, *_ in sums)
        least, most = min(s[1] for s in sums), max(s[2] for s in sums)
        if not 0 < total < np.inf:
            raise ValueError(
                "sample_weight times class_weight is zero for every row, or overflows: "
                "at least one row must weigh something."
            )
        frequencies = np.array(
            [fsum(s[3][k] for s in sums) / total for k in range(n_outputs)]
        )
        if least < most:
            recipe = replace(recipe, mean_weight=total / n_rows)
        with np.errstate(over="ignore"):
            total = float(np.ldexp(total, recipe.exponent))
        decay = decay_of(total)
        of_part = {"expected": self.expected, "recipe": recipe, "kept": self.kept}
        parts = self._each(partial(prepare, **of_part), self.partitions)
        self.holders.wait(parts)
        del self.held, self.partitions  # dask knows how to make them again
        objective = ClusterObjective(
            recipe.network, parts, n_rows, decay, self.holders, self.n_jobs
        )
        return objective, frequencies, decay


def _spread(client, lists):
    """Lists of futures of the partitions, neighbours on the same worker.

    So that the sums of a worker are those of few subtrees. What the user has persisted
    is left where it is.
    """
    n_threads = client.nthreads()
    # a worker once a thread
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
    futures = client.compute(delayed, optimize_graph=False)
    return [futures[i : i + n] for i in range(0, len(futures), n)]


def _here(part):
    return part


def _expected(estimator, X):
    """What all partitions must be like; sets what scikit-learn keeps of X."""
    if X.ndim != 2:
        raise ValueError(f"X has {X.ndim} dimensions; it must have 2: rows, features.")
    if isinstance(X, da.Array):
        columns, dtypes = None, [X.dtype]
        example = np.ones((1, X.shape[1]))
    else:
        columns, dtypes = list(X.columns), list(X.dtypes)
        example = X._meta_nonempty
    if X.shape[1] == 0:
        raise ValueError("X has 0 features; at least one is needed.")
    validate_data(estimator, example, skip_check_array=True)
    all_float32 = all(dtype == np.float32 for dtype in dtypes)
    dtype = np.dtype(np.float32 if all_float32 else np.float64)
    return Expected(X.shape[1], columns, dtype)


def _one_chunk_of_columns(X):
    return X.rechunk({1: -1}) if X.numblocks[1] > 1 else X


def _aligned(X, y, weights):
    """The three with the same partitions."""
    if isinstance(X, da.Array):
        X = _one_chunk_of_columns(X)
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
                f"X has {n} partitions and {name} has {given[-1].npartitions}: both "
                "need the same rows in the same partitions, as columns of one data "
                "frame have."
            )
    return X, *given


def _cut_as(X, name, values):
    """`values` as a collection, in the chunks of X if these are known."""
    chunks = X.chunks[0] if isinstance(X, da.Array) else (np.nan,)
    known = not np.isnan(chunks).any()
    if not dask.is_dask_collection(values):
        values = np.asarray(values)
        if values.ndim == 0 and known:
            values = np.full(sum(chunks), values)
        if not known:
            raise TypeError(
                f"{name} is in memory, and where X is cut is not known: make {name} a "
                "dask collection with X's partitions, or X an array of known chunks "
                "(compute_chunk_sizes(); of a data frame, to_dask_array(lengths=True))."
            )
        if len(values) != sum(chunks):
            raise ValueError(f"X has {sum(chunks)} rows and {name} has {len(values)}.")
        return da.from_array(values, chunks=(chunks, *values.shape[1:]))
    if not isinstance(values, da.Array):
        return values
    if values.ndim > 1:
        values = _one_chunk_of_columns(values)
    if known and not np.isnan(values.chunks[0]).any():
        if values.shape[0] != sum(chunks):
            raise ValueError(
                f"X has {sum(chunks)} rows in {len(chunks)} partitions and {name} has "
                f"{values.shape[0]} in {values.npartitions}."
            )
        values = values.rechunk({0: chunks})
    return values


def _partitions(X, y, weights=None):
    """Lists of the delayed partitions of each; None for no weights."""
    X, y, weights = _aligned(X, y, weights)
    return [
        [None] * X.npartitions if rows is None else list(np.ravel(rows.to_delayed()))
        for rows in (X, y, weights)
    ]


def _example(whole):
    """A y with all labels of the partitions, for `encode`."""
    if whole.n_columns == 0:
        return whole.classes
    n = whole.n_columns
    return np.eye(n, dtype=int) if whole.one_hot else np.tri(n, dtype=int)


def _predict_part(X, model, method):
    """The predictions of a partition: of a frame a frame or series with its index."""
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
        return predicted
    pandas = optional("pandas", "A dask DataFrame")
    if predicted.ndim == 1:
        return pandas.Series(predicted, index=X.index, name=method)
    named = predicted.shape[1] == len(model.classes_)
    columns = model.classes_ if named else np.arange(predicted.shape[1])
    return pandas.DataFrame(predicted, index=X.index, columns=columns)


def _right(model, number, X, y, weights):
    """Weight of the rows that are predicted right, and of all."""
    y = np.asarray(y)
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
