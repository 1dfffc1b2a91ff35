"""DaskPairedMLPClassifier: PairedMLPClassifier on the rows of a cluster."""

import inspect
import warnings
from functools import partial
from math import fsum
from numbers import Real
from threading import Event

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from skce.class_weights import factors_of
from skce.classifier import MAX_DECAY, PairedMLPClassifier
from skce.cluster import (
    ClusterLostError,
    ClusterObjective,
    Evaluations,
    Holders,
    distributed,
)
from skce.fitting import Outcome, above_constant, why_constant, why_stuck
from skce.growth import Stage, moved
from skce.hidden import get_hidden_activation
from skce.labels import encode
from skce.network import Network
from skce.optional import optional
from skce.pairings import DegeneratePairingWarning, pair, why_degenerate
from skce.partitions import Expected, Recipe, merged, prepare, summarise, weigh
from skce.solvers import NonFiniteObjectiveError, minimize
from skce.start import constant_start, new_starts
from skce.stopping import given_rows
from skce.threads import blas_held, serial
from skce.validation import check_layer_sizes, check_parameters

dask = optional("dask", "skce.dask")
da = optional("dask.array", "skce.dask")
dd = optional("dask.dataframe", "skce.dask")

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
        parameters = self.get_params(deep=False)
        client = parameters.pop("client")
        copies = {name: clone(p, safe=False) for name, p in parameters.items()}
        return type(self)(client=client, **copies)

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
        before = dict(vars(self))
        try:
            self._fit_cluster(
                (X, y, sample_weight),
                (X_val, y_val, sample_weight_val),
                (coefs_init, intercepts_init),
            )
        except BaseException as error:
            if getattr(error, "best", None) is None:
                vars(self).clear()
                vars(self).update(before)
            raise
        return self

    def fit_targets(self, X, targets, sample_weight=None, classes=None):
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

    def _fit_cluster(self, data, validation, start):
        check_parameters(self)
        self._check_own_parameters(validation)
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
                why_degenerate(pairing), DegeneratePairingWarning, stacklevel=3
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
        recipe = Recipe(
            network, labels, factors, whole.exponent, None, self._smoothing(network)
        )
        objective, frequencies = rows.objective(recipe, float(self.alpha))
        new_watch = None
        held_out = given_rows(self, validation, labels)
        if held_out is not None:
            new_watch = partial(
                self._new_watch, network, labels, held_out, factors, dtype, serial
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
        thetas = [theta for theta, _, _ in starts]
        outcomes, interrupted = self._minimize_all(
            objective, thetas, new_watch, whole.largest
        )
        best = min(outcomes, key=lambda outcome: outcome.rank)
        soft = self.label_smoothing > 0
        constant = np.inf if soft else pairing.loss_of_constant(frequencies)
        from_constant = False
        ended = best.solution.remedy is None and best.solution.record["nit"] > 0
        if ended and best.watch is None and above_constant(best.solution, constant):
            theta = constant_start(network, best.start, frequencies)
            if theta is not None and not interrupted:
                once_more, interrupted = self._minimize_all(
                    objective, [theta], None, whole.largest, begun=True
                )
                if once_more[0].solution is not None:
                    once_more[0].start = best.start
                    best = min(best, once_more[0], key=lambda outcome: outcome.rank)
                from_constant = best is once_more[0]
        remedy = best.solution.remedy
        if remedy is None and from_constant:
            remedy = why_constant(best, constant)
        if interrupted:
            begun = sum(outcome.solution is not None for outcome in outcomes)
            remedy = (
                "was interrupted (Ctrl-C): the best weights so far are kept, of "
                f"{begun} of {len(outcomes)} starts"
            )
        elif remedy is None and best.watch is None:
            went_on = (warm or start != (None, None)) and best is outcomes[0]
            remedy = why_stuck(best, went_on, constant)
        if remedy is not None and objective.lost is None:
            warnings.warn(
                f"{pairing}: {self.solver} {remedy}.", ConvergenceWarning, stacklevel=3
            )
        self._keep(network, labels, best.solution, dtype)
        self.stages_ = best.stages
        self.init_losses_ = np.array([outcome.loss for outcome in outcomes])
        watch = best.watch
        self.validation_scores_ = None if watch is None else watch.scores
        self.best_validation_score_ = None if watch is None else watch.best_score
        if objective.lost is not None:
            error = ClusterLostError(
                f"{objective.lost} The fit ended after {best.solution.record['nit']} "
                "iterations; the estimator keeps the best weights so far, and goes on "
                "from them in a fit with warm_start=True."
            )
            error.best = self.to_local()
            raise error from objective.lost

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
        if self.early_stopping and validation[0] is None:
            raise ValueError(
                "early_stopping=True needs X_val and y_val on a cluster: split the "
                "rows, for instance with DataFrame.random_split, and pass a part of "
                "them in memory."
            )

    def _client(self):
        try:
            return self.client_
        except AttributeError as error:
            raise ValueError(str(error)) from error.__cause__

    def _minimize_all(self, objective, thetas, new_watch, most, begun=False):
        """Minimise from one start after the other; see `fit_from_starts`."""
        interrupt = Event()
        outcomes = [Outcome(theta) for theta in thetas]
        with blas_held():  # the vectors of SciPy's L-BFGS, as in a local fit
            self._minimize_each(objective, outcomes, new_watch, interrupt)
        won = any(o.solution is not None and o.solution.curve for o in outcomes)
        if interrupt.is_set() and not won and not begun:
            raise objective.lost or KeyboardInterrupt
        errors = [outcome.error for outcome in outcomes if outcome.error is not None]
        if errors and all(outcome.solution is None for outcome in outcomes):
            raise ValueError(
                f"The fit broke off: {errors[0]}. X reaches {most:.3g} in absolute "
                "value: scale the features to mean 0 and variance 1 (StandardScaler), "
                "or raise alpha."
            ) from errors[0]
        return outcomes, interrupt.is_set()

    def _minimize_each(self, objective, outcomes, new_watch, interrupt):
        for outcome in outcomes:
            if interrupt.is_set():
                break
            try:
                if new_watch is not None:
                    outcome.watch = new_watch()
                    outcome.watch.begin(outcome.start)
                solution = minimize(
                    objective,
                    outcome.start,
                    solver=self.solver,
                    tol=self.tol,
                    max_iter=self.max_iter,
                    max_fun=self.max_fun,
                    verbose=self.verbose,
                    stop=outcome.watch,
                    interrupt=interrupt,
                )
                if outcome.watch is not None and objective.lost is None:
                    solution = moved(solution, outcome.watch.best, objective, self.tol)
                outcome.solution = solution
            except NonFiniteObjectiveError as error:
                outcome.error = error
                continue
            except KeyboardInterrupt:
                interrupt.set()
                continue
            record = solution.record
            counts = record["nit"], record["nfev"], record["nhev"]
            outcome.stages = [Stage(objective.n_rows, *counts, solution.curve)]

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

    def objective(self, recipe, alpha):
        """The ClusterObjective, and the class frequencies."""
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
            recipe = Recipe(**{**vars(recipe), "mean_weight": total / n_rows})
        with np.errstate(over="ignore"):
            total = float(np.ldexp(total, recipe.exponent))
        decay = alpha / total
        if decay > MAX_DECAY:
            raise ValueError(
                f"alpha={alpha:g} over the sum of the weights, {total:g}, is more than "
                f"{MAX_DECAY:g}: the L2 term leaves nothing of the loss. Lower alpha, "
                "or multiply sample_weight by a constant to a mean of 1."
            )
        of_part = {"expected": self.expected, "recipe": recipe, "kept": self.kept}
        parts = self._each(partial(prepare, **of_part), self.partitions)
        self.holders.wait(parts)
        del self.held, self.partitions  # dask knows how to make them again
        return ClusterObjective(
            recipe.network, parts, n_rows, decay, self.holders, self.n_jobs
        ), frequencies


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
                "dask collection with X's partitions, or call X.compute_chunk_sizes()."
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
        predicted = getattr(model, method)(np.ones((1, model.n_features_in_)))[:0]
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
