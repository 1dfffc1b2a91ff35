"""Output activations y = f(z): value, Jacobian products, natural loss, probabilities.

Shapes throughout: the logits z, the outputs y, the targets t and any direction
u or dz are (q, n), units x rows; a loss is (n,), one number per row, in nats.

Most activations here are the gradient of a convex function, so that their Jacobian
J = df/dz is symmetric, and those have one *natural* loss: the one with
d loss / dz = mass(t) f(z) - t. To add an activation, subclass `Activation` or
`ElementwiseActivation`; pass an instance of it to the classifier, or register it in
`ACTIVATIONS` to give it a name.
"""

import numpy as np
from scipy.special import expit

from skce.losses._activation import Activation, ElementwiseActivation
from skce.losses._base import Array, look_up, own_name, valid_for
from skce.losses._binary_links import ComplementaryLogLog, Probit
from skce.losses._entmax import Entmax
from skce.losses._graph import Graph, Tensor
from skce.losses._numerics import (
    log_expit,
    log_shares,
    log_softmax,
    log_sum_exp,
    negentropy,
    project_on_simplex,
)
from skce.losses._ordinal import Ordinal
from skce.losses._transforms import ByUnit, LeaveOneOut, LogSoftmax, Transform
from skce.losses.hidden import HIDDEN_ACTIVATIONS
from skce.losses.intervals import REAL_LINE, Interval
from skce.losses.penalties import (
    PENALTIES,
    BinaryCrossEntropy,
    CrossEntropy,
    LeastSquares,
)

__all__ = [
    "ACTIVATIONS",
    "Activation",
    "ByUnit",
    "ComplementaryLogLog",
    "ElementwiseActivation",
    "Entmax",
    "Identity",
    "Logistic",
    "Ordinal",
    "Probit",
    "Softmax",
    "Sparsemax",
    "Transform",
    "get_activation",
    "valid_for",
]


class Identity(ElementwiseActivation):
    """y = z; natural loss: least squares.

    Least squares on one-of-q targets estimates the posterior (its best linear
    approximation, within the network's reach) without being restricted to [0, 1];
    `probabilities` projects it on the simplex, which can only bring it nearer to
    any posterior.

    Examples
    --------
    >>> import numpy as np
    >>> from skce.losses.activations import Identity
    >>> z = np.array([[1.2], [-0.4], [0.1]])
    >>> Identity().probabilities(z)
    array([[1.],
           [0.],
           [0.]])
    """

    name = own_name("identity")
    range = REAL_LINE
    natural_penalty = valid_for("value", "natural_loss")(LeastSquares)

    @valid_for("value")
    def logits_of(self, p: Array) -> Array:
        """p."""
        return p

    def value(self, z: Array) -> Array:
        """y = z."""
        return z

    def derivative(self, z: Array, y: Array) -> Array:
        """1."""
        return np.ones_like(z)

    def second_derivative(self, z: Array, y: Array) -> Array:
        """0."""
        return np.zeros_like(z)

    @valid_for("value")
    def natural_loss(self, z: Array, y: Array, t: Array) -> Array:
        """sum_k (y_k - t_k)^2 / 2."""
        residual = y - t
        return 0.5 * np.einsum("kn,kn->n", residual, residual)

    @valid_for("value")
    def onnx_value(self, graph: Graph, z: Tensor) -> Tensor:
        """y = z."""
        return z


