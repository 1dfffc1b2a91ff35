"""How rows are cut into blocks, and blocks grouped into shares.

A block is the unit of work: its activations fit in the cache, they bound the memory
whatever the number of rows, and the objective is the sum over blocks. A share is what
one thread sums before the sums of all shares are added.
"""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from skce._network.data import MAX_EXACT_ROWS, Encoding, row_slice

__all__ = ["MIN_WORK", "Block", "block_rows", "cut", "row_slices", "shares"]

# The limits of a block: with fewer rows it is done before another thread has woken up,
# with more its activations leave the cache.
MIN_BLOCK_ROWS, MAX_BLOCK_ROWS = 512, 8192

# Rows x parameters from which threads pay
MIN_WORK = 1_000_000

# Enough for 16 threads, few enough that their gradients do not matter beside the data
MAX_SHARES = 16


@dataclass
class Block:
    """Some rows of the training data; views of the whole where possible.

    Attributes
    ----------
    X : ndarray or CSR of shape (n, p), or (n, p + 1) with `has_ones`
    codes : ndarray of shape (n,) or (n, q)
        Stored targets; see `Data`.
    weights : ndarray of shape (n,) or None
        With a mean of 1 over all rows of the data.
    encoding : Encoding
    has_ones : bool
        Whether X has a last column of ones, that of the biases.
    kept_targets : ndarray of shape (q, n) or None
        The targets, where they are worth their memory.
    n_rows : int
    hard : bool
        See `Encoding`.
    """

    X: Any
    codes: np.ndarray
    weights: np.ndarray | None
    encoding: Encoding
    has_ones: bool = False
    kept_targets: np.ndarray | None = field(default=None, repr=False)

    def __post_init__(self):
        # asked in each evaluation
        self.n_rows = self.X.shape[0]
        self.hard = self.encoding.hard

    def targets(self):
        """Targets (q, n) of X's dtype."""
        if self.kept_targets is not None:
            return self.kept_targets
        return self.encoding.targets(self.codes, self.X.dtype)


def block_rows(n_rows, network):
    """Number of rows of a block, from the sizes of the data and the network.

    So many that the outputs of all units, 2^18 numbers, stay in the second cache;
    measured on 2000 to a million rows, half as many or twice as many lose up to a
    fifth. Data that would be one block are two, if they are worth a second thread. The
    number of threads is not considered, so that it does not change the bits.
    """
    rows = 2**18 // sum(network.layer_sizes[1:])
    if n_rows * network.n_parameters >= MIN_WORK:
        rows = min(rows, -(-n_rows // 2))
    return min(max(rows, MIN_BLOCK_ROWS), MAX_BLOCK_ROWS)


def row_slices(n_rows, max_rows):
    """Slices of at most `max_rows` rows that cover `n_rows`, in order, of equal size.

    Their number is 1, 2, 4, 8 or a multiple of 16, so that all shares, and two or four
    threads, have the same amount of work.
    """
    n = -(-n_rows // max_rows)
    if n < MAX_SHARES:
        n = 1 << max(n - 1, 0).bit_length()
    else:
        n = -(-n // MAX_SHARES) * MAX_SHARES
    n = max(min(n, n_rows), 1)
    ends = [n_rows * i // n for i in range(n + 1)]
    return [slice(start, stop) for start, stop in pairwise(ends)]


def cut(data, encoding, max_rows=MAX_BLOCK_ROWS):
    """Cut data into a list of blocks, in the order of the rows."""
    X, codes, weights = data.X, data.codes, data.weights
    has_ones = X.shape[0] <= MAX_EXACT_ROWS and isinstance(X, np.ndarray)
    if has_ones:
        # a copy is cheap, and the column of ones saves two operations per block
        X = np.column_stack([X, np.ones(len(X), dtype=X.dtype)])
    return [
        Block(
            row_slice(X, s),
            codes[s],
            None if weights is None else weights[s],
            encoding,
            has_ones,
        )
        for s in row_slices(X.shape[0], max_rows)
    ]


def shares(items, max_shares=MAX_SHARES):
    """Group items into at most `max_shares` runs of neighbours.

    The number does not depend on the number of threads: sums over each share, added in
    the order of the shares, have the same bits for any number.
    """
    n = min(len(items), max_shares)
    ends = [len(items) * i // n for i in range(n + 1)]
    return [items[start:stop] for start, stop in pairwise(ends)]
