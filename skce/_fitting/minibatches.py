"""Minibatches: an early stage of Adam, with a step for every few hundred rows.

Where a good network is far from the start, as on pictures, many cheap steps get closer
to it than the few iterations on all rows that take as long, and overfit less on the
way (docs/benchmarks.md). Kingma & Ba 2015, "Adam: a method for stochastic
optimization"; the step size falls linearly to 0, so that the noise of the batches has
ended where the stage ends, and the solver can go on from there.
"""

from time import perf_counter

import numpy as np

from skce._fitting.listeners import Iteration
from skce._inputs.sampling import shuffled
from skce._network.blocks import Block
from skce._network.executors import QUIET
from skce._network.kernels import Workspace
from skce._network.parameters import Layers

__all__ = ["max_passes", "minimize_by_batches", "suits_batches"]

# Chosen on eleven problems of 9000 to 1 000 000 rows: see docs/benchmarks.md. Steps are
# made one after another, whatever the number of cores: of more than a million rows
# fewer passes are enough
MAX_PASSES, MAX_STEPS, BATCH_SIZE, LEARNING_RATE = 8, 20_000, 200, 3e-3

# With so many rows per parameter, more passes overfit nothing, and end lower
MANY_PASSES, ROWS_PER_PARAMETER = 16, 10

# A pass has at least so many steps, if there are as many rows
MIN_STEPS = 16

# Adam's decay rates, of the mean gradient and of its square, and its epsilon
BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8


def suits_batches(problem):
    """Whether a fit gains by minibatches: from dense rows, with hidden units.

    A step takes time for all parameters, which wide sparse rows hardly use.
    """
    data = getattr(problem.rows, "data", None)
    is_dense = data is not None and not data.is_sparse
    return is_dense and problem.network.has_hidden_units


