"""How rows are cut into blocks, and blocks put together into shares.

A block is the unit of work: its activations fit in the cache, they bound the
memory whatever the number of rows, and the objective is the sum over blocks.
"""

from dataclasses import dataclass
from itertools import pairwise
from math import fsum

import numpy as np

__all__ = [
    "FEW_ROWS",
    "LEAST_WORK",
    "SOFT",
    "Block",
    "block_rows",
    "cut",
    "dense_if_small",
    "merge_repeated_rows",
    "row_slices",
    "shares",
]

# Up to so many rows a fit is made independent of their order and repetition, which
# takes some 2 microseconds a row.
FEW_ROWS = 2048

# The limits of a block: with fewer rows it is done before another thread has woken up,
# with more its activations leave the cache.
LEAST_BLOCK_ROWS, MOST_BLOCK_ROWS = 512, 8192

# Rows x parameters from which threads pay
LEAST_WORK = 1_000_000

# Shares of the data that are summed by themselves: enough for 16 threads, few enough
# that their gradients do not matter beside the data.
MOST_SHARES = 16


# The dtype of soft targets; indicators have others
SOFT = np.dtype(np.float64)


@dataclass
class Block:
    """Some rows of the training data; views of the whole where that can be.

    Attributes
    ----------
    X : ndarray or CSR of shape (n, p) or (n, p + 1)
        The latter with a last column of ones, that of the biases.
    labels : ndarray of shape (n,) or (n, q)
        Integer codes of the classes, 0/1 indicators, or soft targets (`SOFT`).
    weights : ndarray of shape (n,) or None
        Weights with a mean of 1 over all rows of the data.
    smoothing : tuple of float or None
        (s, u): targets t are replaced by (1 - s) t + u.
    kept_targets : ndarray of shape (q, n) or None
        What `targets` has given, where it is worth its memory.
    """

    X: object
    labels: np.ndarray
    weights: np.ndarray | None
    smoothing: tuple | None = None
    kept_targets: np.ndarray | None = None

    @property
    def soft(self):
        """Whether targets may lie between 0 and 1."""
        return self.smoothing is not None or self.labels.dtype == SOFT

    def targets(self, n_outputs):
        """Targets, units x rows, (q, n), of X's dtype."""
        if self.kept_targets is not None:
            return self.kept_targets
        targets = self._targets(n_outputs)
        if self.smoothing is not None:
            share, shift = self.smoothing
            targets *= 1 - share
            targets += shift
        return targets

    def _targets(self, n_outputs):
        """One of q, the indicators or the soft targets, an array of its own."""
        if self.labels.ndim == 2:
            return np.array(self.labels.T, dtype=self.X.dtype, order="C")
        if n_outputs == 1:
            return self.labels[np.newaxis, :].astype(self.X.dtype)
        targets = np.zeros((n_outputs, len(self.labels)), dtype=self.X.dtype)
        targets[self.labels, np.arange(len(self.labels))] = 1
        return targets

    @property
    def n_rows(self):
        """Rows of this block."""
        return self.X.shape[0]


def block_rows(n_rows, network):
    """Rows of a block, by the sizes of the data and the network.

    So many that the outputs of all units, 2^18 numbers, stay in the second cache;
    measured on 2000 to a million rows, half as many or twice as many lose up to a
    fifth. Data that would be one block are two, if they are worth a second thread.
    The number of threads has no say, so that their results have the same bits.
    """
    rows = 2**18 // sum(network.layer_sizes[1:])
    if n_rows * network.n_parameters >= LEAST_WORK:
        rows = min(rows, -(-n_rows // 2))
    return min(max(rows, LEAST_BLOCK_ROWS), MOST_BLOCK_ROWS)


def row_slices(n_rows, rows):
    """Slices of at most `rows` rows that cover `n_rows`, in order and about equal.

    Their number is 1, 2, 4, 8 or a multiple of 16, so that all shares, and two or four
    threads, have as much to do.
    """
    n = -(-n_rows // rows)
    if n < MOST_SHARES:
        n = 1 << max(n - 1, 0).bit_length()
    else:
        n = -(-n // MOST_SHARES) * MOST_SHARES
    n = max(min(n, n_rows), 1)
    ends = [n_rows * i // n for i in range(n + 1)]
    return [slice(start, stop) for start, stop in pairwise(ends)]


def cut(X, labels, weights=None, rows=MOST_BLOCK_ROWS, smoothing=None):
    """The data as a list of `Block`, in the order of the rows."""
    if X.shape[0] <= FEW_ROWS and isinstance(X, np.ndarray):
        # a copy is cheap, and the column of ones saves two operations a block
        X = np.column_stack([X, np.ones(len(X), dtype=X.dtype)])
    return [
        Block(
            X[part],
            labels[part],
            None if weights is None else weights[part],
            smoothing,
        )
        for part in row_slices(X.shape[0], rows)
    ]


def dense_if_small(X, most_values=2**20):
    """A sparse X of few rows and columns as an array: its products are the faster."""
    if isinstance(X, np.ndarray) or X.shape[0] * X.shape[1] > most_values:
        return X
    return X.toarray()


def merge_repeated_rows(X, labels, weights=None, most_rows=FEW_ROWS):
    """The distinct cases of few rows, in an order of their own, with summed weights.

    A fit of few rows can carry a rounding error of 1e-16 into the second digit, so
    that neither the order of the rows nor a weight of 2 in place of a repeated row
    would be harmless; after this they make no difference at all.

    Parameters
    ----------
    X : ndarray or CSR of shape (n, p)
    labels : ndarray of shape (n,) or (n, q)
    weights : ndarray of shape (n,) or None
    most_rows : int
        More rows are given back as they are.

    Returns
    -------
    X, labels, weights
        Without the rows of weight 0; weights are None if none were given and no
        row is repeated.
    """
    if X.shape[0] > most_rows:
        return X, labels, weights
    keys = _row_keys(X, labels)
    order = np.argsort(keys, kind="stable")
    if weights is not None:
        order = order[weights[order] > 0]
    keys = keys[order]
    starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    rows = order[starts]
    if weights is not None:
        # fsum, as its sum is the same in any order
        groups = np.split(weights[order], starts[1:])
        return X[rows], labels[rows], np.array([fsum(group) for group in groups])
    if len(rows) == len(order):
        return X[rows], labels[rows], None
    return X[rows], labels[rows], np.diff(starts, append=len(order)).astype(float)


def _row_keys(X, labels):
    """The bytes of each case, shape (n,)."""
    labels = np.ascontiguousarray(labels).reshape(len(labels), -1)
    if isinstance(X, np.ndarray):
        parts = [np.ascontiguousarray(part).view(np.uint8) for part in (X, labels)]
        cases = np.concatenate(parts, axis=1)
        return cases.view(f"V{cases.shape[1]}").ravel()
    X = X.sorted_indices()
    keys = np.empty(len(labels), dtype=object)
    for i, (start, stop) in enumerate(pairwise(X.indptr)):
        row = X.indices[start:stop].tobytes() + X.data[start:stop].tobytes()
        keys[i] = row + labels[i].tobytes()
    return keys


def shares(items, most=MOST_SHARES):
    """The items in at most `most` runs of neighbours, the units of the threads.

    The number does not depend on the number of threads, so that sums by share, and
    then over the shares in their order, have the same bits for any number.
    """
    n = min(len(items), most)
    ends = [len(items) * i // n for i in range(n + 1)]
    return [items[start:stop] for start, stop in pairwise(ends)]
