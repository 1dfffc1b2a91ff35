"""Early stages, on random parts of the rows or in minibatches, before one on all.

A growing sample: on many rows most of the way to the minimum can be covered with few of
them (Byrd, Chin, Nocedal & Wu 2012, "Sample size selection in optimization methods for
machine learning"). The danger is that a sample is overfitted and leads astray. So each
stage is checked on the same number of fresh rows, outside the sample: every
`CHECK_EVERY` iterations it continues only if their loss has fallen, and of the points
checked it returns the best. Minibatches: see `_fitting/minibatches.py`.

The last stage is on all rows, so its minimum is one of the whole objective.

Iterations are counted in passes over all rows: one on a tenth of the rows is a tenth.
"""

from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from time import perf_counter

import numpy as np

from skce._fitting.callbacks import IterationTasks
from skce._fitting.listeners import Listener, Listeners, Printer
from skce._fitting.minibatches import max_passes, minimize_by_batches
from skce._fitting.minimization import minimize, overflowed
from skce._fitting.monitor import NonFiniteObjectiveError
from skce._fitting.problem import Plan
from skce._inputs.sampling import MAX_COPIED_BYTES, random_order
from skce._network.executors import QUIET

__all__ = ["MAX_STAGES", "Stage", "minimize_in_stages", "sample_sizes"]

# Chosen on ten problems of 20 000 to 1 000 000 rows, 20 to 784 features, 2 to 100
# classes, clear and noisy labels: see docs/benchmarks.md. A fixed number of iterations
# per stage is as fast where labels are clear, and ruins the fit where they are not; the
# variance of the gradient as the test (Byrd et al.) takes all rows wherever the loss is
# flat, and so gains nothing.
FIRST_SHARE, GROWTH = 1 / 16, 2
CHECK_EVERY = 5
MAX_ITERATIONS = 100
MAX_STAGES = 4  # shares of 1/16, 1/8, 1/4, 1/2

# Share of max_iter for early stages
MAX_EARLY_SHARE = 0.75


@dataclass(frozen=True)
class Stage:
    """What one stage did.

    Attributes
    ----------
    n_rows : int
        Rows of its sample; with minibatches all, and each pass is an iteration.
    n_iter, nfev, nhev : int
        Iterations, evaluations of the objective with its gradient, Hessian products.
    loss_curve : list of float
        The objective on its sample after each iteration.
    seconds : float
    fresh_loss : float or None
        Mean loss, without the L2 term, of the fresh rows at the point that a stage on a
        sample returned; the stage ends when it stops falling.
    batch_size : int or None
        Rows of a minibatch.
    """

    n_rows: int
    n_iter: int
    nfev: int
    nhev: int
    loss_curve: list = field(repr=False)
    seconds: float = field(default=np.nan, compare=False)
    fresh_loss: float | None = None
    batch_size: int | None = None

    @classmethod
    def of(cls, solution, n_rows, fresh_loss=None):
        """Return the record of a stage that ended with a Solution."""
        record = solution.record
        counts = (record["nit"], record["nfev"], record["nhev"])
        curve, seconds = solution.history["loss"], record["seconds"]
        return cls(n_rows, *counts, curve, seconds, fresh_loss)


def sample_sizes(n_rows, n_bytes):
    """Return the number of rows of each early stage, given the bytes of X.

    If even the first share is too large to copy, one stage of the largest sample that
    is not.
    """
    largest = int(min(n_rows / 2, MAX_COPIED_BYTES * n_rows / (2 * n_bytes)))
    sizes, size = [], min(int(n_rows * FIRST_SHARE), largest)
    while 0 < size <= largest:
        sizes.append(size)
        size *= GROWTH
    return sizes


