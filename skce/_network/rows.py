"""Sums over rows: the protocol, and rows in the memory of this process.

A sum over rows is a value: `sums(kind, vectors)` returns it, whoever computes it. So an
executor may be threads, processes or machines.
"""

from collections import deque
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import blake2b
from threading import Lock
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from skce._network.blocks import block_rows, cut, shares
from skce._network.columns import Columns, pays
from skce._network.data import Data
from skce._network.executors import QUIET, serial
from skce._network.kernels import Workspace
from skce._network.parameters import Layers
from skce._network.standardization import Moments, column_moments

__all__ = [
    "CopyableRows",
    "LocalRows",
    "Rows",
    "RowsLost",
    "digest_of",
    "largest",
    "sum_of_blocks",
]

# The kernels of `Network`: each returns the summed loss and, except "loss", writes one
# vector
KERNELS = {
    "loss": "loss",
    "gradient": "loss_and_gradient",
    "hessian": "hessian_product",
    "gauss_newton": "gauss_newton_product",
}

# theta; theta and a direction
N_VECTORS = {"loss": 1, "gradient": 1, "hessian": 2, "gauss_newton": 2}

# Enough rows to tell whether the hidden units are saturated
SAMPLE_ROWS = 1000


class Rows(Protocol):
    """Training rows for one network, in memory or on a cluster.

    Attributes
    ----------
    n_rows : int
    dtype : dtype
        Of the computation.
    n_bytes : float
        Bytes of X; inf unless the rows are `CopyableRows`.
    total_weight : float
        Sum of the weights as the user gave them.
    class_frequencies : ndarray of shape (q,)
        Weighted mean targets.
    sample : ndarray or CSR of shape (m, p)
        Some rows of X.
    largest : float
        Largest absolute value of X.
    moments : Moments
        Of X, with all weights.
    """

    n_rows: int
    dtype: np.dtype
    n_bytes: float
    total_weight: float
    class_frequencies: NDArray[np.float64]
    sample: NDArray
    largest: float
    moments: Moments

    def sums(self, kind: str, vectors: list[NDArray]) -> NDArray[np.float64]:
        """Return [loss, vector...] summed over the rows, in a new array.

        Parameters
        ----------
        kind : {"loss", "gradient", "hessian", "gauss_newton"}
            What is returned: [loss], [loss, gradient...], or for the last two
            [0, product...].
        vectors : list of ndarray of shape (n_parameters,), float64
            theta, and for the products the direction.

        Raises
        ------
        RowsLost
            If the rows cannot be summed any more.
        """

    def digest(self) -> str:
        """Return a fingerprint of the rows, for checkpoints."""


class CopyableRows(Rows, Protocol):
    """Rows of which parts can be copied, as a growing sample needs.

    Attributes
    ----------
    data : Data
    """

    data: Data

    def part(self, rows: NDArray[np.integer]) -> "CopyableRows":
        """Return copies of some rows, by index."""


class RowsLost(KeyboardInterrupt):
    """Rows can no longer be summed: ends a fit as Ctrl-C does, with the best weights.

    Attributes
    ----------
    error : Exception
        The error to raise to the user.
    """

    def __init__(self, error):
        super().__init__(str(error))
        self.error = error


