"""Export to ONNX: `to_onnx`, and what skl2onnx has to know of the classifier.

The graph has a Gemm a layer, the hidden activation between them, and the operators
that make the logits probabilities. It computes in the wider dtype of the input and
the coefficients, as `predict_proba` does. Arrays are rows x units here.

Which operators belong to an activation stands in `PROBABILITIES`, `MARGINALS`,
`DECISIONS` and `HIDDEN`, for classes of one's own as well:

>>> from skce import onnx
>>> from skce.losses.hidden import HiddenActivation
>>> class SoftSign(HiddenActivation):
...     def apply(self, a):
...         a /= 1 + abs(a)
...     def derivative(self, y):
...         return (1 - abs(y)) ** 2
>>> onnx.HIDDEN[SoftSign] = lambda graph, activation, a: graph("Softsign", a)
"""

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from skce._support.optional import optional
from skce.classifier import PairedMLPClassifier
from skce.losses.activations import Identity, Logistic, Softmax, Sparsemax
from skce.losses.hidden import HiddenIdentity, HiddenLogistic, HiddenReLU, HiddenTanh

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


def to_onnx(estimator, X=None, *, options=None, **kwargs):
    """The ONNX model of a fitted classifier, or of a pipeline or search with one.

    Parameters
    ----------
    estimator : estimator
        A PairedMLPClassifier, or a pipeline or other estimator of which skl2onnx can
        convert the rest. Of a search, the best estimator is converted.
    X : ndarray or DataFrame of shape (n_samples, n_features), default=None
        Some rows, for the names and types of the inputs, which are one input "X" or one
        a column of the frame; `initial_types` of skl2onnx in its place.
    options : dict of str, default=None
        Of skl2onnx, with "zipmap" off unless given: the classifier's are "zipmap",
        "nocl" (labels as their index in `classes_`), "raw_scores" (`decision_function`
        in place of the probabilities; of two classes -d and d) and
        "output_class_labels".
    **kwargs
        Of `skl2onnx.to_onnx`, as `target_opset`.

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
        If nothing is known of the operators of an activation of one's own, or the
        classifier is `moderated`.
    RuntimeError, NameError
        Of skl2onnx, if it cannot convert another step or does not know an option.

    Notes
    -----
    The graph needs an opset of 11 or later. What becomes of other estimators is up to
    skl2onnx: compare with their `predict_proba`. (Of isotonic calibration version 1.20
    makes other probabilities, of LogisticRegression too.)

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
    return optional("skl2onnx", PURPOSE).to_onnx(
        _without_searches(estimator),
        X,
        options={"zipmap": False} | (options or {}),
        **kwargs,
    )


def register():
    """Tell skl2onnx of PairedMLPClassifier, for calls of `skl2onnx.to_onnx` itself.

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


def _without_searches(estimator):
    """The best estimator in place of a search, also as the last step of a pipeline."""
    if hasattr(estimator, "best_estimator_"):
        return _without_searches(estimator.best_estimator_)
    if type(estimator) is Pipeline:
        *others, (name, last) = estimator.steps
        return Pipeline([*others, (name, _without_searches(last))])
    return estimator


class Graph:
    """The ONNX graph under construction: a call adds a node.

    Parameters
    ----------
    scope, container : skl2onnx's Scope and ModelComponentContainer
    dtype : numpy.dtype
        What the graph computes in, float32 or float64.
    n_outputs : int
        Output units q.

    Examples
    --------
    ONNX operators of a hidden activation of one's own:

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
            Name of its first output; a new one by default.
        spare : int, default=0
            Further outputs that the operator has, and nobody asks for.
        **attributes
            Of the operator.

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
        """The name of a constant: floats in the graph's dtype, strings, else int64."""
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
        if key not in self._constants:  # each is kept once
            name = self._constants[key] = self._new_name("constant")
            self._container.add_initializer(
                name, _tensor_type(kind), values.shape, content
            )
        return self._constants[key]

    def _new_name(self, name):
        return self._scope.get_unique_variable_name(name.lower())


TENSOR_TYPES = {"float32": "FLOAT", "float64": "DOUBLE", "int64": "INT64"}


def _tensor_type(name):
    """The number of the type FLOAT, DOUBLE, INT64 or STRING."""
    return getattr(optional("onnx", PURPOSE).TensorProto, name)


