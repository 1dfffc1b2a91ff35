"""Activations of the hidden units: applied in place, differentiated from the output.

All arrays are (units, rows). A hidden layer keeps its outputs y = f(a), so the
derivatives are functions of y; where y does not determine a, as of silu and gelu, the
layer keeps a as well (`of_input`), and they are functions of a. To add one, subclass
`HiddenActivation`; pass an instance of it to the classifier, or register it in
`HIDDEN_ACTIVATIONS` to give it a name.
"""

import numpy as np
from scipy.special import ndtr

from skce.losses._base import Array, look_up, own_name, valid_for
from skce.losses._graph import Graph, Tensor
from skce.losses._hidden_activation import HiddenActivation

__all__ = [
    "HIDDEN_ACTIVATIONS",
    "HiddenActivation",
    "HiddenGELU",
    "HiddenIdentity",
    "HiddenLogistic",
    "HiddenReLU",
    "HiddenSiLU",
    "HiddenSoftplus",
    "HiddenTanh",
    "get_hidden_activation",
]


class HiddenIdentity(HiddenActivation):
    """y = a.

    Examples
    --------
    >>> from skce import PairedMLPClassifier
    >>> from skce.losses.hidden import HiddenIdentity
    >>> PairedMLPClassifier(hidden_activation=HiddenIdentity())
    PairedMLPClassifier(hidden_activation=HiddenIdentity())
    """

    name = own_name("identity")

    def apply(self, a: Array) -> None:
        """y = a."""

    @valid_for("apply", "derivative")
    def multiply_slope(self, y: Array, d: Array) -> None:
        """d *= 1."""

    def derivative(self, y: Array) -> Array:
        """1."""
        return np.ones_like(y)

    def second_derivative(self, y: Array) -> Array:
        """0."""
        return np.zeros_like(y)

    @valid_for("apply")
    def onnx_value(self, graph: Graph, a: Tensor) -> Tensor:
        """a."""
        return a


class HiddenTanh(HiddenActivation):
    """y = tanh(a).

    Examples
    --------
    >>> import numpy as np
    >>> from skce.losses.hidden import HiddenTanh
    >>> a = np.array([0.0, 1.0])
    >>> HiddenTanh().apply(a)
    >>> HiddenTanh().derivative(a).round(2)
    array([1.  , 0.42])
    """

    name = own_name("tanh")
    saturates = True

    def apply(self, a: Array) -> None:
        """y = tanh(a)."""
        np.tanh(a, out=a)

    def derivative(self, y: Array) -> Array:
        """1 - y^2."""
        d = y * y
        np.subtract(1, d, out=d)
        return d

    @valid_for("apply", "derivative")
    def multiply_slope(self, y: Array, d: Array) -> None:
        """d *= 1 - y^2."""
        y *= y
        np.subtract(1, y, out=y)
        d *= y

    def second_derivative(self, y: Array) -> Array:
        """-2 y (1 - y^2)."""
        return -2 * y * (1 - y * y)

    @valid_for("apply")
    def onnx_value(self, graph: Graph, a: Tensor) -> Tensor:
        """tanh(a)."""
        return graph("Tanh", a)


class HiddenLogistic(HiddenActivation):
    """y = 1 / (1 + exp(-a)), to an absolute error of one spacing of floats at 1.

    Examples
    --------
    >>> import numpy as np
    >>> from skce.losses.hidden import HiddenLogistic
    >>> a = np.array([0.0, 800.0])
    >>> HiddenLogistic().apply(a)
    >>> a
    array([0.5, 1. ])
    """

    name = own_name("logistic")
    saturates = True
    # NumPy vectorises tanh, unlike exp and division
    core = valid_for("apply", "derivative")(HiddenTanh())
    inner = outer = shift = 0.5

    def apply(self, a: Array) -> None:
        """y = (1 + tanh(a / 2)) / 2."""
        a *= 0.5
        np.tanh(a, out=a)
        a += 1
        a *= 0.5

    def derivative(self, y: Array) -> Array:
        """y (1 - y)."""
        d = 1 - y
        d *= y
        return d

    def second_derivative(self, y: Array) -> Array:
        """y (1 - y) (1 - 2 y)."""
        return y * (1 - y) * (1 - 2 * y)

    @valid_for("apply")
    def onnx_value(self, graph: Graph, a: Tensor) -> Tensor:
        """1 / (1 + exp(-a))."""
        return graph("Sigmoid", a)


