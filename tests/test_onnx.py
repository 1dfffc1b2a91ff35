"""The exported graph gives the results of predict_proba and predict."""

import sys

import numpy as np
import pandas as pd
import pytest
from problems import ORDINAL, Exponential, best_penalty, label
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.datasets import load_iris, make_multilabel_classification
from sklearn.ensemble import BaggingClassifier, StackingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    RandomizedSearchCV,
    TunedThresholdClassifierCV,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skce import PairedMLPClassifier, PairedMLPClassifierCV
from skce.losses.activations import (
    ACTIVATIONS,
    Entmax,
    Logistic,
    Softmax,
    get_activation,
)
from skce.losses.hidden import HIDDEN_ACTIVATIONS, HiddenActivation, HiddenTanh
from skce.onnx import register, to_onnx

skl2onnx = pytest.importorskip("skl2onnx")
onnxruntime = pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")

X, Y = load_iris(return_X_y=True)
X32 = X.astype(np.float32)
NAMES = np.array(["setosa", "versicolor", "virginica"])
MULTI, MULTI_Y = make_multilabel_classification(
    n_samples=100, n_classes=3, random_state=0
)
ELEMENTWISE = [name for name, f in ACTIVATIONS.items() if f.elementwise]
DTYPES = [np.float32, np.float64]


def small(activation="softmax", **parameters):
    defaults = {"hidden_layer_sizes": 5, "alpha": 1, "random_state": 0, "tol": 1e-2}
    defaults["penalty"] = best_penalty(activation)
    return PairedMLPClassifier(activation, **defaults | parameters)


