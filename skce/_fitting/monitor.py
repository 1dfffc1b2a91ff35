"""The record of one minimisation: its points, counts and history."""

from dataclasses import dataclass
from math import isfinite
from time import perf_counter

import numpy as np

from skce._fitting.listeners import Iteration
from skce._fitting.solvers import SOLVERS
from skce._support.memory import free_memory, gigabytes

__all__ = [
    "COLUMNS",
    "PLATEAU_ITERATIONS",
    "BrokenDirection",
    "BudgetSpent",
    "Monitor",
    "NonFiniteObjectiveError",
    "OutOfMemory",
    "Solution",
    "same",
]

# Columns of `history`
COLUMNS = ("loss", "gradient_norm", "evaluations", "seconds")

# Over so many iterations a plateau is measured
PLATEAU_ITERATIONS = 10

# On a plateau the gradient is at most so many times tol
PLATEAU_SLOPE = 50

TINY = np.finfo(float).tiny

# Below it two copies as bytes are compared in a fifth of the time of NumPy's calls
MAX_SIZE_BY_BYTES = 1000

# Bytes of the directions that a solver keeps before memory is looked at
FREE_DIRECTIONS = 2**28


class NonFiniteObjectiveError(ValueError):
    """The objective or its gradient overflowed or is not a number.

    Attributes
    ----------
    solution : Solution or None
        Where the last iteration ended; None if there was none.
    stages : list of Stage
        Those that had ended before.
    """

    solution = None
    stages = ()


class BudgetSpent(Exception):
    """max_fun evaluations were made."""


class OutOfMemory(Exception):
    """The directions that the solver keeps would not fit into memory."""


class BrokenDirection(Exception):
    """The solver's own arithmetic has failed: its direction is not a number."""


@dataclass(frozen=True)
class Solution:
    """Where a minimisation ended and why.

    Attributes
    ----------
    theta : ndarray of shape (n_parameters,)
    value : float
        The objective at `theta`.
    history : dict of str to list
        After each iteration: "loss", the objective; "gradient_norm", the largest
        absolute component of its gradient; "evaluations" of the objective and of
        Hessian products so far; "seconds" since the minimisation began.
    record : dict
        SciPy's record of the stop: status and message; nit (iterations), nfev and nhev
        (evaluations of the objective with its gradient and of Hessian products),
        gradient_norm at the end; success: whether it is converged; seconds; and
        reason, one of `REASONS`.
    advice : str or None
        Reason and advice for the ConvergenceWarning, where the tolerance was not
        reached.
    """

    theta: np.ndarray
    value: float
    history: dict
    record: dict
    advice: str | None


def same(theta, other):
    """Whether two points are equal; asked three times per evaluation."""
    if theta.size < MAX_SIZE_BY_BYTES:
        return theta.tobytes() == other.tobytes()
    return np.logical_and.reduce(theta == other)


