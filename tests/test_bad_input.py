"""Every wrong input gets a clear error, and a fitted estimator stays as it was."""

import copy
from importlib import import_module
from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest
from problems import plain
from scipy import sparse
from sklearn import clone, config_context
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.preprocessing import StandardScaler

from skce import PairedMLPClassifier, ScaleWarning, summary
from skce._inputs.labels import as_labels

RAW, y = load_iris(return_X_y=True)
X = StandardScaler().fit_transform(RAW)
Y = np.eye(3, dtype=int)[y]
WITH_NAN, WITH_INF = X.copy(), X.copy()
WITH_NAN[3, 1], WITH_INF[3, 1] = np.nan, np.inf
TEXT = pd.DataFrame(X, columns=list("abcd")).assign(colour="red")
ONES = np.ones(150)


def small(**parameters):
    return plain(
        **{"hidden_layer_sizes": 4, "alpha": 0.1, "random_state": 0} | parameters
    )


BAD_DATA = {
    "nan": ((WITH_NAN, y), "contains NaN"),
    "inf": ((WITH_INF, y), "contains infinity"),
    "text": ((TEXT, y), "X contains text.*OneHotEncoder"),
    "short y": ((X, y[:-1]), "inconsistent numbers of samples"),
    "no y": ((X, None), "requires y to be passed"),
    "one class": ((X, np.zeros(150)), "only one class.*at least two"),
    "float y": ((X, X[:, 0]), "Unknown label type: continuous"),
    "y with nan": ((X, np.where(y == 0, np.nan, y)), "y has missing labels.*in row 0:"),
    "multilabel": ((X, Y | np.eye(3, dtype=int)[(y + 1) % 3]), "activation='logistic'"),
    "-1 and 1": ((X, 2 * Y - 1), r"values \[-1, 1\].*indicators, 0 or 1"),
    "1 and 2": ((X, 1 + Y), r"values \[1, 2\]"),
    "one-hot": ((X, Y), r"fit y.argmax\(axis=1\)"),
    "several y": ((X, np.column_stack([y, y])), "MultiOutputClassifier"),
    "no rows": ((X[:0], y[:0]), "0 sample"),
    "one-dimensional X": ((X[:, 0], y), "Expected 2D array"),
    "complex X": ((X + 1j, y), "Complex data not supported"),
    "negative weight": ((X, y, ONES - 2 * (np.arange(150) == 7)), "negative values"),
    "zero weights": ((X, y, 0 * ONES), "zero for every row"),
    "nan weight": ((X, y, np.where(y == 0, np.nan, 1)), "sample_weight contains NaN"),
    "inf weight": ((X, y, np.where(y == 0, np.inf, 1)), "contains infinity"),
    "short weights": ((X, y, ONES[:-1]), "sample_weight has 149 weights.*150 rows"),
    "object integers": ((X, y.astype(object)), r"y.astype\(int\)"),
    "object floats": ((X, (y + 0.0).astype(object)), r"y.astype\(float\)"),
    "object bools": ((X, (y == 0).astype(object)), r"y.astype\(bool\)"),
    "object indicators": ((X, Y.astype(object)), r"y.astype\(int\)"),
    "bytes": ((X, y.astype("S")), "y has bytes as labels.*np.char.decode"),
    "object bytes": ((X, y.astype("S").astype(object)), "y has bytes as labels"),
    "mixed": ((X, np.array(["a", 1, 2], dtype=object)[y]), "type int and str.*str"),
    "None": ((X, np.array(["a", None], dtype=object)[y // 2]), "missing.*in row 100:"),
    "None, 1": ((X, np.array([1, None], dtype=object)[y // 2]), "missing.*row 100:"),
    "list of NaN": ((X, ["a", "b"] * 74 + ["a", np.nan]), "missing.*in row 149:"),
    "square weights": ((X, y, np.ones((150, 2))), "must be 1D"),
    "tiny weights": ((X, y, 1e-300 * ONES), "rescale sample_weight to a mean of 1"),
}
BAD_PARAMETERS = {
    "activation": ({"activation": "sigmoid"}, "'identity', 'logistic', 'probit'"),
    "hidden name": ({"activation": "relu"}, "hidden_activation='relu'"),
    "l2": ({"penalty": "l2"}, "strength of the L2 regularisation is alpha"),
    "undefined": ({"activation": "identity", "penalty": "cross_entropy"}, "'least_sq"),
    "hidden_activation": ({"hidden_activation": "softmax"}, "'logistic', 'tanh'"),
    "solver": ({"solver": "adam"}, "solver='adam' is stochastic.*Use 'lbfgs'"),
    "solver L-BFGS": ({"solver": "L-BFGS-B"}, "must be one of 'lbfgs'"),
    "init": ({"init": "zeros"}, "'glorot', 'uniform'"),
    "no units": ({"hidden_layer_sizes": 0}, "at least 1"),
    "negative": ({"hidden_layer_sizes": (5, -1)}, "at least 1"),
    "fraction": ({"hidden_layer_sizes": (2.5,)}, "hidden_layer_sizes=.2.5,"),
    "text size": ({"hidden_layer_sizes": "5"}, "hidden_layer_sizes='5'"),
    "True": ({"hidden_layer_sizes": True}, "hidden_layer_sizes=True"),
    "None": ({"hidden_layer_sizes": None}, "hidden_layer_sizes=None"),
    "vast": (
        {"hidden_layer_sizes": 10**15},
        "GB of memory, but .* GB is free.*fewer hidden units",
    ),
    "vaster": (
        {"hidden_layer_sizes": 10**400},
        "GB of memory, but .* GB is free.*fewer hidden units",
    ),
    "dense": ({"hidden_layer_sizes": 10**6, "solver": "bfgs"}, "solver='lbfgs'"),
    "alpha 10^400": ({"alpha": 10**400}, "must be a finite number"),
    "n_jobs": ({"n_jobs": 0}, "n_jobs=0 must be None or a nonzero integer: -1"),
    "n_iter_no_change": ({"n_iter_no_change": 2.5}, "integer of at least 1, or inf"),
    "scoring": ({"scoring": "loss"}, "scoring='loss' must be 'penalty'.*'accuracy'"),
    "alpha": ({"alpha": -1}, "alpha=-1 must be a finite number of at least 0"),
    "alpha nan": ({"alpha": np.nan}, "alpha=nan must be"),
    "alpha inf": ({"alpha": np.inf}, "alpha=inf must be"),
    "huge alpha": ({"alpha": 1e300}, "Lower alpha"),
    "tol": ({"tol": -1e-4}, "tol=-0.0001 must be"),
    "max_iter": ({"max_iter": 0}, "max_iter=0 must be an integer of at least 1"),
    "max_iter 1.5": ({"max_iter": 1.5}, "max_iter=1.5 must be an integer"),
    "max_fun": ({"max_fun": "many"}, "max_fun='many' must be"),
    "skip_layer": ({"skip_layer": 1}, "skip_layer=1 must be True or False"),
    "warm_start": ({"warm_start": "yes"}, "warm_start='yes' must be True or False"),
    "random_state": ({"random_state": "seed"}, "seed"),
}


# Immutable, so compared by identity
OBJECTS = ("pairing_", "_labels", "_network")


def snapshot(estimator):
    attributes = vars(estimator).items()
    values = {k: v for k, v in attributes if k not in OBJECTS}
    return copy.deepcopy(values) | {k: id(v) for k, v in attributes if k in OBJECTS}


def assert_unchanged(estimator, before):
    after = snapshot(estimator)
    assert after.keys() == before.keys()
    for name, value in before.items():
        np.testing.assert_equal(after[name], value, err_msg=name)


@pytest.mark.parametrize(("arguments", "message"), BAD_DATA.values(), ids=BAD_DATA)
def test_bad_data_is_refused_without_changing_the_estimator(arguments, message):
    with pytest.raises(ValueError, match=message):
        small().fit(*arguments)
    fitted = small().fit(pd.DataFrame(X, columns=list("abcd")), y)
    before = snapshot(fitted)
    with pytest.raises(ValueError, match=message):
        fitted.fit(*arguments)
    assert_unchanged(fitted, before)


@pytest.mark.parametrize(
    ("parameters", "message"), BAD_PARAMETERS.values(), ids=BAD_PARAMETERS
)
def test_bad_parameters_are_refused_without_changing_the_estimator(parameters, message):
    fitted = small().fit(X, y)
    fitted.set_params(**parameters)
    before = snapshot(fitted)
    with pytest.raises(ValueError, match=message):
        fitted.fit(X, y)
    assert_unchanged(fitted, before)


@pytest.mark.parametrize("dtype", ["Int64", "boolean", "string", "object", "category"])
def test_missing_labels_of_a_column_are_refused(dtype):
    column = pd.Series(np.where(y == 0, 0, 1)).astype(dtype)
    column[3] = np.nan if dtype == "category" else pd.NA
    with pytest.raises(ValueError, match=r"y has missing labels.*in row 3:"):
        small().fit(X, column)
    watched = small(early_stopping=True)
    with pytest.raises(ValueError, match=r"y_val has missing labels.*in row 3:"):
        watched.fit(X, y, X_val=X, y_val=column)


@pytest.mark.parametrize("given", ["y_val", "sample_weight_val"])
def test_validation_arrays_of_another_length_are_named(given):
    rows = {"X_val": X, "y_val": y, "sample_weight_val": ONES}
    rows[given] = rows[given][:-1]
    with pytest.raises(
        ValueError, match=r"150 rows, but y_val has 149|has 149 weights"
    ):
        small(early_stopping=True).fit(X, y, **rows)


@pytest.mark.parametrize("standardize", [False, True])
def test_sparse_rows_without_entries_warn_that_nothing_is_learned(standardize):
    empty = sparse.csr_array((30, 10**6))  # too wide to be made dense
    clf = small(standardize=standardize)
    with pytest.warns(ConvergenceWarning, match="has learned nothing"):
        clf.fit(empty, np.arange(30) % 3)
    np.testing.assert_allclose(clf.predict_proba(empty), 1 / 3)


@pytest.mark.parametrize("bad", [WITH_NAN, WITH_INF], ids=["nan", "inf"])
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
def test_unchecked_values_that_are_not_finite_are_named(bad, container):
    bad = container(bad)
    clf = small(hidden_activation="relu")  # logistic units are finite at infinity
    fitted = clone(clf).fit(X, y)
    with config_context(assume_finite=True):
        for method in (
            fitted.predict,
            fitted.predict_proba,
            lambda X: clf.fit(X, y),
        ):
            with pytest.raises(
                ValueError, match=r"X has NaN or infinite values.*imput"
            ):
                method(bad)
        with pytest.raises(ValueError, match="Are they finite"):
            clf.set_params(early_stopping=True).fit(X, y, X_val=bad, y_val=y)


def test_a_huge_tol_is_accepted_with_warnings():
    with (
        pytest.warns(ScaleWarning, match=r"tol=1e\+200"),
        pytest.warns(ConvergenceWarning, match="has (changed|learned) nothing"),
    ):
        small(tol=1e200).fit(X, y)


def test_an_interrupted_fit_leaves_the_estimator_as_it_was(monkeypatch):
    fitted = small().fit(X, y)
    before = snapshot(fitted)

    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("skce._fitting.stages.minimize", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fitted.fit(X[:, :2], y)
    assert_unchanged(fitted, before)


def test_prediction_needs_a_fit_and_the_same_columns():
    with pytest.raises(NotFittedError):
        small().predict(X)
    fitted = small().fit(X, y)
    with pytest.raises(ValueError, match=r"X has 3 features, but .* expecting 4"):
        fitted.predict(X[:, :3])
    with pytest.raises(ValueError, match="contains NaN"):
        fitted.predict_proba(WITH_NAN)
    named = small().fit(pd.DataFrame(X, columns=list("abcd")), y)
    assert list(named.feature_names_in_) == list("abcd")
    with pytest.raises(ValueError, match="feature names should match"):
        named.predict(pd.DataFrame(X, columns=list("abce")))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden_layer_sizes": 5}, r"layers \(4, 4, 3\).*layers \(4, 5, 3\)"),
        ({"hidden_layer_sizes": (4, 4)}, "warm_start=True needs"),
        ({"activation": "logistic"}, None),
    ],
)
def test_warm_start_needs_the_same_layers(change, message):
    fitted = small(warm_start=True).fit(X, y)
    fitted.set_params(**change)
    if message is None:
        assert fitted.fit(X, y).score(X, y) > 0.9
        return
    with pytest.raises(ValueError, match=message):
        fitted.fit(X, y)


def test_warm_start_needs_the_same_classes():
    fitted = small(warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match="Set warm_start=False"):
        fitted.fit(X, y + 1)


@pytest.mark.parametrize("solver", ["lbfgs", "bfgs", "cg", "newton-cg", "trust-ncg"])
@pytest.mark.parametrize("activation", ["softmax", "logistic", "identity", "sparsemax"])
@pytest.mark.parametrize("hidden", [(), (4,)], ids=str)
@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize(
    ("scale", "dtype"),
    [(1e6, "float64"), (1e30, "float32"), (1e150, "float64"), (1e300, "float64")],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_large_values_give_finite_results_or_advise_scaling(
    activation, solver, hidden, standardize, scale, dtype
):
    large = (RAW / 8 * scale).astype(dtype)
    model = small(
        activation=activation,
        hidden_layer_sizes=hidden,
        solver=solver,
        standardize=standardize,
        max_iter=30,
        max_fun=300,
    )
    try:
        model.fit(large, y)
    except ValueError as error:
        advice = "large columns" if standardize else "set standardize=True"
        assert advice in str(error)  # noqa: PT017
        return
    assert np.isfinite(model.loss_)
    assert all(np.isfinite(W).all() for W in model.coefs_ + model.intercepts_)
    assert np.isfinite(model.predict_proba(large)).all()
    assert not np.isnan(model.predict_log_proba(large)).any()


@pytest.mark.parametrize("solver", ["lbfgs", "bfgs", "cg", "trust-ncg", "trust-krylov"])
@pytest.mark.parametrize("weight", [1e-300, 1e-100, 1e-9, 1e9, 1e300, "mixed"])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_weights_of_any_size_give_finite_results_or_a_clear_error(solver, weight):
    rng = np.random.default_rng(0)
    weights = (
        10.0 ** rng.integers(-300, 300, 150) if weight == "mixed" else weight * ONES
    )
    model = small(solver=solver)
    try:
        model.fit(X, y, weights)
    except ValueError as error:
        assert "rescale sample_weight" in str(error)  # noqa: PT017
        return
    assert np.isfinite(model.loss_)
    assert np.isfinite(model.predict_proba(X)).all()


def test_scaling_weights_and_alpha_together_changes_nothing():
    plain = small(alpha=1.0).fit(X, y)
    same = small(alpha=1e200).fit(X, y, 1e200 * ONES)
    np.testing.assert_allclose(same.coefs_[0], plain.coefs_[0], rtol=1e-6)


@pytest.mark.parametrize("factor", [1e-3, 1e-4, 1e-5])
@pytest.mark.parametrize("hidden", [(), (4,)], ids=str)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_tiny_features_warn_about_scaling(factor, hidden):
    with pytest.warns(ScaleWarning, match=r"nowhere larger than .*standardize=True"):
        small(hidden_layer_sizes=hidden).fit(X * factor / 2, y)


@pytest.mark.parametrize("factor", [1e-30, 1e-5, 1e6, 1e100])
@pytest.mark.parametrize("hidden", [(), (4,)], ids=str)
@pytest.mark.parametrize("hidden_activation", ["logistic", "relu"])
def test_features_of_any_scale_are_learned_alike_by_default(
    factor, hidden, hidden_activation
):
    options = {"hidden_layer_sizes": hidden, "hidden_activation": hidden_activation}
    fit = PairedMLPClassifier(alpha=0.1, random_state=0, **options)
    expected = fit.fit(RAW, y).predict_proba(RAW)
    found = fit.fit(RAW * factor, y).predict_proba(RAW * factor)  # no warning
    # kinks amplify rounding
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert fit.score(RAW * factor, y) > 0.95


@pytest.mark.parametrize("hidden", [(), (20,)], ids=str)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_features_that_alpha_keeps_small_warn_about_scaling(hidden):
    """One is large enough, so that the fit is better than the class frequencies."""
    rows = RAW * [1, 1e-4, 1e-4, 1e-4]
    fit = small(hidden_layer_sizes=hidden, alpha=2)
    with pytest.warns(ScaleWarning, match=r"L2 term of alpha=2.*standardize=True"):
        fit.fit(rows, y)
    assert fit.solver_result_["learned"]
    assert "badly scaled features" in summary(fit, rows, y).verdict
    for kept in ({"alpha": 0}, {"standardize": True}):  # no warning
        fit.set_params(**kept).fit(rows, y)
        assert "badly scaled" not in summary(fit, rows, y).verdict


def test_units_that_uniform_weights_saturate_are_no_matter_of_scale():
    rows = np.random.default_rng(0).normal(size=(200, 800))
    fit = small(hidden_activation="tanh", init="uniform", standardize=True, max_iter=1)
    with (
        pytest.warns(ScaleWarning, match="start saturated.*: set init='glorot'"),
        pytest.warns(ConvergenceWarning),
    ):
        fit.fit(rows, rows[:, 0] > 0)
    assert "badly scaled" not in summary(fit).verdict


def test_a_saturated_start_warns_about_scaling():
    fit = small(tol=0.01)
    with pytest.warns(ScaleWarning, match="start saturated.*standardize=True"):
        fit.fit(RAW * 1e6, y)
    assert "badly scaled features" in summary(fit).verdict


def test_prediction_that_overflows_advises_scaling():
    fitted = small(activation="identity", hidden_layer_sizes=()).fit(X, y)
    fitted.coefs_[0] *= 1e4
    with pytest.raises(ValueError, match=r"overflows.*1e\+306.*Scale"):
        fitted.predict_proba(np.full((2, 4), 1e306))


def test_prediction_far_from_the_training_data_is_finite():
    fitted = small().fit(X, y)
    assert np.isfinite(fitted.predict_proba(np.full((2, 4), 1e300))).all()


def test_missing_labels_of_a_tuple_are_refused():
    with pytest.raises(ValueError, match="missing labels"):
        PairedMLPClassifier().fit(X[:4], ("a", "b", np.nan, "a"))


def test_labels_of_numbers_are_not_looked_at_one_by_one(monkeypatch):
    seen = []
    monkeypatch.setattr("skce._inputs.labels._is_missing", seen.append)
    for y in ([0, 1, 2], (0.5, 1.5), [True, False], [[0, 1], [1, 1]]):
        as_labels(y)
    assert seen == []


@pytest.mark.parametrize(
    "name",
    ["skce.PairedMLPClassifier", "skce.PairedMLPClassifierCV"]
    + ["skce.dask.DaskPairedMLPClassifier"] * (find_spec("distributed") is not None),
)
def test_an_unknown_parameter_is_an_error_that_names_the_class(name):
    module, _, kind = name.rpartition(".")
    with pytest.raises(TypeError, match=rf"^{kind}\b.*unexpected keyword.*'wrong'"):
        getattr(import_module(module), kind)(wrong=1)
