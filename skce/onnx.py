"""Export to ONNX: `to_onnx`, and the converter of the classifier for skl2onnx.

The graph has one Gemm per layer, the hidden activation between them, and the operators
that turn the logits into probabilities. It computes in the wider dtype of the input and
the coefficients, as `predict_proba` does. Arrays are rows x units here.

The operators of the activations are registered in `PROBABILITIES`, `MARGINALS`,
`DECISIONS` and `HIDDEN`, where user-defined activations can be added:

>>> from skce import onnx
>>> from skce.losses.hidden import HiddenActivation
>>> class SoftSign(HiddenActivation):
...     def apply(self, a):
...         a /= 1 + abs(a)
...     def derivative(self, y):
...         return (1 - abs(y)) ** 2
>>> onnx.HIDDEN[SoftSign] = lambda graph, activation, a: graph("Softsign", a)
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from skce._network.heads import head_of
from skce._support.optional import optional
from skce.classifier import PairedMLPClassifier
from skce.losses._base import same_attributes
from skce.losses.activations import (
    Activation,
    Entmax,
    Identity,
    Logistic,
    Softmax,
    Sparsemax,
)
from skce.losses.hidden import (
    HiddenGELU,
    HiddenIdentity,
    HiddenLogistic,
    HiddenReLU,
    HiddenSiLU,
    HiddenSoftplus,
    HiddenTanh,
)

__all__ = [
    "DECISIONS",
    "HIDDEN",
    "MARGINALS",
    "PROBABILITIES",
    "Graph",
    "clip_to_unit_interval",
    "project_on_simplex",
    "register",
    "to_onnx",
]

PURPOSE = "Export to ONNX"


def to_onnx(
    estimator: Any,
    X: Any = None,
    *,
    options: dict[str, Any] | None = None,
    **kwargs: Any,
) -> Any:
    """Convert a fitted classifier, or a pipeline or search with one, to an ONNX model.

    Parameters
    ----------
    estimator : estimator
        A PairedMLPClassifier, or a pipeline or other estimator whose other parts
        skl2onnx can convert. For a search, the best estimator is converted.
    X : ndarray or DataFrame of shape (n_samples, n_features), default=None
        Some rows, for the names and types of the inputs: one input "X", or one per
        column of a frame. `initial_types` of skl2onnx can be given instead.
    options : dict of str, default=None
        Options of skl2onnx, with "zipmap" off by default. The classifier has "zipmap",
        "nocl" (labels as their index in `classes_`), "raw_scores" (`decision_function`
        instead of the probabilities; -d and d for two classes) and
        "output_class_labels".
    **kwargs
        Other parameters of `skl2onnx.to_onnx`, such as `target_opset`.

    Returns
    -------
    model : onnx.ModelProto
        With the outputs "label", of shape (n_samples,), strings or int64 as
        `classes_`, and "probabilities" (n_samples, n_classes) of the type of the
        input (float for integers). After a multilabel fit both are
        (n_samples, n_labels), the label 0 or 1.

    Raises
    ------
    ImportError
        If skl2onnx is not installed.
    NotImplementedError
        If no operators are registered for a user-defined activation, or the classifier
        is `moderated`.
    RuntimeError, NameError
        Raised by skl2onnx if it cannot convert another step or an option is unknown.
        RuntimeError also where onnxruntime, if it is installed, cannot run the graph,
        as it has the operators of some other steps in float32 only.

    Notes
    -----
    The graph needs an opset of 11 or later. Other estimators are converted by skl2onnx:
    compare the result with their `predict_proba`. (Its version 1.20 gives different
    probabilities for isotonic calibration, also with LogisticRegression.)

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skce import PairedMLPClassifier
    >>> from skce.onnx import to_onnx
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = make_pipeline(StandardScaler(), PairedMLPClassifier(random_state=0))
    >>> model = to_onnx(clf.fit(X, y), X[:1])
    >>> from onnxruntime import InferenceSession
    >>> session = InferenceSession(model.SerializeToString())
    >>> label, probabilities = session.run(None, {"X": X})
    >>> bool(abs(probabilities - clf.predict_proba(X)).max() < 1e-5)
    True
    """
    register()
    model = optional("skl2onnx", PURPOSE).to_onnx(
        _without_searches(estimator),
        X,
        options={"zipmap": False} | (options or {}),
        **kwargs,
    )
    _check_runs(model)
    return model


def _check_runs(model):
    """Raise a RuntimeError if onnxruntime is installed and cannot run the graph."""
    try:
        runtime = optional("onnxruntime", PURPOSE)
    except ImportError:  # it is to run elsewhere
        return
    options = runtime.SessionOptions()
    options.log_severity_level = 4  # the error says it all
    try:
        runtime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # of many classes, which it does not export
        raise RuntimeError(
            f"onnxruntime cannot run the graph: {error}. If that is an operator of "
            "another step which it does not have for float64, fit on float32 and give "
            "X as float32; else leave that step out."
        ) from error


def register() -> None:
    """Register PairedMLPClassifier with skl2onnx, to call `skl2onnx.to_onnx` directly.

    And a SimpleImputer of float64, as skl2onnx's own is one that onnxruntime lacks.

    Raises
    ------
    ImportError
        If skl2onnx is not installed.

    Examples
    --------
    >>> from skce import PairedMLPClassifier
    >>> from skce.onnx import register
    >>> from skl2onnx import to_onnx
    >>> register()
    >>> clf = PairedMLPClassifier(hidden_layer_sizes=2, random_state=0)
    >>> clf = clf.fit([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1])
    >>> [output.name for output in to_onnx(clf, clf.coefs_[0]).graph.output]
    ['output_label', 'output_probability']
    """
    optional("skl2onnx", PURPOSE).update_registered_converter(
        PairedMLPClassifier,
        "SkcePairedMLPClassifier",
        _set_output_types,
        _convert,
        options={
            "zipmap": [True, False, "columns"],
            "nocl": [True, False],
            "raw_scores": [True, False],
            "output_class_labels": [False, True],
        },
    )
    _register_imputer()


IMPUTER = "SklearnSimpleImputer"  # skl2onnx's name


@cache  # skl2onnx wraps what it registers: a second time would wrap the first
def _register_imputer():
    """Register a converter of SimpleImputer for float64.

    skl2onnx converts it to an operator that onnxruntime has for float32 only.
    """
    registry = optional("skl2onnx.common._registration", PURPOSE)
    before = registry.get_converter(IMPUTER)
    optional("skl2onnx", PURPOSE).update_registered_converter(
        SimpleImputer,
        IMPUTER,
        registry.get_shape_calculator(IMPUTER),
        _ImputerConverter(before),
    )


@dataclass(frozen=True)
class _ImputerConverter:
    """Converts SimpleImputer for float64 itself, and else by another converter."""

    other: Callable[..., None]

    def __call__(self, scope, operator, container):
        types = optional("skl2onnx.common.data_types", PURPOSE)
        imputer, inputs = operator.raw_operator, operator.inputs
        marker = imputer.missing_values
        is_double = all(isinstance(x.type, types.DoubleTensorType) for x in inputs)
        # of objects, for a constant
        kind = float if is_double else None
        statistics = np.asarray(imputer.statistics_, dtype=kind)
        if (
            not is_double
            or not (isinstance(marker, float) and np.isnan(marker))
            or imputer.add_indicator
            or not np.isfinite(statistics).all()
        ):
            self.other(scope, operator, container)
            return
        graph = Graph(scope, container, np.dtype(np.float64), 1)
        columns = [x.full_name for x in inputs]
        X = graph("Concat", *columns, axis=1) if len(columns) > 1 else columns[0]
        missing = graph("IsNaN", X)
        output = operator.outputs[0].full_name
        graph("Where", missing, statistics, X, output=output)


def _without_searches(estimator):
    """Replace a search by its best estimator, also as the last step of a pipeline."""
    if hasattr(estimator, "best_estimator_"):
        return _without_searches(estimator.best_estimator_)
    if type(estimator) is Pipeline:
        *others, (name, last) = estimator.steps
        return Pipeline([*others, (name, _without_searches(last))])
    return estimator


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
    The ONNX operators of a user-defined hidden activation:

    >>> from skce import onnx
    >>> from skce.losses.hidden import HiddenActivation
    >>> class Softplus(HiddenActivation):
    ...     "y = log(1 + exp(a)), with apply and derivative"
    >>> onnx.HIDDEN[Softplus] = lambda graph, activation, a: graph("Softplus", a)
    """

    def __init__(self, scope, container, dtype, n_outputs):
        self._scope = scope
        self._container = container
        self.dtype = dtype
        self.n_outputs = n_outputs
        self._constants = {}

    def __call__(self, operator, *inputs, output=None, spare=0, **attributes):
        """Add a node.

        Parameters
        ----------
        operator : str
            Name of the ONNX operator.
        *inputs : str or array-like
            Names of values in the graph, or constants (see `constant`).
        output : str, default=None
            Name of the first output; a new name by default.
        spare : int, default=0
            Number of further outputs of the operator, which are not used.
        **attributes
            Attributes of the operator.

        Returns
        -------
        output : str
        """
        inputs = [x if isinstance(x, str) else self.constant(x) for x in inputs]
        outputs = [output or self._new_name(operator)]
        outputs += [self._new_name("spare") for _ in range(spare)]
        name = self._scope.get_unique_operator_name(operator)
        self._container.add_node(operator, inputs, outputs, name=name, **attributes)
        return outputs[0]

    def constant(self, values):
        """Add a constant, unless it exists, and return its name.

        Floats are stored in the graph's dtype, strings as strings, all else as int64.
        """
        values = np.asarray(values)
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
                name, _tensor_type(kind), values.shape, content
            )
        return self._constants[key]

    def _new_name(self, name):
        return self._scope.get_unique_variable_name(name.lower())


