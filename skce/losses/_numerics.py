"""Elementary functions, numerically stable at large logits; arrays are (q, n)."""

import numpy as np
from scipy.special import xlogy

from skce.losses._base import Array

__all__ = [
    "log_expit",
    "log_shares",
    "log_softmax",
    "log_sum_exp",
    "negentropy",
    "project_on_simplex",
]


def log_expit(z: Array) -> Array:
    """log(1 / (1 + exp(-z))), exact in both tails."""
    return np.minimum(z, 0) - np.log1p(np.exp(-np.abs(z)))


def log_shares(log_y: Array) -> Array:
    """log y_k - log sum_j y_j, (q, n)."""
    log_y = log_y - log_y.max(axis=0)  # so that no two large numbers are subtracted
    return log_y - log_sum_exp(log_y)


def log_sum_exp(z: Array) -> Array:
    """log sum_k exp(z_k) over the first axis."""
    top = z.max(axis=0)
    return top + np.log(np.exp(z - top).sum(axis=0))


def log_softmax(z: Array) -> Array:
    """z_k - log sum_j exp(z_j), (q, n), to full precision also for the largest."""
    z = z - z.max(axis=0)
    others = np.exp(z)
    others[z.argmax(axis=0), np.arange(z.shape[1])] = 0
    return z - np.log1p(others.sum(axis=0))


def project_on_simplex(z: Array) -> Array:
    """argmin over y in the simplex of |y - z_n|^2, for each column z_n; (q, n).

    By sorting (Held, Wolfe & Crowder 1974): y = max(z - tau, 0), where tau is
    the threshold at which y sums to 1.
    """
    z = z - z.max(axis=0)  # the projection does not change; the sums stay small
    descending = -np.sort(-z, axis=0)
    excess = np.cumsum(descending, axis=0) - 1
    sizes = np.arange(1, z.shape[0] + 1, dtype=z.dtype)[:, np.newaxis]
    support_size = np.sum(sizes * descending > excess, axis=0)
    columns = np.arange(z.shape[1])
    tau = excess[support_size - 1, columns] / support_size.astype(z.dtype)
    return np.maximum(z - tau, 0)


def negentropy(t: Array) -> Array:
    """sum_k t_k log t_k with 0 log 0 = 0, shape (n,)."""
    return xlogy(t, t).sum(axis=0)
