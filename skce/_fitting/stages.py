"""A growing sample: early stages on random parts of the rows, before one on all.

On many rows most of the way to the minimum can be gone with few of them (Byrd, Chin,
Nocedal & Wu 2012, "Sample size selection in optimization methods for machine
learning"). The danger is that a sample is overfitted and leads astray. So each stage
is watched on as many fresh rows: every `CHECK_EVERY` iterations it goes on only if
their loss has fallen, and it gives up the point, of those looked at, where that was
lowest. The
last stage is on all rows, so its minimum is one of the whole objective.
"""

from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np

from skce._fitting.callbacks import Iterations
from skce._fitting.solvers import NonFiniteObjectiveError, ended_by_overflow, minimize
from skce._inputs.validation import with_unit_mean
from skce._network.blocks import block_rows, cut
from skce._network.executors import QUIET
from skce._network.objective import Objective

__all__ = [
    "LEAST_ROWS",
    "MOST_BYTES",
    "MOST_STAGES",
    "Stage",
    "minimize_in_stages",
    "n_bytes",
    "new_objective",
    "random_order",
    "sample_sizes",
    "stratified_order",
]

# Chosen on ten problems of 20 000 to 1 000 000 rows, 20 to 784 features, 2 to 100
# classes, clear and noisy labels: see docs/benchmarks.md. So many iterations a stage,
# whatever happens, are as fast where labels are clear, and ruin the fit where they are
# not; the variance of the gradient as the test (Byrd et al.) goes over plateaus with
# all rows, and gains nothing there.
LEAST_ROWS = 2**15
FIRST_SHARE, GROWTH = 1 / 16, 2
CHECK_EVERY = 5
MOST_ITERATIONS = 100
MOST_STAGES = 4  # shares of 1/16, 1/8, 1/4, 1/2

# Bytes of the neighbours that go into a sample together where X is larger than
# `MOST_BYTES`, as it may be a file, which is read by pages
RUN_BYTES = 2**15

# Copies of a sample and its fresh rows, in bytes
MOST_BYTES = 2**27

# Of max_iter, where an iteration on a tenth of the rows counts as a tenth
MOST_OF_BUDGET = 0.75


@dataclass(frozen=True)
class Stage:
    """What one stage did.

    Attributes
    ----------
    n_rows : int
        Rows of its sample.
    n_iter, nfev, nhev : int
        Iterations, evaluations of the objective with its gradient, Hessian products.
    loss_curve : list of float
        The objective on its sample after each iteration.
    seconds : float
    fresh_loss : float or None
        What decides when the stage ends: the mean loss of as many rows that were not in
        the sample, without the L2 term, at
        the point that it gave up; None for the last stage, which is on all rows.
    """

    n_rows: int
    n_iter: int
    nfev: int
    nhev: int
    loss_curve: list = field(repr=False)
    seconds: float = field(default=np.nan, compare=False)
    fresh_loss: float | None = None


def sample_sizes(n_rows, n_bytes):
    """The rows of each early stage, for data of so many rows and bytes.

    Where even the first share would be too large to copy, one stage of as many rows as
    can be.
    """
    most = int(min(n_rows / 2, MOST_BYTES * n_rows / (2 * n_bytes)))
    sizes, size = [], min(int(n_rows * FIRST_SHARE), most)
    while 0 < size <= most:
        sizes.append(size)
        size *= GROWTH
    return sizes


def stratified_order(codes, random_state):
    """A random order of the rows in which all classes progress alike.

    Of each class, the share in the first m rows differs from m / n by one row or so.
    Rows of indicators, (n, q), are in plain random order.

    Parameters
    ----------
    codes : ndarray of shape (n,) or (n, q)
    random_state : RandomState

    Returns
    -------
    order : ndarray of shape (n,), int32 where that holds n
    """
    n = len(codes)
    narrow = np.int32 if n <= np.iinfo(np.int32).max else np.int64
    order = random_state.permutation(np.arange(n, dtype=narrow))
    if codes.ndim == 2:
        return order
    order = order[np.argsort(codes[order], kind="stable")]
    progress = np.empty(n)
    start = 0
    for count in np.bincount(codes):
        # (i + u) / count, with a u of the class
        part = progress[start : start + count]
        part[:] = np.arange(count)
        part += random_state.uniform()
        part /= max(count, 1)
        start += count
    return order[np.argsort(progress, kind="stable")]


