"""The training problem, and the plan for solving it."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from skce._fitting.listeners import Listener
from skce._inputs.labels import Labels
from skce._inputs.sampling import HeldOut
from skce._network.data import Encoding
from skce._network.executors import Executor
from skce._network.kernels import Network
from skce._network.objective import Objective
from skce._network.rows import Rows
from skce._network.standardization import Standardization

__all__ = ["Given", "Plan", "Problem", "Start"]

# Rows from which "auto" begins on a growing sample or in minibatches
MIN_GROWING_ROWS = 2**13

# Relative fall of the objective in ten iterations that ends a fit, chosen on 20 tables
# (docs/quality.md); a lower `tol` asks for the minimum itself
PLATEAU, MIN_TOL_OF_PLATEAU = 0.004, 1e-4

# Outputs of 0 and 1 may have an infinite loss
MIN_FREQUENCY = 1e-9

# Beyond this, alpha / S is so large that the loss is lost to rounding
MAX_L2 = 1e12


@dataclass(frozen=True)
class Given:
    """The arguments of `fit`.

    Attributes
    ----------
    X, y, sample_weight
    validation : tuple
        X_val, y_val and sample_weight_val.
    start : tuple
        coefs_init, intercepts_init and skip_coef_init.
    encode : callable or None
        `encode(y, activation)` returns Labels and codes; None for rows on a cluster,
        whose labels are collected there.
    event_data : dict
        X, y and metadata for callbacks.
    """

    X: object
    y: object
    sample_weight: object
    validation: tuple
    start: tuple
    encode: Callable | None = None
    event_data: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Problem:
    """The training problem: what is minimised.

    Attributes
    ----------
    network : Network
    labels : Labels
    rows : Rows
    encoding : Encoding
        How class codes become targets.
    alpha : float
        Strength of the L2 term.
    standardization : Standardization or None
        Of the features; theta and the L2 term are then those of standardised ones.
    validation : HeldOut or None
    new_watch : callable or None
        Makes the ValidationWatch of one start.
    wrap_objective : callable
        Applied to every objective; a checkpoint logs and replays its evaluations.
    """

    network: Network
    labels: Labels
    rows: Rows
    encoding: Encoding
    alpha: float
    standardization: Standardization | None = None
    validation: HeldOut | None = None
    new_watch: Callable | None = None
    wrap_objective: Callable = field(default=lambda objective: objective, repr=False)

    def __post_init__(self):
        _ = self.l2  # an alpha that cannot be used is found before anything begins

    @cached_property
    def l2(self):
        """alpha / S.

        Raises
        ------
        ValueError
            If it is so large that the loss is lost to rounding.
        """
        total_weight = self.rows.total_weight
        if total_weight == 0:
            raise ValueError(
                "The sum of all weights underflows to 0: rescale sample_weight to a "
                "mean of 1."
            )
        l2 = self.alpha / total_weight
        if l2 > MAX_L2:
            raise ValueError(
                f"alpha={self.alpha:g} divided by the sum of the weights, "
                f"{total_weight:g}, exceeds {MAX_L2:g}: the L2 term swamps the loss. "
                "Lower alpha, or rescale sample_weight to a mean of 1."
            )
        return l2

    @cached_property
    def full_objective(self):
        """The objective of all rows, made once for all starts."""
        return self._objective(self.rows, self.l2)

    def _objective(self, rows, l2):
        return Objective(self.network, rows, l2, self.standardization)

    def objective(self):
        """Return the objective of all rows, for one minimisation."""
        return self.wrap_objective(self.full_objective)

    def objective_of(self, part, l2):
        """Return the objective of some of the rows, by index, which are copied."""
        return self.wrap_objective(self._objective(self.rows.part(part), l2))

    def for_solver(self, theta):
        """Convert parameters for X itself into those of the solver."""
        if self.standardization is None:
            return theta
        return self.standardization.for_solver(theta, self.network)

    def for_rows(self, theta):
        """Invert `for_solver`."""
        if self.standardization is None:
            return theta
        return self.standardization.for_rows(theta, self.network)

    @property
    def work(self):
        """Rows times parameters of an evaluation."""
        return self.rows.n_rows * self.network.n_parameters

    def constant(self, theta):
        """Return theta with the class frequencies as outputs for all rows, or None.

        The weights of the outputs are then 0, and their biases the logits of the
        frequencies, or of what the penalty makes of them; None where the activation
        does not know these logits.
        """
        theta = theta.copy()
        self.network.unpack(theta)[-1][:, :-1] = 0
        self.network.skip_weights(theta)[...] = 0
        return theta if self.set_frequencies(theta) else None

    def set_frequencies(self, theta):
        """Make the output biases of theta the logits of the class frequencies.

        Returns whether the activation knows these logits.
        """
        outputs = self.encoding.smooth(self.rows.class_frequencies.copy())
        pairing = self.network.pairing
        if pairing.penalty is not None:
            outputs = pairing.penalty.constant_outputs(outputs)
        inside = np.clip(outputs, MIN_FREQUENCY, 1 - MIN_FREQUENCY)
        logits = pairing.activation.logits_of(inside)
        if logits is not None:
            self.network.unpack(theta)[-1][:, -1] = logits
        return logits is not None

    @cached_property
    def constant_loss(self):
        """Mean loss with the class frequencies as outputs for all rows.

        With weights of 0 and the right biases every network reaches it, so that a fit
        that is not below it has learned nothing. inf where it is not known.
        """
        theta = self.constant(np.zeros(self.network.n_parameters))
        return np.inf if theta is None else self.full_objective.mean_loss(theta)


@dataclass(frozen=True)
class Start:
    """Where a minimisation starts.

    Attributes
    ----------
    theta : ndarray of shape (n_parameters,), float64
    random_state : RandomState
        Draws its growing sample, or the order of its minibatches.
    grow : bool or "minibatches"
        Whether it begins on a growing sample; or on minibatches.
    given : bool
        Whether the user gave the parameters, or a previous fit did.
    """

    theta: NDArray[np.float64]
    random_state: np.random.RandomState
    grow: bool | str = False
    given: bool = False


@dataclass(frozen=True)
class Plan:
    """How a problem is solved, and how far.

    Attributes
    ----------
    solver : str
        A name in `SOLVERS`.
    tol : float
        Stop when no component of the gradient is larger than this.
    max_iter, max_fun : int
        Limits on the iterations, and on the evaluations of the objective and of Hessian
        products together.
    verbose : int
        0: nothing is printed; 1: see `Printer`.
    executor : Executor
    sequential_starts : bool
        Whether the starts must run one after another.
    original : Plan or None
        The plan as the user gave it, where a part of the limits has been used up.
    listener : Listener or None
        Called on the iterations on all rows; may ask for a stop.
    """

    solver: str
    tol: float
    max_iter: int
    max_fun: int
    verbose: int = 0
    executor: Executor = field(default_factory=Executor)
    sequential_starts: bool = False
    original: "Plan | None" = None
    listener: Listener | None = None

    @classmethod
    def of(cls, estimator):
        """Return the plan that an estimator's parameters describe."""
        return cls(
            estimator.solver,
            float(estimator.tol),
            estimator.max_iter,
            estimator.max_fun,
            int(estimator.verbose),
            Executor(estimator.n_jobs),
            # so that the lines of several starts do not mix
            sequential_starts=bool(estimator.verbose),
        )

    @property
    def plateau(self):
        """Relative decrease that counts as a plateau; 0 for a low `tol`."""
        return PLATEAU if self.tol >= MIN_TOL_OF_PLATEAU else 0.0

    def with_less_budget(self, n_iter, n_fun):
        """Return the plan with its limits reduced by the work done so far."""
        return replace(
            self,
            max_iter=self.max_iter - n_iter,
            max_fun=self.max_fun - n_fun,
            original=self.original or self,
        )

    @property
    def limits(self):
        """max_iter and max_fun as the user gave them."""
        plan = self.original or self
        return {"max_iter": plan.max_iter, "max_fun": plan.max_fun}
