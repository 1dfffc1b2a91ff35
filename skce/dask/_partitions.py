"""A partition of the rows where it lies: validated, summarised and cut into blocks.

Nothing here depends on a cluster.
"""

from dataclasses import dataclass, field, replace

import numpy as np
from scipy import sparse
from sklearn.utils.validation import column_or_1d

from skce._inputs.labels import Labels, as_labels, check_kind
from skce._inputs.validation import check_part
from skce._inputs.weights import ClassFactors, check_weights, weigh
from skce._network.blocks import block_rows, cut, shares
from skce._network.data import Data, Encoding
from skce._network.kernels import Network
from skce._network.rows import digest_of, largest
from skce._network.standardization import column_moments, no_moments

__all__ = [
    "Expected",
    "Part",
    "PartitionSummary",
    "Recipe",
    "check_block",
    "digest_of_part",
    "merged",
    "moments_of_part",
    "prepare",
    "summarise",
    "weight_sums",
]

# Threads that one partition can keep busy
MAX_SHARES = 4


@dataclass(frozen=True)
class Expected:
    """Schema that all partitions share.

    Attributes
    ----------
    n_features : int
    columns : list or None
        Names of the features, of a data frame.
    dtype : dtype
        In which X is computed.
    weighted : bool
        Whether sample_weight was given.
    """

    n_features: int
    columns: list | None
    dtype: np.dtype
    weighted: bool = False


@dataclass(frozen=True)
class PartitionSummary:
    """What the client has to know about a partition; its size is constant.

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
        Its labels; none for a multilabel y.
    one_hot : bool
        Whether each row of a multilabel y has one label.
    class_totals : ndarray of shape (n_classes,) or (n_labels, 2)
        Weight of the rows of each class, or with 0 and 1 for a label, times
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
    class_totals: np.ndarray
    exponent: int | None


@dataclass(frozen=True)
class Recipe:
    """How partitions are encoded and weighted as parts of one data set.

    Attributes
    ----------
    expected : Expected
    network : Network
    labels : Labels
    encoding : Encoding
    factors : ClassFactors or None
    exponent : int
        All weights are multiplied by 2^-exponent.
    mean_weight : float or None
        What they are then divided by, after the class weights; None if all rows have
        the same weight.
    kept : bool
        Whether the user keeps X on the workers anyway, so that views of it take no
        further memory.
    """

    expected: Expected
    network: Network
    labels: Labels
    encoding: Encoding
    factors: ClassFactors | None = None
    exponent: int = 0
    mean_weight: float | None = None
    kept: bool = False


def check_block(name, block):
    """Raise a ValueError if a block or partition is no array or frame."""
    if not getattr(block, "shape", ()):
        raise ValueError(
            f"{name} is of type {type(block).__name__}; it must be an array (for X, a "
            "CSR matrix as well) or a pandas object."
        )


def _checked(number, X, y, weights, expected):
    """Validate X, y and the weights (or None); errors name the partition."""
    try:
        return _check(X, y, weights, expected)
    except (ValueError, TypeError) as error:
        raise ValueError(f"Partition {number}: {error}") from error


def _check(X, y, weights, expected):
    check_block("X", X)
    columns = getattr(X, "columns", None)
    if expected.columns is not None and list(columns) != expected.columns:
        raise ValueError(
            f"X has the columns {list(columns)}; they must be {expected.columns}, in "
            "that order, as in the metadata of the data frame."
        )
    if X.ndim != 2 or X.shape[1] != expected.n_features:
        raise ValueError(
            f"X has the shape {X.shape}; it must have {expected.n_features} columns, "
            "as in all partitions."
        )
    X = check_part(X, expected.dtype)
    check_block("y", np.asarray(y))
    y = as_labels(y)
    if len(y) != X.shape[0]:
        raise ValueError(
            f"X has {X.shape[0]} rows, but y has {len(y)}: partition both alike."
        )
    if y.ndim == 2 and y.shape[1] == 1:
        y = column_or_1d(y)
    if len(y):
        check_kind(y)
    if not expected.weighted:
        return X, y, None
    weights = np.asarray(weights, dtype=None if weights is None else np.float64)
    check_block("sample_weight", weights)
    if weights.shape == (len(y), 1):
        weights = weights[:, 0]
    # no rows, or weights of 0 alone, are no error in a part of the data
    if len(weights) != len(y) or weights.any():
        check_weights(weights, X.shape[0])
    return X, y, weights


def summarise(number, X, y, weights, expected, n_sample):
    """Summarise a partition.

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
        total = len(y) if weights is None else weights.sum()
        class_totals = np.stack([total - ones, ones], axis=1)
    else:
        n_columns, one_hot = 0, False
        classes, codes = np.unique(y, return_inverse=True)
        class_totals = np.bincount(codes, weights, minlength=len(classes)).astype(float)
    return PartitionSummary(
        X.shape[0],
        largest(X),
        _sample(X, n_sample),
        n_columns,
        classes,
        one_hot,
        class_totals,
        exponent,
    )


def _exponent(weights):
    """Smallest e with 2^e above all weights; None if all are 0."""
    return int(np.frexp(weights.max())[1]) if weights.any() else None