class HiddenReLU(HiddenActivation):
    """y = max(a, 0), with derivative 0 at a = 0.

    Examples
    --------
    >>> import numpy as np
    >>> from skce.losses.hidden import HiddenReLU
    >>> a = np.array([-1.0, 2.0])
    >>> HiddenReLU().apply(a)
    >>> a
    array([0., 2.])
    """

    name = own_name("relu")
    has_kinks = True

    def apply(self, a: Array) -> None:
        """y = max(a, 0)."""
        np.maximum(a, 0, out=a)

    def derivative(self, y: Array) -> Array:
        """1 where y > 0, else 0."""
        return (y > 0).astype(y.dtype)

    @valid_for("apply", "derivative")
    def multiply_slope(self, y: Array, d: Array) -> None:
        """d *= 1 where y > 0, else 0."""
        # np.sign(y, out=y) branches on each number, which takes seven times as long
        d *= y > 0

    def second_derivative(self, y: Array) -> Array:
        """0."""
        return np.zeros_like(y)

    @valid_for("apply")
    def onnx_value(self, graph: Graph, a: Tensor) -> Tensor:
        """max(a, 0)."""
        return graph("Relu", a)


def _logistic(a: Array) -> Array:
    """1 / (1 + exp(-a)), by tanh, which NumPy vectorises."""
    s = 0.5 * a
    np.tanh(s, out=s)
    s += 1
    s *= 0.5
    return s


class HiddenSoftplus(HiddenActivation):
    """y = log(1 + exp(a)), a smooth relu.

    References
    ----------
    Dugas, Bengio, Belisle, Nadeau & Garcia (2001), "Incorporating second-order
    functional knowledge for better option pricing", NeurIPS.

    Examples
    --------
    >>> import numpy as np
    >>> from skce.losses.hidden import HiddenSoftplus
    >>> a = np.array([-800.0, 0.0, 800.0])
    >>> HiddenSoftplus().apply(a)
    >>> a.round(3)
    array([0.00e+00, 6.93e-01, 8.00e+02])
    """

    name = own_name("softplus")
    of_input = True

    def apply(self, a: Array) -> None:
        """y = max(a, 0) + log(1 + exp(-|a|))."""
        tail = np.exp(-np.abs(a))
        np.log1p(tail, out=tail)
        np.maximum(a, 0, out=a)
        a += tail

    def derivative(self, a: Array) -> Array:
        """s(a), the logistic function."""
        return _logistic(a)

    def second_derivative(self, a: Array) -> Array:
        """s (1 - s)."""
        s = _logistic(a)
        return s * (1 - s)

    @valid_for("apply")
    def onnx_value(self, graph: Graph, a: Tensor) -> Tensor:
        """max(a, 0) + log(1 + exp(-|a|))."""
        return graph("Relu", a) + graph("Log", graph("Exp", -abs(a)) + 1)