class Logistic(ElementwiseActivation):
    """y = 1 / (1 + exp(-z)); natural loss: binary cross-entropy.

    Examples
    --------
    >>> import numpy as np
    >>> from skce.losses.activations import Logistic
    >>> z = np.array([[800.0], [0.0]])
    >>> Logistic().value(z)
    array([[1. ],
           [0.5]])
    >>> Logistic().log_marginals(z)[0].round(2)
    array([[-8.0e+02],
           [-6.9e-01]])
    """

    name = own_name("logistic")
    range = Interval(0, 1)
    natural_penalty = valid_for("value", "natural_loss")(BinaryCrossEntropy)

    @valid_for("value")
    def logits_of(self, p: Array) -> Array:
        """log(p / (1 - p))."""
        return np.log(p) - np.log1p(-p)

    def value(self, z: Array) -> Array:
        """y = 1 / (1 + exp(-z))."""
        return expit(z)

    def derivative(self, z: Array, y: Array) -> Array:
        """y(z) y(-z), numerically stable in both tails, where 1 - y is not."""
        return y * expit(-z)

    def second_derivative(self, z: Array, y: Array) -> Array:
        """y(z) y(-z) (y(-z) - y(z))."""
        complement = expit(-z)
        return y * complement * (complement - y)

    @valid_for("value")
    def log_outputs(self, z: Array) -> Transform:
        """log y, exact in both tails."""
        complement = expit(-z)
        return ByUnit(log_expit(z), complement, -expit(z) * complement)

    @valid_for("value")
    def log_odds(self, z: Array) -> Transform:
        """log(y / (1 - y)) = z, (q, n)."""
        return Transform(z)

    @valid_for("value")
    def natural_loss(self, z: Array, y: Array, t: Array) -> Array:
        """sum_k log(1 + exp(z_k)) - t_k z_k + t_k log t_k + (1-t_k) log(1-t_k)."""
        return Logistic.natural_loss_and_value(self, z, t)[0]

    @valid_for("value", "natural_loss")
    def natural_loss_and_value(
        self, z: Array, t: Array, labels: bool = False, out: Array | None = None
    ) -> tuple[Array, Array]:
        """The natural loss and y, from one exponential; labels have no entropy."""
        tail = np.exp(-np.abs(z))
        # max(z, 0) - t z is exact for t in {0, 1}, and the tail is added to it last
        loss = np.maximum(z, 0) - t * z + np.log1p(tail)
        loss = loss.sum(axis=0)
        if not labels:
            loss += negentropy(t) + negentropy(1 - t)
        # 1 / (1 + exp(-z)) for z >= 0, exp(z) / (1 + exp(z)) below. Another exponential
        # takes a quarter of the time of np.where, which branches on each number
        y = np.exp(np.minimum(z, 0))
        tail += 1
        y /= tail
        return loss, y

    @valid_for("value")
    def probabilities(self, z: Array) -> Array:
        """y_k / sum_j y_j, shape (q, n)."""
        return np.exp(Logistic.log_probabilities(self, z))

    @valid_for("value", "probabilities")
    def log_probabilities(self, z: Array) -> Array:
        """log y_k - log sum_j y_j, shape (q, n)."""
        return log_shares(log_expit(z))

    @valid_for("value")
    def decision(self, z: Array) -> Array:
        """The logit itself, which is positive where y > 1/2."""
        return z

    @valid_for("value")
    def marginals(self, z: Array) -> tuple[Array, Array]:
        """1 - y and y, shape (q, n) each."""
        return expit(-z), expit(z)

    @valid_for("value", "marginals")
    def log_marginals(self, z: Array) -> tuple[Array, Array]:
        """log(1 - y) and log y, shape (q, n) each."""
        return log_expit(-z), log_expit(z)

    @valid_for("value")
    def onnx_value(self, graph: Graph, z: Tensor) -> Tensor:
        """y = 1 / (1 + exp(-z))."""
        return graph("Sigmoid", z)

    @valid_for("value", "probabilities")
    def onnx_probabilities(self, graph: Graph, z: Tensor) -> Tensor:
        """Softmax of log y = min(z, 0) - log(1 + exp(-|z|))."""
        log_y = graph("Min", z, 0.0) - graph("Log", graph("Exp", -abs(z)) + 1)
        return graph("Softmax", log_y, axis=1)

    @valid_for("value", "decision")
    def onnx_decision(self, graph: Graph, z: Tensor) -> Tensor:
        """z."""
        return z

    @valid_for("value", "marginals")
    def onnx_marginals(self, graph: Graph, z: Tensor) -> Tensor:
        """y."""
        return graph("Sigmoid", z)

    @valid_for("value")
    def moderated(self, z: Array, covariance: Array, unit: Array) -> Array:
        """z_k / sqrt(1 + pi / 8 var z_k) (MacKay 1992)."""
        return z / np.sqrt(1 / unit**2 + np.pi / 8 * np.einsum("nkk->kn", covariance))


