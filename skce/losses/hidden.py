"""Activations of the hidden units: applied in place, differentiated from the output.

All arrays are (units, rows). A hidden layer keeps its outputs y = f(a), so the
derivatives are functions of y; where y does not determine a, as of silu and gelu, the
layer keeps a as well (`of_input`), and they are functions of a. To add one, subclass
`HiddenActivation`; pass an instance of it to the classifier, or register it in
`HIDDEN_ACTIVATIONS` to give it a name.
"""

from typing import ClassVar

import numpy as np
from scipy.special import ndtr

from skce.losses._base import Array, Named, look_up, own_name, valid_for
from skce.losses._graph import Graph, Tensor, without_operators

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


class HiddenActivation(Named):
    """Base class of the activations of hidden units.

    Attributes
    ----------
    name : str
        The name in `HIDDEN_ACTIVATIONS`, or that of the class.
    gain : float
        Factor of the start weights of the layer above, so that the variance stays the
        same from layer to layer: by default 1 / sqrt(E f(a)^2) for a of N(0, 1), which
        is sqrt(2) for relu (He et al. 2015).
    saturates : bool
        Whether the derivative vanishes at both ends, so that a unit with large
        inputs learns nothing.
    has_kinks : bool
        Whether the derivative jumps, so that it need not vanish at a minimum.
    of_input : bool
        Whether the derivatives take the input a, and not the output y. Each hidden
        layer then keeps both, and the solvers see f(a) - E f(a).
    core, inner, outer, shift : HiddenActivation or None, and float
        f(a) = shift + outer core(inner a), where another activation is cheaper to
        compute and has outputs centred at 0. Without a core the three are not used.

    Examples
    --------
    >>> import numpy as np
    >>> from skce import PairedMLPClassifier, check_gradient
    >>> from skce.losses.hidden import HiddenActivation
    >>> class Mish(HiddenActivation):
    ...     of_input = True
    ...     def apply(self, a):
    ...         a *= np.tanh(np.logaddexp(0, a))
    ...     def derivative(self, a):
    ...         t, s = np.tanh(np.logaddexp(0, a)), 1 / (1 + np.exp(-a))
    ...         return t + a * (1 - t**2) * s
    >>> X = np.random.default_rng(0).normal(size=(60, 2))
    >>> clf = PairedMLPClassifier(hidden_activation=Mish(), hidden_layer_sizes=3)
    >>> check_gradient(clf, X, X.argmax(axis=1))["gradient"] < 1e-7
    True
    """

    formulas: ClassVar[tuple[str, ...]] = ("apply", "derivative", "second_derivative")
    saturates: bool = False
    has_kinks: bool = False
    of_input: bool = False
    core: "HiddenActivation | None" = None
    inner: float = 1.0
    outer: float = 1.0
    shift: float = 0.0

    @property
    def gain(self) -> float:
        """1 / sqrt(E f(a)^2)."""
        _, second = self.moments()
        return second**-0.5

    def moments(self) -> tuple[float, float]:
        """E f(a) and E f(a)^2 for a of N(0, 1), by Gauss-Hermite quadrature."""
        y, weights = np.polynomial.hermite_e.hermegauss(64)
        self.apply(y)
        mean, second = np.average([y, y * y], axis=1, weights=weights)
        return float(mean), float(second)

    def apply(self, a: Array) -> None:
        """y = f(a), written to `a`."""
        raise NotImplementedError(f"{type(self).__name__} must define apply(a).")

    def derivative(self, y: Array, /) -> Array:
        """f'(a) as a function of y = f(a), or of a with `of_input`, in a new array."""
        raise NotImplementedError(f"{type(self).__name__} must define derivative(y).")

    def multiply_slope(self, y: Array, d: Array, /) -> None:
        """d *= f'(a) in place; the argument of `derivative` may be overwritten."""
        d *= self.derivative(y)

    def second_derivative(self, y: Array, /) -> Array:
        """f''(a) as a function of y = f(a), or of a with `of_input`."""
        raise NotImplementedError(
            f"{type(self).__name__} must define second_derivative(y); "
            "second-order solvers need it."
        )

    def onnx_value(self, graph: Graph, a: Tensor) -> Tensor:
        """f(a) in an ONNX graph, for the export."""
        raise without_operators(self, "onnx_value")


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
        np.sign(y, out=y)
        d *= y

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
        f"hidden_activation={hidden_activation!r} is not an activation of hidden "
        f"units. It may be {', '.join(map(repr, HIDDEN_ACTIVATIONS))}, or an instance "
        "of a subclass of skce.losses.HiddenActivation."
    )