def run(model, X):
    """The outputs of a model, which onnx.checker must accept."""
    onnx.checker.check_model(model, full_check=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    names = [value.name for value in session.get_inputs()]
    inputs = {names[0]: X} if len(names) == 1 else {n: X[[n]].to_numpy() for n in names}
    return session.run(None, inputs)


def assert_same(fitted, X, model=None, atol=1e-5):
    """Assert that the graph's outputs are those of the fitted estimator."""
    model = to_onnx(fitted, X[:1]) if model is None else model
    label, probabilities = run(model, X)
    expected = fitted.predict_proba(X)
    assert probabilities.shape == expected.shape
    np.testing.assert_allclose(probabilities, expected, rtol=0, atol=atol)
    if label.ndim == 2:
        clear = np.abs(expected - 0.5) > atol
    else:
        first, second = np.sort(expected, axis=1)[:, :-3:-1].T
        clear = first - second > atol
    assert clear.mean() > 0.2  # all 30 units of cloglog are often on
    np.testing.assert_array_equal(label[clear], fitted.predict(X)[clear])
    return label, probabilities


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("hidden_activation", HIDDEN_ACTIVATIONS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.filterwarnings("ignore:The classes are taken in the order of the alpha")
def test_several_classes(activation, hidden_activation, skip, dtype):
    fitted = make_pipeline(
        StandardScaler(),
        small(
            activation,
            hidden_layer_sizes=(5, 4),
            hidden_activation=hidden_activation,
            skip_layer=skip,
        ),
    ).fit(X.astype(dtype), NAMES[Y])
    label, probabilities = assert_same(fitted, X.astype(dtype))
    assert set(label) <= set(NAMES)
    assert probabilities.dtype == dtype
    other = DTYPES[dtype == np.float32]  # computed in float64, as in predict_proba
    assert_same(fitted[-1], fitted[0].transform(X).astype(other))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_two_classes(activation, dtype):
    fitted = small(activation).fit(X.astype(dtype), Y == 0)
    label, _ = assert_same(fitted, X.astype(dtype))
    assert set(label.tolist()) == {0, 1}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", ELEMENTWISE)
def test_multilabel(activation, dtype):
    rows = StandardScaler().fit_transform(MULTI).astype(dtype)
    label, _ = assert_same(small(activation).fit(rows, MULTI_Y), rows)
    assert label.shape == MULTI_Y.shape
    assert label.dtype == np.int64
    assert set(label.flat) == {0, 1}


def of_logits(activation, y, n_outputs, dtype):
    """A classifier whose logits are its inputs."""
    inputs = np.random.default_rng(0).normal(size=(len(y), n_outputs)).astype(dtype)
    fitted = small(activation, hidden_layer_sizes=()).fit(inputs, y)
    assert fitted.n_outputs_ == n_outputs
    fitted.coefs_ = [np.eye(n_outputs, dtype=dtype)]
    fitted.intercepts_ = [np.zeros(n_outputs, dtype=dtype)]
    return fitted


def far_logits(q, dtype):
    """Rows of |z| up to 800: far apart, close together, equal, and around 0."""
    rng = np.random.default_rng(1)
    spread = [rng.uniform(-size, size, (50, q)) for size in (0.5, 3, 40, 800)]
    centres = rng.uniform(-799, 799, (50, 1))
    near = [centres + rng.uniform(-size, size, (50, q)) for size in (1e-3, 0.3, 1)]
    corners = rng.choice([-800, 0, 800], (50, q))
    equal = np.full((3, q), [[-800], [0], [800]])
    return np.vstack([*spread, *near, corners, equal]).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_classes", [2, 3, 30])
@pytest.mark.parametrize("activation", [*ACTIVATIONS, *ORDINAL[1:]], ids=label)
def test_large_logits(activation, n_classes, dtype):
    one_unit = n_classes == 2 and activation in ELEMENTWISE
    y = np.arange(60) % n_classes
    fitted = of_logits(activation, y, 1 if one_unit else n_classes, dtype)
    # single precision leaves 5e-5 of a threshold of 800, of which F makes the half
    summed = get_activation(activation).ordered and dtype == np.float32
    atol = 2.5e-5 if summed else 1e-5
    assert_same(fitted, far_logits(fitted.n_outputs_, dtype), atol=atol)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_classes", [2, 3, 300])
@pytest.mark.parametrize("alpha", [1.01, 1.2, 1.5, 1.8, 2])
def test_entmax_of_any_alpha(alpha, n_classes, dtype):
    y = np.arange(600) % n_classes
    fitted = of_logits(Entmax(alpha), y, n_classes, dtype)
    assert_same(fitted, far_logits(n_classes, dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", ELEMENTWISE)
def test_large_logits_of_labels(activation, dtype):
    fitted = of_logits(activation, MULTI_Y, MULTI_Y.shape[1], dtype)
    assert_same(fitted, far_logits(MULTI_Y.shape[1], dtype))


@pytest.mark.parametrize(
    ("labels", "dtype"),
    [
        (np.array([7, 3, 5]), np.int64),
        (np.array([2.0, 1.0, 4.0]), np.int64),
        (np.array([-1, 2**40, 0]), np.int64),
        (np.array(["ä", "b", "c"], dtype=object), object),
    ],
    ids=["int", "whole floats", "large", "objects"],
)
def test_labels_of_any_kind(labels, dtype):
    label, _ = assert_same(small().fit(X, labels[Y]), X)
    assert label.dtype == dtype


def test_labels_that_onnx_cannot_represent_are_refused():
    targets = np.eye(3)[Y]
    fitted = small().fit_targets(X, targets, classes=[0.5, 1.5, 2.5])
    with pytest.raises(ValueError, match=r"0\.5, 1\.5.*neither.*'nocl'"):
        to_onnx(fitted, X[:1])
    label, _ = run(to_onnx(fitted, X[:1], options={"nocl": True}), X)
    np.testing.assert_array_equal(label, fitted.predict_proba(X).argmax(axis=1))


def test_integer_inputs_are_accepted():
    rows = np.round(X * 10).astype(np.int64)
    _, probabilities = assert_same(small().fit(rows / 10, Y), rows)
    assert probabilities.dtype == np.float32


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("target_opset", [11, 13, 18, None])
def test_older_opsets_give_the_same_results(activation, target_opset):
    fitted = small(activation).fit(X, Y)
    model = to_onnx(fitted, X[:1], target_opset=target_opset)
    assert_same(fitted, X, model)
    assert target_opset in (None, model.opset_import[0].version)


def test_searches_and_data_frames_are_exported():
    frame = pd.DataFrame(X, columns=list("abcd"))
    pipeline = make_pipeline(StandardScaler(), small())
    grid = {"pairedmlpclassifier__alpha": [1, 10]}
    assert_same(GridSearchCV(pipeline, grid, cv=2).fit(X, Y), X)
    search = RandomizedSearchCV(small(), {"alpha": [1, 10]}, n_iter=2, cv=2)
    inside = make_pipeline(StandardScaler(), search).fit(frame, Y)
    model = to_onnx(inside, frame[:1])
    assert [value.name for value in model.graph.input] == list("abcd")
    assert_same(inside, frame, model)
    mixed = frame.astype({"a": np.float32, "b": int})
    assert_same(small().fit(mixed, Y), mixed)
    singles = frame.astype(np.float32)
    assert_same(small().fit(singles, Y), singles)


@pytest.mark.parametrize("last", [False, True], ids=["around", "inside"])
@pytest.mark.parametrize(
    "decide",
    [
        lambda c: TunedThresholdClassifierCV(c, cv=2, random_state=0),
        lambda c: FixedThresholdClassifier(c, threshold=0.05),
        lambda c: FixedThresholdClassifier(
            FrozenEstimator(c.fit(X, Y == 0)), threshold=0.9
        ),
    ],
    ids=["tuned", "fixed", "frozen"],
)
def test_a_threshold_is_not_exported_and_the_warning_has_it(decide, last):
    clf = GridSearchCV(small(), {"alpha": [1, 10]}, cv=2)
    fitted = make_pipeline(decide(clf)) if last else decide(make_pipeline(clf))
    fitted = fitted.fit(X, Y == 0)
    outer = fitted[-1] if last else fitted
    tuned = hasattr(outer, "best_threshold_")
    threshold = outer.best_threshold_ if tuned else outer.threshold
    with pytest.warns(UserWarning, match=rf"threshold.* {threshold:.4g}\b"):
        model = to_onnx(fitted, X[:1])
    label, probabilities = run(model, X)
    np.testing.assert_allclose(probabilities, fitted.predict_proba(X), atol=1e-5)
    np.testing.assert_array_equal(label, probabilities.argmax(axis=1))
    on = probabilities[:, 1] >= threshold
    clear = abs(probabilities[:, 1] - threshold) > 1e-5
    np.testing.assert_array_equal(on[clear], fitted.predict(X)[clear])


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_pipeline_of_the_guide_is_exported(dtype):
    frame = pd.DataFrame(X.astype(dtype), columns=["a", "b", "c", "d / e"])
    frame.iloc[::7, 1] = np.nan
    frame["colour"] = np.where(X[:, 2] > 4, "deep", "pale")
    prepare = make_column_transformer(
        (SimpleImputer(), make_column_selector(dtype_include="number")),
        remainder=OneHotEncoder(handle_unknown="ignore"),
    )
    search = PairedMLPClassifierCV(alphas=[1], hidden_layer_sizes=5, random_state=0)
    other = frame.replace({"colour": {"deep": "unseen"}})
    for classifier in (small(), search):
        model = make_pipeline(clone(prepare), classifier).fit(frame, NAMES[Y])
        exported = to_onnx(model, frame[:1])
        inputs = [value.name for value in exported.graph.input]
        for rows in (frame, other):
            renamed = rows.set_axis(inputs, axis=1)  # skl2onnx changes "d / e"
            label, probabilities = run(exported, renamed)
            expected = model.predict_proba(rows)
            np.testing.assert_allclose(probabilities, expected, rtol=0, atol=1e-5)
            assert (label == model.predict(rows)).mean() > 0.98


@pytest.mark.parametrize("dtype", DTYPES)
def test_missing_numbers_are_imputed_in_their_own_precision(dtype):
    rows = (1e6 + X).astype(dtype)
    rows[::5, 2] = np.nan
    for imputer in (SimpleImputer(), SimpleImputer(strategy="most_frequent")):
        fitted = make_pipeline(imputer, StandardScaler(), small()).fit(rows, Y)
        _, probabilities = run(to_onnx(fitted, rows[:1]), rows)
        atol = 1e-5 if dtype == np.float64 else 0.1
        expected = fitted.predict_proba(rows)
        np.testing.assert_allclose(probabilities, expected, rtol=0, atol=atol)


def test_a_graph_that_onnxruntime_cannot_run_is_an_error_at_export(monkeypatch):
    fitted = make_pipeline(SimpleImputer(missing_values=-1.0), small()).fit(X, Y)
    with pytest.raises(RuntimeError, match=r"cannot run .* Imputer.* fit on float32"):
        to_onnx(fitted, X[:1])
    run(to_onnx(fitted.fit(X32, Y), X32[:1]), X32)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)  # it is to run elsewhere
    to_onnx(fitted.fit(X, Y), X[:1])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("marker", [np.nan, -1.0])
def test_columns_of_missing_values_are_an_error_at_export(dtype, marker):
    rows = X.astype(dtype)
    rows[::5, 2] = marker
    imputer = SimpleImputer(add_indicator=True, missing_values=marker)
    fitted = make_pipeline(imputer, small()).fit(rows, Y)
    with pytest.raises(RuntimeError, match="add_indicator=False"):
        to_onnx(fitted, rows[:1])
    rows = X32  # without missing values, no column is added
    fitted = make_pipeline(imputer, small()).fit(rows, Y)
    _, probabilities = run(to_onnx(fitted, rows[:1]), rows)
    np.testing.assert_allclose(probabilities, fitted.predict_proba(rows), atol=1e-5)


@pytest.mark.parametrize("labels", [Y, Y == 0], ids=["several", "two"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(
    "wrap",
    [
        lambda c: CalibratedClassifierCV(c, cv=2),
        lambda c: BaggingClassifier(c, n_estimators=2, random_state=0),
        lambda c: StackingClassifier([("a", c)], c, cv=2),
        OneVsRestClassifier,
    ],
    ids=["calibrated", "bagging", "stacking", "ovr"],
)
def test_meta_estimators_that_skl2onnx_converts_are_exported(wrap, activation, labels):
    assert_same(wrap(small(activation)).fit(X, labels), X)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_raw_scores_are_those_of_decision_function(activation):
    raw = {"raw_scores": True}
    for labels in (Y, Y == 0):
        fitted = small(activation).fit(X, labels)
        label, scores = run(to_onnx(fitted, X[:1], options=raw), X)
        expected = fitted.decision_function(X)
        if expected.ndim == 1:
            expected = np.column_stack([-expected, expected])
        np.testing.assert_allclose(scores, expected, atol=1e-12)
        np.testing.assert_array_equal(label, fitted.predict(X))
    if activation in ELEMENTWISE:
        fitted = small(activation).fit(MULTI, MULTI_Y)
        _, scores = run(to_onnx(fitted, MULTI[:1], options=raw), MULTI)
        np.testing.assert_allclose(scores, fitted.decision_function(MULTI), atol=1e-12)


def test_registering_often_is_harmless():
    for _ in range(600):
        register()
    assert_same(make_pipeline(SimpleImputer(), small()).fit(X32, Y), X32)


def test_options_of_skl2onnx_are_supported():
    fitted = small().fit(X, NAMES[Y])
    register()
    register()  # registering again is harmless
    label, maps = run(skl2onnx.to_onnx(fitted, X[:1].astype(np.float32)), X32)
    np.testing.assert_array_equal(label, fitted.predict(X32))
    expected = fitted.predict_proba(X32)
    assert list(maps[0]) == list(NAMES)
    np.testing.assert_allclose([list(m.values()) for m in maps], expected, atol=1e-5)
    columns = to_onnx(fitted, X32[:1], options={"zipmap": "columns"})
    given = np.column_stack(run(columns, X32)[1:])
    np.testing.assert_allclose(given, expected, atol=1e-5)
    with_classes = to_onnx(fitted, X[:1], options={"output_class_labels": True})
    assert run(with_classes, X)[2].tolist() == NAMES.tolist()
    index, _ = run(to_onnx(fitted, X[:1], options={"nocl": True}), X)
    np.testing.assert_array_equal(NAMES[index], fitted.predict(X))
    with pytest.raises(NameError, match="decision_path"):
        to_onnx(fitted, X[:1], options={"decision_path": True})


class SoftSign(HiddenActivation):
    """A user-defined hidden activation with a parameter."""

    def __init__(self, scale):
        self.scale = scale

    def apply(self, a):
        a /= self.scale + np.abs(a)

    def derivative(self, y):
        return (1 - np.abs(y)) ** 2 / self.scale

    def onnx_value(self, graph, a):
        return a / (self.scale + abs(a))


class Steeper(Logistic):
    """A user-defined activation with another formula than its base."""

    def value(self, z):
        return super().value(2 * z)

    def derivative(self, z, y):
        return 2 * y * (1 - y)


class ExportedExponential(Exponential):
    def onnx_value(self, graph, z):
        return graph("Exp", z)


class ExportedSteeper(Steeper):
    def onnx_value(self, graph, z):
        return graph("Sigmoid", 2 * z)


@pytest.mark.parametrize("labels", [Y, Y == 0, MULTI_Y], ids=["several", "two", "sets"])
@pytest.mark.parametrize("activation", [ExportedExponential(), ExportedSteeper()])
def test_one_method_exports_a_user_defined_elementwise_activation(activation, labels):
    inputs = MULTI if labels is MULTI_Y else X
    fitted = small(activation, penalty="least_squares").fit(inputs, labels)
    assert_same(fitted, inputs)
    assert_same(fitted, inputs.astype(np.float32))
    raw = to_onnx(fitted, inputs[:1], options={"raw_scores": True})
    scores = run(raw, inputs)[1]
    expected = fitted.decision_function(inputs)
    if expected.ndim == 1:
        expected = np.column_stack([-expected, expected])
    np.testing.assert_allclose(scores, expected, atol=1e-12)


def test_one_method_exports_a_user_defined_hidden_activation():
    fitted = small(hidden_activation=SoftSign(2.0)).fit(X, Y)
    assert_same(fitted, X)
    assert_same(fitted, X32)


class Unknown(HiddenActivation):
    def apply(self, a):
        a *= 3

    def derivative(self, y):
        return np.full_like(y, 3)


@pytest.mark.parametrize(
    "parameters",
    [
        {"activation": Exponential(), "penalty": "least_squares"},
        {"hidden_activation": Unknown()},
    ],
    ids=["output", "hidden"],
)
@pytest.mark.parametrize("labels", [Y, Y == 0], ids=["several", "two"])
def test_without_operators_the_error_names_the_method_to_define(parameters, labels):
    fitted = small(**parameters).fit(X, labels)
    with pytest.raises(
        NotImplementedError, match=r"Define \w+\.onnx_value\(self, graph"
    ):
        to_onnx(fitted, X[:1])


class Renamed(Logistic):
    """A user-defined activation that overrides no formula of its base."""

    name = "my_logistic"


class RenamedTanh(HiddenTanh):
    pass


@pytest.mark.parametrize("labels", [Y, Y == 0], ids=["several", "two"])
def test_a_subclass_that_changes_nothing_has_the_operators_of_its_base(labels):
    fitted = small(Renamed(), hidden_activation=RenamedTanh()).fit(X, labels)
    assert_same(fitted, X)
    to_onnx(fitted, X[:1], options={"raw_scores": True})


class OtherProbabilities(Softmax):
    """The outputs of softmax, but other probabilities."""

    def probabilities(self, z):
        return super().probabilities(z / 2)


class OtherMarginals(Logistic):
    """The outputs of the logistic function, but other probabilities of each unit."""

    def marginals(self, z):
        return super().marginals(z / 2)


class OtherDecision(Logistic):
    """The outputs of the logistic function, but another decision."""

    def decision(self, z):
        return super().decision(z) - 1


class OtherTanh(HiddenTanh):
    """Another function than its base."""

    def apply(self, a):
        a *= 2
        super().apply(a)

    def derivative(self, y):
        return 2 * super().derivative(y)


@pytest.mark.parametrize(
    ("parameters", "labels", "method"),
    [
        ({"activation": Steeper()}, Y, "Steeper.onnx_value"),
        ({"activation": Steeper()}, Y == 0, "Steeper.onnx_value"),
        (
            {"activation": OtherProbabilities()},
            Y,
            "OtherProbabilities.onnx_probabilities",
        ),
        ({"activation": OtherMarginals()}, Y == 0, "OtherMarginals.onnx_marginals"),
        ({"activation": OtherDecision()}, Y == 0, "OtherDecision.onnx_decision"),
        ({"hidden_activation": OtherTanh()}, Y, "OtherTanh.onnx_value"),
    ],
)
def test_a_subclass_with_another_formula_is_not_exported_as_its_base(
    parameters, labels, method
):
    fitted = small(penalty="least_squares", **parameters).fit(X, labels)
    with pytest.raises(NotImplementedError, match=rf"Define {method}\(self, graph"):
        to_onnx(fitted, X[:1], options={"raw_scores": method.endswith("decision")})


def test_without_the_packages_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "skl2onnx", None)
    with pytest.raises(ImportError, match="pip install skl2onnx"):
        register()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_averages_of_several_starts(activation, dtype):
    clf = small(activation, n_init=3, average_starts=True, skip_layer=True, alpha=0.1)
    for classes in (Y, Y == 1):
        clf.fit(X.astype(dtype), classes)
        assert not np.allclose(
            clf.predict_proba(X), clf.members()[0].predict_proba(X), atol=1e-4
        )
        assert_same(clf, X.astype(dtype))
    if activation in ELEMENTWISE:
        assert_same(clf.fit(MULTI.astype(dtype), MULTI_Y), MULTI.astype(dtype))
    with pytest.raises(NotImplementedError, match=r"raw_scores .*average_starts=False"):
        to_onnx(clf, X[:1], options={"raw_scores": True})
    clf.set_params(average_starts=False)
    assert_same(clf, (MULTI if clf.n_features_in_ == 20 else X).astype(dtype))


def test_moderated_probabilities_are_refused():
    clf = PairedMLPClassifier(hidden_layer_sizes=2, alpha=1, moderated=True)
    X = np.arange(8.0)[:, np.newaxis]
    clf.fit(X, [0, 0, 0, 1, 0, 1, 1, 1])
    with pytest.raises(NotImplementedError, match=r"moderated=False"):
        to_onnx(clf, X)
    assert_same(clf.set_params(moderated=False), X)


def test_an_imputer_of_a_constant_is_exported():
    rows = np.where(np.arange(X.size).reshape(X.shape) % 7 == 0, np.nan, X)
    fitted = make_pipeline(SimpleImputer(strategy="constant"), small()).fit(rows, Y)
    assert_same(fitted, rows)