def _sample(X, n_rows):
    """Sample rows of X as an array, and the one with the largest absolute value."""
    if X.shape[0] == 0:
        return np.empty(X.shape, dtype=X.dtype)
    size = abs(X).max(axis=1)
    most = int(np.argmax(size.toarray() if sparse.issparse(X) else size))
    rows = np.arange(0, X.shape[0], max(1, X.shape[0] // n_rows))[:n_rows]
    sample = X[np.append(rows, most)]
    return sample.toarray() if sparse.issparse(sample) else sample


def _weights(codes, weights, recipe):
    """Weights (n,) with those of the classes, not yet over their mean; None for 1."""
    if weights is not None:
        weights = np.ldexp(weights, -recipe.exponent)
    return weigh(codes, weights, recipe.factors)


def weight_sums(number, y, weights, recipe):
    """Sum, minimum and maximum of the weights, and the weighted sums of the targets.

    Returns
    -------
    total, minimum, maximum : float
    sums : ndarray of shape (n_outputs,)
    """
    n_outputs = recipe.labels.n_outputs
    if len(y) == 0:
        return 0.0, np.inf, 0.0, np.zeros(n_outputs)
    codes = _codes(number, y, recipe.labels)
    if weights is not None:
        weights = np.asarray(weights, dtype=np.float64).reshape(-1)
    weights = _weights(codes, weights, recipe)
    if weights is None:
        weights = np.ones(len(codes))
    if codes.ndim == 2 or n_outputs == 1:
        sums = np.atleast_1d(weights @ codes)
    else:
        sums = np.bincount(codes, weights, minlength=n_outputs)
    return float(weights.sum()), float(weights.min()), float(weights.max()), sums


def moments_of_part(part):
    """Weighted moments of the columns of X."""
    n_features = part.network.layer_sizes[0]
    moments = no_moments(n_features)
    for block in (block for share in part.shares for block in share):
        X = block.X[:, :n_features]  # without a column of ones
        moments = moments.merged(column_moments(X, block.weights))
    return moments


def digest_of_part(part):
    """Return a fingerprint of a partition."""
    blocks = [block for share in part.shares for block in share]
    arrays = [a for b in blocks for a in (b.X, b.codes, b.weights)]
    return digest_of(*arrays)


def _codes(number, y, labels):
    """Encode a partition's labels."""
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
        At most `MAX_SHARES`; none of an empty partition.
    owned_bytes : int
        Of memory that no other object on the worker accounts for.
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
    """Return X in the one layout whose products have the same bits everywhere.

    What has come through a socket begins at any byte, and NumPy then calls other
    routines of BLAS.
    """
    return X if sparse.issparse(X) else np.require(X, requirements=["C", "A"])


def prepare(number, X, y, weights, recipe):
    """Make the `Part` of a partition."""
    given, expected = X, recipe.expected
    X, y, weights = _checked(number, X, y, weights, expected)
    if X.shape[0] == 0:
        return Part(number, recipe.network, expected.dtype, [], 0)
    X = _in_place(X)
    codes = _codes(number, y, recipe.labels)
    weights = _weights(codes, weights, recipe)
    if recipe.mean_weight is None:
        weights = None
    else:
        weights = (weights / recipe.mean_weight).astype(expected.dtype)
    max_rows = block_rows(X.shape[0], recipe.network)
    blocks = cut(Data(X, codes, weights), recipe.encoding, max_rows)
    owned = codes.nbytes + (0 if weights is None else weights.nbytes)
    if sparse.issparse(X):
        owned += X.data.nbytes + X.indices.nbytes
    elif not (recipe.kept and _shares_memory(blocks[0].X, given)):
        owned += sum(block.X.nbytes for block in blocks)
    return Part(
        number, recipe.network, expected.dtype, shares(blocks, MAX_SHARES), owned
    )


def _shares_memory(X, given):
    return isinstance(given, np.ndarray) and np.may_share_memory(X, given)


def _union(classes):
    """Return all labels, sorted."""
    try:
        if len({labels.dtype.kind in "OUST" for labels in classes}) > 1:
            raise TypeError("numbers in some, objects or strings in others")
        return np.unique(np.concatenate(classes))
    except TypeError as error:
        raise ValueError(
            "y has labels of different kinds in its partitions, which cannot be sorted "
            f"({error}): make them all numbers or all strings."
        ) from error


def merged(summaries):
    """Merge the summaries of all partitions; the last row sampled is the largest.

    Raises
    ------
    ValueError
        If the partitions do not match, or no row has a weight.
    """
    filled = [s for s in summaries if s.n_rows]
    if not filled:
        raise ValueError(f"X has no rows in any of its {len(summaries)} partitions.")
    widths = {s.n_columns for s in filled}
    if len(widths) > 1:
        raise ValueError(
            f"y has {sorted(widths)} columns in different partitions (0 for a vector); "
            "the number must be the same in all of them."
        )
    exponents = [s.exponent for s in filled if s.exponent is not None]
    if not exponents:
        raise ValueError(
            "sample_weight is zero for every row: at least one weight must be positive."
        )
    exponent = max(exponents)
    classes = _union([s.classes for s in filled])
    class_totals = np.zeros(
        filled[0].class_totals.shape if filled[0].n_columns else len(classes)
    )
    for s in filled:
        if s.exponent is None:
            continue
        scaled = np.ldexp(s.class_totals, s.exponent - exponent)
        if s.n_columns:
            class_totals += scaled
        else:
            class_totals[np.searchsorted(classes, s.classes)] += scaled
    widest = max(filled, key=lambda s: s.largest)
    return replace(
        filled[0],
        n_rows=sum(s.n_rows for s in filled),
        largest=widest.largest,
        sample=np.concatenate([*(s.sample[:-1] for s in filled), widest.sample[-1:]]),
        classes=classes,
        one_hot=all(s.one_hot for s in filled),
        class_totals=class_totals,
        exponent=exponent,
    )
