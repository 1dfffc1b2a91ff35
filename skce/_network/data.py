"""Rows of a data set: features, encoded targets and weights."""

from dataclasses import dataclass, replace
from math import fsum
from typing import Any

import numpy as np

__all__ = ["MAX_EXACT_ROWS", "Data", "Encoding", "n_bytes", "row_slice", "total"]

# With at most this many rows, a fit does not depend on their order or repetition
MAX_EXACT_ROWS = 2048

# Rows of which `class_frequencies` makes copies at a time
ROWS_AT_A_TIME = 2**18


@dataclass(frozen=True)
class Encoding:
    """How stored targets become the targets t (q, n) of the kernels.

    Attributes
    ----------
    n_outputs : int
    soft : bool
        Whether probabilities are stored; otherwise class codes or 0/1 indicators.
    smoothing : float
        The share s of each target that is spread evenly: (1 - s) t + s / n_values.
    n_values : int
        Over how many values: the classes, or 0 and 1 for element-wise activations.
    """

    n_outputs: int
    soft: bool = False
    smoothing: float = 0.0
    n_values: int = 1

    @property
    def hard(self):
        """Whether all targets are 0 or 1 (for class codes, one of q)."""
        return not self.soft and self.smoothing == 0

    def targets(self, codes, dtype):
        """Targets of some rows, (q, n), in a new array."""
        if codes.ndim == 2:
            targets = np.array(codes.T, dtype=dtype, order="C")
        elif self.n_outputs == 1:
            targets = codes[np.newaxis, :].astype(dtype)
        else:
            targets = np.zeros((self.n_outputs, len(codes)), dtype=dtype)
            targets[codes, np.arange(len(codes))] = 1
        return self.smooth(targets)

    def smooth(self, targets):
        """Spread the share `smoothing` of targets evenly, in place."""
        if self.smoothing:
            targets *= 1 - self.smoothing
            targets += self.smoothing / self.n_values
        return targets


@dataclass(frozen=True)
class Data:
    """Rows with their encoded targets and weights.

    Attributes
    ----------
    X : ndarray or CSR of shape (n, p)
    codes : ndarray of shape (n,) or (n, q)
        Integer class codes; or 0/1 indicators or probabilities.
    weights : ndarray of shape (n,) or None
        Times 2^-exponent, so that their sum does not overflow.
    exponent : int
    """

    X: Any
    codes: np.ndarray
    weights: np.ndarray | None = None
    exponent: int = 0

    @property
    def n_rows(self):
        """Number of rows."""
        return self.X.shape[0]

    @property
    def is_sparse(self):
        """Whether X is a CSR matrix."""
        return not isinstance(self.X, np.ndarray)

    @property
    def n_bytes(self):
        """Bytes of X."""
        return n_bytes(self.X)

    @property
    def scaled_weight(self):
        """Sum of the stored weights; the number of rows if there are none."""
        return float(self.n_rows) if self.weights is None else total(self.weights)

    @property
    def total_weight(self):
        """Sum of the weights as the user gave them."""
        with np.errstate(over="ignore"):
            return float(np.ldexp(self.scaled_weight, self.exponent))

    def take(self, rows):
        """Some rows, by index; copies."""
        weights = None if self.weights is None else self.weights[rows]
        return replace(self, X=self.X[rows], codes=self.codes[rows], weights=weights)

    def class_frequencies(self, n_outputs):
        """Weighted mean target of each output, (n_outputs,)."""
        codes, weights = self.codes, self.weights
        if codes.ndim == 2:
            return np.average(codes, axis=0, weights=weights)
        counts = np.zeros(max(n_outputs, 2))
        for start in range(0, len(codes), ROWS_AT_A_TIME):
            part = slice(start, start + ROWS_AT_A_TIME)
            of_part = None if weights is None else weights[part]
            counts += np.bincount(codes[part], of_part, minlength=len(counts))
        return counts[-n_outputs:] / counts.sum()


def row_slice(X, rows):
    """Return a view of neighbouring rows of an array or a CSR matrix."""
    if isinstance(X, np.ndarray):
        return X[rows]
    ends = X.indptr[rows.start : rows.stop + 1]
    entries = slice(ends[0], ends[-1])
    part = type(X)((len(ends) - 1, X.shape[1]), dtype=X.dtype)
    # its constructor would scan them
    part.data, part.indices = X.data[entries], X.indices[entries]
    part.indptr = ends - ends[0]
    return part


def total(weights):
    """Sum of weights; that of few rows does not depend on their order."""
    if len(weights) <= MAX_EXACT_ROWS:
        try:
            return fsum(weights)
        except OverflowError:
            return np.inf
    return float(weights.sum())


def n_bytes(X):
    """Bytes of an array or a CSR matrix."""
    if isinstance(X, np.ndarray):
        return X.nbytes
    return X.data.nbytes + X.indices.nbytes + X.indptr.nbytes
