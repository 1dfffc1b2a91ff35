"""ONNX graphs under construction, in which activations write their formulas.

The rows of a tensor are those of X: the logits are (n, q) here.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from skce._support.optional import optional

__all__ = ["PURPOSE", "Graph", "Tensor", "without_operators"]

PURPOSE = "Export to ONNX"
TENSOR_TYPES = {"float32": "FLOAT", "float64": "DOUBLE", "int64": "INT64"}


def without_operators(function: object, method: str) -> NotImplementedError:
    """Return the error about an activation that lacks a method."""
    kind = type(function).__name__
    return NotImplementedError(
        f"The ONNX operators of {function!r} are not known. Define "
        f"{kind}.{method}(self, graph, x), which returns a tensor, as in "
        "graph('Tanh', x) * 2.0."
    )


class Graph:
    """An ONNX graph under construction; calling it adds a node.

    Parameters
    ----------
    scope, container : skl2onnx's Scope and ModelComponentContainer
    dtype : numpy.dtype
        The dtype of the computations, float32 or float64.
    n_outputs : int
        Number of output units q.

    Examples
    --------
    A user-defined hidden activation writes its formula in `onnx_value`:

    >>> from skce.losses.hidden import HiddenActivation
    >>> class Sine(HiddenActivation):
    ...     "y = sin(a), with apply and derivative"
    ...     def onnx_value(self, graph, a):
    ...         return graph("Sin", a)
    """

    def __init__(
        self, scope: Any, container: Any, dtype: "np.dtype[Any]", n_outputs: int
    ) -> None:
        self._scope = scope
        self._container = container
        self.dtype = dtype
        self.n_outputs = n_outputs
        self._constants: dict[tuple[Any, ...], str] = {}

    def __call__(
        self,
        operator: str,
        *inputs: "Tensor | ArrayLike",
        output: str | None = None,
        spare: int = 0,
        **attributes: Any,
    ) -> "Tensor":
        """Add a node.

        Parameters
        ----------
        operator : str
            Name of the ONNX operator.
        *inputs : Tensor or array-like
            Tensors of this graph, or constants: floats are stored in the graph's
            dtype, strings as strings, all else as int64.
        output : str, default=None
            Name of the first output; a new name by default.
        spare : int, default=0
            Number of further outputs of the operator, which are not used.
        **attributes
            Attributes of the operator.

        Returns
        -------
        output : Tensor
        """
        names = [x.name if isinstance(x, Tensor) else self._constant(x) for x in inputs]
        outputs = [output or self._new_name(operator)]
        outputs += [self._new_name("spare") for _ in range(spare)]
        name = self._scope.get_unique_operator_name(operator)
        self._container.add_node(operator, names, outputs, name=name, **attributes)
        return Tensor(self, outputs[0])

    def cast(self, x: "Tensor", dtype: str) -> "Tensor":
        """x as "float32", "float64" or "int64"."""
        return self("Cast", x, to=tensor_type(TENSOR_TYPES[dtype]))

    def max(self, z: "Tensor") -> "Tensor":
        """max_k z_k of logits or outputs (n, q), as (n, 1)."""
        return self("TopK", z, [1], axis=1, spare=1)

    def sum(self, z: "Tensor") -> "Tensor":
        """sum_k z_k of logits or outputs (n, q), as (n, 1)."""
        return self("MatMul", z, np.ones((self.n_outputs, 1)))

    def project_on_simplex(self, z: "Tensor") -> "Tensor":
        """argmin over y in the simplex of |y - z_n|^2, for each row z_n.

        The threshold tau is the largest of (z_(1) + ... + z_(k) - 1) / k over k, for z
        in descending order: z_(k) raises the threshold of the first k - 1 while it
        exceeds it, and no later one does.
        """
        z = z - self.max(z)
        descending = self("TopK", z, [self.n_outputs], axis=1, spare=1)
        excess = self("CumSum", descending, 1) - 1
        tau = self.max(excess / np.arange(1.0, self.n_outputs + 1))
        return self("Relu", z - tau)

    def _constant(self, values: ArrayLike) -> str:
        """Add a constant, unless it exists, and return its name."""
        values = np.asarray(values)
        content: Any
        if values.dtype.kind == "U":
            kind = "STRING"
            content = [text.encode() for text in values.flat]
        else:
            dtype = self.dtype if values.dtype.kind == "f" else np.dtype(np.int64)
            kind = TENSOR_TYPES[dtype.name]
            values = values.astype(dtype)
            content = values.ravel()
        key = values.dtype, values.shape, values.tobytes()
        if key not in self._constants:  # equal constants are stored once
            name = self._constants[key] = self._new_name("constant")
            self._container.add_initializer(
                name, tensor_type(kind), values.shape, content
            )
        return self._constants[key]

    def _new_name(self, name: str) -> str:
        return self._scope.get_unique_variable_name(name.lower())


def tensor_type(name: str) -> int:
    """Return ONNX's number for the type FLOAT, DOUBLE, INT64 or STRING."""
    return getattr(optional("onnx", PURPOSE).TensorProto, name)


Operation: TypeAlias = Callable[["Tensor", Any], "Tensor"]


def _operation(operator: str) -> tuple[Operation, Operation]:
    """Return the methods for `tensor + other` and `other + tensor`, or the like."""

    def add_node(tensor: "Tensor", other: Any) -> "Tensor":
        return tensor._graph(operator, tensor, _as_float(other))

    def add_reflected(tensor: "Tensor", other: Any) -> "Tensor":
        return tensor._graph(operator, _as_float(other), tensor)

    return add_node, add_reflected


def _as_float(operand: Any) -> Any:
    """Return a number or array as float, so that it has the dtype of the graph."""
    return operand if isinstance(operand, Tensor) else np.asarray(operand, dtype=float)


class Tensor:
    """A tensor of floats in an ONNX graph, with the arithmetic of arrays.

    Arithmetic adds nodes: `-abs(x) / 2 + y ** 2`, of tensors, numbers and arrays.

    Parameters
    ----------
    graph : Graph
    name : str
        Its name in the graph.

    Examples
    --------
    y = a / (1 + |a|) as a hidden activation:

    >>> from skce.losses.hidden import HiddenActivation
    >>> class SoftSign(HiddenActivation):
    ...     "y = a / (1 + abs(a)), with apply and derivative"
    ...     def onnx_value(self, graph, a):
    ...         return a / (1 + abs(a))
    """

    # arrays are operands of the methods below, not their elements one by one
    __array_ufunc__ = None

    def __init__(self, graph: Graph, name: str) -> None:
        self._graph = graph
        self.name = name

    __add__, __radd__ = _operation("Add")
    __sub__, __rsub__ = _operation("Sub")
    __mul__, __rmul__ = _operation("Mul")
    __truediv__, __rtruediv__ = _operation("Div")
    __pow__, __rpow__ = _operation("Pow")

    def __neg__(self) -> "Tensor":
        return self._graph("Neg", self)

    def __abs__(self) -> "Tensor":
        return self._graph("Abs", self)