TENSOR_TYPES = {"float32": "FLOAT", "float64": "DOUBLE", "int64": "INT64"}


def _tensor_type(name):
    """Return ONNX's number for the type FLOAT, DOUBLE, INT64 or STRING."""
    return getattr(optional("onnx", PURPOSE).TensorProto, name)


def project_on_simplex(graph, z):
    """argmin over y in the simplex of |y - z_n|^2, for each row z_n.

    The threshold tau is the largest of (z_(1) + ... + z_(k) - 1) / k over k, for z in
    descending order: z_(k) raises the threshold of the first k - 1 while it exceeds it,
    and no later one does. (`skce.losses._numerics` counts the support instead.)

    Examples
    --------
    The probabilities of sparsemax(2 z):

    >>> from skce.losses.activations import Sparsemax
    >>> from skce.onnx import PROBABILITIES, project_on_simplex
    >>> class Sharper(Sparsemax):
    ...     "y = sparsemax(2 z), with value and its derivatives"
    >>> PROBABILITIES[Sharper] = lambda graph, activation, z: project_on_simplex(
    ...     graph, graph("Mul", z, 2.0)
    ... )
    """
    q = graph.n_outputs
    descending = graph("TopK", z, [q], axis=1, spare=1)
    top = graph("Gather", descending, [0], axis=1)
    z, descending = graph("Sub", z, top), graph("Sub", descending, top)
    excess = graph("Sub", graph("CumSum", descending, 1), 1.0)
    thresholds = graph("Div", excess, np.arange(1.0, q + 1))
    tau = graph("TopK", thresholds, [1], axis=1, spare=1)
    return graph("Relu", graph("Sub", z, tau))


