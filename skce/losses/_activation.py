"""The base classes of the output activations; see `skce.losses.activations`."""

from collections.abc import Callable
from typing import ClassVar, Self

import numpy as np

from skce.losses._base import Array, Named, valid_for
from skce.losses._graph import Graph, Tensor, without_operators
from skce.losses._numerics import project_on_simplex
from skce.losses._penalty import Penalty
from skce.losses._transforms import Transform
from skce.losses.intervals import Interval

__all__ = ["Activation", "ElementwiseActivation"]


class Activation(Named):
    """Base class of the output activations.

    Attributes
    ----------
    name : str
        The name in `ACTIVATIONS`, or that of the class.
    range : Interval
        Where every single output lies. A penalty may be paired with the
        activation if it is defined on all of this interval.
    on_simplex : bool
        Whether the outputs of a row are non-negative and sum to 1.
    ordered : bool
        Whether the order of the classes matters.
    elementwise : bool
        Whether output k depends on logit k alone. Such units can be trained on several
        labels at once (multilabel), and one of them is enough for two classes.
    natural_penalty : type or None
        The penalty whose pairing with this activation is the natural one; None
        where the natural loss is not a function of the outputs. A subclass of a
        built-in activation that overrides `value` has no natural loss unless it
        defines `natural_loss` as well.

    Examples
    --------
    Temperature: softmax of z / 2, with the derivatives that a solver needs:

    >>> import numpy as np
    >>> from skce import PairedMLPClassifier, check_gradient
    >>> from skce.losses.activations import Activation, Softmax
    >>> from skce.losses.intervals import Interval
    >>> class Tempered(Activation):
    ...     range = Interval(0, 1)
    ...     on_simplex = True
    ...     def value(self, z):
    ...         return Softmax().value(z / 2)
    ...     def jacobian_product(self, z, y, u):
    ...         return Softmax().jacobian_product(z / 2, y, u) / 2
    >>> X = np.random.default_rng(0).normal(size=(60, 2))
    >>> y = X.argmax(axis=1)
    >>> clf = PairedMLPClassifier(Tempered(), "least_squares", hidden_layer_sizes=3)
    >>> check_gradient(clf, X, y)["gradient"] < 1e-7
    True
    """

    formulas: ClassVar[tuple[str, ...]] = (
        "value",
        "jacobian_product",
        "direction",
        "jacobian_derivative",
        "natural_loss",
    )
    on_simplex: bool = False
    elementwise: bool = False
    natural_penalty: ClassVar[type[Penalty] | None] = None
    # Whether the classes must be in their order
    ordered: bool = False
    # Factor of the start weights of the output layer
    start_gain: float = 1.0
    # A method natural_loss(z, y, t) where the activation has a natural loss: (n,)
    natural_loss: ClassVar[Callable[..., Array] | None] = None
    # Methods log_outputs(z) and log_odds(z) where log y and log(y / (1 - y)) are exact
    # from the logits
    log_outputs: ClassVar[Callable[..., Transform] | None] = None
    log_odds: ClassVar[Callable[..., Transform] | None] = None

    # A method moderated(z, covariance, unit): logits whose outputs are the average of f
    # over normal logits, of which it is given the mean (q, n) in units of `unit` (n,),
    # and the covariance (n, q, q) in those of its square
    moderated: ClassVar[Callable[..., Array] | None] = None

    @property
    def range(self) -> Interval:
        """The interval of every single output, which a subclass must define."""
        raise NotImplementedError(
            f"{type(self).__name__} must define range, the skce.losses.Interval of "
            "its outputs."
        )

    def value(self, z: Array) -> Array:
        """y = f(z), shape (q, n)."""
        raise NotImplementedError(f"{type(self).__name__} must define value(z).")

    def jacobian_product(self, z: Array, y: Array, u: Array) -> Array:
        """J' u, shape (q, n), at the logits `z` with outputs `y` = f(z)."""
        raise NotImplementedError(
            f"{type(self).__name__} must define jacobian_product(z, y, u)."
        )

    def direction(self, z: Array, y: Array, dz: Array) -> Array:
        """J dz, shape (q, n): the change of y along dz; J' dz where J is symmetric."""
        return self.jacobian_product(z, y, dz)

    def jacobian_derivative(self, z: Array, y: Array, dz: Array, u: Array) -> Array:
        """(dJ') u, (q, n): the derivative of J' u along `dz`, with `u` held fixed."""
        raise NotImplementedError(
            f"{type(self).__name__} must define jacobian_derivative(z, y, dz, u); "
            "second-order solvers need it."
        )

    def natural_loss_and_value(
        self, z: Array, t: Array, labels: bool = False, out: Array | None = None
    ) -> tuple[Array, Array]:
        """The natural loss, (n,), and y = f(z), (q, n).

        Override it where the two share work. `labels` says that all t are 0 or 1 and,
        on the simplex, one of q; y may be written to `out`, which may be z.
        """
        assert self.natural_loss is not None
        y = self.value(z)
        return self.natural_loss(z, y, t), y

    def thresholds(self, biases: Array) -> Array | None:
        """The thresholds between ordered classes, of the output biases, (q,)."""
        return None

    def free_parameters(self, n_outputs: int) -> tuple[Array, Array] | None:
        """Whether the weights and the bias of each unit are fitted, (q,) each.

        The others stay 0. None if all are.
        """
        return None

    def for_classes(self, classes: Array, order: Array | None) -> Self:
        """Return the activation for these sorted classes, in `order` if y has one."""
        return self

    def class_scores(self, z: Array) -> Array:
        """Decision values of the classes, (q, n): the largest is predicted."""
        return z

    def logits_of(self, p: Array) -> Array | None:
        """Logits z, (q,), with f(z) = p for p inside (0, 1); None if not known."""
        return None

    def probabilities(self, z: Array) -> Array:
        """Class probabilities of each row, shape (q, n); columns sum to 1."""
        y = self.value(z)
        return y if self.on_simplex else project_on_simplex(y)

    def log_probabilities(self, z: Array) -> Array:
        """log of `probabilities`, shape (q, n), from the logits where that is exact."""
        with np.errstate(divide="ignore"):  # log 0 = -inf is the right answer
            return np.log(self.probabilities(z))

    def onnx_value(self, graph: Graph, z: Tensor) -> Tensor:
        """`value` of logits (n, q) in an ONNX graph."""
        raise without_operators(self, "onnx_value")

    def onnx_class_scores(self, graph: Graph, z: Tensor) -> Tensor:
        """`class_scores` in an ONNX graph."""
        return z

    @valid_for("probabilities")
    def onnx_probabilities(self, graph: Graph, z: Tensor) -> Tensor:
        """`probabilities` in an ONNX graph."""
        y = self.onnx_value(graph, z)
        return y if self.on_simplex else graph.project_on_simplex(y)


