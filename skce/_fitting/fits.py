"""Fits from one or several starts, and the warnings about the result."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from skce._fitting.listeners import Interrupt
from skce._fitting.monitor import NonFiniteObjectiveError, Solution
from skce._fitting.problem import Start
from skce._fitting.stages import MAX_STAGES, minimize_in_stages
from skce._fitting.stopping import ValidationWatch
from skce._inputs.sampling import MAX_COPIED_BYTES
from skce._network.executors import with_workers
from skce._network.standardization import is_scaled
from skce._support.callers import within_another_fit

__all__ = [
    "BrokenFitError",
    "Fits",
    "Outcome",
    "fit_from_starts",
    "learned_nothing",
    "max_subtasks",
]

# Rows x parameters of an evaluation from which a thread per start pays
MIN_WORK_OF_A_START = 2**18

# A fit has learned something if its loss is below that of the class frequencies by this
# part of it, or by this part over all rows together: of many rows, less is not chance
MIN_GAIN, MIN_GAIN_OF_ALL_ROWS = 1e-3, 10

# The objective is above that of the class frequencies, and not rounded, by this part
MIN_RISE = 1e-6

# A warm start loses the solver's knowledge of the curvature, 20 iterations of L-BFGS
MIN_WARM_ITERATIONS = 20


class BrokenFitError(ValueError):
    """The objective of a fit overflowed; the estimator is as it was before.

    Attributes
    ----------
    best : PairedMLPClassifier or None
        A copy of the estimator, fitted with the last good weights, for which
        `solver_result_["reason"]` is "overflow"; its probabilities are not moderated.
        None if no iteration had ended.

    Examples
    --------
    >>> from skce import BrokenFitError, PairedMLPClassifier
    >>> X, y = [[1e300], [-1e300], [2e300]], [0, 1, 0]
    >>> clf = PairedMLPClassifier(hidden_layer_sizes=(), alpha=0)
    >>> try:
    ...     clf.fit(X, y)
    ... except BrokenFitError as error:
    ...     print(error.best)
    None
    """

    def __init__(self, message: str, best: Any = None) -> None:
        super().__init__(message)
        self.best = best

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.best)


@dataclass
class Outcome:
    """Result of one start.

    Attributes
    ----------
    start : Start
    solution : Solution or None
        None where the objective was not finite, or Ctrl-C came before.
    stages : list of Stage
    watch : ValidationWatch or None
    error : NonFiniteObjectiveError or None
    """

    start: Start
    solution: Solution | None = None
    stages: list = field(default_factory=list)
    watch: ValidationWatch | None = None
    error: NonFiniteObjectiveError | None = None

    @property
    def loss(self):
        """The final objective; inf for a failure, NaN if it was not begun."""
        if self.solution is None:
            return np.nan if self.error is None else np.inf
        return self.solution.value

    @property
    def kept_random_start(self):
        """Whether the solution is the random start itself."""
        theta = self.start.theta
        moved = self.start.given or not np.array_equal(self.solution.theta, theta)
        return bool(not moved and theta.any())

    @property
    def rank(self):
        """Sort key, smallest for the best: minus the validation score, or the loss."""
        if self.solution is None:
            return np.inf
        return self.loss if self.watch is None else -self.watch.best_score


@dataclass
class Fits:
    """Results of all starts.

    Attributes
    ----------
    outcomes : list of Outcome, in the order of the starts
    interrupt : Interrupt
        Whether Ctrl-C or the loss of the rows has ended them.
    """

    outcomes: list
    interrupt: Interrupt = field(default_factory=Interrupt)

    @property
    def best(self):
        """The outcome that is kept."""
        return min(self.outcomes, key=lambda outcome: outcome.rank)

    def advice(self, problem):
        """Reason and advice for the ConvergenceWarning, or None."""
        best = self.best
        if self.interrupt.is_set():
            begun = sum(outcome.solution is not None for outcome in self.outcomes)
            return (
                "was interrupted (Ctrl-C): the best weights so far are kept, from "
                f"{begun} of {len(self.outcomes)} starts"
            )
        advice = best.solution.advice
        n_iter, reason = (best.solution.record[key] for key in ("nit", "reason"))
        if best.start.given and reason == "max_iter" and n_iter < MIN_WARM_ITERATIONS:
            # a constant text, which Python shows once of many such fits
            advice = (
                f"stopped after max_iter={n_iter} iterations from given weights. "
                "Each fit starts without what the solver had learned about the "
                "curvature, so many short fits end higher than one long fit: raise "
                "max_iter, or monitor a single fit with a callback"
            )
        if learned_nothing(problem, best.solution):
            if advice is None:
                return _why_nothing(problem, best)
            return f"{advice}. So far it is no better than the class frequencies"
        if advice is not None:
            return advice
        if best.kept_random_start:
            return (
                "did nothing, because no component of the gradient at the random start "
                "exceeds tol: lower tol"
            )
        if best.watch is None and _is_above_constant(problem, best.solution):
            return (
                f"ended where the objective, {best.solution.value:.4g}, is above that "
                f"of the class frequencies, {problem.constant_loss:.4g}: "
                f"{_against_stuck(problem, best)}"
            )
        if best.watch is not None and _beaten_by_constant(problem, best.watch):
            return (
                f"keeps the best validation score, {best.watch.best_score:.4g}, which "
                "is worse than that of the class frequencies as outputs: give more "
                "validation rows (validation_fraction, X_val), raise alpha, or use "
                "another scoring"
            )
        return None


def fit_from_starts(problem, starts, plan, task=None, interrupt=None):
    """Minimise from each start.

    Parameters
    ----------
    problem : Problem
    starts : list of Start
    plan : Plan
        The executor's threads go over the starts if there are several that are worth
        it, else over blocks of rows. The outcomes have the same bits for any number.
    task : FitTask, optional
        With it the starts run in order, each a subtask if there are several.
    interrupt : Interrupt, optional
        Ends the starts when it is set, and is set by Ctrl-C.

    Returns
    -------
    fits : Fits

    Raises
    ------
    NonFiniteObjectiveError
        If all starts lead to one.
    KeyboardInterrupt
        If it came before the first iteration, or within a search or an ensemble.
    """
    interrupt = Interrupt() if interrupt is None else interrupt
    outcomes = [Outcome(start) for start in starts]

    def fit(outcome, task=None):
        if not interrupt.is_set():
            _fit_one(problem, outcome, plan, interrupt, task)

    # those of a large X would each copy samples, and its blocks keep the threads busy
    side_by_side = (
        len(starts) > 1
        and problem.work >= MIN_WORK_OF_A_START
        and problem.rows.n_bytes <= MAX_COPIED_BYTES
        and task is None
        and not plan.sequential_starts
    )
    try:
        _ = problem.constant_loss  # once, and not by each thread
        if side_by_side:
            with_workers(
                problem.work * len(starts),
                plan.executor.n_jobs,
                lambda run: run(fit, outcomes, interrupt.set),
            )
        else:
            plan.executor.opened(
                problem.work, lambda: _fit_in_order(outcomes, fit, plan, task)
            )
    except KeyboardInterrupt as cause:  # the other threads have ended by now
        interrupt.set(cause)
    if interrupt.is_set() and not any(
        stage.n_iter for outcome in outcomes for stage in outcome.stages
    ):
        raise interrupt.lost or KeyboardInterrupt  # there is nothing to keep
    if interrupt.is_set() and interrupt.lost is None and within_another_fit():
        raise KeyboardInterrupt  # its score would count as that of a whole fit
    errors = [outcome.error for outcome in outcomes if outcome.error is not None]
    if errors and all(outcome.solution is None for outcome in outcomes):
        raise min(errors, key=_value_of)
    return Fits(outcomes, interrupt)


def _fit_in_order(outcomes, fit, plan, task):
    """Fit one start after another; each is a subtask if there are several."""
    for i, outcome in enumerate(outcomes, start=1):
        if len(outcomes) == 1:
            fit(outcome, task)
            return
        if plan.verbose:
            print(f"start {i} of {len(outcomes)}")
        if task is None:
            fit(outcome)
            continue
        start_task = task.begin("start", max_subtasks(plan.max_iter))
        fit(outcome, start_task)
        solution = outcome.solution
        if start_task.end(None if solution is None else solution.theta):
            return


def _fit_one(problem, outcome, plan, interrupt, task):
    """Minimise from one start, and once more from constant outputs if it got stuck."""
    if problem.new_watch is not None:
        outcome.watch = problem.new_watch()
    try:
        outcome.solution, outcome.stages = minimize_in_stages(
            problem, outcome.start, plan, outcome.watch, interrupt, task
        )
        _restart_if_stuck(problem, outcome, plan, interrupt, task)
    except NonFiniteObjectiveError as error:
        outcome.error = error


def _value_of(error):
    """The objective that a fit had reached when it overflowed."""
    value = np.inf if error.solution is None else error.solution.value
    return np.inf if np.isnan(value) else value


def max_subtasks(max_iter, n_starts=1):
    """Return the most subtasks of a fit: its starts, or its stages and iterations."""
    return n_starts if n_starts > 1 else max_iter + MAX_STAGES


def _restart_if_stuck(problem, outcome, plan, interrupt, task):
    """If the class frequencies have no higher objective, restart from these outputs.

    With what is left of max_iter and max_fun; not after a stop of another kind, nor
    from a start without slope.
    """
    record = outcome.solution.record
    ended = record["success"] and record["nit"] > 0 and not outcome.watch
    if not ended or _is_convex(problem):
        return
    if not _is_above_constant(problem, outcome.solution) and not learned_nothing(
        problem, outcome.solution
    ):
        return
    n = problem.rows.n_rows
    iterations = sum(stage.n_iter * stage.n_rows / n for stage in outcome.stages)
    evaluations = sum(stage.nfev + stage.nhev for stage in outcome.stages)
    plan = plan.with_less_budget(int(np.ceil(iterations)), evaluations)
    if plan.max_iter < 1 or plan.max_fun < 1:
        return
    start = replace(
        outcome.start, theta=problem.constant(outcome.start.theta), grow=False
    )
    solution, stages = minimize_in_stages(problem, start, plan, None, interrupt, task)
    if solution.value < outcome.solution.value:
        outcome.solution, outcome.stages = solution, stages


def _loss_of_rows(problem, solution):
    """The objective without its L2 term."""
    return solution.value - problem.full_objective.l2_term(solution.theta)


def _is_above_constant(problem, solution):
    """Whether the class frequencies as outputs have a lower objective."""
    constant = problem.constant_loss  # inf where it is not known
    return bool(solution.value > constant + MIN_RISE * abs(constant))


def learned_nothing(problem, solution):
    """Whether the loss of the rows is hardly below that of the class frequencies."""
    constant = problem.constant_loss
    gain = min(MIN_GAIN, MIN_GAIN_OF_ALL_ROWS / problem.rows.n_rows)
    return bool(_loss_of_rows(problem, solution) > constant - gain * abs(constant))


def _is_convex(problem):
    """Whether a solver cannot get stuck."""
    network = problem.network
    return not network.has_hidden_units and network.pairing.status == "natural"


def _beaten_by_constant(problem, watch):
    """Whether the class frequencies as outputs have a better validation score."""
    theta = problem.constant(np.zeros(problem.network.n_parameters))
    return theta is not None and watch.is_beaten_by(theta)


def _why_nothing(problem, outcome):
    """Reason and advice for a fit that has learned nothing."""
    loss = _loss_of_rows(problem, outcome.solution)
    text = (
        f"has learned nothing: the loss of the rows, {loss:.4g}, is hardly better "
        f"than that of the class frequencies, {problem.constant_loss:.4g}. "
    )
    no_relation = "X does not tell the classes apart"
    rows = problem.rows
    mean_weight = rows.total_weight / rows.n_rows
    if problem.alpha > 0 and mean_weight < 0.1:
        return text + (
            f"Either {no_relation}, or the L2 term is too strong, as "
            f"alpha={problem.alpha:g} is divided by the sum of the weights, only "
            f"{rows.total_weight:.3g}: rescale sample_weight to a mean of 1, or lower "
            "alpha"
        )
    if not _is_convex(problem):
        stuck = f"the fit is stuck: {_against_stuck(problem, outcome)}"
        return f"{text}Either {no_relation}, or {stuck}"
    if problem.alpha > 0:
        return f"{text}Either {no_relation}, or alpha is too large"
    return text + no_relation


def _against_stuck(problem, outcome):
    """Advice for a fit that is no better than the class frequencies."""
    advice = ["lower alpha"] if problem.alpha > 0 else []
    if len(problem.network.layer_sizes) > 3:
        advice.append("use fewer hidden layers")
    pairing = problem.network.pairing
    if pairing.status == "workable" and pairing.activation.natural_loss is not None:
        advice.append(
            "use penalty='natural', whose gradient does not vanish on wrong rows"
        )
    if problem.standardization is None and not is_scaled(problem.rows.sample):
        advice.append("set standardize=True")
    if outcome.solution.record["reason"] == "tolerance":
        advice.append("lower tol")
    advice.append("use another random_state")
    return ", or ".join(advice)