def clip_to_unit_interval(graph, y):
    """min(max(y, 0), 1).

    Examples
    --------
    P(unit on) of a linear unit of slope 2:

    >>> from skce.losses.activations import Identity
    >>> from skce.onnx import MARGINALS, clip_to_unit_interval
    >>> class Steeper(Identity):
    ...     "y = 2 z, with value and its derivatives"
    >>> MARGINALS[Steeper] = lambda graph, activation, z: clip_to_unit_interval(
    ...     graph, graph("Mul", z, 2.0)
    ... )
    """
    return graph("Min", graph("Max", y, 0.0), 1.0)


def _softmax(graph, activation, z):
    return graph("Softmax", z, axis=1)


def _normalised_logistic(graph, activation, z):
    """Softmax of log y = min(z, 0) - log(1 + exp(-|z|))."""
    tail = graph("Exp", graph("Neg", graph("Abs", z)))
    log_y = graph("Sub", graph("Min", z, 0.0), graph("Log", graph("Add", tail, 1.0)))
    return graph("Softmax", log_y, axis=1)


def _softplus(graph, activation, a):
    """max(a, 0) + log(1 + exp(-|a|))."""
    tail = graph("Exp", graph("Neg", graph("Abs", a)))
    return graph("Add", graph("Relu", a), graph("Log", graph("Add", tail, 1.0)))


def _silu(graph, activation, a):
    """a / 2 (1 + tanh(a / 2)); a Sigmoid(a) is fused to what some runtimes lack."""
    half = graph("Mul", a, 0.5)
    return graph("Mul", half, graph("Add", graph("Tanh", half), 1.0))


def _gelu(graph, activation, a):
    """a / 2 (1 + erf(a / sqrt(2))); runtimes have erf in single precision alone."""
    x = graph("Cast", graph("Mul", a, np.sqrt(0.5)), to=_tensor_type("FLOAT"))
    erf = graph(
        "Cast", graph("Erf", x), to=_tensor_type(TENSOR_TYPES[graph.dtype.name])
    )
    return graph("Mul", a, graph("Mul", graph("Add", erf, 1.0), 0.5))