class LocalRows:
    """`CopyableRows` in the memory of this process, or in a file that it maps.

    May be used from several threads at a time. An overflow is detected by a result that
    is not finite, so that callers silence NumPy's warnings: `np.errstate(**QUIET)`.

    Parameters
    ----------
    network : Network
    data : Data
    encoding : Encoding
    run : callable, default=serial
        `run(function, items)` gives `[function(item) for item in items]`, in the order
        of the items; in threads or in processes.
    max_rows : int, optional
        Maximum number of rows of a block; by default chosen from the sizes.
    """

    def __init__(self, network, data, encoding, run=serial, max_rows=None):
        self.network = network
        self.data = data
        self.encoding = encoding
        self.run = run
        self._max_rows = max_rows
        # with a mean of 1, in X's dtype; None where all are equal
        self.weights = _with_unit_mean(data.weights, data.X.dtype)
        self._shares = None
        self._columns = None  # see `skce/_network/columns.py`
        self._lock = Lock()
        # pools of arrays, one for each call at a time, as starts may run in threads;
        # pop and append of a deque are atomic
        self._scratch = deque()
        self._workspaces = deque()

    @property
    def n_rows(self):
        """Number of rows."""
        return self.data.n_rows

    @property
    def dtype(self):
        """Of X, and of the kernels; parameters and sums are float64."""
        return self.data.X.dtype

    @property
    def n_bytes(self):
        """Bytes of X."""
        return self.data.n_bytes

    @property
    def total_weight(self):
        """Sum of the weights as the user gave them."""
        return self.data.total_weight

    @cached_property
    def class_frequencies(self):
        """Weighted mean targets, (q,)."""
        return self.data.class_frequencies(self.encoding.n_outputs)

    @property
    def sample(self):
        """About a thousand rows of X."""
        return self.data.X[:: max(1, self.n_rows // SAMPLE_ROWS)]

    @property
    def largest(self):
        """Largest absolute value of X."""
        return largest(self.data.X)

    @property
    def moments(self):
        """Weighted moments of the columns of X."""
        return column_moments(self.data.X, self.data.weights)

    def _new_shares(self):
        blocks = self.blocks(self._max_rows or block_rows(self.n_rows, self.network))
        if len(blocks) == 1:  # of many, the targets would take more memory than codes
            blocks[0].kept_targets = blocks[0].targets()
        return shares(blocks)

    def blocks(self, max_rows):
        """Blocks of at most `max_rows` rows."""
        return cut(replace(self.data, weights=self.weights), self.encoding, max_rows)

    def part(self, rows):
        """Copy some rows, by index; sorted, for the sake of the cache."""
        data = self.data.take(np.sort(rows))
        return LocalRows(self.network, data, self.encoding, self.run)

    def digest(self):
        """Return a fingerprint of the rows, for checkpoints."""
        return digest_of(self.data.X, self.data.codes, self.weights)

    def sums(self, kind, vectors):
        """Return [loss, vector...] summed over the rows; see `Rows`."""
        try:
            scratch = self._scratch.pop()
        except IndexError:
            scratch = self._new_scratch()
        if self._columns is not None:
            result = self._sums_by_column(kind, vectors, scratch.shares)
            self._scratch.append(scratch)
            return result
        sum_of_share = scratch.sum_of_share[kind]
        for k, vector in enumerate(vectors):
            sum_of_share.vectors[k].flat[...] = vector  # in X's dtype
        # in a new array, as the next call overwrites those of the shares
        if len(scratch.shares) == 1:
            result = sum_of_share(scratch.shares[0]).copy()
        else:
            totals = iter(self.run(sum_of_share, scratch.shares))
            result = next(totals) + next(totals)
            for total in totals:
                result += total
        # not after an error, when a helper thread may still write to it
        self._scratch.append(scratch)
        return result

    def _sums_by_column(self, kind, vectors, shares):
        """The same, where the shares keep their deltas."""
        network, dtype = self.network, self.dtype
        vectors = [Layers(network, v.astype(dtype, copy=False)) for v in vectors]
        sum_of_share = _SumOfShare(network, kind, vectors, self._workspaces)
        if kind == "loss":
            return sum(self.run(sum_of_share, shares))
        totals, deltas = zip(*self.run(sum_of_share, shares), strict=True)
        result = np.empty(1 + network.n_parameters)
        gradient = Layers(network, result[1:])
        out = [A.T for A in (gradient.weights[0], gradient.skip)]
        deltas = [np.concatenate(of_shares) for of_shares in zip(*deltas, strict=True)]
        self._columns.products(deltas, out[: len(deltas)], self.run)
        total = sum(totals[1:], totals[0].copy())
        result[0] = total[0]
        start = network.layer_sizes[0] * network.layer_sizes[1]
        result[1 + start : start + len(total)] = total[1:]
        return result

    def _new_scratch(self):
        network = self.network
        with self._lock:  # the first call may be several, from threads
            if self._shares is None:
                self._shares = self._new_shares()
                if pays(self.data.X, network, len(self._shares)):
                    self._columns = Columns(self.data.X)
        by_column = self._columns is not None
        with_totals = [_Share(network, blocks, by_column) for blocks in self._shares]
        if by_column:  # the vectors are as large as X: they are not copied
            return _Scratch({}, with_totals)
        vectors = [
            Layers(network, np.empty(network.n_parameters, dtype=self.dtype))
            for _ in range(max(N_VECTORS.values()))
        ]
        # the kinds share the vectors, as they are written at each call
        sum_of_share = {
            kind: _SumOfShare(network, kind, vectors[:n], self._workspaces)
            for kind, n in N_VECTORS.items()
        }
        return _Scratch(sum_of_share, with_totals)


@dataclass(frozen=True)
class _Scratch:
    """Arrays of one evaluation: the vectors in X's dtype, and the shares' sums."""

    sum_of_share: dict
    shares: list


class _Share:
    """Blocks that are summed together, and the array that their sums are written to.

    With `keeps_deltas`, those of `without_inputs`, and there are arrays for the deltas
    of all rows, (n, h_1) and with skip-layer connections (n, q).
    """

    def __init__(self, network, blocks, keeps_deltas=False):
        self.network = network
        self.blocks = blocks
        self.part = network.without_inputs if keeps_deltas else network
        self.total = np.empty(1 + self.part.n_parameters)
        self.layers = Layers(self.part, self.total[1:])
        self.deltas = None
        if keeps_deltas:
            n, dtype = sum(block.n_rows for block in blocks), blocks[0].X.dtype
            widths = [network.layer_sizes[1]]
            widths += [network.n_outputs] if network.skip_layer else []
            self.deltas = [np.empty((n, width), dtype=dtype) for width in widths]

    def __reduce__(self):  # another process writes to another array
        return _Share, (self.network, self.blocks, self.deltas is not None)


@dataclass
class _SumOfShare:
    """Sums one share: [loss, vector...]. Can be sent to another process."""

    network: object
    kind: str
    vectors: list
    workspaces: deque = field(default_factory=deque)

    def __call__(self, share):
        try:
            work = self.workspaces.pop()
        except IndexError:
            work = Workspace(self.network, self.vectors[0].flat.dtype, share.part)
        share.total[0] = sum_of_blocks(
            self.kind, self.vectors, share.blocks, work, share.layers, share.deltas
        )
        self.workspaces.append(work)
        if share.deltas is not None and self.kind != "loss":
            return share.total, share.deltas
        return share.total[:1] if self.kind == "loss" else share.total

    def __reduce__(self):
        flats = [vector.flat for vector in self.vectors]
        return _unpickled, (self.network, self.kind, flats)


def _unpickled(network, kind, flats):
    np.seterr(**QUIET)  # in another process, the caller's np.errstate does not hold
    return _SumOfShare(network, kind, [Layers(network, flat) for flat in flats])


def sum_of_blocks(kind, vectors, blocks, work, total, deltas=None):
    """Sum of the losses over some blocks; the vectors are summed in `total`.

    Parameters
    ----------
    kind : {"loss", "gradient", "hessian", "gauss_newton"}
    vectors : list of Layers
        Of the dtype of the workspace.
    blocks : list of Block
        At least one.
    work : Workspace
    total : Layers
        float64.
    deltas : list of ndarray, optional
        Arrays for those of all rows; see `_Share`.
    """
    kernel = getattr(work.network, KERNELS[kind])
    if kind == "loss":
        return sum(kernel(*vectors, b, work.buffers(b.n_rows)) for b in blocks)
    # the first block is written to the total itself, if that has the kernel's dtype
    first = total if work.dtype == np.float64 else work.gradient
    buffers = work.buffers(blocks[0].n_rows)
    loss = kernel(*vectors, blocks[0], buffers, first)
    if first is not total:
        total.flat[...] = first.flat
    if deltas is not None:
        _keep_deltas(buffers, deltas, 0)
    n_rows = blocks[0].n_rows
    for block in blocks[1:]:
        buffers = work.buffers(block.n_rows)
        loss += kernel(*vectors, block, buffers, work.gradient)
        total.flat += work.gradient.flat
        if deltas is not None:
            _keep_deltas(buffers, deltas, n_rows)
        n_rows += block.n_rows
    return loss


def _keep_deltas(buffers, deltas, start):
    """Copy the deltas of a block to the rows of `deltas` from `start` on."""
    kept = buffers.first_delta, buffers.skip_delta
    for of_rows, delta in zip(deltas, kept, strict=False):
        of_rows[start : start + delta.shape[1]] = delta.T


def _with_unit_mean(weights, dtype):
    if weights is None or weights.min() == weights.max():
        return None
    return (weights / weights.mean()).astype(dtype)


def largest(X):
    """Largest absolute value of an array or a CSR matrix."""
    values = X if isinstance(X, np.ndarray) else X.data
    return max(abs(values.max()), abs(values.min())) if values.size else 0.0


def digest_of(*arrays):
    """Return a fingerprint of arrays, CSR matrices or Nones."""
    digest = blake2b(digest_size=16)
    for array in arrays:
        parts = [array]
        if hasattr(array, "indptr"):
            parts = [array.data, array.indices, array.indptr]
        for part in parts:
            if part is None:
                digest.update(b"none")
                continue
            digest.update(f"{part.shape} {part.dtype}".encode())
            step = max(1, 2**24 // max(1, part[:1].nbytes))  # a copy of 16 MB at most
            for start in range(0, len(part), step):
                digest.update(np.ascontiguousarray(part[start : start + step]).data)
    return digest.hexdigest()
