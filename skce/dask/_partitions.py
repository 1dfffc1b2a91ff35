"""A partition of the rows where it lies: checked, summarised, cut, and summed.

Nothing here knows of a cluster. The sum over partitions is taken in a binary tree over
their numbers: a process gives the sums of all complete subtrees whose partitions it
holds, and `root_sum` adds those. So the bits do not depend on who holds what.
"""

from collections import deque
from dataclasses import dataclass, field, replace
from itertools import islice

import numpy as np
from scipy import sparse
from sklearn.utils.validation import column_or_1d

from skce._fitting.checkpoint import digest_of
from skce._inputs.labels import check_kind
from skce._inputs.validation import check_part, check_weights, largest
from skce._network.blocks import block_rows, cut, shares
from skce._network.executors import QUIET, serial
from skce._network.kernels import Layers, Network, Workspace
from skce._network.objective import sum_of_blocks

__all__ = [
    "Expected",
    "Part",
    "Recipe",
    "Summary",
    "digest_of_part",
    "merged",
    "prepare",
    "root_sum",
    "subtree_sums",
    "summarise",
    "weigh",
]

# Threads that one partition can keep busy
MOST_SHARES = 4


@dataclass(frozen=True)
class Expected:
    """What all partitions must be like.

    Attributes
    ----------
    n_features : int
    columns : list or None
        Names of the features, of a data frame.
    dtype : dtype
        In which X is computed.
    """

    n_features: int
    columns: list | None
    dtype: np.dtype


@dataclass(frozen=True)
class Summary:
    """What the client has to know of a partition; its size does not depend on the rows.

    Attributes
    ----------
    n_rows : int
    largest : float
        Largest absolute value of X.
    sample : ndarray of shape (n_sample, p)
        Some rows, the last of which has that value.
    n_columns : int
        Columns of y; 0 for a vector.
    classes : ndarray of shape (n_classes,)
        Labels there are; none of a multilabel y.
    one_hot : bool
        Whether each row of a multilabel y has one label.
    masses : ndarray of shape (n_classes,) or (n_labels, 2)
        Weights of the rows of each class, or with 0 and 1 for a label, times
        2^-exponent.
    exponent : int or None
        2^exponent is above all weights; None if they are all 0.
    """

    n_rows: int
    largest: float
    sample: np.ndarray = field(repr=False)
    n_columns: int
    classes: np.ndarray
    one_hot: bool
    masses: np.ndarray
    exponent: int | None


@dataclass(frozen=True)
class Recipe:
    """How the partitions are made parts of one data set.

    Attributes
    ----------
    network : Network
    labels : Labels
    factors : ClassFactors or None
    exponent : int
        All weights are multiplied by 2^-exponent.
    mean_weight : float or None
        What they are then divided by, after those of the classes; None if all rows
        weigh the same.
    smoothing : tuple of float or None
        See `Block`.
    """

    network: Network
    labels: object
    factors: object = None
    exponent: int = 0
    mean_weight: float | None = None
    smoothing: tuple | None = None


def _checked(number, X, y, weights, expected):
    """X, y and the weights (or None) of a partition; errors name its number."""
    try:
        return _check(X, y, weights, expected)
    except (ValueError, TypeError) as error:
        raise ValueError(f"Partition {number}: {error}") from error


def _check(X, y, weights, expected):
    columns = getattr(X, "columns", None)
    if expected.columns is not None and list(columns) != expected.columns:
        raise ValueError(
            f"X has the columns {list(columns)}; they must be {expected.columns}, as "
            "the data frame says, in that order."
        )
    if X.ndim != 2 or X.shape[1] != expected.n_features:
        raise ValueError(
            f"X has the shape {X.shape}; it must have {expected.n_features} columns, "
            "as all partitions."
        )
    X = check_part(X, expected.dtype)
    y = np.asarray(y)
    if len(y) != X.shape[0]:
        raise ValueError(
            f"X has {X.shape[0]} rows and y has {len(y)}: partition both alike."
        )
    if y.ndim == 2 and y.shape[1] == 1:
        y = column_or_1d(y)
    if len(y):
        check_kind(y)
    if weights is None:
        return X, y, None
    weights = np.asarray(weights, dtype=np.float64)
    if weights.shape == (len(y), 1):
        weights = weights[:, 0]
    # no rows, or none that weighs anything, are no error in a part of the data
    if len(weights) != len(y) or weights.any():
        check_weights(weights, X)
    return X, y, weights