class Softmax(Activation):
    """y_k = exp(z_k) / sum_j exp(z_j); natural loss: cross-entropy.

    Examples
    --------
    >>> import numpy as np
    >>> from skce.losses.activations import Softmax
    >>> z = np.array([[2.0], [0.0], [-800.0]])
    >>> Softmax().log_outputs(z).value
    array([[-1.26928011e-01],
           [-2.12692801e+00],
           [-8.02126928e+02]])
    """

    name = own_name("softmax")
    range = Interval(0, 1)
    on_simplex = True
    natural_penalty = valid_for("value", "natural_loss")(CrossEntropy)

    @valid_for("value")
    def logits_of(self, p: Array) -> Array:
        """log p."""
        return np.log(p)

    def value(self, z: Array) -> Array:
        """y_k = exp(z_k) / sum_j exp(z_j)."""
        y = np.exp(z - z.max(axis=0))
        y /= y.sum(axis=0)
        return y

    def jacobian_product(self, z: Array, y: Array, u: Array) -> Array:
        """y_k (u_k - sum_j y_j u_j), shape (q, n)."""
        return y * (u - np.einsum("kn,kn->n", y, u))

    def jacobian_derivative(self, z: Array, y: Array, dz: Array, u: Array) -> Array:
        """dy_k (u_k - y.u) - y_k dy.u with dy = J dz, shape (q, n)."""
        dy = self.jacobian_product(z, y, dz)
        return dy * (u - np.einsum("kn,kn->n", y, u)) - y * np.einsum("kn,kn->n", dy, u)

    @valid_for("value")
    def natural_loss(self, z: Array, y: Array, t: Array) -> Array:
        """sum_k t_k log(t_k / y_k): every term of the sum is non-negative on logits."""
        return Softmax.natural_loss_and_value(self, z, t)[0]

    @valid_for("value", "natural_loss")
    def natural_loss_and_value(
        self, z: Array, t: Array, labels: bool = False, out: Array | None = None
    ) -> tuple[Array, Array]:
        """The natural loss and y, from one exponential; labels have no entropy."""
        y = np.subtract(z, np.maximum.reduce(z, axis=0), out=out)
        own = np.add.reduce(t * y, axis=0)
        np.exp(y, out=y)
        total = np.add.reduce(y, axis=0)
        y /= total
        np.log(total, out=total)
        if labels:
            total -= own
            return total, y
        return t.sum(axis=0) * total - own + negentropy(t), y

    @valid_for("value")
    def log_outputs(self, z: Array) -> Transform:
        """z_k - log sum_j exp(z_j), (q, n), to full precision also for the largest."""
        return LogSoftmax(z)

    @valid_for("value")
    def log_odds(self, z: Array) -> Transform:
        """z_k - log sum_{j != k} exp(z_j), (q, n)."""
        return LeaveOneOut(z)

    @valid_for("value", "probabilities")
    def log_probabilities(self, z: Array) -> Array:
        """log y."""
        return log_softmax(z)

    @valid_for("value")
    def onnx_value(self, graph: Graph, z: Tensor) -> Tensor:
        """y_k = exp(z_k) / sum_j exp(z_j)."""
        return graph("Softmax", z, axis=1)

    @valid_for("value")
    def moderated(self, z: Array, covariance: Array, unit: Array) -> Array:
        """-log sum_j exp(-(z_k - z_j) / sqrt(1 + pi/8 var(z_k - z_j))), normalised.

        The form for q classes is that of Lu, Ie & Sha (2020); for two classes it is
        MacKay's.
        """
        variance = np.einsum("nkk->nk", covariance)
        of_difference = variance[:, :, np.newaxis] + variance[:, np.newaxis]
        of_difference = np.maximum(of_difference - 2 * covariance, 0)
        gap = z.T[:, :, np.newaxis] - z.T[:, np.newaxis]
        squared = (1 / unit**2)[:, np.newaxis, np.newaxis] + np.pi / 8 * of_difference
        gap /= np.sqrt(np.maximum(squared, np.finfo(float).tiny))
        log_p = -log_sum_exp(np.moveaxis(-gap, 2, 0)).T
        return log_p - log_sum_exp(log_p)