class ElementwiseActivation(Activation):
    """Base class of the activations in which output k depends on logit k alone.

    Subclasses define `value`, `derivative` and `second_derivative`; the Jacobian
    is diagonal.

    Examples
    --------
    >>> import numpy as np
    >>> from skce import pairing_status
    >>> from skce.losses.activations import ElementwiseActivation
    >>> from skce.losses.intervals import Interval
    >>> class Arctan(ElementwiseActivation):
    ...     range = Interval(0, 1)
    ...     def value(self, z):
    ...         return 0.5 + np.arctan(z) / np.pi
    ...     def derivative(self, z, y):
    ...         return 1 / (np.pi * (1 + z * z))
    ...     def second_derivative(self, z, y):
    ...         return -2 * z / (np.pi * (1 + z * z) ** 2)
    >>> pairing_status(Arctan(), "binary_cross_entropy")
    'workable'
    """

    elementwise = True
    formulas: ClassVar[tuple[str, ...]] = (
        *Activation.formulas,
        "derivative",
        "second_derivative",
    )

    def derivative(self, z: Array, y: Array) -> Array:
        """f'(z), shape (q, n)."""
        raise NotImplementedError(
            f"{type(self).__name__} must define derivative(z, y)."
        )

    def second_derivative(self, z: Array, y: Array) -> Array:
        """f''(z), shape (q, n)."""
        raise NotImplementedError(
            f"{type(self).__name__} must define second_derivative(z, y); "
            "second-order solvers need it."
        )

    def jacobian_product(self, z: Array, y: Array, u: Array) -> Array:
        """f'(z) u, shape (q, n)."""
        return self.derivative(z, y) * u

    def jacobian_derivative(self, z: Array, y: Array, dz: Array, u: Array) -> Array:
        """f''(z) dz u, shape (q, n)."""
        return self.second_derivative(z, y) * dz * u

    def decision(self, z: Array) -> Array:
        """y - 1/2, (q, n), which is positive where the unit is on."""
        return self.value(z) - 0.5

    def marginals(self, z: Array) -> tuple[Array, Array]:
        """P(unit off) and P(unit on), (q, n) each: one two-class problem per unit."""
        on = np.minimum(np.maximum(self.value(z), 0), 1)
        return 1 - on, on

    def log_marginals(self, z: Array) -> tuple[Array, Array]:
        """log P(unit off), log P(unit on), each of shape (q, n)."""
        with np.errstate(divide="ignore"):  # log 0 = -inf is the right answer
            off, on = self.marginals(z)
            return np.log(off), np.log(on)

    @valid_for("decision")
    def onnx_decision(self, graph: Graph, z: Tensor) -> Tensor:
        """`decision` in an ONNX graph."""
        return self.onnx_value(graph, z) - 0.5

    @valid_for("marginals")
    def onnx_marginals(self, graph: Graph, z: Tensor) -> Tensor:
        """P(unit on) of `marginals` in an ONNX graph."""
        return graph("Min", graph("Max", self.onnx_value(graph, z), 0.0), 1.0)