def summarise(number, X, y, weights, expected, n_sample):
    """The `Summary` of a partition.

    Raises
    ------
    ValueError
        If X, y or the weights cannot be used; the message has the partition's number.
    """
    X, y, weights = _checked(number, X, y, weights, expected)
    exponent = 0
    if weights is not None:
        exponent = _exponent(weights)
        weights = np.ldexp(weights, -(exponent or 0))
    if y.ndim == 2:
        n_columns, classes = y.shape[1], np.empty(0)
        indicators = np.asarray(y, dtype=float)
        one_hot = bool((indicators.sum(axis=1) == 1).all())
        ones = indicators.sum(axis=0) if weights is None else weights @ indicators
        mass = len(y) if weights is None else weights.sum()
        masses = np.stack([mass - ones, ones], axis=1)
    else:
        n_columns, one_hot = 0, False
        classes, codes = np.unique(y, return_inverse=True)
        masses = np.bincount(codes, weights, minlength=len(classes)).astype(float)
    return Summary(
        X.shape[0],
        largest(X),
        _sample(X, n_sample),
        n_columns,
        classes,
        one_hot,
        masses,
        exponent,
    )


def _exponent(weights):
    """The least e with 2^e above all weights; None if there is none."""
    return int(np.frexp(weights.max())[1]) if weights.any() else None


