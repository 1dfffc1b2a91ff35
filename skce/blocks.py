"""How rows are cut into blocks, and who runs them.

A block is the unit of work: its activations fit in the cache, they bound the
memory whatever the number of rows, and the objective is the sum over blocks.
"""

from dataclasses import dataclass

import numpy as np

__all__ = [
    "BLOCK_ROWS",
    "Block",
    "cut",
    "merge_repeated_rows",
    "row_slices",
    "run_serial",
]

# Rows of a block: enough that a call of NumPy is short beside its work, few enough
# that the activations of a hundred units stay in the second-level cache.
BLOCK_ROWS = 2048


@dataclass(frozen=True)
class Block:
    """Some rows of the training data; views of the whole where that can be.

    Attributes
    ----------
    X : ndarray or CSR of shape (n, p)
    labels : ndarray of shape (n,) or (n, q)
        Integer codes of the classes, or targets.
    weights : ndarray of shape (n,) or None
        Weights with a mean of 1 over all rows of the data.
    """

    X: object
    labels: np.ndarray
    weights: np.ndarray | None

    def targets(self, n_outputs):
        """One-of-q targets (or the targets as they are), units x rows, (q, n)."""
        if self.labels.ndim == 2:
            return np.ascontiguousarray(self.labels.T, dtype=self.X.dtype)
        if n_outputs == 1:
            return self.labels[np.newaxis, :].astype(self.X.dtype)
        targets = np.zeros((n_outputs, len(self.labels)), dtype=self.X.dtype)
        targets[self.labels, np.arange(len(self.labels))] = 1
        return targets


def row_slices(n_rows, block_rows=BLOCK_ROWS):
    """Slices of at most `block_rows` rows that cover `n_rows`, in order."""
    return [
        slice(start, min(start + block_rows, n_rows))
        for start in range(0, n_rows, block_rows)
    ]


def cut(X, labels, weights=None, block_rows=BLOCK_ROWS):
    """The data as a list of `Block`, in the order of the rows."""
    return [
        Block(X[rows], labels[rows], None if weights is None else weights[rows])
        for rows in row_slices(X.shape[0], block_rows)
    ]


def merge_repeated_rows(X, labels, weights=None, most_rows=BLOCK_ROWS):
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
    first, total = {}, {}
    for row, key in enumerate(_row_keys(X, labels)):
        weight = 1.0 if weights is None else weights[row]
        if weight > 0:
            first.setdefault(key, row)
            total[key] = total.get(key, 0.0) + weight
    keys = sorted(first)
    rows = [first[key] for key in keys]
    if weights is None and len(rows) == X.shape[0]:
        return X[rows], labels[rows], None
    return X[rows], labels[rows], np.array([total[key] for key in keys])


def _row_keys(X, labels):
    """The bytes of each case."""
    ends = [label.tobytes() for label in np.ascontiguousarray(labels)]
    if isinstance(X, np.ndarray):
        return [row.tobytes() + end for row, end in zip(X, ends, strict=True)]
    X = X.sorted_indices()
    return [
        X.indices[start:stop].tobytes() + X.data[start:stop].tobytes() + end
        for start, stop, end in zip(X.indptr[:-1], X.indptr[1:], ends, strict=True)
    ]


def run_serial(function, blocks):
    """Yield `function(block)` of each block, in their order."""
    return map(function, blocks)