class FreshLossWatch(Listener):
    """Stops a stage when the loss of fresh rows no longer falls.

    Parameters
    ----------
    objective : Objective
        Of the fresh rows.
    theta : ndarray of shape (n_parameters,)
        The start of the stage.

    Attributes
    ----------
    best, loss : ndarray of shape (n_parameters,) and float
        The best point checked so far, and its loss.
    """

    def __init__(self, objective, theta):
        self.objective = objective
        self.best = self.checked = theta
        self.loss = objective.mean_loss(theta)

    def after(self, iteration):
        """Return whether to stop; checks every few iterations."""
        return iteration.number % CHECK_EVERY == 0 and not self.check(iteration.theta)

    def check(self, theta):
        """Return whether theta is better than the best so far, and keep it if it is."""
        if np.array_equal(theta, self.checked):
            return False
        self.checked = theta
        loss = self.objective.mean_loss(theta)
        better = loss < self.loss
        if better:
            self.best, self.loss = theta, loss
        return better


@dataclass
class _Progress:
    """Progress of one start through its stages."""

    theta: np.ndarray
    plan: Plan
    budget: float  # of iterations for early stages, in passes over all rows
    stages: list = field(default_factory=list)
    moved: bool = False  # whether a stage has led away from the start
    stopped: bool = False

    def add(self, theta, stage, n_rows):
        self.moved = self.moved or not np.array_equal(theta, self.theta)
        self.theta = theta
        self.stages.append(stage)
        self.budget -= stage.n_iter * stage.n_rows / n_rows
        self.plan = self.plan.with_less_budget(0, stage.nfev + stage.nhev)


def minimize_in_stages(problem, start, plan, watch, interrupt, task=None):
    """Minimise over all rows, after early stages on growing parts of them.

    Parameters
    ----------
    problem : Problem
    start : Start
    plan : Plan
        Of all stages together. Checks of fresh rows, which need no gradient, do not
        count as evaluations.
    watch : ValidationWatch or None
        Watches the last stage, and decides where it ends.
    interrupt : Interrupt
    task : FitTask, optional
        Parent task: each early stage and each iteration of the last one is a subtask.
        A callback's request to stop ends all stages.

    Returns
    -------
    solution : Solution
        Of the last stage, on all rows.
    stages : list of Stage
    """
    n = problem.rows.n_rows
    # at least one iteration is left for the last stage
    budget = min(MAX_EARLY_SHARE * plan.max_iter, plan.max_iter - 1)
    progress = _Progress(start.theta, plan, budget)
    if start.grow == "minibatches":
        _pass_in_batches(problem, start, progress, interrupt, task)
    elif start.grow:
        _grow(problem, start, progress, interrupt, task)
    # (its evaluations have been subtracted stage by stage)
    n_passes = int(np.ceil(budget - progress.budget))
    plan = progress.plan.with_less_budget(n_passes, 0)
    if progress.stages and plan.verbose:
        print(f"stage {len(progress.stages) + 1}: all {n} rows")
    objective = problem.objective()
    tasks = None if task is None else IterationTasks(task, progress.stopped)
    with _reported(progress, n):
        listeners = watch, tasks, plan.listener
        arguments = objective, progress.theta, plan, listeners, interrupt
        try:
            if watch is not None:
                watch.begin_at(progress.theta, not (start.given or progress.stages))
            solution = minimize(*arguments)
        except KeyboardInterrupt as cause:  # in the first score or evaluation
            if not progress.stages:
                raise
            interrupt.set(cause)
            solution = minimize(*arguments)
    if watch is not None:
        solution = _at_best(solution, watch.best, objective, plan.tol, interrupt)
    return solution, [*progress.stages, Stage.of(solution, n)]


def _pass_in_batches(problem, start, progress, interrupt, task):
    """Pass over the rows in minibatches; as many times as the budget allows."""
    plan, n = progress.plan, problem.rows.n_rows
    most = max_passes(n, problem.network.n_parameters)
    n_passes = min(most, int(progress.budget), plan.max_fun - 1)
    if n_passes < 1 or interrupt.is_set():
        return
    if plan.verbose:
        print(f"stage 1: {n_passes} passes over {n} rows in minibatches")
    stage_task = None if task is None else task.begin("stage", n_passes)
    tasks = None if task is None else IterationTasks(stage_task)
    began = perf_counter()
    listener = Listeners(Printer(plan.verbose) if plan.verbose else None, tasks)
    theta, losses, batch_size = minimize_by_batches(
        problem, start.theta, start.random_state, n_passes, listener, interrupt
    )
    seconds, passes = perf_counter() - began, len(losses)
    stage = Stage(n, passes, passes, 0, losses, seconds, batch_size=batch_size)
    progress.add(theta, stage, n)
    if task is not None:
        progress.stopped = stage_task.end(theta) or tasks.stopped


