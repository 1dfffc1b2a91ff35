"""Make fits to few rows independent of the order and repetition of these rows."""

from dataclasses import replace
from itertools import pairwise
from math import fsum

import numpy as np

from skce._network.data import MAX_EXACT_ROWS

__all__ = ["dense_if_small", "merge_duplicates"]


def dense_if_small(X, max_values=2**20):
    """Make a small sparse X an array, whose products are faster."""
    if isinstance(X, np.ndarray) or X.shape[0] * X.shape[1] > max_values:
        return X
    return X.toarray()


def merge_duplicates(data, max_rows=MAX_EXACT_ROWS):
    """Merge equal rows and sort the rest, if there are at most `max_rows`.

    A fit of few rows can carry a rounding error of 1e-16 into the second digit, so that
    neither the order of the rows nor a weight of 2 in place of a repeated row would be
    harmless. After this they make no difference at all. It takes about 2 microseconds
    per row.

    Returns
    -------
    data : Data
        The distinct rows with summed weights, without those of weight 0. `weights` is
        None if none were given and no row is repeated.
    """
    if data.n_rows > max_rows:
        return data
    keys = _row_keys(data.X, data.codes)
    order = np.argsort(keys, kind="stable")
    weights = data.weights
    if weights is not None:
        order = order[weights[order] > 0]
    keys = keys[order]
    starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    if weights is not None:
        # fsum, as its sum is the same in any order
        groups = np.split(weights[order], starts[1:])
        merged = np.array([fsum(group) for group in groups])
    elif len(starts) == len(order):
        merged = None
    else:
        merged = np.diff(starts, append=len(order)).astype(float)
    return replace(data.take(order[starts]), weights=merged)


def _row_keys(X, codes):
    """The bytes of each row and its target, shape (n,)."""
    codes = np.ascontiguousarray(codes).reshape(len(codes), -1)
    if isinstance(X, np.ndarray):
        parts = [np.ascontiguousarray(part).view(np.uint8) for part in (X, codes)]
        cases = np.concatenate(parts, axis=1)
        return cases.view(f"V{cases.shape[1]}").ravel()
    X = X.sorted_indices()
    keys = np.empty(len(codes), dtype=object)
    for i, (start, stop) in enumerate(pairwise(X.indptr)):
        row = X.indices[start:stop].tobytes() + X.data[start:stop].tobytes()
        keys[i] = row + codes[i].tobytes()
    return keys
