"""The base class of the hidden activations; see `skce.losses.hidden`."""

from functools import cache
from typing import ClassVar

import numpy as np

from skce.losses._base import Array, Named
from skce.losses._graph import Graph, Tensor, without_operators

__all__ = ["HiddenActivation"]


@cache
def _gauss_hermite() -> tuple[Array, Array]:
    """Nodes and weights for a of N(0, 1): 0.4 ms, once a process."""
    return np.polynomial.hermite_e.hermegauss(64)


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
        nodes, weights = _gauss_hermite()
        y = nodes.copy()
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
