"""The solvers of scipy.optimize, and one minimisation by one of them.

A new solver is an entry in `SOLVERS`: a method of `scipy.optimize.minimize` that takes
`jac` (and `hessp`) and passes `intermediate_result` to its callback, or a subclass of
`Solver` with its own `run`.
"""

from dataclasses import dataclass, field
from math import isfinite
from time import perf_counter

import numpy as np
from scipy import optimize

from skce._fitting.listeners import Interrupt, Iteration, Listeners, Printer
from skce._network.executors import QUIET
from skce._network.standardization import is_scaled
from skce._support.memory import free_memory, gigabytes

__all__ = [
    "SOLVERS",
    "NonFiniteObjectiveError",
    "Solution",
    "Solver",
    "minimize",
    "overflowed",
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


# Pairs of L-BFGS: 20 are within a third of the fastest setting from 30 to 80 000
# parameters (docs/benchmarks.md), but beyond 800 000 they would take more than this
MAX_PAIRS, MIN_PAIRS, PAIRS_BYTES = 20, 5, 2**28

# Vectors of the parameters that every method takes at least, and matrices of BFGS
N_VECTORS, N_MATRICES = 5, 6

# Bytes of the directions that a solver keeps before memory is looked at
FREE_DIRECTIONS = 2**28


@dataclass(frozen=True)
class Solver:
    """A method of `scipy.optimize.minimize` and how it is called.

    Attributes
    ----------
    method : str
        SciPy's name.
    options : dict
        Options passed to SciPy, besides maxiter.
    max_fun_option : str or None
        Name of the option that limits the evaluations, if there is one.
    uses_hessian : bool
        Whether it asks for Hessian-vector products.
    dense_hessian : bool
        Whether it keeps a parameters x parameters matrix.
    keeps_directions : bool
        Whether it keeps all directions of the Hessian products since its last step.
    factor : float
        What the objective is multiplied by before the method sees it.
    """

    method: str
    options: dict = field(default_factory=lambda: {"gtol": 0.0})
    max_fun_option: str | None = None
    uses_hessian: bool = False
    dense_hessian: bool = False
    keeps_directions: bool = False
    factor: float = 1.0

    def options_for(self, n_parameters):
        """Return the options for so many parameters."""
        return self.options

    def n_bytes(self, n_parameters):
        """Return the bytes of its matrices and vectors, the monitor's included."""
        n_vectors = N_MATRICES * n_parameters if self.dense_hessian else N_VECTORS
        return 8 * n_parameters * n_vectors

    def run(self, monitor, theta, callback, plan):
        """Minimise from theta.

        The callback compares the gradient with `tol`, and the monitor counts the
        evaluations; `run` itself keeps to `plan.max_iter`.

        Parameters
        ----------
        monitor : Monitor
            Has `evaluate(theta)`, value and gradient, and `hessian_product(theta, v)`.
        theta : ndarray of shape (n_parameters,)
        callback : callable
            `callback(theta)` is to be called after each iteration, at a point that has
            been evaluated. It raises StopIteration to stop, which `run` need not
            catch.
        plan : Plan

        Returns
        -------
        result : scipy.optimize.OptimizeResult
            With x, status, message and success.
        """
        options = {"maxiter": plan.max_iter, **self.options_for(len(theta))}
        if self.max_fun_option is not None:
            options[self.max_fun_option] = plan.max_fun

        # SciPy inspects the name: only `intermediate_result` gets an OptimizeResult
        def after_iteration(intermediate_result):
            callback(intermediate_result.x)

        # with jac=True SciPy's cache would compare theta twice as often as the monitor
        def value(theta):
            return self.factor * monitor.evaluate(theta)[0]

        def gradient(theta):
            return self.factor * monitor.evaluate(theta)[1]

        def hessian_product(theta, v):
            return self.factor * monitor.hessian_product(theta, v)

        return optimize.minimize(
            value,
            theta,
            jac=gradient,
            hessp=hessian_product if self.uses_hessian else None,
            method=self.method,
            callback=after_iteration,
            options=options,
        )


class LBFGS(Solver):
    """L-BFGS-B, with fewer stored pairs for very many parameters."""

    def options_for(self, n_parameters):
        """Return the options for so many parameters."""
        n_pairs = max(MIN_PAIRS, min(MAX_PAIRS, PAIRS_BYTES // (16 * n_parameters)))
        return self.options | {"maxcor": n_pairs}

    def n_bytes(self, n_parameters):
        """Return the bytes of its vectors, the monitor's included."""
        n_pairs = self.options_for(n_parameters)["maxcor"]
        return 8 * n_parameters * (2 * n_pairs + N_VECTORS)


# The methods measure convergence in several norms, and in the parameters of the core
# network (see `_network/parameters.py`). So `tol` is applied after each iteration here,
# and not by SciPy.
SOLVERS = {
    "lbfgs": LBFGS(
        "L-BFGS-B",
        {
            "gtol": 0.0,
            # SciPy's default ftol = 2.2e-9 would end most fits long before the gradient
            "ftol": np.finfo(float).eps,
            "maxls": 50,
        },
        max_fun_option="maxfun",
    ),
    "bfgs": Solver("BFGS", dense_hessian=True),
    "cg": Solver("CG"),
    # SciPy's Newton-CG takes any curvature p.Hp below 3 eps for 0 and stops, which for
    # a mean over the rows happens at a gradient of 1e-7; times 2^10, at 1e-11
    "newton-cg": Solver(
        "Newton-CG",
        {"xtol": np.finfo(float).eps},
        uses_hessian=True,
        factor=2.0**10,
    ),
    "trust-ncg": Solver("trust-ncg", uses_hessian=True),
    "trust-krylov": Solver("trust-krylov", uses_hessian=True, keeps_directions=True),
}


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


# Columns of `history`
COLUMNS = ("loss", "gradient_norm", "evaluations", "seconds")

# Why a minimisation ended
REASONS = (
    "tolerance",
    "plateau",
    "stopped",
    "interrupted",
    "max_iter",
    "max_fun",
    "memory",
    "breakdown",
    "precision",
    "overflow",
)

# Over so many iterations a plateau is measured
PLATEAU_ITERATIONS = 10

# On a plateau the gradient is at most so many times tol, and at a kink of relu the
# objective has fallen by at most this part
PLATEAU_SLOPE, FALL_AT_KINK = 50, 0.05

TINY = np.finfo(float).tiny

# Below it two copies as bytes are compared in a fifth of the time of NumPy's calls
MAX_SIZE_BY_BYTES = 1000

# Status where the solver itself failed (`_BrokenDirection`), or Ctrl-C came
BROKEN, OUT_OF_MEMORY = -1, -2
INTERRUPTED = "Interrupted (Ctrl-C)."
STOPPED = "Early stopping, or a callback, asked for a stop."
ENDED_AT_START = {
    "tolerance": "The start is a stationary point.",
    "interrupted": INTERRUPTED,
    "stopped": STOPPED,
}


class _BudgetSpent(Exception):
    """max_fun evaluations were made."""


class _OutOfMemory(Exception):
    """The directions that the solver keeps would not fit into memory."""


class _Stop(StopIteration):
    """Raised by the callback, to tell it from a StopIteration of the solver's code."""


class _BrokenDirection(Exception):
    """The solver's own arithmetic has failed: its direction is not a number."""


def _same(theta, other):
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
        if self.trial is not None and _same(theta, self.trial[0]):
            return self.trial[1:]
        if self.n_evaluations + self.n_hessian_products >= self.max_fun:
            raise _BudgetSpent
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
            raise _BrokenDirection
        if self.budget_spent:
            raise _BudgetSpent
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
            raise _OutOfMemory(
                f"The {self._n_directions} directions that {self.plan.solver} keeps "
                f"for one step take {gigabytes(n_bytes)}; {gigabytes(free)} are left."
            )

    def accept(self, theta):
        """Make `theta` the accepted point.

        A trust region rejects steps: the point is then the one accepted before. Some
        solvers end at a third one, which is evaluated once more, beyond max_fun.
        """
        if _same(theta, self.trial[0]):
            if self.accepted is not self.trial:
                self._accept(self.trial)
            self._n_directions = 0
        elif not _same(theta, self.accepted[0]):
            value, gradient = self.objective.value_and_gradient(theta)
            self._check_finite(value, gradient)
            self._accept((theta.copy(), value, gradient))

    def _accept(self, point):
        self.accepted = point
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
        """What the last iterations have lowered the objective by, as a part of it."""
        losses = self.history["loss"][-1 - PLATEAU_ITERATIONS :]
        return (losses[0] - losses[-1]) / max(abs(losses[-1]), TINY)

    def record_iteration(self, theta):
        """Accept a point, add it to the history, and return the Iteration."""
        self.accept(theta)
        theta, value, _ = self.accepted
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
        theta, value, _ = self.accepted
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


@np.errstate(**QUIET)
def minimize(objective, theta, plan, listeners=(), interrupt=None):
    """Minimise an objective from `theta`.

    Parameters
    ----------
    objective : Objective
    theta : ndarray of shape (n_parameters,), float64
        The start; not changed.
    plan : Plan
    listeners : sequence of Listener
        Called after each iteration, in this order; may ask for a stop, also before the
        first. None is left out.
    interrupt : Interrupt, optional
        Ends the minimisation at the next iteration when it is set, and is set by a
        KeyboardInterrupt (Ctrl-C), which is then not raised, unless it came in the
        first evaluation.

    Returns
    -------
    solution : Solution

    Raises
    ------
    NonFiniteObjectiveError
        If the objective or its gradient overflows.
    """
    interrupt = Interrupt() if interrupt is None else interrupt
    listener = Listeners(Printer(plan.verbose) if plan.verbose else None, *listeners)
    monitor = Monitor(objective, plan)
    monitor.evaluate(theta)
    if monitor.within_tol or interrupt.is_set() or listener.stopped:
        reason = _reason(monitor, 0, listener, interrupt)
        status, message = 0, ENDED_AT_START[reason]
    else:
        status, message = _run(monitor, theta, listener, interrupt)
        reason = _reason(monitor, status, listener, interrupt)
    if plan.verbose:
        print(message)
    return monitor.solution(reason, status, message, _advice(monitor, reason))


def _run(monitor, theta, listener, interrupt):
    """Let the solver run; return a status and a message, SciPy's or our own."""
    plan = monitor.plan

    def callback(theta):
        if monitor.n_iter >= plan.max_iter:  # SciPy's solvers keep to it themselves
            raise _Stop
        iteration = monitor.record_iteration(theta)
        # Ctrl-C in a listener leaves the history one longer than the validation scores
        stop = listener.after(iteration)
        within_tol = iteration.gradient_norm <= plan.tol
        if stop or interrupt.is_set() or within_tol or monitor.on_plateau:
            raise _Stop
        if iteration.number < plan.max_iter:  # else no iteration follows
            listener.begin()

    try:
        listener.begin()
        result = SOLVERS[plan.solver].run(monitor, theta.copy(), callback, plan)
        monitor.accept(result.x)
        if monitor.n_iter == 0 and not _same(monitor.accepted[0], theta):
            # a user-defined solver may not call back: all of it is one iteration
            listener.after(monitor.record_iteration(result.x))
        status, message, success = result.status, result.message, result.success
    except NonFiniteObjectiveError as error:
        if monitor.n_iter > 0:
            text = str(error)
            error.solution = monitor.solution("overflow", BROKEN, text, text)
        raise
    except KeyboardInterrupt as cause:
        interrupt.set(cause)
        status, message, success = BROKEN, INTERRUPTED, False
    except _Stop:  # from a solver that is not SciPy's
        status, message, success = 1, "The callback stopped the solver.", False
    except _BudgetSpent:
        status, message, success = 1, f"{plan.max_fun} evaluations were made.", False
    except _OutOfMemory as error:
        status, message, success = OUT_OF_MEMORY, str(error), False
    except _BrokenDirection:
        status, success = BROKEN, False
        message = "The solver's direction is not a number."
    finally:
        listener.close()
    # the callback stopped it, which SciPy reports as a failure
    if monitor.within_tol and not success:
        return 0, f"No component of the gradient is over tol={plan.tol:g}."
    if monitor.on_plateau and not success:
        return 0, (
            f"{PLATEAU_ITERATIONS} iterations lowered the objective by less than "
            f"{plan.plateau:.1%}."
        )
    if interrupt.is_set():  # perhaps in the thread of another start
        message = INTERRUPTED
    elif listener.stopped:
        message = STOPPED
    return int(status), str(message)


def overflowed(theta, value, message):
    """Return the Solution of a minimisation that overflowed before it began."""
    record = {"reason": "overflow", "status": BROKEN, "message": message}
    record |= {"success": False, "nit": 0, "nfev": 0, "nhev": 0}
    record |= {"gradient_norm": np.nan, "seconds": 0.0}
    return Solution(theta, value, {name: [] for name in COLUMNS}, record, message)


def _reason(monitor, status, listener, interrupt):
    """Return one of `REASONS`, the first that applies."""
    if monitor.within_tol:  # also where Ctrl-C came in the last iteration
        return "tolerance"
    if interrupt.is_set():
        return "interrupted"
    if listener.stopped:
        return "stopped"
    if monitor.on_plateau:
        return "plateau"
    if monitor.n_iter >= monitor.plan.max_iter:
        return "max_iter"
    if monitor.budget_spent:
        return "max_fun"
    if status == OUT_OF_MEMORY:
        return "memory"
    if status == BROKEN:
        return "breakdown"
    # at a kink no gradient vanishes: that no lower point is found is the end of the fit
    has_kinks = monitor.objective.network.has_kinks and monitor.plan.plateau > 0
    return "plateau" if has_kinks and monitor.fall < FALL_AT_KINK else "precision"


def _advice(monitor, reason):
    """Reason and advice for the ConvergenceWarning, or None."""
    if reason in ("tolerance", "plateau", "stopped"):
        return None
    plan, objective = monitor.plan, monitor.objective
    limits = plan.limits
    reached = f"the gradient is {monitor.gradient_norm:.2g}, tol={plan.tol:g}"
    kinked = objective.network.has_kinks
    scale = other = early = ""
    if objective.standardization is None and not is_scaled(objective.rows.sample):
        scale = "set standardize=True, as X is not scaled, "
    if not (SOLVERS[plan.solver].uses_hessian or kinked):
        other = ", or use solver='newton-cg'"
    if (plan.max_iter, plan.max_fun) != (limits["max_iter"], limits["max_fun"]):
        early = ", those of early stages included,"
    precision = "give X as float64 if it is float32, or use another solver"
    if kinked:
        precision = (
            "or use a smooth hidden_activation: "
            f"{objective.network.hidden_activation.name} has kinks, at which no "
            "gradient vanishes"
        )
    return {
        "interrupted": (
            f"was interrupted ({reached}): the best weights so far are kept"
        ),
        "max_iter": (
            f"stopped after max_iter={limits['max_iter']} iterations{early} "
            f"({reached}): raise max_iter, {scale}raise alpha or tol{other}"
        ),
        "max_fun": (
            f"stopped after max_fun={limits['max_fun']} evaluations{early} "
            f"({reached}): raise max_fun, {scale}raise alpha or tol{other}"
        ),
        "memory": (
            f"stopped, as the directions that it keeps for one step do not fit into "
            f"memory ({reached}): use solver='newton-cg', which keeps none, or raise "
            "alpha"
        ),
        "breakdown": (
            f"broke down in its own arithmetic ({reached}), as it can where the "
            "Hessian is singular: raise alpha, or use solver='newton-cg'"
        ),
        "precision": (
            f"found no lower point within the rounding of the objective ({reached}): "
            f"raise tol, {scale}{precision}"
        ),
    }[reason]
