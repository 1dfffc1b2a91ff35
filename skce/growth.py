"""A growing sample: early stages on random parts of the rows, before one on all.

On many rows most of the way to the minimum can be gone with few of them (Byrd, Chin,
Nocedal & Wu 2012, "Sample size selection in optimization methods for machine
learning"). The danger is that a sample is overfitted and leads astray. So each stage
is watched on as many fresh rows: every `CHECK_EVERY` iterations it goes on only if
their loss has fallen, and it gives up the point where that was lowest. The
last stage is on all rows, so its minimum is one of the whole objective.
"""

from dataclasses import dataclass

import numpy as np

from skce.blocks import block_rows, cut
from skce.objective import Objective
from skce.solvers import minimize
from skce.validation import with_unit_mean

__all__ = [
    "LEAST_ROWS",
    "Stage",
    "minimize_in_stages",
    "sample_sizes",
    "stratified_order",
]

# Chosen on ten problems of 20 000 to 1 000 000 rows, 20 to 784 features, 2 to 100
# classes, clear and noisy labels (docs/benchmarks.md): against all rows from the start,
# a given loss on test rows came 1 to 10 times as early. A fixed number of iterations a
# stage is as fast where labels are clear, and ruins the fit where they are not; the
# variance of the gradient as the test (Byrd et al.) goes over plateaus with all rows,
# and gains nothing there.
LEAST_ROWS = 2**15
FIRST_SHARE, GROWTH = 1 / 16, 2
CHECK_EVERY = 5
MOST_ITERATIONS = 100

# Copies of a sample and its fresh rows, in bytes
MOST_BYTES = 2**27

# Of max_iter, where an iteration on a tenth of the rows counts as a tenth
MOST_OF_BUDGET = 0.75


@dataclass(frozen=True)
class Stage:
    """What one stage did.

    Attributes
    ----------
    n_rows : int
        Rows of its sample.
    n_iter, nfev : int
        Iterations, and evaluations of the objective with its gradient.
    loss_curve : list of float
        The objective on its sample after each iteration.
    fresh_loss : float or None
        Mean loss of as many rows that were not in the sample, without the L2 term, at
        the point that it gave up; None for the last stage, which is on all rows.
    """

    n_rows: int
    n_iter: int
    nfev: int
    loss_curve: list
    fresh_loss: float | None = None


def sample_sizes(n_rows, n_bytes):
    """The rows of each early stage, for data of so many rows and bytes."""
    sizes, share = [], FIRST_SHARE
    while share < 1:
        size = int(n_rows * share)
        if size > 0 and 2 * size * n_bytes <= MOST_BYTES * n_rows:
            sizes.append(size)
        share *= GROWTH
    return sizes


def stratified_order(codes, random_state):
    """A random order of the rows in which all classes progress alike.

    Of each class, the share in the first m rows differs from m / n by one row or so.
    Rows of indicators, (n, q), are in plain random order.

    Parameters
    ----------
    codes : ndarray of shape (n,) or (n, q)
    random_state : RandomState

    Returns
    -------
    order : ndarray of shape (n,), int32 where that holds n
    """
    n = len(codes)
    narrow = np.int32 if n <= np.iinfo(np.int32).max else np.int64
    order = random_state.permutation(np.arange(n, dtype=narrow))
    if codes.ndim == 2:
        return order
    order = order[np.argsort(codes[order], kind="stable")]
    progress = np.empty(n)
    start = 0
    for count in np.bincount(codes):
        # (i + u) / count, with a u of the class
        part = progress[start : start + count]
        part[:] = np.arange(count)
        part += random_state.uniform()
        part /= max(count, 1)
        start += count
    return order[np.argsort(progress, kind="stable")]


class _Watch:
    """Stops a stage when the loss of fresh rows no longer falls."""

    def __init__(self, fresh, theta):
        self.fresh = fresh
        self.best = theta
        self.loss = fresh.mean_loss(theta)
        self.n_iter = 0

    def __call__(self, theta):
        self.n_iter += 1
        return self.n_iter % CHECK_EVERY == 0 and not self.improved(theta)

    def improved(self, theta):
        """Whether theta is better than the best so far, which it then becomes."""
        loss = self.fresh.mean_loss(theta)
        better = loss < self.loss
        if better:
            self.best, self.loss = theta.copy(), loss
        return better


def minimize_in_stages(
    network, theta, rows, *, decay, run, random_state, grow, max_iter, **options
):
    """Minimise over all rows, after early stages on growing parts of them.

    Parameters
    ----------
    network : Network
    theta : ndarray of shape (n_parameters,), float64
        The start.
    rows : tuple
        X, the labels' codes and the weights (or None) of all rows.
    decay : float
        alpha / S.
    run : callable
        See `Objective`.
    random_state : RandomState
        Of the parts.
    grow : bool
        Whether there are early stages.
    max_iter : int
        Most iterations; one on a tenth of the rows counts as a tenth.
    **options
        Of `minimize`: solver, tol, max_fun, verbose.

    Returns
    -------
    solution : Solution
        Of the last stage, on all rows.
    stages : list of Stage
    """
    n = rows[0].shape[0]

    def objective(rows, decay):
        X, codes, weights = rows
        blocks = cut(X, codes, weights, block_rows(X.shape[0], network))
        return Objective(network, blocks, decay, X.dtype, run)

    early = min(MOST_OF_BUDGET * max_iter, max_iter - 1)
    stages, budget = [], early
    for size, *parts in _parts(*rows, random_state) if grow else ():
        most = min(MOST_ITERATIONS, int(budget * n / size))
        if most == 0:
            continue
        if options["verbose"]:
            print(f"stage {len(stages) + 1}: {size} of {n} rows")
        sample, fresh = parts
        watch = _Watch(objective(fresh, 0.0), theta)
        solution = minimize(
            objective(sample, decay), theta, max_iter=most, stop=watch, **options
        )
        if solution.curve:
            watch.improved(solution.theta)
        theta = watch.best
        budget -= len(solution.curve) * size / n
        stages.append(_stage(size, solution, watch.loss))
    if stages and options["verbose"]:
        print(f"stage {len(stages) + 1}: all {n} rows")
    spent = int(np.ceil(early - budget))
    solution = minimize(
        objective(rows, decay), theta, max_iter=max_iter - spent, **options
    )
    return solution, [*stages, _stage(n, solution)]


def _stage(n_rows, solution, fresh_loss=None):
    record = solution.record
    return Stage(n_rows, record["nit"], record["nfev"], solution.curve, fresh_loss)


def _parts(X, codes, weights, random_state):
    """For each early stage its size, its rows and as many fresh ones."""
    sizes = sample_sizes(X.shape[0], _n_bytes(X))
    order = stratified_order(codes, random_state)
    order = order[: 2 * max(sizes, default=0)].copy()
    for size in sizes:
        parts = [np.sort(order[:size]), np.sort(order[size : 2 * size])]
        if weights is None:
            yield size, *((X[part], codes[part], None) for part in parts)
        elif all(np.any(weights[part] > 0) for part in parts):
            yield (
                size,
                *(
                    (X[part], codes[part], with_unit_mean(weights[part], X.dtype))
                    for part in parts
                ),
            )


def _n_bytes(X):
    """Bytes of an array or a CSR matrix."""
    if isinstance(X, np.ndarray):
        return X.nbytes
    return X.data.nbytes + X.indices.nbytes + X.indptr.nbytes
