"""Fitting: minimisation from one or several starts, and what is to be said of it."""

from dataclasses import dataclass, field
from threading import Event

import numpy as np

from skce._fitting.solvers import NonFiniteObjectiveError, Solution
from skce._fitting.stages import MOST_BYTES, MOST_STAGES, minimize_in_stages, n_bytes
from skce._fitting.starts import constant_start
from skce._fitting.stopping import ValidationWatch
from skce._inputs.labels import class_frequencies
from skce._network.executors import serial, workers

__all__ = ["BrokenFitError", "Fits", "Outcome", "fit_from_starts", "most_subtasks"]

# Rows x parameters of an evaluation from which starts in threads of their own pay
LEAST_WORK_OF_A_START = 2**18


OUT_OF_IT = "Take penalty='natural', which is nowhere flat, or another random_state"


class BrokenFitError(ValueError):
    """A fit that broke off on its way; the estimator is as it was before.

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

    def __init__(self, message, best=None):
        super().__init__(message)
        self.best = best

    def __reduce__(self):
        return type(self), (str(self), self.best)


@dataclass
class Outcome:
    """Where one start has led.

    Attributes
    ----------
    start : ndarray of shape (n_parameters,)
    solution : Solution or None
        None where the objective was not finite on the way, or Ctrl-C came before.
    stages : list of Stage
    watch : ValidationWatch or None
    error : NonFiniteObjectiveError or None
    from_constant : bool
        Whether it got stuck, and the solution is that of the class frequencies as
        constant outputs.
    """

    start: np.ndarray
    solution: Solution | None = None
    stages: list = field(default_factory=list)
    watch: ValidationWatch | None = None
    error: NonFiniteObjectiveError | None = None
    from_constant: bool = False

    @property
    def loss(self):
        """The final objective; inf for a failure, NaN if it was not begun."""
        if self.solution is None:
            return np.nan if self.error is None else np.inf
        return self.solution.value

    @property
    def rank(self):
        """What is smallest for the best: minus the validation score, or the loss."""
        if self.solution is None:
            return np.inf
        return self.loss if self.watch is None else -self.watch.best_score


@dataclass
class Fits:
    """Where all starts have led.

    Attributes
    ----------
    outcomes : list of Outcome, in the order of the starts
    interrupted : bool
        Whether Ctrl-C has ended them.
    constant : float
        The objective of the class frequencies as constant outputs: with all weights 0
        and the right biases every network reaches it. inf where it is not known.
    """

    outcomes: list
    interrupted: bool
    constant: float

    @property
    def best(self):
        """The outcome that is kept."""
        return min(self.outcomes, key=lambda outcome: outcome.rank)

    def remedy(self, moved):
        """What the user is to be told, as the end of a sentence; None if all is well.

        `moved` says that the first start was not one of the package's own.
        """
        best = self.best
        if self.interrupted:
            begun = sum(outcome.solution is not None for outcome in self.outcomes)
            return (
                "was interrupted (Ctrl-C): the best weights so far are kept, of "
                f"{begun} of {len(self.outcomes)} starts"
            )
        if best.solution.remedy is not None:
            return best.solution.remedy
        if best.from_constant and (why := _why_constant(best, self.constant)):
            return why
        if best.watch is None and best.solution.record["reason"] == "tolerance":
            return _why_stuck(best, moved and best is self.outcomes[0], self.constant)
        return None


def fit_from_starts(
    network,
    starts,
    rows,
    *,
    new_watch,
    n_jobs,
    soft,
    task=None,
    tape=None,
    whole=None,
    frequencies=None,
    **options,
):
    """Minimise from each start.

    Parameters
    ----------
    network : Network
    starts : list of (theta, RandomState, bool)
        The start, the source of its growing sample, and whether there is one.
    rows : tuple or None
        X, the labels' codes and the weights (or None); None with `whole`.
    new_watch : callable or None
        `new_watch(run)` makes a ValidationWatch for one start.
    n_jobs : int or None
        Threads: over the starts if there are several that are worth it, else over
        blocks of rows. The outcomes have the same bits for any number.
    soft : bool
        Whether the targets are no labels, so that a stuck fit is not told.
    task : FitTask, optional
        With it (or a tape, or verbose) the starts are run one after another, each a
        subtask if there are several.
    tape : Tape, optional
        See `minimize_in_stages`.
    whole : Objective, optional
        That of all rows, if they are elsewhere, with their class `frequencies`.
    **options
        Of `minimize_in_stages`.

    Returns
    -------
    fits : Fits

    Raises
    ------
    NonFiniteObjectiveError
        If all starts lead to one.
    KeyboardInterrupt
        If it came before the first iteration.
    """
    if whole is None:
        X, codes, weights = rows
        n = X.shape[0]
        frequencies = class_frequencies(codes, weights, network.n_outputs)
    else:
        n = whole.n_rows
    work = n * network.n_parameters
    interrupt = Event()
    outcomes = [Outcome(theta) for theta, _, _ in starts]
    constant = np.inf if soft else network.pairing.loss_of_constant(frequencies)

    def fit(i, run, task=None):
        if interrupt.is_set():
            return
        theta, random_state, grow = starts[i]
        outcome = outcomes[i]
        outcome.watch = None if new_watch is None else new_watch(run)
        given = {"run": run, "random_state": random_state, "interrupt": interrupt}
        given |= {"task": task, "tape": tape, "whole": whole, **options}
        try:
            outcome.solution, outcome.stages = minimize_in_stages(
                network, theta, rows, grow=grow, watch=outcome.watch, **given
            )
            _begin_again(outcome, network, (rows, n), frequencies, constant, given)
        except NonFiniteObjectiveError as error:
            outcome.error = error

    # those of a large X would each copy samples, and its blocks keep the threads busy
    several = len(starts) > 1 and work >= LEAST_WORK_OF_A_START
    several = several and whole is None and n_bytes(rows[0]) <= MOST_BYTES
    several = several and task is None and tape is None and not options["verbose"]
    with workers(work * len(starts) if several else work, n_jobs) as run:
        try:
            if several:
                run(lambda i: fit(i, serial), range(len(starts)), interrupt.set)
            elif task is None or len(starts) == 1:
                for i in range(len(starts)):
                    if options["verbose"] and len(starts) > 1:
                        print(f"start {i + 1} of {len(starts)}")
                    fit(i, run, task)
            else:
                for i, outcome in enumerate(outcomes):
                    start_task = task.begin("start", most_subtasks(options["max_iter"]))
                    fit(i, run, start_task)
                    solution = outcome.solution
                    if start_task.end(None if solution is None else solution.theta):
                        break
        except KeyboardInterrupt:  # the other threads have ended by now
            interrupt.set()
    if interrupt.is_set() and not any(
        stage.n_iter for outcome in outcomes for stage in outcome.stages
    ):
        raise KeyboardInterrupt  # nothing has been won that could be kept
    errors = [outcome.error for outcome in outcomes if outcome.error is not None]
    if errors and all(outcome.solution is None for outcome in outcomes):
        raise min(errors, key=_value_of)
    return Fits(outcomes, interrupt.is_set(), constant)


def _value_of(error):
    """The objective that a fit had reached when it overflowed."""
    value = np.inf if error.solution is None else error.solution.value
    return np.inf if np.isnan(value) else value


def most_subtasks(max_iter, n_starts=1):
    """Most subtasks of a fit: its starts, or of the only one stages and iterations."""
    return n_starts if n_starts > 1 else max_iter + MOST_STAGES


def _begin_again(outcome, network, rows, frequencies, constant, given):
    """Where the fit is stuck on a flat penalty, go on from constant outputs.

    With what is left of max_iter and max_fun; not after a stop of another kind, nor
    from a start without slope.
    """
    record = outcome.solution.record
    stuck = record["reason"] == "tolerance" and record["nit"] > 0
    if not stuck or outcome.watch or not _above_constant(outcome.solution, constant):
        return
    rows, n = rows
    iterations = sum(stage.n_iter * stage.n_rows / n for stage in outcome.stages)
    evaluations = sum(stage.nfev + stage.nhev for stage in outcome.stages)
    max_iter = given["max_iter"] - int(np.ceil(iterations))
    max_fun = given["max_fun"] - evaluations
    theta = constant_start(network, outcome.start, frequencies)
    if theta is None or max_iter < 1 or max_fun < 1:
        return
    asked = {name: given[name] for name in ("max_iter", "max_fun")}
    given = given | {"max_iter": max_iter, "max_fun": max_fun, "asked": asked}
    solution, stages = minimize_in_stages(network, theta, rows, grow=False, **given)
    if solution.value < outcome.solution.value:
        outcome.solution, outcome.stages = solution, stages
        outcome.from_constant = True


def _above_constant(solution, constant):
    """Whether a fit is above the objective of the class frequencies as outputs."""
    return solution.value > constant + max(0.02 * abs(constant), 1e-4)


def _why_stuck(outcome, moved, constant):
    """What a stop within `tol` has missed, where that is certain; else None.

    `moved` says that the fit went on from another.
    """
    solution, start = outcome.solution, outcome.start
    moved = moved or not np.array_equal(solution.theta, start)
    # a start at 0 can be the very optimum, where the features say nothing
    slope = solution.record["gradient_norm"]
    if solution.record["nit"] == 0 and not moved and (start.any() or slope > 1e-12):
        return (
            "found the start to be stationary within tol and changed nothing, as the "
            "outputs or the hidden units are saturated, or X is tiny: scale the "
            "features to mean 0 and variance 1 (StandardScaler), or lower tol"
        )
    if _above_constant(solution, constant):
        return (
            f"is stuck where the penalty is flat: its objective, "
            f"{solution.value:.4g}, is above that of the class frequencies as constant "
            f"outputs, {constant:.4g}. {OUT_OF_IT}"
        )
    return None


def _why_constant(outcome, constant):
    """What is to be said of a fit once more, from constant outputs; None if it is well.

    `outcome` is its own, and `constant` the objective that it began with.
    """
    value = outcome.solution.value
    if value < constant - 0.02 * abs(constant):
        return None
    return (
        "is stuck where the penalty is flat, and from the class frequencies as "
        f"constant outputs, {constant:.4g}, came to {value:.4g} only: it hardly tells "
        f"the classes apart. {OUT_OF_IT}"
    )
