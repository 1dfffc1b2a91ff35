"""Functions of the logits in which a loss is exact, such as log y and the log-odds.

Arrays are (q, n), units x rows.
"""

import numpy as np
from scipy.special import expit

from skce.losses._base import Array
from skce.losses._numerics import log_softmax

__all__ = [
    "ByUnit",
    "LeaveOneOut",
    "LogSoftmax",
    "Transform",
]


class Transform:
    """x(z) at some logits z, with its Jacobian D = dx / dz: here x = z.

    Attributes
    ----------
    value : ndarray of shape (q, n)
        x.

    Examples
    --------
    >>> import numpy as np
    >>> from skce.losses.activations import Logistic
    >>> odds = Logistic().log_odds(np.array([[2.0]]))  # the logits themselves
    >>> odds.value, odds.direction(np.array([[0.1]]))
    (array([[2.]]), array([[0.1]]))
    """

    def __init__(self, value: Array) -> None:
        self.value = value

    def direction(self, dz: Array) -> Array:
        """D dz, (q, n): the change of x along dz."""
        return dz

    def product(self, v: Array) -> Array:
        """D' v, (q, n)."""
        return v

    def product_derivative(self, dz: Array, v: Array) -> Array:
        """(dD') v, (q, n): the change of D' v along dz, with v held fixed."""
        return np.zeros_like(v)


class ByUnit(Transform):
    """x_k as a function of z_k alone, of which the derivatives are given.

    Parameters
    ----------
    value, slope, bend : ndarray of shape (q, n)
        x, dx / dz and d^2 x / dz^2.

    Examples
    --------
    log y of y = exp(-z^2):

    >>> import numpy as np
    >>> from skce.losses.activations import ByUnit
    >>> z = np.array([[3.0]])
    >>> ByUnit(-z * z, -2 * z, np.full_like(z, -2)).product(np.ones_like(z))
    array([[-6.]])
    """

    def __init__(self, value: Array, slope: Array, bend: Array) -> None:
        super().__init__(value)
        self.slope = slope
        self.bend = bend

    def direction(self, dz: Array) -> Array:
        """x' dz."""
        return self.slope * dz

    def product(self, v: Array) -> Array:
        """x' v."""
        return self.slope * v

    def product_derivative(self, dz: Array, v: Array) -> Array:
        """x'' dz v."""
        return self.bend * dz * v


class LogSoftmax(Transform):
    """x_k = z_k - log sum_j exp(z_j)."""

    def __init__(self, z: Array) -> None:
        super().__init__(log_softmax(z))

    def direction(self, dz: Array) -> Array:
        """dz_k - y.dz."""
        return dz - np.einsum("kn,kn->n", np.exp(self.value), dz)

    def product(self, v: Array) -> Array:
        """(1 - y_k) v_k - y_k sum_{j != k} v_j."""
        log_y = self.value
        return -np.expm1(log_y) * v - np.exp(log_y) * (v.sum(axis=0) - v)

    def product_derivative(self, dz: Array, v: Array) -> Array:
        """-dy_k sum_j v_j with dy = y D dz."""
        return -np.exp(self.value) * self.direction(dz) * v.sum(axis=0)


class LeaveOneOut(Transform):
    """The log-odds of softmax outputs, l_k = z_k - log sum_{j != k} exp(z_j).

    D = I - R with r_kj = y_j / (1 - y_k) for j != k and 0 for j = k: row
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

    def direction(self, dz: Array) -> Array:
        """(I - R) dz."""
        return dz - self._mean(dz)

    def product(self, v: Array) -> Array:
        """(I - R)' v."""
        return v - self._pull(v)

    def product_derivative(self, dz: Array, v: Array) -> Array:
        """-(dR)' v with dr_kj = r_kj (dz_j - (R dz)_k)."""
        return self._pull(self._mean(dz) * v) - dz * self._pull(v)

    def _mean(self, dz: Array) -> Array:
        """R dz."""
        mean = (np.einsum("kn,kn->n", self._y, dz) - self._y * dz) / self._complement
        mean[self._winner] = np.einsum("kn,kn->n", self._rest, dz)
        return mean

    def _pull(self, v: Array) -> Array:
        """R' v."""
        weight = v / self._complement
        weight[self._winner] = 0
        pull = self._y * (weight.sum(axis=0) - weight)
        return pull + v[self._winner] * self._rest
