"""The tree of sums over partitions.

The sum over partitions is taken in a binary tree over their numbers: a process returns
the sums of all complete subtrees whose partitions it holds, and `root_sum` adds those.
So the bits do not depend on which process holds what.
"""

from collections import deque
from itertools import islice

import numpy as np

from skce._network.executors import QUIET, serial
from skce._network.kernels import Workspace
from skce._network.parameters import Layers
from skce._network.rows import sum_of_blocks

__all__ = ["root_sum", "subtree_sums"]


def subtree_sums(kind, vectors, parts, run=serial, n_threads=1):
    """Sum over the complete subtrees of some parts.

    Parameters
    ----------
    kind : {"loss", "gradient", "hessian", "gauss_newton"}
        See `Rows.sums`.
    vectors : list of ndarray of shape (n_parameters,)
        theta, and for products the direction.
    parts : list of Part
        In the order of their numbers.
    run : callable
        `run(function, items)` gives the results in the order of the items.
    n_threads : int
        Items that `run` works on at once.

    Returns
    -------
    nodes : list of (level, k)
        The subtree over the numbers k 2^level ... (k + 1) 2^level - 1.
    sums : list of ndarray of shape (1 + n_parameters,) or (1,)
        [loss, gradient...] summed over it.
    """
    network, dtype = parts[0].network, parts[0].dtype
    layers = [Layers(network, vector.astype(dtype)) for vector in vectors]
    width = 1 if kind == "loss" else 1 + network.n_parameters
    workspaces = deque()

    def of_share(item):
        _, blocks = item
        if blocks is None:
            return np.zeros(width)
        try:
            work = workspaces.pop()
        except IndexError:
            work = Workspace(network, dtype)
        total = np.empty(width)
        vector = None if kind == "loss" else Layers(network, total[1:])
        with np.errstate(**QUIET):
            total[0] = sum_of_blocks(kind, layers, blocks, work, vector)
        workspaces.append(work)
        return total

    items = iter(
        [(part.number, share) for part in parts for share in part.shares or [None]]
    )
    stack, number = [], None  # of (level, k, sum)
    while chunk := list(islice(items, n_threads)):
        for (of, _), total in zip(chunk, run(of_share, chunk), strict=True):
            if of == number:
                stack[-1][2][...] += total
                continue
            _merge(stack)
            number = of
            stack.append((0, of, total))
    _merge(stack)
    return [node[:2] for node in stack], [node[2] for node in stack]


def _merge(stack):
    """Add the last sums as long as they are siblings."""
    while len(stack) > 1:
        (level, k, total), (other_level, other_k, other) = stack[-2:]
        if level != other_level or k % 2 or other_k != k + 1:
            return
        total += other
        stack[-2:] = [(level + 1, k // 2, total)]


def root_sum(nodes, n):
    """Return the sum over a tree of n leaves from those of disjoint subtrees.

    Parameters
    ----------
    nodes : dict
        From (level, k) to the sum, an array; is emptied, and the arrays overwritten.
    n : int
    """

    def total(level, k):
        if k << level >= n:
            return None
        if (level, k) in nodes:
            return nodes.pop((level, k))
        left, right = total(level - 1, 2 * k), total(level - 1, 2 * k + 1)
        return left if right is None else np.add(left, right, out=left)

    return total((n - 1).bit_length(), 0)