def project_on_simplex(graph, z):
    """The points of the simplex nearest to the rows of z, as skce.losses._numerics.

    The threshold tau is the largest of (z_(1) + ... + z_(k) - 1) / k: while z_(k) is
    over the threshold of the k - 1 before it, it raises it, and after that none does.

    Examples
    --------
    Probabilities of a sparsemax of 2 z:

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


# From the class of an activation, and of no subclass, as that may have another formula,
# to a function of (graph, activation, name of its input) that adds the operators and
# returns the name of the result. The logits z are (n, q).

# Activation.probabilities: from logits to class probabilities
PROBABILITIES = {
    Identity: lambda graph, activation, z: project_on_simplex(graph, z),
    Logistic: _normalised_logistic,
    Softmax: _softmax,
    Sparsemax: lambda graph, activation, z: project_on_simplex(graph, z),
}

# ElementwiseActivation.marginals: from logits to P(unit on), for one unit that answers
# for two classes, and for labels
MARGINALS = {
    Identity: lambda graph, activation, z: clip_to_unit_interval(graph, z),
    Logistic: lambda graph, activation, z: graph("Sigmoid", z),
}

# ElementwiseActivation.decision, for the option raw_scores, which skl2onnx sets itself
# where it calibrates
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
}


def _add(registry, name, graph, activation, x):
    """What `registry`, called `name`, has for the activation, applied to x."""
    kind = type(activation)
    if kind not in registry:
        raise NotImplementedError(
            f"Nothing is known of the ONNX operators of {activation!r}. Say what they "
            f"are: skce.onnx.{name}[{kind.__name__}] = function, a "
            "function(graph, activation, x) that adds nodes, as in "
            "graph('Tanh', x), and returns the name of the last."
        )
    return registry[kind](graph, activation, x)


def _set_output_types(operator):
    """Types and shapes of label and probabilities (skl2onnx's shape calculator)."""
    types = optional("skl2onnx.common.data_types", PURPOSE)
    classifier = operator.raw_operator
    check_is_fitted(classifier)
    n, q = operator.inputs[0].get_first_dimension(), len(classifier.classes_)
    labels = _labels(operator.scope_inst, classifier)
    kind = types.StringTensorType if labels.dtype.kind == "U" else types.Int64TensorType
    operator.outputs[0].set_type(kind([n, q] if classifier._multilabel else [n]))
    operator.outputs[1].type.shape = [n, q]


def _labels(scope, classifier):
    """The labels as the graph gives them: str or int64."""
    utils = optional("skl2onnx.common.utils_classifier", PURPOSE)
    classes = utils.get_label_classes(scope, classifier)  # honours nocl
    if all(isinstance(label, str) for label in classes.tolist()):
        return classes.astype(str)
    integers = classes.astype(np.int64)
    if not (integers == classes).all():
        raise ValueError(
            f"classes_={classes.tolist()} are neither strings nor integers, and labels "
            "in ONNX are one or the other: take options={'nocl': True}, for labels "
            "that are an index in classes_."
        )
    return integers


def _convert(scope, operator, container):
    """Add the nodes of a fitted classifier (skl2onnx's converter)."""
    types = optional("skl2onnx.common.data_types", PURPOSE)
    classifier, inputs = operator.raw_operator, operator.inputs
    if classifier.posterior_covariance_ is not None:
        raise NotImplementedError(
            "Moderated probabilities have no ONNX graph here: fit with moderated=False."
        )
    label, probabilities = operator.outputs

    is_single = all(isinstance(x.type, types.FloatTensorType) for x in inputs)
    of_inputs = np.float32 if is_single else np.float64
    dtype = np.result_type(of_inputs, classifier.coefs_[0])
    graph = Graph(scope, container, dtype, classifier.n_outputs_)
    computed = _tensor_type(TENSOR_TYPES[dtype.name])

    def cast(name, before, after, **output):
        if before == after:
            return graph("Identity", name, **output)  # which skl2onnx takes out
        return graph("Cast", name, to=after, **output)

    columns = [
        cast(x.full_name, types.guess_proto_type(x.type), computed) for x in inputs
    ]
    X = graph("Concat", *columns, axis=1) if len(columns) > 1 else columns[0]
    z = _logits(graph, classifier, X)
    P = _probabilities(graph, classifier, z)
    raw = scope.get_options(classifier, {"raw_scores": False})["raw_scores"]
    result = _decision(graph, classifier, z) if raw else P
    wanted = types.guess_proto_type(probabilities.type)
    cast(result, computed, wanted, output=probabilities.full_name)
    if classifier._multilabel:
        on = graph("Greater", P, 0.5)
        graph("Cast", on, to=_tensor_type("INT64"), output=label.full_name)
    else:
        best = graph("ArgMax", P, axis=1, keepdims=0)
        graph("Gather", _labels(scope, classifier), best, output=label.full_name)


def _logits(graph, classifier, y):
    """The logits (n, q) of the input y (n, p)."""
    *hidden, last = zip(classifier.coefs_, classifier.intercepts_, strict=True)
    for W, b in hidden:
        a = graph("Gemm", y, W, b)
        y = _add(HIDDEN, "HIDDEN", graph, classifier._hidden_activation, a)
    return graph("Gemm", y, *last)


def _probabilities(graph, classifier, z):
    """What `predict_proba` makes of the logits z."""
    activation = classifier.pairing_.activation
    if not classifier._multilabel and classifier.n_outputs_ > 1:
        return _add(PROBABILITIES, "PROBABILITIES", graph, activation, z)
    on = _add(MARGINALS, "MARGINALS", graph, activation, z)
    if classifier._multilabel:
        return on
    return graph("Concat", graph("Sub", 1.0, on), on, axis=1)


def _decision(graph, classifier, z):
    """What `decision_function` makes of the logits z; of two classes -d and d."""
    activation = classifier.pairing_.activation
    if classifier._multilabel or classifier.n_outputs_ == 1:
        d = _add(DECISIONS, "DECISIONS", graph, activation, z)
    elif classifier.n_outputs_ == 2:
        d = graph(
            "Sub", graph("Gather", z, [1], axis=1), graph("Gather", z, [0], axis=1)
        )
    else:
        return z
    return d if classifier._multilabel else graph("Concat", graph("Neg", d), d, axis=1)
