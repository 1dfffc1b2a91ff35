"""Fitting: minimisation from one or several starts, and what is to be said of it."""

from dataclasses import dataclass, field
from threading import Event

import numpy as np

from skce.growth import minimize_in_stages
from skce.solvers import NonFiniteObjectiveError, Solution
from skce.stopping import ValidationWatch
from skce.threads import serial, workers

__all__ = [
    "Outcome",
    "above_constant",
    "fit_from_starts",
    "why_constant",
    "why_stuck",
]

# Rows x parameters of an evaluation from which starts in threads of their own pay
LEAST_WORK_OF_A_START = 2**18


OUT_OF_IT = "Take penalty='natural', which is nowhere flat, or another random_state"


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
    """

    start: np.ndarray
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
    def rank(self):
        """What is smallest for the best: minus the validation score, or the loss."""
        if self.solution is None:
            return np.inf
        return self.loss if self.watch is None else -self.watch.best_score


def fit_from_starts(network, starts, rows, *, new_watch, n_jobs, **options):
    """Minimise from each start.

    Parameters
    ----------
    network : Network
    starts : list of (theta, RandomState, bool)
        The start, the source of its growing sample, and whether there is one.
    rows : tuple
        X, the labels' codes and the weights (or None).
    new_watch : callable or None
        `new_watch(run)` makes a ValidationWatch for one start.
    n_jobs : int or None
        Threads: over the starts if there are several that are worth it, else over
        blocks of rows. The outcomes have the same bits for any number.
    **options
        Of `minimize_in_stages`.

    Returns
    -------
    outcomes : list of Outcome, in the order of the starts
    interrupted : bool
        Whether Ctrl-C has ended them.

    Raises
    ------
    NonFiniteObjectiveError
        If all starts lead to one.
    KeyboardInterrupt
        If it came before the first iteration.
    """
    work = rows[0].shape[0] * network.n_parameters
    interrupt = Event()
    outcomes = [Outcome(theta) for theta, _, _ in starts]

    def fit(i, run):
        if interrupt.is_set():
            return
        theta, random_state, grow = starts[i]
        outcome = outcomes[i]
        outcome.watch = None if new_watch is None else new_watch(run)
        try:
            outcome.solution, outcome.stages = minimize_in_stages(
                network,
                theta,
                rows,
                run=run,
                random_state=random_state,
                grow=grow,
                watch=outcome.watch,
                interrupt=interrupt,
                **options,
            )
        except NonFiniteObjectiveError as error:
            outcome.error = error

    several = len(starts) > 1 and work >= LEAST_WORK_OF_A_START
    with workers(work * len(starts) if several else work, n_jobs) as run:
        try:
            if several:
                run(lambda i: fit(i, serial), range(len(starts)), interrupt.set)
            else:
                for i in range(len(starts)):
                    fit(i, run)
        except KeyboardInterrupt:  # the other threads have ended by now
            interrupt.set()
    if interrupt.is_set() and not any(
        stage.n_iter for outcome in outcomes for stage in outcome.stages
    ):
        raise KeyboardInterrupt  # nothing has been won that could be kept
    errors = [outcome.error for outcome in outcomes if outcome.error is not None]
    if errors and all(outcome.solution is None for outcome in outcomes):
        raise errors[0]
    return outcomes, interrupt.is_set()


def above_constant(solution, constant):
    """Whether a fit is above the objective of the class frequencies as outputs."""
    return solution.value > constant + max(0.02 * abs(constant), 1e-4)


def why_stuck(outcome, moved, constant):
    """What a stop within `tol` has missed, where that is certain; else None.

    `moved` says that the fit went on from another; `constant` is the objective of the
    class frequencies as constant outputs: with all weights 0 and the right biases
    every network reaches it.
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
    if above_constant(solution, constant):
        return (
            f"is stuck where the penalty is flat: its objective, "
            f"{solution.value:.4g}, is above that of the class frequencies as constant "
            f"outputs, {constant:.4g}. {OUT_OF_IT}"
        )
    return None


def why_constant(outcome, constant):
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
