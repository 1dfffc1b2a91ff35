"""Export to ONNX: `to_onnx`, and the converter of the classifier for skl2onnx.

The graph has one Gemm per layer, the hidden activation between them, and the operators
that turn the logits into probabilities. It computes in the wider dtype of the input and
the coefficients, as `predict_proba` does. The operators of an activation are methods of
its class: `HiddenActivation.onnx_value`, and `onnx_value`, `onnx_probabilities`,
`onnx_marginals` and `onnx_decision` of `Activation`. Arrays are rows x units here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from skce._network.heads import head_of
from skce._network.logits import mean
from skce._support.optional import optional
from skce._support.warn import warn
from skce.classifier import PairedMLPClassifier
from skce.losses._graph import (
    PURPOSE,
    TENSOR_TYPES,
    Graph,
    Tensor,
    tensor_type,
    without_operators,
)
from skce.losses.activations import Activation

__all__ = ["Graph", "Tensor", "register", "to_onnx"]


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
        skl2onnx can convert. For a search, the best estimator is converted. Of a
        TunedThresholdClassifierCV or FixedThresholdClassifier the classifier is
        converted, with a warning that names the threshold.
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
        If a user-defined activation does not define its operators, or the classifier
        is `moderated`, or if "raw_scores" are asked for with `average_starts`.
    RuntimeError, NameError
        Raised by skl2onnx if it cannot convert another step or an option is unknown.
        RuntimeError also if onnxruntime is installed and cannot run the graph, because
        it has the operators of some other steps in float32 only.

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
        _innermost(estimator),
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
            f"onnxruntime cannot run the graph: {error}. If it lacks a float64 "
            "operator for another step, fit on float32 and pass X as float32; "
            "otherwise, leave that step out."
        ) from error


def register() -> None:
    """Register PairedMLPClassifier with skl2onnx, to call `skl2onnx.to_onnx` directly.

    Also registers a converter of SimpleImputer for float64, because onnxruntime lacks
    the operator that skl2onnx's own converter uses.

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
        if imputer.add_indicator and imputer.indicator_.features_.size:
            raise RuntimeError(
                f"{imputer} adds columns for missing values, which skl2onnx leaves "
                "out: set add_indicator=False and fit again."
            )
        is_double = all(isinstance(x.type, types.DoubleTensorType) for x in inputs)
        # of objects, for a constant
        kind = float if is_double else None
        statistics = np.asarray(imputer.statistics_, dtype=kind)
        if (
            not is_double
            or not (isinstance(marker, float) and np.isnan(marker))
            or not np.isfinite(statistics).all()
        ):
            self.other(scope, operator, container)
            return
        graph = Graph(scope, container, np.dtype(np.float64), 1)
        columns = [Tensor(graph, x.full_name) for x in inputs]
        X = graph("Concat", *columns, axis=1) if len(columns) > 1 else columns[0]
        missing = graph("IsNaN", X)
        output = operator.outputs[0].full_name
        graph("Where", missing, statistics, X, output=output)


def _innermost(estimator):
    """Return what a search, a threshold or a frozen estimator holds.

    Also as the last step of a pipeline.
    """
    if hasattr(estimator, "best_estimator_"):
        return _innermost(estimator.best_estimator_)
    if isinstance(estimator, FrozenEstimator):
        return _innermost(estimator.estimator)
    if isinstance(estimator, TunedThresholdClassifierCV | FixedThresholdClassifier):
        _warn_of_threshold(estimator)
        return _innermost(estimator.estimator_)
    if type(estimator) is Pipeline:
        *others, (name, last) = estimator.steps
        return Pipeline([*others, (name, _innermost(last))])
    return estimator


def _warn_of_threshold(estimator):
    """Warn that the labels of the graph do not depend on the threshold."""
    if isinstance(estimator, TunedThresholdClassifierCV):
        threshold = estimator.best_threshold_
    else:
        threshold = estimator.threshold
    by_decision = estimator.response_method == "decision_function"
    if threshold != "auto":
        warn(
            "The labels of the graph are those of the largest probability, because the "
            f"threshold of {type(estimator).__name__} is not exported: predict the "
            "positive class where its "
            f"{'decision_function' if by_decision else 'probability'} is at least "
            f"{threshold:.4g}.",
            UserWarning,
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
            f"classes_={classes.tolist()} are neither strings nor integers, as labels "
            "in ONNX must be: pass options={'nocl': True} to get indices into classes_ "
            "instead."
        )
    return integers