class HiddenSiLU(HiddenActivation):
    """y = a / (1 + exp(-a)), the sigmoid linear unit, also called swish.

    References
    ----------
    Elfwing, Uchibe & Doya (2018), "Sigmoid-weighted linear units for neural network
    function approximation in reinforcement learning", Neural Networks 107.

    Examples
    --------
    >>> import numpy as np
    >>> from skce.losses.hidden import HiddenSiLU
    >>> a = np.array([-800.0, -1.0, 1.0])
    >>> HiddenSiLU().apply(a)
    >>> a.round(3)
    array([-0.   , -0.269,  0.731])
    """

    name = own_name("silu")
    of_input = True

    def apply(self, a: Array) -> None:
        """y = a s(a), with s the logistic function."""
        a *= _logistic(a)

    def derivative(self, a: Array) -> Array:
        """s + a s (1 - s)."""
        s = _logistic(a)
        d = 1 - s
        d *= a
        d += 1
        d *= s
        return d

    def second_derivative(self, a: Array) -> Array:
        """s (1 - s) (2 + a (1 - 2 s))."""
        s = _logistic(a)
        return s * (1 - s) * (2 + a * (1 - 2 * s))

    @valid_for("apply")
    def onnx_value(self, graph: Graph, a: Tensor) -> Tensor:
        """a (1 + tanh(a / 2)) / 2: runtimes may lack the fusion of a Sigmoid(a)."""
        return a * 0.5 * (graph("Tanh", a * 0.5) + 1)


class HiddenGELU(HiddenActivation):
    """y = a P(N(0, 1) <= a), the Gaussian error linear unit.

    References
    ----------
    Hendrycks & Gimpel (2016), "Gaussian error linear units (GELUs)", arXiv:1606.08415.

    Examples
    --------
    >>> import numpy as np
    >>> from skce.losses.hidden import HiddenGELU
    >>> a = np.array([-800.0, -1.0, 1.0])
    >>> HiddenGELU().apply(a)
    >>> a.round(3)
    array([-0.   , -0.159,  0.841])
    """

    name = own_name("gelu")
    of_input = True

    def _density(self, a: Array) -> Array:
        """phi(a) = exp(-a^2 / 2) / sqrt(2 pi); 0 from 40 on, where a^2 may overflow."""
        phi = np.exp(-0.5 * np.square(np.clip(a, -40, 40)))
        phi *= a.dtype.type(1 / np.sqrt(2 * np.pi))
        return phi

    def apply(self, a: Array) -> None:
        """y = a Phi(a)."""
        a *= ndtr(a)

    def derivative(self, a: Array) -> Array:
        """Phi(a) + a phi(a)."""
        return ndtr(a) + a * self._density(a)

    def second_derivative(self, a: Array) -> Array:
        """phi(a) (2 - a^2)."""
        return self._density(a) * (2 - np.square(np.clip(a, -40, 40)))

    @valid_for("apply")
    def onnx_value(self, graph: Graph, a: Tensor) -> Tensor:
        """a (1 + erf(a / sqrt(2))) / 2; runtimes have erf in float32 alone."""
        erf = graph("Erf", graph.cast(a * np.sqrt(0.5), "float32"))
        return a * (graph.cast(erf, graph.dtype.name) + 1) * 0.5


HIDDEN_ACTIVATIONS = {
    activation.name: activation
    for activation in (
        HiddenIdentity(),
        HiddenLogistic(),
        HiddenTanh(),
        HiddenReLU(),
        HiddenSoftplus(),
        HiddenSiLU(),
        HiddenGELU(),
    )
}


def get_hidden_activation(hidden_activation: object) -> HiddenActivation:
    """Look up a hidden activation by name; an instance is returned as it is.

    Raises
    ------
    ValueError
        If it is neither a name in `HIDDEN_ACTIVATIONS` nor an instance of
        `HiddenActivation`.

    Examples
    --------
    >>> from skce.losses.hidden import get_hidden_activation
    >>> get_hidden_activation("tanh")
    HiddenTanh()
    """
    found = look_up(hidden_activation, HiddenActivation, HIDDEN_ACTIVATIONS)
    if found is not None:
        return found
    raise ValueError(
        f"hidden_activation={hidden_activation!r} is not a hidden activation. It must "
        f"be one of {', '.join(map(repr, HIDDEN_ACTIVATIONS))}, or an instance of a "
        "subclass of skce.losses.HiddenActivation."
    )
