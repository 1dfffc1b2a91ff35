"""Gradients in the weights of sparse inputs, by column instead of by row.

The gradient in W_1 is a sum over the rows of delta_i x_i^T, as large as W_1 itself
however few entries x_i has. So shares of the rows would each make and add many zeros.
Instead they keep the deltas, and a second pass goes over the columns of X: each has its
own place in the gradient, which is written once.
"""

from itertools import pairwise

import numpy as np

from skce._network.blocks import MAX_SHARES
from skce._network.data import n_bytes, row_slice

__all__ = ["Columns", "pays"]


def pays(X, network, n_shares):
    """Whether going over the columns of X takes less memory than over its rows."""
    if isinstance(X, np.ndarray) or not network.inputs_first:
        return False
    n_units = network.layer_sizes[1] + (network.n_outputs if network.skip_layer else 0)
    n_rows, n_features = X.shape
    of_columns = n_bytes(X) + 2 * X.dtype.itemsize * n_rows * n_units
    return of_columns < 8 * n_shares * n_features * n_units


class Columns:
    """A copy of X by columns, in parts of about as many entries.

    Parameters
    ----------
    X : CSR of shape (n, p)
    """

    def __init__(self, X):
        by_column = X.T.tocsr()
        by_column.sort_indices()  # so that sums are over the rows in their order
        n_entries = by_column.indptr
        aims = n_entries[-1] * np.arange(1, MAX_SHARES) / MAX_SHARES
        ends = [0, *np.searchsorted(n_entries, aims), by_column.shape[0]]
        self._parts = [
            (slice(start, stop), row_slice(by_column, slice(start, stop)))
            for start, stop in pairwise(ends)
            if start < stop
        ]

    def products(self, deltas, out, run):
        """X^T times each of `deltas`, written to the arrays `out`.

        Parameters
        ----------
        deltas : list of ndarray of shape (n, n_units)
        out : list of ndarray of shape (p, n_units)
        run : callable
            See `LocalRows`.
        """
        products = run(_ProductOf(deltas), [part for _, part in self._parts])
        for (columns, _), of_part in zip(self._parts, products, strict=True):
            for result, product in zip(out, of_part, strict=True):
                result[columns] = product


class _ProductOf:
    """Multiplies a part of the columns. Can be sent to another process."""

    def __init__(self, deltas):
        self.deltas = deltas

    def __call__(self, part):
        return [part @ delta for delta in self.deltas]