def _convert(scope, operator, container):
    """Add the nodes of a fitted classifier (skl2onnx's converter)."""
    types = optional("skl2onnx.common.data_types", PURPOSE)
    classifier, inputs = operator.raw_operator, operator.inputs
    if classifier.moderated and classifier.posterior_covariance_ is not None:
        raise NotImplementedError(
            "Moderated probabilities cannot be exported to ONNX: set moderated=False."
        )
    raw = scope.get_options(classifier, {"raw_scores": False})["raw_scores"]
    if raw and not hasattr(classifier, "decision_function"):
        raise NotImplementedError(
            "raw_scores are not available with average_starts=True, as averaged "
            "probabilities are not the outputs of one network's logits: leave the "
            "option out, or set average_starts=False to export the best network."
        )
    label, probabilities = operator.outputs
    network, _ = classifier._fitted_network  # raises where it was tampered with

    is_single = all(isinstance(x.type, types.FloatTensorType) for x in inputs)
    of_inputs = np.float32 if is_single else np.float64
    dtype = np.result_type(of_inputs, classifier.coefs_[0])
    graph = Graph(scope, container, dtype, network.n_outputs)
    computed = tensor_type(TENSOR_TYPES[dtype.name])

    def cast(x, before, after, **output):
        if before == after:
            return graph("Identity", x, **output)  # which skl2onnx removes
        return graph("Cast", x, to=after, **output)

    columns = [
        cast(Tensor(graph, x.full_name), types.guess_proto_type(x.type), computed)
        for x in inputs
    ]
    X = graph("Concat", *columns, axis=1) if len(columns) > 1 else columns[0]
    f = network.hidden_activation
    members = classifier._members(network)
    logits = [_logits(graph, f, parameters, X) for parameters in members]
    operations = _GraphOperations(graph, classifier.pairing_.activation)
    head = head_of(classifier._labels)
    P = mean([head.probabilities(operations, z) for z in logits])
    result = _decision(graph, classifier, operations, *logits) if raw else P
    wanted = types.guess_proto_type(probabilities.type)
    cast(result, computed, wanted, output=probabilities.full_name)
    if classifier._labels.multilabel:
        on = graph("Greater", P, 0.5)
        graph("Cast", on, to=tensor_type("INT64"), output=label.full_name)
    else:
        best = graph("ArgMax", P, axis=1, keepdims=0)
        graph("Gather", _labels(scope, classifier), best, output=label.full_name)


def _logits(graph, hidden_activation, parameters, X):
    """Add the layers of one network: the logits (n, q) of the input X (n, p)."""
    coefs, intercepts, skip_coef = parameters
    y, (*hidden, last) = X, zip(coefs, intercepts, strict=True)
    for W, b in hidden:
        a = graph("Gemm", y, W, b)
        y = hidden_activation.onnx_value(graph, a)
    z = graph("Gemm", y, *last)
    return z if skip_coef is None else graph("Gemm", X, skip_coef, z)


@dataclass(frozen=True)
class _GraphOperations:
    """The operations of a head, `skce._network.heads`, on logits (n, q) in a graph."""

    graph: Graph
    activation: Activation

    def probabilities(self, z):
        return self._added("onnx_probabilities", z)

    def class_scores(self, z):
        return self._added("onnx_class_scores", z)

    def on(self, z):
        return self._added("onnx_marginals", z)

    def both(self, z):
        on = self.on(z)
        return self.graph("Concat", 1 - on, on, axis=1)

    def decision(self, z):
        return self._added("onnx_decision", z)

    def difference(self, z):
        first, second = (self.graph("Gather", z, [k], axis=1) for k in (0, 1))
        return second - first

    def _added(self, method, z):
        add = getattr(self.activation, method, None)  # see `valid_for`
        if add is None:
            raise without_operators(self.activation, method)
        return add(self.graph, z)


def _decision(graph, classifier, operations, z):
    """Turn the logits z into decision values; -d and d for two classes."""
    d = head_of(classifier._labels).decision(operations, z)
    if classifier._labels.multilabel or len(classifier.classes_) > 2:
        return d
    return graph("Concat", -d, d, axis=1)
