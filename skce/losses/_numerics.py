"""Elementary functions, numerically stable at large logits; arrays are (q, n)."""

import numpy as np
from scipy.special import expit, xlogy

from skce.losses._base import Array

__all__ = [
    "LeaveOneOut",
    "LogOdds",
    "log_expit",
    "log_softmax",
    "log_sum_exp",
    "negentropy",
    "project_on_simplex",
]


def log_expit(z: Array) -> Array:
    """log(1 / (1 + exp(-z))), exact in both tails."""
    return np.minimum(z, 0) - np.log1p(np.exp(-np.abs(z)))


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


class LogOdds:
    """The log-odds l = log(y / (1 - y)) of logistic outputs: the logits z themselves.

    Attributes
    ----------
    value : ndarray of shape (q, n)
        l.
    """

    def __init__(self, z: Array) -> None:
        self.value = z

    def product(self, v: Array) -> Array:
        """L' v, (q, n), with L = dl / dz."""
        return v

    def curvature(self, dz: Array, v: Array, w: Array) -> Array:
        """L' (w L dz) + (dL') v, (q, n): the change of L' v along dz if dv = w dl."""
        return w * dz


class LeaveOneOut(LogOdds):
    """The log-odds of softmax outputs, l_k = z_k - log sum_{j != k} exp(z_j).

    L = I - R with r_kj = y_j / (1 - y_k) for j != k and 0 for j = k: row
    k is the softmax over the classes other than k. 1 - y_k vanishes where class k wins
    by more than 37 nats, so that the row of the winner, the largest logit, is computed
    from the logits themselves; for every other class y_k <= 1/2. At least two classes.
    """

    def __init__(self, z: Array) -> None:
        self._winner = winner = z.argmax(axis=0), np.arange(z.shape[1])
        others = z.copy()
        others[winner] = -np.inf
        second = others.max(axis=0)
        rest = np.exp(others - second)
        total = rest.sum(axis=0)
        lead = z[winner] - second - np.log(total)
        rest /= total
        self._rest = rest  # r of the winner
        self._y = expit(-lead) * rest
        self._complement = 1 - self._y
        self._y[winner] = expit(lead)
        ratio = self._y / self._y[winner]
        ratio[winner] = 0
        log_odds = z - z[winner] - np.log1p(ratio.sum(axis=0) - ratio)
        log_odds[winner] = lead
        super().__init__(log_odds)

    def product(self, v: Array) -> Array:
        """(I - R)' v."""
        return v - self._pull(v)

    def curvature(self, dz: Array, v: Array, w: Array) -> Array:
        """(I - R)' (w (I - R) dz) - (dR)' v with dr_kj = r_kj (dz_j - (R dz)_k)."""
        mean = (np.einsum("kn,kn->n", self._y, dz) - self._y * dz) / self._complement
        mean[self._winner] = np.einsum("kn,kn->n", self._rest, dz)  # R dz
        bend = w * (dz - mean)
        return bend - self._pull(bend - mean * v) - dz * self._pull(v)

    def _pull(self, v: Array) -> Array:
        """R' v."""
        weight = v / self._complement
        weight[self._winner] = 0
        pull = self._y * (weight.sum(axis=0) - weight)
        return pull + v[self._winner] * self._rest


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
