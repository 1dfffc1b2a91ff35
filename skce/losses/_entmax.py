"""Entmax: the output activations between softmax and sparsemax.

Shapes as in `skce.losses.activations`: logits z, outputs y and targets t are (q, n).
"""

from numbers import Real

import numpy as np

from skce.losses._activation import Activation
from skce.losses._base import Array, valid_for
from skce.losses._graph import Graph, Tensor
from skce.losses.intervals import Interval

__all__ = ["Entmax"]

# Steps of Newton's method from s = 0: more than `Entmax.value` takes to its last digit
# for any alpha, up to 1000 classes, whether the logits are close, far apart or mixed
STEPS_IN_GRAPH = 10


class Entmax(Activation):
    """y_k = [1 + (alpha - 1) (z_k - s)]_+^(1 / (alpha - 1)), where s makes the sum 1.

    Between softmax (alpha -> 1, where s is the log of the sum of exponentials) and
    sparsemax (alpha = 2): as in sparsemax, classes far below the best get exactly 0,
    yet the Jacobian is continuous for alpha < 2. The registered "entmax" is
    alpha = 1.5. The natural loss is that of Tsallis's entropy of order alpha.

    Parameters
    ----------
    alpha : float, default=1.5
        In (1, 2]. The larger, the more zeros.

    Notes
    -----
    With a = alpha, x = z - s and the logarithm log_a(y) = (y^(a - 1) - 1) / (a - 1),
    x_k = log_a(y_k) where y_k > 0. The natural loss, extended to counts t of mass
    m = sum_k t_k, is

        sum_k t_k (log_a(t_k / m) - x_k) + m (y_k^a - (t_k / m)^a) / a,

    the Bregman divergence of y^a / (a (a - 1)) where y_k > 0, and a straight line in
    z_k beyond. No two large numbers are subtracted, and it is 0 at y = t / m.

    References
    ----------
    Peters, Niculae & Martins (2019), "Sparse sequence-to-sequence models", ACL.

    Blondel, Martins & Niculae (2020), "Learning with Fenchel-Young losses", JMLR 21.

    Examples
    --------
    >>> import numpy as np
    >>> from skce.losses.activations import Entmax
    >>> z = np.array([[1.0], [0.5], [-1.0]])
    >>> Entmax(alpha=1.2).value(z).round(3)
    array([[0.62 ],
           [0.346],
           [0.034]])
    >>> Entmax().value(z).round(3)
    array([[0.674],
           [0.326],
           [0.   ]])
    """

    # As of sparsemax. Classes lost by least squares in 8 fits of 30 units to the raw
    # features of digits, by gain: 0 at 1e-3, 5 at 0.01, 3 at 0.1, 17 at 1.
    start_gain = 1e-4
    range = Interval(0, 1, True, True)
    on_simplex = True
    alpha: float

    def __init__(self, alpha: float = 1.5) -> None:
        if not (isinstance(alpha, Real) and 1 < alpha <= 2):
            raise ValueError(
                f"alpha={alpha!r} must be a number in (1, 2]. For alpha=1 use "
                "'softmax'; alpha=2 is 'sparsemax'."
            )
        self.alpha = alpha

    def _registered_name(self) -> str:
        """The name in the registry for its alpha, else with the parameter."""
        return "entmax" if self.alpha == 1.5 else super().name

    name = valid_for(*Activation.formulas)(property(_registered_name))

    @valid_for("value")
    def logits_of(self, p: Array) -> Array:
        """(p^(alpha - 1) - 1) / (alpha - 1)."""
        return self._logarithm(p)

    def value(self, z: Array) -> Array:
        """y_k = [1 + (alpha - 1) (z_k - s)]_+^(1 / (alpha - 1))."""
        b = float(self.alpha) - 1
        z = z - z.max(axis=0)  # s is then in [0, log q]
        s = np.zeros_like(z[0])
        # Newton's method for |w|_(1 / b) = 1, with w = [1 + b (z - s)]_+. The norm is
        # convex and decreasing in s and at least 1 at s = 0, so that s rises to the
        # root: in one step for softmax, in a finite number for sparsemax.
        while True:
            y, r = self._power(z - s)
            total = y.sum(axis=0)
            log_total = np.log(total)
            step = total * -np.expm1(-b * log_total) / (b * r.sum(axis=0))
            rising = step > np.finfo(z.dtype).eps * (1 + s)
            if not rising.any():
                return y / total  # up to a rounding error of many small outputs
            s += np.where(rising, step, 0)

    def _power(self, x: Array) -> tuple[Array, Array]:
        """w^(1 / b) and w^(1 / b - 1) with w = [1 + b x]_+ and b = alpha - 1."""
        b = float(self.alpha) - 1
        if b == 0.5:  # twice as fast
            x *= 0.5
            x += 1
            w = np.maximum(x, 0, out=x)
            return w * w, w
        x *= b
        on = x > -1
        x = np.where(on, x, 0)
        # 1 + x would lose the last digits of x, which count 1 / b times
        y = np.exp(np.log1p(x) / b)
        y *= on
        x += 1
        return y, y / x

    def _slope(self, y: Array) -> Array:
        """r = y^(2 - alpha) on the support, 0 elsewhere."""
        return np.where(y > 0, y ** (2 - float(self.alpha)), 0)

    def jacobian_product(self, z: Array, y: Array, u: Array) -> Array:
        """r_k (u_k - mean of u with the weights r), with r = y^(2 - alpha)."""
        r = self._slope(y)
        return r * (u - np.einsum("kn,kn->n", r, u) / r.sum(axis=0))

    def jacobian_derivative(self, z: Array, y: Array, dz: Array, u: Array) -> Array:
        """dr_k (u_k - mean u) - r_k sum_j dr_j (u_j - mean u) / sum_j r_j.

        The mean of u has the weights r, and
        dr = (2 - alpha) y^(3 - 2 alpha) (dz - mean dz) on the support. For alpha > 1.5
        it grows without bound where y tends to 0.
        """
        a = float(self.alpha)
        r = self._slope(y)
        total = r.sum(axis=0)
        u = u - np.einsum("kn,kn->n", r, u) / total
        dz = dz - np.einsum("kn,kn->n", r, dz) / total
        on = y > 0
        dr_u = np.where(on, y, 1) ** (3 - 2 * a) * on * dz * u * (2 - a)
        return dr_u - r * (dr_u.sum(axis=0) / total)

    @valid_for("value")
    def natural_loss(self, z: Array, y: Array, t: Array) -> Array:
        """sum_k t_k (log_a(t_k / m) - x_k) + m (y_k^a - (t_k / m)^a) / a."""
        a = float(self.alpha)
        m = t.sum(axis=0)
        p = t / np.where(m > 0, m, 1)  # a row without mass has a loss of 0
        own = np.einsum("kn,kn->n", t, self._logarithm(p) - p ** (a - 1) / a)
        return own + self._loss_in_logits(z, y, t)

    @valid_for("value", "natural_loss")
    def natural_loss_and_value(
        self, z: Array, t: Array, labels: bool = False, out: Array | None = None
    ) -> tuple[Array, Array]:
        """The natural loss and y; the logarithm of a label is 0."""
        y = self.value(z)
        if labels:
            return self._loss_in_logits(z, y, t) - 1 / float(self.alpha), y
        return self.natural_loss(z, y, t), y

    def _loss_in_logits(self, z: Array, y: Array, t: Array) -> Array:
        """sum_k m y_k^a / a - t_k x_k, the part that depends on the logits; (n,)."""
        a = float(self.alpha)
        # the largest logit is always in the support, where x = log_a(y)
        x = z - z.max(axis=0) + self._logarithm(y.max(axis=0))
        power = np.einsum("kn,kn->n", y, y ** (a - 1))
        return t.sum(axis=0) * power / a - np.einsum("kn,kn->n", t, x)

    def _logarithm(self, y: Array) -> Array:
        """log_a(y) = (y^(a - 1) - 1) / (a - 1), which tends to log y for a -> 1."""
        b = float(self.alpha) - 1
        with np.errstate(divide="ignore"):  # log 0 = -inf is the right answer
            return np.expm1(b * np.log(y)) / b

    @valid_for("value")
    def onnx_value(self, graph: Graph, z: Tensor) -> Tensor:
        """`value`, unrolled; float32 leaves an error of 1e-7 / (alpha - 1)."""
        b = float(self.alpha) - 1
        z = z - graph.max(z)
        s: float | Tensor = 0.0
        for _ in range(STEPS_IN_GRAPH):
            w = graph("Relu", (z - s) * b + 1)
            r = w ** (1 / b - 1) * graph("Sign", w)  # 0^0 is 1
            total = graph.sum(w ** (1 / b))
            s = s + (total - total ** (1 - b)) / graph.sum(r * b)
        y = graph("Relu", (z - s) * b + 1) ** (1 / b)
        return y / graph.sum(y)