# Steps of Newton's method from s = 0: more than `Entmax.value` takes to its last digit
# for any alpha, up to 1000 classes, whether the logits are close, far apart or mixed
ENTMAX_STEPS = 10


def _entmax(graph, activation, z):
    """`Entmax.value`, unrolled; float32 leaves an error of 1e-7 / (alpha - 1)."""
    b = float(activation.alpha) - 1
    ones = np.ones((graph.n_outputs, 1))
    z = graph("Sub", z, graph("TopK", z, [1], axis=1, spare=1))

    def outputs(s):
        x = graph("Mul", graph("Sub", z, s), b)
        w = graph("Relu", graph("Add", x, 1.0))
        y = graph("Pow", w, 1 / b)
        return w, y, graph("MatMul", y, ones)

    s = 0.0
    for _ in range(ENTMAX_STEPS):
        w, y, total = outputs(s)
        r = graph("Mul", graph("Pow", w, 1 / b - 1), graph("Sign", w))  # 0^0 is 1
        rest = graph("Sub", total, graph("Pow", total, 1 - b))
        step = graph("Div", rest, graph("MatMul", graph("Mul", r, b), ones))
        s = graph("Add", s, step)
    _, y, total = outputs(s)
    return graph("Div", y, total)


# The four registries map the class of an activation to a function of (graph,
# activation, name of its input) that adds the operators and returns the name of the
# result. An entry also serves the subclasses that do not override the method it
# translates (see `METHODS`). The logits z are (n, q).

# Activation.probabilities: from logits to class probabilities
PROBABILITIES = {
    Identity: lambda graph, activation, z: project_on_simplex(graph, z),
    Logistic: _normalised_logistic,
    Softmax: _softmax,
    Entmax: _entmax,
    Sparsemax: lambda graph, activation, z: project_on_simplex(graph, z),
}

# ElementwiseActivation.marginals: from logits to P(unit on), for a single unit with two
# classes, and for multilabel units
MARGINALS = {
    Identity: lambda graph, activation, z: clip_to_unit_interval(graph, z),
    Logistic: lambda graph, activation, z: graph("Sigmoid", z),
}

# ElementwiseActivation.decision: for the option raw_scores, which skl2onnx sets for
# calibrated classifiers
DECISIONS = {
    Identity: lambda graph, activation, z: graph("Sub", z, 0.5),
    Logistic: lambda graph, activation, z: z,
}

# HiddenActivation.apply
HIDDEN = {
    HiddenIdentity: lambda graph, activation, a: a,
    HiddenLogistic: lambda graph, activation, a: graph("Sigmoid", a),
    HiddenTanh: lambda graph, activation, a: graph("Tanh", a),
    HiddenReLU: lambda graph, activation, a: graph("Relu", a),
    HiddenSoftplus: _softplus,
    HiddenSiLU: _silu,
    HiddenGELU: _gelu,
}


REGISTRIES = {
    "PROBABILITIES": PROBABILITIES,
    "MARGINALS": MARGINALS,
    "DECISIONS": DECISIONS,
    "HIDDEN": HIDDEN,
}
# The methods that an entry translates: a subclass overriding one needs its own entry
METHODS = {
    "PROBABILITIES": ("value", "probabilities"),
    "MARGINALS": ("value", "marginals"),
    "DECISIONS": ("value", "decision"),
    "HIDDEN": ("apply",),
}


def _add(registry, graph, activation, x):
    """Apply to x what `registry`, a name in `REGISTRIES`, has for the activation."""
    kind = type(activation)
    for base in kind.__mro__:
        if base in REGISTRIES[registry] and same_attributes(
            kind, base, METHODS[registry]
        ):
            return REGISTRIES[registry][base](graph, activation, x)
    raise NotImplementedError(
        f"The ONNX operators of {activation!r} are not known. Register them by "
        f"skce.onnx.{registry}[{kind.__name__}] = function, where "
        "function(graph, activation, x) adds nodes, as in graph('Tanh', x), and "
        "returns the name of the last."
    )


def _set_output_types(operator):
    """Set types and shapes of label and probabilities (skl2onnx's shape calculator)."""
    types = optional("skl2onnx.common.data_types", PURPOSE)
    classifier = operator.raw_operator
    check_is_fitted(classifier)
    n, q = operator.inputs[0].get_first_dimension(), len(classifier.classes_)
    labels = _labels(operator.scope_inst, classifier)
    kind = types.StringTensorType if labels.dtype.kind == "U" else types.Int64TensorType
    operator.outputs[0].set_type(kind([n, q] if classifier._labels.multilabel else [n]))
    operator.outputs[1].type.shape = [n, q]


