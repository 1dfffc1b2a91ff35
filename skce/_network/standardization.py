"""Standardised features, which the solver sees through its parameters.

With the mean m_j and the scale s_j of each feature, a first layer with weights V and
biases c of the features (x - m) / s computes

    V (x - m) / s + c = W x + b,    W = V / s,    b = c - W m.

The solver and the L2 term have V and c; the kernels run on the rows as they are, with W
and b. So X is neither copied nor, if it is sparse, filled, and what is stored is for
X itself. With skip-layer connections the same holds for their weights and the biases of
the outputs.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Moments", "Standardization", "column_moments", "is_scaled", "no_moments"]

# Rows of sparse X, and values of dense X, of which float64 copies are made at a time.
# Copies of so many values stay in the cache, in which they are read again and again
ROWS_AT_A_TIME, VALUES_AT_A_TIME = 2**14, 2**18

# Features whose products with the biases are in the cache before they are subtracted
FEATURES_AT_A_TIME = 2**10

# Relative to its mean, a standard deviation that is rounding
CONSTANT = 1e-10

# Means and scales beyond which features are not scaled
FAR = 10

# Means and scales that are 0 and 1 to this are those of standardised features
UNIT = 1e-9


@dataclass(frozen=True)
class Moments:
    """Weighted moments of each feature; those of parts of the rows can be merged.

    Attributes
    ----------
    total : float
        Sum of the weights.
    mean, squares : ndarray of shape (p,)
        Mean, and sum of the weighted squared deviations from it.
    nonzero : ndarray of shape (p,)
        Weight of the values that are not 0.
    least, largest : ndarray of shape (p,)
    """

    total: float
    mean: NDArray[np.float64]
    squares: NDArray[np.float64]
    nonzero: NDArray[np.float64]
    least: NDArray[np.float64]
    largest: NDArray[np.float64]

    @np.errstate(over="ignore", invalid="ignore")
    def merged(self, other):
        """Return the moments of the rows of both (Chan, Golub & LeVeque 1983)."""
        if other.total == 0:
            return self
        if self.total == 0:
            return other
        total = self.total + other.total
        share = other.total / total
        gap = other.mean - self.mean
        return Moments(
            total,
            self.mean + share * gap,
            self.squares + other.squares + self.total * share * gap**2,
            self.nonzero + other.nonzero,
            np.minimum(self.least, other.least),
            np.maximum(self.largest, other.largest),
        )

    @property
    def deviation(self):
        """Standard deviation of each feature, (p,)."""
        with np.errstate(over="ignore"):
            return np.sqrt(self.squares / self.total)

    @property
    def scale(self):
        """What each feature is divided by, (p,).

        The root of the sum of squared deviations over the weight of the values not 0:
        the standard deviation of a feature without zeros, and about the size of the
        values of one that is mostly 0, such as counts of a word: rare ones are not
        blown up. 1 for indicators, for constant features, and for those whose squares
        overflow.
        """
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            variance = self.squares / self.total
            scale = np.sqrt(self.squares / self.nonzero)
            varies = np.sqrt(variance) > CONSTANT * np.abs(self.mean)
        usable = varies & np.isfinite(variance) & np.isfinite(scale) & (scale > 0)
        return np.where(usable & ~self.is_indicator, scale, 1.0)

    @property
    def is_indicator(self):
        """Whether all values of each feature are 0 or 1, (p,)."""
        # the largest variance that values between 0 and 1 can have is that of 0 and 1
        bounded = (self.least == 0) & (self.largest == 1)
        mean = np.where(bounded, self.mean, 0.0)
        extreme = mean * (1 - mean)
        return bounded & (self.squares >= self.total * extreme * (1 - 1e-9))


def no_moments(p):
    """Return the moments of p features of no rows."""
    return Moments(0.0, *np.zeros((5, p)))


def is_scaled(X):
    """Return whether no feature is far from 0 or of another size than 1."""
    moments = column_moments(X)
    size = moments.scale
    near = np.abs(moments.mean) <= FAR
    return bool(np.all(near & (size >= 1 / FAR) & (size <= FAR)))


def column_moments(X, weights=None):
    """Return the `Moments` of the columns of X.

    Parameters
    ----------
    X : ndarray or CSR of shape (n, p)
    weights : ndarray of shape (n,) or None
    """
    moments = no_moments(X.shape[1])
    moments_of, step = _sparse_moments, ROWS_AT_A_TIME
    if isinstance(X, np.ndarray):
        moments_of, step = _dense_moments, max(1, VALUES_AT_A_TIME // X.shape[1])
    for start in range(0, X.shape[0], step):
        rows = slice(start, start + step)
        part = X[rows].astype(np.float64, copy=False)
        w = np.ones(part.shape[0]) if weights is None else weights[rows]
        if not w.all():
            part, w = part[w > 0], w[w > 0]
        if len(w):
            moments = moments.merged(moments_of(part, w))
    return moments


@np.errstate(over="ignore", invalid="ignore")
def _dense_moments(X, weights):
    total = weights.sum()
    mean = weights @ X / total
    # of a constant feature the mean itself, without the rounding of the division
    least, largest = X.min(axis=0), X.max(axis=0)
    mean = np.clip(mean, least, largest)
    squares = weights @ np.square(X - mean)
    return Moments(total, mean, squares, weights @ (X != 0), least, largest)


@np.errstate(over="ignore", invalid="ignore")
def _sparse_moments(X, weights):
    p, columns, total = X.shape[1], X.indices, weights.sum()

    def sums(values):
        return np.bincount(columns, values, minlength=p)

    w = np.repeat(weights, np.diff(X.indptr))
    mean = sums(w * X.data) / total
    squares = sums(w * np.square(X.data - mean[columns]))
    squares = squares + (total - sums(w)) * mean**2  # bincount of nothing is int
    least, largest = (extreme(axis=0).toarray().ravel() for extreme in (X.min, X.max))
    return Moments(total, mean, squares, sums(w * (X.data != 0)), least, largest)


@dataclass(frozen=True)
class Standardization:
    """The linear map between parameters for standardised features and for X.

    All vectors are those of `Parametrisation`. The map is the same for the core
    network, whose first layer is a multiple.

    Attributes
    ----------
    mean, scale : ndarray of shape (p,)
    """

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]

    @classmethod
    def of(cls, moments):
        """Return that of some `Moments`; None where it would change nothing."""
        kept = moments.is_indicator | ~np.isfinite(moments.mean)
        mean = np.where(kept, 0.0, moments.mean)
        scale = moments.scale
        if np.all(np.abs(mean) <= UNIT) and np.all(np.abs(scale - 1) <= UNIT):
            return None
        return cls(mean, scale)

    def for_rows(self, theta, network):
        """Return the parameters for X, (n_parameters,), in a new array."""
        vector = theta.copy()
        for W, b in network.input_weights(vector):
            W /= self.scale
            b -= W @ self.mean
        return vector

    def for_solver(self, theta, network):
        """Invert `for_rows`."""
        vector = theta.copy()
        for W, b in network.input_weights(vector):
            b += W @ self.mean
            W *= self.scale
        return vector

    def pull_back(self, gradient, network):
        """Turn a gradient in the parameters for X into the solver's, in place."""
        for G, g in network.input_weights(gradient):
            for start in range(0, len(self.mean), FEATURES_AT_A_TIME):
                part = slice(start, start + FEATURES_AT_A_TIME)
                G[:, part] -= g[:, np.newaxis] * self.mean[part]
            G /= self.scale

    def l2_for_rows(self, factors, network):
        """Return factors of squares of the solver's parameters as those for X."""
        factors = factors.copy()
        for W, _ in network.input_weights(factors):
            W *= self.scale**2
        return factors

    def l2_for_solver(self, factors, network):
        """Invert `l2_for_rows`."""
        factors = factors.copy()
        for W, _ in network.input_weights(factors):
            W /= self.scale**2
        return factors