def _grow(problem, start, progress, interrupt, task):
    """Minimise over random parts of the rows, each twice as large as the one before."""
    plan, n = progress.plan, problem.rows.n_rows
    sizes = sample_sizes(n, problem.rows.n_bytes)  # none for rows on a cluster
    order = _order(problem.rows, start.random_state, 2 * max(sizes)) if sizes else ()
    for size in sizes:
        if progress.stopped or interrupt.is_set():
            break
        max_iter = min(MAX_ITERATIONS, int(progress.budget * n / size))
        # one evaluation for the stage and one for the last; the next sizes need no less
        if max_iter == 0 or progress.plan.max_fun < 2 or len(order) < 2 * size:
            break
        if plan.verbose:
            print(f"stage {len(progress.stages) + 1}: {size} of {n} rows")
        stage_task = None if task is None else task.begin("stage", max_iter)
        tasks = None if task is None else IterationTasks(stage_task)
        # one evaluation is left for the last stage
        stage_plan = replace(progress.plan.with_less_budget(0, 1), max_iter=max_iter)
        parts = order[:size], order[size : 2 * size]
        try:
            with _reported(progress, size):
                theta, stage = _minimize_part(
                    problem, parts, progress.theta, stage_plan, interrupt, tasks
                )
        except KeyboardInterrupt as cause:  # while it copied rows, say
            if not progress.stages:
                raise
            interrupt.set(cause)
            break
        progress.add(theta, stage, n)
        if task is not None:  # end() first: every task that began has to end
            progress.stopped = stage_task.end(theta) or tasks.stopped


def _minimize_part(problem, parts, theta, plan, interrupt, tasks):
    """Run a stage on rows `parts[0]`, watched on `parts[1]`; return its end and Stage.

    A separate function, so that its copies of the rows are released at its end.
    """
    sample, fresh = parts
    watch = FreshLossWatch(problem.objective_of(fresh, 0.0), theta)
    objective = problem.objective_of(sample, problem.l2)
    solution = minimize(objective, theta, plan, (watch, tasks), interrupt)
    if solution.history["loss"]:  # it may have ended between two checks
        watch.check(solution.theta)
    return watch.best, Stage.of(solution, len(sample), watch.loss)


@contextmanager
def _reported(progress, n_rows):
    """Attach the last good solution and the records of all stages to an overflow."""
    try:
        yield
    except NonFiniteObjectiveError as error:
        stages = progress.stages
        if error.solution is None and progress.moved:
            curve = stages[-1].loss_curve
            value = curve[-1] if curve else np.nan
            error.solution = overflowed(progress.theta, value, str(error))
        if error.solution is not None:
            error.stages = [*stages, Stage.of(error.solution, n_rows)]
        raise


@np.errstate(**QUIET)
def _at_best(solution, theta, objective, tol, interrupt):
    """Return the solution at the best theta; its value is NaN if the rows are lost."""
    if np.array_equal(theta, solution.theta):
        return solution
    value = norm = np.nan
    if interrupt.lost is None:
        try:
            value, gradient = objective.value_and_gradient(theta)
            norm = objective.network.largest_slope(gradient)
        except KeyboardInterrupt as cause:
            interrupt.set(cause)
    record = solution.record | {
        "message": "Back to the best validation score. " + solution.record["message"],
        "gradient_norm": norm,
        "success": bool(norm <= tol),
    }
    # it had converged at the end, not at the point that is restored
    if record["reason"] in ("tolerance", "plateau") and not record["success"]:
        record["reason"] = "stopped"
    return replace(solution, theta=theta, value=float(value), record=record)


def _order(rows, random_state, n_wanted):
    """Return at most `n_wanted` rows in a random order, of those with a weight."""
    data = rows.data
    order = random_order(data.X, data.codes, random_state, n_wanted)
    if data.weights is not None:
        order = order[data.weights[order] > 0]
    return order[:n_wanted].copy()