class _Watch:
    """Stops a stage when the loss of fresh rows no longer falls."""

    def __init__(self, fresh, theta):
        self.fresh = fresh
        self.best = self.seen = theta
        self.loss = fresh.mean_loss(theta)
        self.n_iter = 0

    def __call__(self, theta):
        self.n_iter += 1
        return self.n_iter % CHECK_EVERY == 0 and not self.look(theta)

    def look(self, theta):
        """Whether theta is better than the best so far, which it then becomes."""
        if np.array_equal(theta, self.seen):
            return False
        self.seen = theta
        loss = self.fresh.mean_loss(theta)
        better = loss < self.loss
        if better:
            self.best, self.loss = theta, loss
        return better


def minimize_in_stages(
    network,
    theta,
    rows,
    *,
    decay,
    run,
    random_state,
    grow,
    max_iter,
    max_fun,
    watch=None,
    interrupt=None,
    smoothing=None,
    task=None,
    tape=None,
    whole=None,
    asked=None,
    **options,
):
    """Minimise over all rows, after early stages on growing parts of them.

    Parameters
    ----------
    network : Network
    theta : ndarray of shape (n_parameters,), float64
        The start.
    rows : tuple or None
        X, the labels' codes and the weights (or None) of all rows; None with `whole`.
    decay : float
        alpha / S.
    run : callable
        See `Objective`.
    random_state : RandomState
        Of the parts.
    grow : bool
        Whether there are early stages.
    max_iter : int
        Most iterations; one on a tenth of the rows counts as a tenth.
    max_fun : int
        Most evaluations and Hessian products of all stages; looks at fresh rows, of
        which no gradient is asked, do not count.
    watch : ValidationWatch, optional
        Is asked after each iteration of the last stage whether to stop, and has the
        last word on where.
    interrupt : threading.Event, optional
        See `minimize`.
    smoothing : tuple of float, optional
        See `Block`.
    task : FitTask, optional
        Whose subtasks the early stages and the iterations of the last one are. A
        callback's wish to stop ends all stages.
    tape : Tape, optional
        Where the answers of the objectives are kept.
    whole : Objective, optional
        That of all rows, if they are elsewhere; then there are no early stages.
    asked : dict, optional
        See `minimize`.
    **options
        Of `minimize`: solver, tol, verbose.

    Returns
    -------
    solution : Solution
        Of the last stage, on all rows.
    stages : list of Stage
    """
    n = rows[0].shape[0] if whole is None else whole.n_rows
    early = min(MOST_OF_BUDGET * max_iter, max_iter - 1)

    def objective(rows, decay):
        return new_objective(
            network, rows, decay, dtype=rows[0].dtype, run=run, smoothing=smoothing
        )

    def followed(objective):
        return objective if tape is None else tape.follow(objective)

    asked = asked or {"max_iter": max_iter, "max_fun": max_fun}
    stages, budget, verbose = [], early, options["verbose"]
    stopped = False
    sizes = sample_sizes(n, n_bytes(rows[0])) if grow else []
    order = _order(rows, random_state, 2 * max(sizes)) if sizes else ()
    for size in sizes:
        most = min(MOST_ITERATIONS, int(budget * n / size))
        if stopped or (interrupt is not None and interrupt.is_set()):
            break
        if most == 0 or max_fun < 2 or len(order) < 2 * size:
            continue
        if verbose:
            print(f"stage {len(stages) + 1}: {size} of {n} rows")
        stage_task = None if task is None else task.begin("stage", most)
        iterations = None if task is None else Iterations(stage_task)
        try:
            with _known_to_errors(theta, stages, size):
                theta, stage = _early_stage(
                    theta,
                    lambda part, decay: followed(objective(_part(*rows, part), decay)),
                    (order[:size], order[size : 2 * size]),
                    decay=decay,
                    max_iter=most,
                    max_fun=max_fun - 1,
                    interrupt=interrupt,
                    iterations=iterations,
                    **options,
                )
        except KeyboardInterrupt:  # while it copied rows, say
            if interrupt is None or not stages:
                raise
            interrupt.set()
            break
        if task is not None:
            stopped = stage_task.end(theta) or iterations.stopped
        budget -= stage.n_iter * size / n
        max_fun -= stage.nfev + stage.nhev
        stages.append(stage)
    if stages and verbose:
        print(f"stage {len(stages) + 1}: all {n} rows")
    whole = followed(objective(rows, decay) if whole is None else whole)
    with _known_to_errors(theta, stages, n):
        if watch is not None:
            watch.begin(theta)
        solution = minimize(
            whole,
            theta,
            max_iter=max_iter - int(np.ceil(early - budget)),
            max_fun=max_fun,
            stop=watch,
            interrupt=interrupt,
            iterations=None if task is None else Iterations(task, stopped),
            asked=asked,
            **options,
        )
    if watch is not None:
        solution = _moved(solution, watch.best, whole, options["tol"], interrupt)
    return solution, [*stages, _stage(n, solution)]


