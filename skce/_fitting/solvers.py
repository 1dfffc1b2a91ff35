"""The solvers of scipy.optimize.

A new solver is an entry in `SOLVERS`: a method of `scipy.optimize.minimize` that takes
`jac` (and `hessp`) and passes `intermediate_result` to its callback, or a subclass of
`Solver` with its own `run`.
"""

from dataclasses import dataclass, field

import numpy as np
from scipy import optimize

__all__ = ["SOLVERS", "Solver"]

# Pairs of L-BFGS: 20 are within a third of the fastest setting from 30 to 80 000
# parameters (docs/benchmarks.md), but beyond 800 000 they would take more than this
MAX_PAIRS, MIN_PAIRS, PAIRS_BYTES = 20, 5, 2**28

# Vectors of the parameters that every method takes at least, and matrices of BFGS
N_VECTORS, N_MATRICES = 5, 6


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
            slope = monitor.evaluate(theta)[1]
            return slope if self.factor == 1 else self.factor * slope

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
