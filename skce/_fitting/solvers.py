"""The front to scipy.optimize: what each method needs, why it stopped, what to do."""

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from threading import Event
from time import perf_counter

import numpy as np
from scipy import optimize

from skce._network.executors import QUIET

__all__ = [
    "SOLVERS",
    "NonFiniteObjectiveError",
    "Solution",
    "Solver",
    "ended_by_overflow",
    "minimize",
]


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


@dataclass(frozen=True)
class Solver:
    """A method of `scipy.optimize.minimize` and how it is to be called.

    Attributes
    ----------
    method : str
        SciPy's name.
    options : callable
        `options(max_iter, max_fun)` are SciPy's options.
    uses_hessian : bool
        Whether it asks for Hessian-vector products.
    dense_hessian : bool
        Whether it keeps a parameters x parameters matrix.
    factor : float
        What the objective is multiplied by before the method sees it.
    """

    method: str
    options: Callable
    uses_hessian: bool = False
    dense_hessian: bool = False
    factor: float = 1.0


# The methods measure convergence in several norms, and in the parameters of the core
# network. So `tol` is applied by the callback of `minimize`, not by SciPy.


def _lbfgs_options(max_iter, max_fun):
    # SciPy's default ftol = 2.2e-9 would end most fits long before the gradient does
    return {
        "maxiter": max_iter,
        "maxfun": max_fun,
        "gtol": 0.0,
        "ftol": np.finfo(float).eps,
        # from 30 to 80 000 parameters at most a third off the best: docs/benchmarks.md
        "maxcor": 20,
        "maxls": 50,
    }


def _gradient_options(max_iter, max_fun):
    return {"maxiter": max_iter, "gtol": 0.0}


def _step_options(max_iter, max_fun):
    return {"maxiter": max_iter, "xtol": np.finfo(float).eps}


def _trust_options(max_iter, max_fun):
    return {"maxiter": max_iter, "gtol": 0.0}


SOLVERS = {
    "lbfgs": Solver("L-BFGS-B", _lbfgs_options),
    "bfgs": Solver("BFGS", _gradient_options, dense_hessian=True),
    "cg": Solver("CG", _gradient_options),
    # SciPy's Newton-CG takes any curvature p.Hp below 3 eps for 0 and gives up, which
    # for a mean over the rows happens at a gradient of 1e-7; times 2^10, at 1e-11
    "newton-cg": Solver("Newton-CG", _step_options, uses_hessian=True, factor=2.0**10),
    "trust-ncg": Solver("trust-ncg", _trust_options, uses_hessian=True),
    "trust-krylov": Solver("trust-krylov", _trust_options, uses_hessian=True),
}


@dataclass(frozen=True)
class Solution:
    """Where the minimisation ended and why.

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
        SciPy's own record of the stop: status and message; nit (iterations), nfev and
        nhev (evaluations of the objective with its gradient and of Hessian products),
        gradient_norm, that of the end, and success, whether it is within `tol`;
        seconds; and reason, one of `REASONS`.
    remedy : str or None
        What the user can do, where the tolerance was not reached.
    """

    theta: np.ndarray
    value: float
    history: dict
    record: dict
    remedy: str | None


class _BudgetSpent(Exception):
    """max_fun evaluations were made."""


# Of the table of iterations
COLUMNS = ("loss", "gradient_norm", "evaluations", "seconds")

# Why a minimisation ended
REASONS = (
    "tolerance",
    "stopped",
    "interrupted",
    "max_iter",
    "max_fun",
    "breakdown",
    "precision",
    "overflow",
)

BROKEN = -1  # the status of a stop by `_BrokenDirection` or Ctrl-C
INTERRUPT = "Interrupted (Ctrl-C)."


class _BrokenDirection(Exception):
    """The solver's own arithmetic has failed: it asks about no direction at all."""