class Sparsemax(Activation):
    """y = the point of the simplex nearest to z; natural loss: the sparsemax loss.

    Notes
    -----
    With support S = {k: y_k > 0} and the threshold tau of the projection,
    y = max(z - tau, 0), and the loss of the source (equation 27), extended to
    counts t of mass s = sum_k t_k, is

        s L(z; t / s) = |s y - t|^2 / (2 s) + sum_k t_k max(tau - z_k, 0)

    in which no two large numbers are subtracted. It is 0 at y = t / s.

    References
    ----------
    Martins & Astudillo (2016), "From softmax to sparsemax", ICML.

    Examples
    --------
    >>> import numpy as np
    >>> from skce.losses.activations import Sparsemax
    >>> z = np.array([[1.0], [0.5], [-1.0]])
    >>> Sparsemax().value(z)
    array([[0.75],
           [0.25],
           [0.  ]])
    """

    name = own_name("sparsemax")
    # From small logits all rows start inside the simplex, where every loss has a slope;
    # a class that is out of the support of all of its rows never comes back. Classes
    # lost by least squares in 80 fits of 30 units to digits, by gain: 0 at 0.01, 6 at
    # 0.1, 26 at 0.3, 10 at 1; in 14 fits to its raw features 2 at 1e-4 and 8 at 1e-3.
    # The natural loss loses none from any.
    start_gain = 1e-4
    range = Interval(0, 1, True, True)
    on_simplex = True

    @valid_for("value")
    def logits_of(self, p: Array) -> Array:
        """p."""
        return p

    def value(self, z: Array) -> Array:
        """y = argmin over the simplex of |y - z|^2."""
        return project_on_simplex(z)

    def jacobian_product(self, z: Array, y: Array, u: Array) -> Array:
        """u_k - mean of u over the support, on the support; 0 elsewhere."""
        support = y > 0
        mean = np.einsum("kn,kn->n", support, u) / support.sum(axis=0)
        return np.where(support, u - mean.astype(u.dtype), 0)

    def jacobian_derivative(self, z: Array, y: Array, dz: Array, u: Array) -> Array:
        """0: the Jacobian is constant between the kinks."""
        return np.zeros_like(u)

    @valid_for("value")
    def natural_loss(self, z: Array, y: Array, t: Array) -> Array:
        """|s y - t|^2 / (2 s) + sum_k t_k max(tau - z_k, 0), with s = sum_k t_k."""
        s = t.sum(axis=0)
        residual = s * y - t
        # a row without mass has a loss of 0, whatever the outputs
        squares = np.einsum("kn,kn->n", residual, residual) / np.where(s > 0, 2 * s, 1)
        # z.max - y.max is tau, as the largest logit is always in the support
        gap = np.maximum((z.max(axis=0) - y.max(axis=0)) - z, 0)
        return squares + np.einsum("kn,kn->n", t, gap)

    @valid_for("value")
    def onnx_value(self, graph: Graph, z: Tensor) -> Tensor:
        """y = argmin over the simplex of |y - z|^2."""
        return graph.project_on_simplex(z)


ACTIVATIONS = {
    activation.name: activation
    for activation in (
        Identity(),
        Logistic(),
        Probit(),
        ComplementaryLogLog(),
        Softmax(),
        Entmax(),
        Sparsemax(),
        Ordinal(),
    )
}


def get_activation(activation: object) -> Activation:
    """Look up an output activation by name; an instance is returned as it is.

    Raises
    ------
    ValueError
        If `activation` is neither a name in `ACTIVATIONS` nor an instance of
        `Activation`.

    Examples
    --------
    >>> from skce.losses.activations import get_activation
    >>> get_activation("softmax")
    Softmax()
    """
    found = look_up(activation, Activation, ACTIVATIONS)
    if found is not None:
        return found
    raise ValueError(
        f"activation={activation!r} is not an output activation. It must be "
        f"one of {', '.join(map(repr, ACTIVATIONS))}, or an instance of a subclass of "
        f"skce.losses.Activation{_activation_hint(activation)}"
    )


def _activation_hint(activation: object) -> str:
    """Return the end of the error: what the user may have meant."""
    if isinstance(activation, type) and issubclass(activation, Activation):
        return f": write {activation.__name__}(), with the parentheses."
    if isinstance(activation, str) and activation in HIDDEN_ACTIVATIONS:
        return (
            ". Here the activation is that of the output units, as in the paper; "
            f"for the hidden units write hidden_activation={activation!r}."
        )
    if isinstance(activation, str) and activation in PENALTIES:
        return f". {activation!r} is a penalty: write penalty={activation!r}."
    if isinstance(activation, int | tuple | list):
        return f". For the layers write hidden_layer_sizes={activation!r}."
    name = str(activation).lower()
    meant = {"sigmoid": "logistic", "linear": "identity"}.get(name, name)
    return f". Did you mean {meant!r}?" if meant in ACTIVATIONS else "."
