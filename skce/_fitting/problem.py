"""The training problem, and the plan by which it is solved."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from skce._inputs.labels import Labels
from skce._inputs.sampling import HeldOut
from skce._network.data import Encoding
from skce._network.executors import Executor
from skce._network.kernels import Network
from skce._network.objective import Objective
from skce._network.rows import Rows

__all__ = ["Given", "Plan", "Problem", "Start"]

# Rows from which "auto" begins on a growing sample
MIN_GROWING_ROWS = 2**15

# Beyond this, alpha / S leaves nothing of the loss in the digits of the objective
MAX_L2 = 1e12


@dataclass(frozen=True)
class Given:
    """What `fit` was given.

    Attributes
    ----------
    X, y, sample_weight
    validation : tuple
        X_val, y_val and sample_weight_val.
    start : tuple
        coefs_init and intercepts_init.
    encode : callable or None
        `encode(y, activation)` gives Labels and codes, of rows in memory.
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
    """What is minimised.

    Attributes
    ----------
    network : Network
    labels : Labels
    rows : Rows
    encoding : Encoding
        Of the targets.
    alpha : float
        Strength of the L2 term.
    validation : HeldOut or None
    new_watch : callable or None
        Makes the ValidationWatch of one start.
    wrap : callable
        From an objective to one with the same answers, as a checkpoint needs it.
    """

    network: Network
    labels: Labels
    rows: Rows
    encoding: Encoding
    alpha: float
    validation: HeldOut | None = None
    new_watch: Callable | None = None
    wrap: Callable = field(default=lambda objective: objective, repr=False)

    @cached_property
    def l2(self):
        """alpha / S.

        Raises
        ------
        ValueError
            If it is so large that nothing is left of the loss.
        """
        total_weight = self.rows.total_weight
        l2 = self.alpha / total_weight
        if l2 > MAX_L2:
            raise ValueError(
                f"alpha={self.alpha:g} over the sum of the weights, {total_weight:g}, "
                f"is more than {MAX_L2:g}: the L2 term leaves nothing of the loss. "
                "Lower alpha, or multiply sample_weight by a constant to a mean of 1."
            )
        return l2

    @cached_property
    def full_objective(self):
        """The objective of all rows, made once for all starts."""
        return Objective(self.network, self.rows, self.l2)

    def objective(self):
        """Return the objective of all rows, for one minimisation."""
        return self.wrap(self.full_objective)

    def objective_of(self, part, l2):
        """Return the objective of some of the rows, by index, which are copied."""
        return self.wrap(Objective(self.network, self.rows.part(part), l2))

    @property
    def work(self):
        """Rows times parameters of an evaluation."""
        return self.rows.n_rows * self.network.n_parameters

    @cached_property
    def constant_loss(self):
        """The objective of the class frequencies as constant outputs.

        With weights of 0 and the right biases every network reaches it. inf where a fit
        above it says nothing: for soft targets and pairs without flat regions.
        """
        pairing = self.network.pairing
        if pairing.status != "workable" or not self.encoding.hard:
            return np.inf
        return pairing.loss_of_constant(self.rows.class_frequencies)


@dataclass(frozen=True)
class Start:
    """Where a minimisation starts.

    Attributes
    ----------
    theta : ndarray of shape (n_parameters,), float64
    random_state : RandomState
        Of its growing sample.
    grow : bool
        Whether it begins on a growing sample.
    given : bool
        Whether the user gave the parameters, or a previous fit did.
    """

    theta: NDArray[np.float64]
    random_state: np.random.RandomState
    grow: bool = False
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
    verbose : bool
    executor : Executor
    in_order : bool
        Whether the starts must run one after another.
    asked : Plan or None
        The plan as the user gave it, where a part of the limits has been used up.
    """

    solver: str
    tol: float
    max_iter: int
    max_fun: int
    verbose: bool = False
    executor: Executor = field(default_factory=Executor)
    in_order: bool = False
    asked: "Plan | None" = None

    @classmethod
    def of(cls, estimator):
        """Return the plan that an estimator's parameters describe."""
        return cls(
            estimator.solver,
            float(estimator.tol),
            estimator.max_iter,
            estimator.max_fun,
            bool(estimator.verbose),
            Executor(estimator.n_jobs),
            in_order=bool(estimator.verbose),
        )

    def less(self, n_iter, n_fun):
        """Return the plan with what is left after so much work."""
        return replace(
            self,
            max_iter=self.max_iter - n_iter,
            max_fun=self.max_fun - n_fun,
            asked=self.asked or self,
        )

    @property
    def limits(self):
        """max_iter and max_fun as the user gave them."""
        asked = self.asked or self
        return {"max_iter": asked.max_iter, "max_fun": asked.max_fun}