class _Monitor:
    """Counts the evaluations, keeps the accepted point, prints, and says when to stop.

    The solver sees `evaluate`; SciPy calls `after_iteration` with each accepted
    point, which is the point evaluated last or, after a rejected step, the one
    accepted before.
    """

    def __init__(
        self, objective, tol, max_iter, max_fun, verbose, stop, interrupt, iterations
    ):
        self.objective = objective
        self.stop = stop
        self.interrupt = interrupt
        self.iterations = iterations
        self.stopped = iterations is not None and iterations.stopped
        self.tol = tol
        self.max_iter = max_iter
        self.max_fun = max_fun
        self.verbose = verbose
        self.n_evaluations = 0
        self.n_hessian_products = 0
        self.history = {name: [] for name in COLUMNS}
        self.began = perf_counter()
        self.trial = self.accepted = None

    @property
    def n_iter(self):
        return len(self.history["loss"])

    @property
    def seconds(self):
        return perf_counter() - self.began

    @property
    def budget_spent(self):
        return self.n_evaluations + self.n_hessian_products >= self.max_fun

    def _spend(self):
        # Hessian products count, as a trust region can ask for them without end
        if self.budget_spent:
            raise _BudgetSpent

    def evaluate(self, theta):
        """Value and gradient; those of the last trial are kept."""
        if self.trial is not None and (theta == self.trial[0]).all():
            return self.trial[1:]
        self._spend()
        self.n_evaluations += 1
        value, gradient = self.objective.value_and_gradient(theta)
        # the solvers square the gradient
        if not (isfinite(value) and isfinite(gradient.dot(gradient))):
            raise NonFiniteObjectiveError(
                f"the objective or its gradient is not finite (evaluation "
                f"{self.n_evaluations}, objective {value:.3g})"
            )
        self.trial = (theta.copy(), value, gradient)
        if self.accepted is None:
            self.accepted = self.trial
        return value, gradient

    def hessian_product(self, theta, v):
        # trust-krylov, on a singular Hessian, once its Krylov space is exhausted
        if not np.isfinite(v).all():
            raise _BrokenDirection
        self._spend()
        self.n_hessian_products += 1
        product = self.objective.hessian_product(theta, v)
        if not np.isfinite(product).all():
            raise NonFiniteObjectiveError("a Hessian product is not finite")
        return product

    def accept(self, theta):
        """Make `theta` the accepted point."""
        if (theta == self.trial[0]).all():
            self.accepted = self.trial
        elif (theta != self.accepted[0]).any():
            value, gradient = self.objective.value_and_gradient(theta)
            self.accepted = (theta.copy(), value, gradient)

    @property
    def gradient_norm(self):
        return self.objective.network.largest_slope(self.accepted[2])

    @property
    def converged(self):
        return self.gradient_norm <= self.tol

    def after_iteration(self, intermediate_result):
        self.accept(intermediate_result.x)
        theta, value, *_ = self.accepted
        gradient_norm = self.gradient_norm
        evaluations = self.n_evaluations + self.n_hessian_products
        now = (float(value), gradient_norm, evaluations, self.seconds)
        for column, entry in zip(self.history.values(), now, strict=True):
            column.append(entry)
        if self.verbose:
            print(
                f"iteration {self.n_iter:5d}  objective {value:.8g}  "
                f"max |gradient| {gradient_norm:.3e}  "
                f"evaluations {evaluations}  seconds {now[-1]:.2f}"
            )
        # (a Ctrl-C in here leaves the curve one longer than the scores)
        if self.stop is not None and self.stop(theta):
            self.stopped = True
        if self.iterations is not None and self.iterations.end(theta):
            self.stopped = True
        if gradient_norm <= self.tol or self.stopped or self.interrupt.is_set():
            raise StopIteration
        if self.iterations is not None and self.n_iter < self.max_iter:
            self.iterations.begin()


