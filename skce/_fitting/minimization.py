"""Run one minimisation; say why it ended and what to do."""

import numpy as np

from skce._fitting.listeners import Interrupt, Listeners, Printer
from skce._fitting.monitor import (
    COLUMNS,
    PLATEAU_ITERATIONS,
    BrokenDirection,
    BudgetSpent,
    Monitor,
    NonFiniteObjectiveError,
    OutOfMemory,
    Solution,
    same,
)
from skce._fitting.solvers import SOLVERS
from skce._network.executors import QUIET
from skce._network.standardization import is_scaled

__all__ = ["minimize", "overflowed"]

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

# At a kink of relu, where a fit ends, the objective has fallen by at most this part
FALL_AT_KINK = 0.05

# Status where the solver itself failed (`BrokenDirection`), or Ctrl-C came
BROKEN, OUT_OF_MEMORY = -1, -2
INTERRUPTED = "Interrupted (Ctrl-C)."
STOPPED = "Stopped by early stopping or a callback."
ENDED_AT_START = {
    "tolerance": "The start is a stationary point.",
    "interrupted": INTERRUPTED,
    "stopped": STOPPED,
}


class _Stop(StopIteration):
    """Raised by the callback, to tell it from a StopIteration of the solver's code."""


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
        if monitor.n_iter == 0 and not same(monitor.accepted[0], theta):
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
    except BudgetSpent:
        status, message, success = (
            1,
            f"Reached max_fun={plan.max_fun} evaluations.",
            False,
        )
    except OutOfMemory as error:
        status, message, success = OUT_OF_MEMORY, str(error), False
    except BrokenDirection:
        status, success = BROKEN, False
        message = "The solver's direction is not a number."
    finally:
        listener.close()
    # the callback stopped it, which SciPy reports as a failure
    if monitor.within_tol and not success:
        return 0, f"No component of the gradient exceeds tol={plan.tol:g}."
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
        early = ", those of early stages included"
    precision = "give X as float64 if it is float32, or use another solver"
    if kinked:
        precision = (
            "or use a smooth hidden_activation: "
            f"{objective.network.hidden_activation.name} has kinks, where the "
            "gradient does not vanish"
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
            "stopped because the directions that it keeps for one step do not fit into "
            f"memory ({reached}): use solver='newton-cg', which keeps none, or raise "
            "alpha"
        ),
        "breakdown": (
            f"broke down numerically ({reached}), as can happen where the Hessian is "
            "singular: raise alpha, or use solver='newton-cg'"
        ),
        "precision": (
            "could not lower the objective further, within its rounding error "
            f"({reached}): "
            f"raise tol, {scale}{precision}"
        ),
    }[reason]