@contextmanager
def _known_to_errors(theta, stages, n_rows):
    """Tell the error of a stage what it and the stages before it have reached."""
    try:
        yield
    except NonFiniteObjectiveError as error:
        if error.solution is None and stages:
            curve = stages[-1].loss_curve
            value = curve[-1] if curve else np.nan
            error.solution = ended_by_overflow(theta, value, str(error))
        if error.solution is not None:
            error.stages = [*stages, _stage(n_rows, error.solution)]
        raise


@np.errstate(**QUIET)
def _moved(solution, theta, objective, tol, interrupt):
    """The solution with another theta; of NaN, if it cannot be evaluated any more."""
    if np.array_equal(theta, solution.theta):
        return solution
    value = norm = np.nan
    if getattr(objective, "lost", None) is None:
        try:
            value, gradient = objective.value_and_gradient(theta)
            norm = objective.network.largest_slope(gradient)
        except KeyboardInterrupt:
            if interrupt is None:
                raise
            interrupt.set()
    record = solution.record | {
        "message": "Back to the best validation score. " + solution.record["message"],
        "gradient_norm": norm,
        "success": bool(norm <= tol),
    }
    if record["reason"] == "tolerance" and not record["success"]:
        record["reason"] = "stopped"
    return replace(solution, theta=theta, value=float(value), record=record)


def _early_stage(theta, objective, parts, *, decay, **options):
    """Where a stage on rows `parts[0]`, watched on `parts[1]`, leads, and its Stage.

    A function of its own, so that its copies of the rows end with it.
    """
    sample, fresh = parts
    watch = _Watch(objective(fresh, 0.0), theta)
    solution = minimize(objective(sample, decay), theta, stop=watch, **options)
    if solution.history["loss"]:
        watch.look(solution.theta)
    return watch.best, _stage(len(sample), solution, watch.loss)


def new_objective(network, rows, decay, *, dtype, run, smoothing=None):
    """The objective of some rows: X, codes and weights (or None)."""
    X, codes, weights = rows
    blocks = cut(X, codes, weights, block_rows(X.shape[0], network), smoothing)
    return Objective(network, blocks, decay, dtype, run)


def _stage(n_rows, solution, fresh_loss=None):
    record = solution.record
    counts = (record["nit"], record["nfev"], record["nhev"])
    curve, seconds = solution.history["loss"], record["seconds"]
    return Stage(n_rows, *counts, curve, seconds, fresh_loss)


def random_order(X, codes, random_state, most):
    """At least `most` rows of X, if it has as many, in a random order.

    Of an X of at most `MOST_BYTES`, or of wide rows, stratified by class. Of a larger
    one runs of neighbours: thousands of them, so that all classes are there however X
    is sorted. It depends on the size of X, and not on whether that is a file: joblib
    makes files of large arrays that it gives to other processes.
    """
    n = len(codes)
    run = RUN_BYTES * n // max(n_bytes(X), 1)
    if n_bytes(X) <= MOST_BYTES or run < 2:
        return stratified_order(codes, random_state)
    return order_of_runs(n, random_state, most, run)


def order_of_runs(n, random_state, most, run):
    """At least `most` of n rows, in a random order of runs of neighbours.

    The last `run` rows may be fewer.
    """
    narrow = np.int32 if n + run <= np.iinfo(np.int32).max else np.int64
    runs = random_state.permutation(-(-n // run))[: -(-most // run) + 1].astype(narrow)
    order = (runs[:, np.newaxis] * run + np.arange(run, dtype=narrow)).ravel()
    return order[order < n]


def _order(rows, random_state, most):
    """At most the first `most` rows of a random order of those that weigh."""
    X, codes, weights = rows
    order = random_order(X, codes, random_state, most)
    if weights is not None:
        order = order[weights[order] > 0]
    return order[:most].copy()


def _part(X, codes, weights, part):
    """Copies of some rows, in the order in which they stand, for the cache's sake."""
    part = np.sort(part)
    weights = None if weights is None else with_unit_mean(weights[part], X.dtype)
    return X[part], codes[part], weights


def n_bytes(X):
    """Bytes of an array or a CSR matrix."""
    if isinstance(X, np.ndarray):
        return X.nbytes
    return X.data.nbytes + X.indices.nbytes + X.indptr.nbytes