@np.errstate(**QUIET)
def minimize(
    objective,
    theta,
    *,
    solver,
    tol,
    max_iter,
    max_fun,
    verbose=False,
    stop=None,
    interrupt=None,
    iterations=None,
    asked=None,
):
    """Minimise an objective from `theta`.

    Parameters
    ----------
    objective : Objective
        With `value_and_gradient(theta)` and `hessian_product(theta, v)`.
    theta : ndarray of shape (n_parameters,), float64
        The start; not changed.
    solver : str
        A name in `SOLVERS`.
    tol : float
        Stop when no component of the gradient is larger than this.
    max_iter, max_fun : int
        Most iterations; most evaluations of the objective and of Hessian products
        together.
    verbose : bool
        Whether to print a line an iteration.
    stop : callable, optional
        `stop(theta)` is asked after each iteration whether to end there.
    interrupt : threading.Event, optional
        Ends the minimisation at the next iteration when it is set, and is set by a
        KeyboardInterrupt (Ctrl-C), which goes no further.
    iterations : Iterations, optional
        Is told of each iteration, and may ask for a stop, also before the first.
    asked : dict, optional
        max_iter and max_fun as the user gave them, for the remedy, where an earlier
        stage has used up some of them.

    Returns
    -------
    solution : Solution

    Raises
    ------
    NonFiniteObjectiveError
        If the objective or its gradient overflows on the way.
    """
    chosen = SOLVERS[solver]
    interrupt = Event() if interrupt is None else interrupt
    monitor = _Monitor(
        objective, tol, max_iter, max_fun, verbose, stop, interrupt, iterations
    )
    monitor.evaluate(theta)
    if monitor.converged or monitor.stopped or interrupt.is_set():
        reason = _reason(monitor, 0, max_iter)
        message = {
            "tolerance": "The start is a stationary point.",
            "interrupted": INTERRUPT,
            "stopped": "A callback asked for a stop.",
        }[reason]
        record = _record(monitor, 0, message, reason)
        if verbose:
            print(message)
        start, value, *_ = monitor.accepted
        return Solution(start, float(value), monitor.history, record, None)

    # SciPy's own memory of the gradient, jac=True, compares theta twice as often
    def value(theta):
        return chosen.factor * monitor.evaluate(theta)[0]

    def gradient(theta):
        return chosen.factor * monitor.evaluate(theta)[1]

    def hessian_product(theta, v):
        return chosen.factor * monitor.hessian_product(theta, v)

    try:
        if iterations is not None:
            iterations.begin()
        result = optimize.minimize(
            value,
            theta,
            jac=gradient,
            hessp=hessian_product if chosen.uses_hessian else None,
            method=chosen.method,
            callback=monitor.after_iteration,
            options=chosen.options(max_iter, max_fun),
        )
    except NonFiniteObjectiveError as error:
        if monitor.n_iter > 0:
            record = _record(monitor, BROKEN, error, "overflow")
            best, value, *_ = monitor.accepted
            error.solution = Solution(
                best, float(value), monitor.history, record, str(error)
            )
        raise
    except KeyboardInterrupt:
        interrupt.set()
        status, message, success = BROKEN, INTERRUPT, False
    except _BudgetSpent:
        status, message, success = 1, f"{max_fun} evaluations were made.", False
    except _BrokenDirection:
        status, success = BROKEN, False
        message = "The solver's direction is not a number."
    else:
        monitor.accept(result.x)
        status, message, success = result.status, result.message, result.success
    finally:
        if iterations is not None:
            iterations.close()
    if monitor.converged and not success:
        # ended by the callback, which SciPy reports as a stop before its time
        status, message = 0, f"No component of the gradient is over tol={tol:g}."
    if verbose:
        print(message)
    limits = {"max_iter": max_iter, "max_fun": max_fun}
    reason = _reason(monitor, status, max_iter)
    record = _record(monitor, status, message, reason)
    best, value, *_ = monitor.accepted
    remedy = _remedy(monitor, chosen, reason, asked or limits, asked in (None, limits))
    return Solution(best, float(value), monitor.history, record, remedy)


def ended_by_overflow(theta, value, message):
    """The Solution of a minimisation that overflowed before its first iteration."""
    record = {"reason": "overflow", "status": BROKEN, "message": message}
    record |= {"success": False, "nit": 0, "nfev": 0, "nhev": 0}
    record |= {"gradient_norm": np.nan, "seconds": 0.0}
    return Solution(theta, value, {name: [] for name in COLUMNS}, record, message)


def _reason(monitor, status, max_iter):
    """One of `REASONS`."""
    if monitor.converged:
        return "tolerance"
    if monitor.interrupt.is_set():
        return "interrupted"
    if monitor.stopped:
        return "stopped"
    if monitor.n_iter >= max_iter:
        return "max_iter"
    if monitor.budget_spent:
        return "max_fun"
    return "breakdown" if status == BROKEN else "precision"


def _record(monitor, status, message, reason):
    return {
        "reason": reason,
        "status": int(status),
        "message": str(message),
        "success": monitor.converged,
        "nit": monitor.n_iter,
        "nfev": monitor.n_evaluations,
        "nhev": monitor.n_hessian_products,
        "gradient_norm": monitor.gradient_norm,
        "seconds": monitor.seconds,
    }


def _remedy(monitor, solver, reason, asked, all_of_it):
    """What the user can do about a stop short of `tol`; None if that is as wished.

    `all_of_it` says that the limits were not shared with the stages of a growing
    sample.
    """
    reached = f"the gradient is {monitor.gradient_norm:.2g}, tol={monitor.tol:g}"
    scale = "scale the features to mean 0 and variance 1 (StandardScaler)"
    other = "" if solver.uses_hessian else ", or take solver='trust-krylov'"
    share = "" if all_of_it else ", those of early stages included,"
    return {
        "tolerance": None,
        "stopped": None,
        "interrupted": (
            f"was interrupted ({reached}): the best weights so far are kept"
        ),
        "max_iter": (
            f"stopped after max_iter={asked['max_iter']} iterations{share} "
            f"({reached}): raise max_iter, {scale}, raise alpha or tol{other}"
        ),
        "max_fun": (
            f"stopped after max_fun={asked['max_fun']} evaluations{share} ({reached}): "
            f"raise max_fun, {scale}, raise alpha or tol{other}"
        ),
        "breakdown": (
            f"broke down in its own arithmetic ({reached}), as it can where the "
            "Hessian is singular: raise alpha, or take solver='newton-cg' or "
            "'trust-ncg'"
        ),
        "precision": (
            f"found no lower point within the rounding of the objective ({reached}): "
            f"raise tol, {scale}, give X as float64 if it is float32, or take another "
            "solver"
        ),
    }[reason]