class Monitor:
    """Counts the evaluations, keeps the accepted point and the history.

    The solver sees `evaluate`; SciPy reports each accepted point, which is the point
    evaluated last or, after a rejected step, the one accepted before.

    Attributes
    ----------
    gradient_norm : float
        Largest absolute component of the gradient at the accepted point.
    """

    def __init__(self, objective, plan):
        self.objective = objective
        self.plan = plan
        self.max_fun = plan.max_fun
        self.n_evaluations = 0
        self.n_hessian_products = 0
        self._keeps_directions = SOLVERS[plan.solver].keeps_directions
        self._n_directions = 0
        self.history = {name: [] for name in COLUMNS}
        self._columns = tuple(self.history.values())
        self.began = perf_counter()
        self.trial = self.accepted = None

    @property
    def n_iter(self):
        """Iterations so far."""
        return len(self.history["loss"])

    @property
    def seconds(self):
        """Seconds since the minimisation began."""
        return perf_counter() - self.began

    @property
    def budget_spent(self):
        """Whether max_fun is reached; Hessian products count.

        A trust region can ask for them without end.
        """
        return self.n_evaluations + self.n_hessian_products >= self.max_fun

    def evaluate(self, theta):
        """Return value and gradient; those of the last trial are kept."""
        if self.trial is not None and same(theta, self.trial[0]):
            return self.trial[1:]
        if self.n_evaluations + self.n_hessian_products >= self.max_fun:
            raise BudgetSpent
        self.n_evaluations += 1
        value, gradient = self.objective.value_and_gradient(theta)
        self._check_finite(value, gradient)
        self.trial = (theta.copy(), value, gradient)
        if self.accepted is None:
            self._accept(self.trial)
        return value, gradient

    def _check_finite(self, value, gradient):
        # the solvers square the gradient
        if not (isfinite(value) and isfinite(gradient.dot(gradient))):
            raise NonFiniteObjectiveError(
                f"the objective or its gradient is not finite (evaluation "
                f"{self.n_evaluations}, objective {value:.3g})"
            )

    def hessian_product(self, theta, v):
        """Return H(theta) v."""
        # trust-krylov's direction is NaN once its Krylov space is exhausted, as on a
        # singular Hessian
        if not np.isfinite(v).all():
            raise BrokenDirection
        if self.budget_spent:
            raise BudgetSpent
        if self._keeps_directions:
            self._keep_direction(len(v))
        self.n_hessian_products += 1
        product = self.objective.hessian_product(theta, v)
        if not np.isfinite(product).all():
            raise NonFiniteObjectiveError("a Hessian product is not finite")
        return product

    def _keep_direction(self, n_parameters):
        """Raise an error if all since the last step would not fit into memory."""
        self._n_directions += 1
        n_bytes = 8 * n_parameters * self._n_directions
        if n_bytes > FREE_DIRECTIONS and n_bytes > (free := free_memory()):
            raise OutOfMemory(
                f"The {self._n_directions} directions that {self.plan.solver} keeps "
                f"for one step take {gigabytes(n_bytes)}; {gigabytes(free)} are left."
            )

    def accept(self, theta):
        """Make `theta` the accepted point.

        A trust region rejects steps: the point is then the one accepted before. Some
        solvers end at a third one, which is evaluated once more, beyond max_fun.
        """
        if same(theta, self.trial[0]):
            if self.accepted[0] is not self.trial[0]:
                self._accept(self.trial)
            self._n_directions = 0
        elif not same(theta, self.accepted[0]):
            value, gradient = self.objective.value_and_gradient(theta)
            self._check_finite(value, gradient)
            self._accept((theta.copy(), value, gradient))

    def _accept(self, point):
        self.accepted = point[:2]
        self.gradient_norm = self.objective.network.largest_slope(point[2])

    @property
    def within_tol(self):
        """Whether the gradient at the accepted point is within `tol`."""
        return self.gradient_norm <= self.plan.tol

    @property
    def on_plateau(self):
        """Whether the last iterations have hardly lowered the objective.

        Where it is steep, this may be a ravine that the solver follows, or a kink: only
        a tenth of the fall is taken for a plateau there.
        """
        if self.n_iter <= PLATEAU_ITERATIONS or self.fall >= self.plan.plateau:
            return False
        is_flat = self.gradient_norm <= PLATEAU_SLOPE * self.plan.tol
        return is_flat or self.fall < self.plan.plateau / 10

    @property
    def fall(self):
        """Relative decrease of the objective over the last iterations."""
        losses = self.history["loss"][-1 - PLATEAU_ITERATIONS :]
        return (losses[0] - losses[-1]) / max(abs(losses[-1]), TINY)

    def record_iteration(self, theta):
        """Accept a point, add it to the history, and return the Iteration."""
        self.accept(theta)
        theta, value = self.accepted
        evaluations = self.n_evaluations + self.n_hessian_products
        iteration = Iteration(
            self.n_iter + 1,
            theta,
            float(value),
            self.gradient_norm,
            evaluations,
            perf_counter() - self.began,
        )
        for column, entry in zip(self._columns, iteration[2:], strict=True):
            column.append(entry)
        return iteration

    def solution(self, reason, status, message, advice):
        """Return the Solution at the accepted point."""
        theta, value = self.accepted
        record = {
            "reason": reason,
            "status": status,
            "message": message,
            "success": reason in ("tolerance", "plateau"),
            "nit": self.n_iter,
            "nfev": self.n_evaluations,
            "nhev": self.n_hessian_products,
            "gradient_norm": self.gradient_norm,
            "seconds": self.seconds,
        }
        return Solution(theta, float(value), self.history, record, advice)