def _labels(scope, classifier):
    """Return the labels that the graph outputs: str or int64."""
    utils = optional("skl2onnx.common.utils_classifier", PURPOSE)
    classes = utils.get_label_classes(scope, classifier)  # honours nocl
    if all(isinstance(label, str) for label in classes.tolist()):
        return classes.astype(str)
    integers = classes.astype(np.int64)
    if not (integers == classes).all():
        raise ValueError(
            f"classes_={classes.tolist()} are neither strings nor integers, but labels "
            "in ONNX must be one or the other: set options={'nocl': True}, for labels "
            "that are an index in classes_."
        )
    return integers


def _convert(scope, operator, container):
    """Add the nodes of a fitted classifier (skl2onnx's converter)."""
    types = optional("skl2onnx.common.data_types", PURPOSE)
    classifier, inputs = operator.raw_operator, operator.inputs
    if classifier.posterior_covariance_ is not None:
        raise NotImplementedError(
            "Moderated probabilities cannot be exported to ONNX: fit with "
            "moderated=False."
        )
    label, probabilities = operator.outputs
    network, _ = classifier._fitted_network  # raises where it was tampered with

    is_single = all(isinstance(x.type, types.FloatTensorType) for x in inputs)
    of_inputs = np.float32 if is_single else np.float64
    dtype = np.result_type(of_inputs, classifier.coefs_[0])
    graph = Graph(scope, container, dtype, network.n_outputs)
    computed = _tensor_type(TENSOR_TYPES[dtype.name])

    def cast(name, before, after, **output):
        if before == after:
            return graph("Identity", name, **output)  # which skl2onnx removes
        return graph("Cast", name, to=after, **output)

    columns = [
        cast(x.full_name, types.guess_proto_type(x.type), computed) for x in inputs
    ]
    X = graph("Concat", *columns, axis=1) if len(columns) > 1 else columns[0]
    z = _logits(graph, classifier, X)
    operations = _GraphOperations(graph, classifier.pairing_.activation)
    P = head_of(classifier._labels).probabilities(operations, z)
    raw = scope.get_options(classifier, {"raw_scores": False})["raw_scores"]
    result = _decision(graph, classifier, operations, z) if raw else P
    wanted = types.guess_proto_type(probabilities.type)
    cast(result, computed, wanted, output=probabilities.full_name)
    if classifier._labels.multilabel:
        on = graph("Greater", P, 0.5)
        graph("Cast", on, to=_tensor_type("INT64"), output=label.full_name)
    else:
        best = graph("ArgMax", P, axis=1, keepdims=0)
        graph("Gather", _labels(scope, classifier), best, output=label.full_name)


def _logits(graph, classifier, y):
    """Add the layers: the logits (n, q) of the input y (n, p)."""
    X, skip_coef = y, classifier.skip_coef_
    *hidden, last = zip(classifier.coefs_, classifier.intercepts_, strict=True)
    for W, b in hidden:
        a = graph("Gemm", y, W, b)
        y = _add("HIDDEN", graph, classifier._network.hidden_activation, a)
    z = graph("Gemm", y, *last)
    return z if skip_coef is None else graph("Gemm", X, skip_coef, z)


@dataclass(frozen=True)
class _GraphOperations:
    """The operations of a head, `skce._network.heads`, on logits (n, q) in a graph."""

    graph: Graph
    activation: Activation

    def probabilities(self, z):
        return _add("PROBABILITIES", self.graph, self.activation, z)

    def on(self, z):
        return _add("MARGINALS", self.graph, self.activation, z)

    def both(self, z):
        on = self.on(z)
        return self.graph("Concat", self.graph("Sub", 1.0, on), on, axis=1)

    def decision(self, z):
        return _add("DECISIONS", self.graph, self.activation, z)

    def difference(self, z):
        first, second = (self.graph("Gather", z, [k], axis=1) for k in (0, 1))
        return self.graph("Sub", second, first)


def _decision(graph, classifier, operations, z):
    """Turn the logits z into decision values; -d and d for two classes."""
    d = head_of(classifier._labels).decision(operations, z)
    if classifier._labels.multilabel or len(classifier.classes_) > 2:
        return d
    return graph("Concat", graph("Neg", d), d, axis=1)