def max_passes(n_rows, n_parameters):
    """Return the number of passes over so many rows."""
    many = n_rows >= ROWS_PER_PARAMETER * n_parameters
    n_passes = MANY_PASSES if many else MAX_PASSES
    return max(1, min(n_passes, MAX_STEPS * BATCH_SIZE // n_rows))


@np.errstate(**QUIET)
def minimize_by_batches(problem, theta, random_state, n_passes, listener, interrupt):
    """Run passes of Adam over the rows in minibatches.

    Parameters
    ----------
    problem : Problem
        Of rows in memory, or in a file.
    theta : ndarray of shape (n_parameters,), float64
        The start; not changed. It is also what is returned if the objective of all rows
        is not lower in the end, as after an overflow.
    random_state : RandomState
        Of the order of the rows.
    n_passes : int
    listener : Listener
        Called after each pass, which is an iteration; may ask for a stop.
    interrupt : Interrupt
        As in `minimize`.

    Returns
    -------
    theta : ndarray of shape (n_parameters,), float64
    losses : list of float
        The mean objective of the batches, each before its step.
    batch_size : int
    """
    batches = _Batches(problem)
    adam = _Adam(problem, theta, n_passes * batches.per_pass)
    losses, began = [], perf_counter()
    try:
        while len(losses) < n_passes and not (listener.stopped or interrupt.is_set()):
            listener.begin()
            values = [adam.step(batch) for batch in batches.of_pass(random_state)]
            losses.append(float(np.mean(values)))
            number, end = len(losses), adam.theta.astype(float)
            if not np.isfinite([losses[-1], *end]).all():
                break  # a network that no callback can predict by
            seconds = perf_counter() - began
            if listener.after(
                Iteration(number, end, losses[-1], np.nan, number, seconds)
            ):
                break
        is_lower = _is_lower(problem, adam.theta, theta)
    except KeyboardInterrupt as cause:
        if not losses:
            raise
        interrupt.set(cause)
        is_lower = _is_lower(problem, adam.theta, theta)
    finally:
        listener.close()
    end = adam.theta.astype(float) if is_lower else theta
    return end, losses, batches.size


def _is_lower(problem, theta, other):
    """Whether the objective of all rows is lower at theta; not if it is NaN."""
    objective = problem.full_objective
    value, of_other = (
        objective.mean_loss(point) + objective.l2_term(point)
        for point in (theta, other)
    )
    return value < of_other


class _Batches:
    """The rows of a problem in batches, standardised, with a column of ones.

    Attributes
    ----------
    size, per_pass : int
        Rows of a batch, and batches of a pass: what is left over is in other passes.
    """

    def __init__(self, problem):
        rows, standardization = problem.rows, problem.standardization
        self.data, self.encoding, self.weights = rows.data, rows.encoding, rows.weights
        self.mean = self.scale = None
        if standardization is not None:
            self.mean = standardization.mean.astype(rows.dtype)
            self.scale = standardization.scale.astype(rows.dtype)
        n = rows.n_rows
        if self.weights is not None:
            n = np.count_nonzero(self.weights)
            # so that the mean of a batch has the expectation of that of all rows
            self.weights = self.weights * rows.dtype.type(n / rows.n_rows)
            n = int(np.count_nonzero(self.weights))  # rounding may have made some 0
        self.size = max(1, min(BATCH_SIZE, n // MIN_STEPS))
        self.per_pass = n // self.size
        # one array for all, as each batch is used before the next is made
        self._X = np.ones((self.size, rows.data.X.shape[1] + 1), dtype=rows.dtype)

    def of_pass(self, random_state):
        """Yield all batches as Blocks, in a new random order."""
        order = shuffled(self.data.X, random_state)
        if self.weights is not None:
            order = order[self.weights[order] > 0]
        for start in range(0, self.per_pass * self.size, self.size):
            yield self._block(order[start : start + self.size])

    def _block(self, rows):
        part = self.data.X[rows]
        X = self._X[:, :-1]
        X[...] = part if isinstance(part, np.ndarray) else part.toarray()
        if self.mean is not None:
            X -= self.mean
            X /= self.scale
        weights = None if self.weights is None else self.weights[rows]
        codes = self.data.codes[rows]
        return Block(self._X, codes, weights, self.encoding, has_ones=True)


class _Adam:
    """Adam's state: the point, and the means of the gradient and of its square.

    All are in the dtype of the rows.

    Attributes
    ----------
    theta : ndarray of shape (n_parameters,)
    """

    def __init__(self, problem, theta, n_steps):
        network, dtype = problem.network, problem.rows.dtype
        self.network, self.n_steps, self.n_done = network, n_steps, 0
        self.theta = theta.astype(dtype)
        self._layers = Layers(network, self.theta)
        self._l2 = (problem.l2 * network.l2_factors).astype(dtype)
        self._mean, self._squares = np.zeros((2, len(theta)), dtype=dtype)
        self._work = Workspace(network, dtype)

    def step(self, block):
        """Take one step; return the objective of the block before it."""
        theta, n, gradient = self.theta, block.n_rows, self._work.gradient.flat
        value = self.network.loss_and_gradient(
            self._layers, block, self._work.buffers(n), self._work.gradient
        )
        slope = self._l2 * theta
        value = value / n + 0.5 * float(theta.dot(slope))
        gradient /= n
        gradient += slope
        if self.network.free is not None:
            gradient *= self.network.free
        mean, squares = self._mean, self._squares
        mean *= BETA_1
        mean += (1 - BETA_1) * gradient
        squares *= BETA_2
        gradient *= gradient
        gradient *= 1 - BETA_2
        squares += gradient
        left = 1 - self.n_done / self.n_steps
        self.n_done += 1
        size = LEARNING_RATE * left / (1 - BETA_1**self.n_done)
        np.sqrt(squares, out=gradient)
        gradient /= np.sqrt(1 - BETA_2**self.n_done)
        gradient += EPSILON
        np.divide(mean, gradient, out=gradient)
        gradient *= size
        theta -= gradient
        return value