def _sample(X, n_rows):
    """Some rows of X as an array, and the one with the largest absolute value."""
    if X.shape[0] == 0:
        return np.empty(X.shape, dtype=X.dtype)
    size = abs(X).max(axis=1)
    most = int(np.argmax(size.toarray() if sparse.issparse(X) else size))
    rows = np.arange(0, X.shape[0], max(1, X.shape[0] // n_rows))[:n_rows]
    sample = X[np.append(rows, most)]
    return sample.toarray() if sparse.issparse(sample) else sample


def _weighed(codes, weights, recipe):
    """The weights (n,) as `recipe` says, without the mean; None if all are 1."""
    if weights is not None:
        weights = np.ldexp(weights, -recipe.exponent)
    if recipe.factors is not None:
        of_classes = recipe.factors(codes)
        weights = of_classes if weights is None else weights * of_classes
    return weights


def weigh(number, y, weights, recipe):
    """Sum, least and largest of the weights, and the weighted sums of the targets.

    Returns
    -------
    total, least, most : float
    sums : ndarray of shape (n_outputs,)
    """
    n_outputs = recipe.labels.n_outputs
    if len(y) == 0:
        return 0.0, np.inf, 0.0, np.zeros(n_outputs)
    codes = _codes(number, y, recipe.labels)
    if weights is not None:
        weights = np.asarray(weights, dtype=np.float64).reshape(-1)
    weights = _weighed(codes, weights, recipe)
    if weights is None:
        weights = np.ones(len(codes))
    if codes.ndim == 2 or n_outputs == 1:
        sums = np.atleast_1d(weights @ codes)
    else:
        sums = np.bincount(codes, weights, minlength=n_outputs)
    return float(weights.sum()), float(weights.min()), float(weights.max()), sums


def digest_of_part(number, X, y, weights, expected, recipe):
    """What a checkpoint knows a partition by."""
    X, y, weights = _checked(number, X, y, weights, expected)
    codes = _codes(number, y, recipe.labels) if len(y) else None
    return digest_of(X, codes, weights)


def _codes(number, y, labels):
    """The codes of a partition's labels."""
    try:
        y = np.asarray(y)
        return labels.code(column_or_1d(y) if y.ndim == 2 and y.shape[1] == 1 else y)
    except ValueError as error:
        raise ValueError(f"Partition {number}: {error}") from error


class Part:
    """A partition, ready to be summed.

    Parameters
    ----------
    number : int
        Its place in the tree.
    network : Network
    dtype : dtype
    shares : list of list of Block
        At most `MOST_SHARES`; none of an empty partition.
    owned_bytes : int
        Of memory that no other object on the worker answers for.
    """

    def __init__(self, number, network, dtype, shares, owned_bytes):
        self.number = number
        self.network = network
        self.dtype = dtype
        self.shares = shares
        self.owned_bytes = owned_bytes

    def __sizeof__(self):  # what dask believes, and spills by
        return object.__sizeof__(self) + self.owned_bytes

    def __setstate__(self, state):
        vars(self).update(state)
        for blocks in self.shares:
            for block in blocks:
                block.X = _in_place(block.X)


def _in_place(X):
    """X in the one layout whose products have the same bits everywhere.

    What has come through a socket begins at any byte, and NumPy then takes another way
    through BLAS.
    """
    return X if sparse.issparse(X) else np.require(X, requirements=["C", "A"])


def prepare(number, X, y, weights, expected, recipe, kept):
    """The `Part` of a partition.

    `kept` says that the user keeps X on the worker anyway, so that views of it take no
    memory of their own.
    """
    given = X
    X, y, weights = _checked(number, X, y, weights, expected)
    if X.shape[0] == 0:
        return Part(number, recipe.network, expected.dtype, [], 0)
    X = _in_place(X)
    codes = _codes(number, y, recipe.labels)
    weights = _weighed(codes, weights, recipe)
    if recipe.mean_weight is None:
        weights = None
    else:
        weights = (weights / recipe.mean_weight).astype(expected.dtype)
    rows = block_rows(X.shape[0], recipe.network)
    blocks = cut(X, codes, weights, rows, recipe.smoothing)
    owned = codes.nbytes + (0 if weights is None else weights.nbytes)
    if sparse.issparse(X):
        owned += X.data.nbytes + X.indices.nbytes
    elif not (kept and _shares_memory(blocks[0].X, given)):
        owned += sum(block.X.nbytes for block in blocks)
    return Part(
        number, recipe.network, expected.dtype, shares(blocks, MOST_SHARES), owned
    )


def _shares_memory(X, given):
    return isinstance(given, np.ndarray) and np.may_share_memory(X, given)


def subtree_sums(kind, vectors, parts, run=serial, n_threads=1):
    """Sums over the complete subtrees of some parts.

    Parameters
    ----------
    kind : {"gradient", "hessian", "loss"}
        Losses and gradients; 0 and Hessian products; losses.
    vectors : list of ndarray of shape (n_parameters,)
        theta, and for "hessian" the direction.
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
    kernel = {
        "gradient": network.loss_and_gradient,
        "hessian": network.hessian_product,
        "loss": None,
    }[kind]
    width = 1 if kind == "loss" else 1 + network.n_parameters
    spaces = deque()

    def of_share(item):
        _, blocks = item
        if blocks is None:
            return np.zeros(width)
        try:
            work = spaces.pop()
        except IndexError:
            work = Workspace(network, dtype)
        total = np.empty(width)
        with np.errstate(**QUIET):
            if kernel is None:
                total[0] = sum(
                    network.loss(*layers, block, work.rows(block.n_rows))
                    for block in blocks
                )
            else:
                gradient = Layers(network, total[1:])
                total[0] = sum_of_blocks(kernel, layers, blocks, work, gradient)
        spaces.append(work)
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
    """The sum over a tree of n leaves from those of disjoint subtrees.

    Parameters
    ----------
    nodes : dict
        From (level, k) to the sum, an array; emptied, and the arrays overwritten.
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


def _union(classes):
    """All labels, sorted."""
    try:
        if len({labels.dtype.kind in "OUST" for labels in classes}) > 1:
            raise TypeError("numbers in some, objects or strings in others")
        return np.unique(np.concatenate(classes))
    except TypeError as error:
        raise ValueError(
            "y has labels of several kinds in its partitions, which cannot be sorted "
            f"({error}): make them all numbers or all strings."
        ) from error


def merged(summaries):
    """One Summary of all partitions' (without a sample), and where X is the largest.

    Raises
    ------
    ValueError
        If the partitions do not go together, or no row weighs anything.
    """
    filled = [s for s in summaries if s.n_rows]
    if not filled:
        raise ValueError(f"X has no rows in any of its {len(summaries)} partitions.")
    widths = {s.n_columns for s in filled}
    if len(widths) > 1:
        raise ValueError(
            f"y has {sorted(widths)} columns in different partitions (0: a vector)."
        )
    exponents = [s.exponent for s in filled if s.exponent is not None]
    if not exponents:
        raise ValueError(
            "sample_weight is zero for every row: at least one weight must be positive."
        )
    exponent = max(exponents)
    classes = _union([s.classes for s in filled])
    masses = np.zeros(filled[0].masses.shape if filled[0].n_columns else len(classes))
    for s in filled:
        if s.exponent is None:
            continue
        scaled = np.ldexp(s.masses, s.exponent - exponent)
        if s.n_columns:
            masses += scaled
        else:
            masses[np.searchsorted(classes, s.classes)] += scaled
    widest = max(filled, key=lambda s: s.largest)
    return replace(
        filled[0],
        n_rows=sum(s.n_rows for s in filled),
        largest=widest.largest,
        sample=np.concatenate([*(s.sample[:-1] for s in filled), widest.sample[-1:]]),
        classes=classes,
        one_hot=all(s.one_hot for s in filled),
        masses=masses,
        exponent=exponent,
    )
