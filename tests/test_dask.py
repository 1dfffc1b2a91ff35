"""dask: the result of a local fit, bit for bit on any cluster, and faults.

The workers are real processes, which the tests of faults kill.
"""

import os
import pickle
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Thread, Timer

import joblib
import numpy as np
import pandas as pd
import pytest
from problems import NAMES, WITH_PARAMETERS, label
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV

from skce import (
    DegeneratePairingWarning,
    PairedMLPClassifier,
    ScaleWarning,
    pairing_grid,
)
from skce._fitting.minimization import minimize
from skce._fitting.problem import Plan
from skce._fitting.solvers import SOLVERS
from skce._fitting.starts import start_parameters
from skce._inputs.labels import encode
from skce._network.blocks import shares
from skce._network.data import Data, Encoding
from skce._network.kernels import Network
from skce._network.objective import Objective
from skce._network.rows import LocalRows
from skce._network.standardization import Standardization, column_moments
from skce.losses.activations import get_activation
from skce.losses.hidden import get_hidden_activation
from skce.losses.pairings import pair
from skce.losses.penalties import LeastSquares

pytest.importorskip("distributed")

import dask
import dask.array as da
import dask.bag as db
import dask.dataframe as dd
import distributed
from distributed import Client, LocalCluster, wait

from skce.dask import ClusterLostError, DaskPairedMLPClassifier
from skce.dask._cluster import Evaluations
from skce.dask._partitions import (
    Expected,
    Part,
    Recipe,
    merged,
    prepare,
    summarise,
)
from skce.dask._rows import ClusterRows
from skce.dask._tree import root_sum, subtree_sums

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    # issued by distributed itself
    pytest.mark.filterwarnings("ignore:Creating scratch directories"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

CHUNK = 450


@pytest.fixture(scope="module")
def client():
    with (
        LocalCluster(
            n_workers=4, threads_per_worker=1, dashboard_address=":0"
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3000, 5))
    noise = rng.normal(size=(2, 3000))
    y = (X[:, 0] > X[:, 1] + noise[0]).astype(int) + (X[:, 2] > noise[1])
    return X, y, rng.integers(0, 3, 3000).astype(float)


def cut(array, chunk=CHUNK):
    return da.from_array(array, chunks=(chunk, *array.shape[1:]))


def classifier(**parameters):
    defaults = {"hidden_layer_sizes": 6, "alpha": 1.0, "max_iter": 50, "tol": 0}
    # smooth units, as kinks would amplify rounding errors
    defaults |= {"hidden_activation": "logistic", "random_state": 0}
    return DaskPairedMLPClassifier(**defaults | parameters)


def same_bits(one, other):
    assert one.loss_curve_ == other.loss_curve_
    np.testing.assert_array_equal(one.skip_coef_, other.skip_coef_)
    for a, b in zip(one.coefs_, other.coefs_, strict=True):
        np.testing.assert_array_equal(a, b)


def local_fit(clf, X, y, weights=None):
    """The loss, coefs_ and skip_coef_ of a local fit: same start, same partitions."""
    pairing = pair(clf.activation, clf.penalty)
    labels, codes = encode(y, pairing.activation)
    frequencies = partial(Data(X, codes, weights).class_frequencies, labels.n_outputs)
    network = Network(
        (X.shape[1], clf.hidden_layer_sizes, labels.n_outputs),
        get_hidden_activation(clf.hidden_activation),
        pairing.for_frequencies(frequencies),
        clf.skip_layer,
    )
    mean = None if weights is None else weights.mean()
    encoding = labels.encoding(pairing.activation)
    expected = Expected(X.shape[1], None, X.dtype, weights is not None)
    recipe = Recipe(expected, network, labels, encoding, mean_weight=mean)
    blocks = []
    for i in range(0, len(X), CHUNK):
        rows = slice(i, i + CHUNK)
        of_rows = None if weights is None else weights[rows]
        part = prepare(i, X[rows], y[rows], of_rows, recipe)
        blocks += [block for share in part.shares for block in share]
    decay = clf.alpha / (len(X) if weights is None else weights.sum())
    theta = start_parameters(
        network,
        init=clf.init,
        random_state=np.random.RandomState(0),
    )
    if pairing.activation.ordered:
        p = np.bincount(codes, weights) / np.bincount(codes, weights).sum()
        network.unpack(theta)[-1][:, -1] = pairing.activation.logits_of(p)
    # of all rows at once, not merged from the partitions
    moments = column_moments(X, weights)
    features = Standardization.of(moments) if clf.standardize else None
    objective = Objective(network, BlockRows(network, blocks), decay, features)
    plan = Plan(clf.solver, clf.tol, clf.max_iter, clf.max_fun)
    solution = minimize(objective, theta, plan)
    theta = solution.theta
    if features is not None:
        theta = features.for_rows(theta, network)
    weights, _ = network.weights_and_biases(theta)
    return solution.value, [W.T for W in [*weights, network.skip_weights(theta)]]


class BlockRows(LocalRows):
    """Rows that are already split into blocks."""

    def __init__(self, network, blocks):
        empty = np.empty((0, 1), dtype=blocks[0].X.dtype)
        super().__init__(network, Data(empty, empty), blocks[0].encoding)
        self._shares = shares(blocks)
        self.total = sum(block.n_rows for block in blocks)

    n_rows = property(lambda self: self.total)


def assert_as_local(clf, X, y, weights=None, rtol=1e-10):
    loss, [*coefs, skip_coef] = local_fit(clf, X, y, weights)
    np.testing.assert_allclose(clf.loss_, loss, rtol=1e-10, atol=1e-12)
    if clf.skip_layer:
        atol = rtol * np.abs(skip_coef).max()
        np.testing.assert_allclose(clf.skip_coef_, skip_coef, rtol=0, atol=atol)
    for a, b in zip(clf.coefs_, coefs, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=rtol * np.abs(b).max())


@pytest.mark.parametrize("seed", range(3))
def test_equal_to_the_local_fit_after_50_iterations(client, data, seed):
    X, y, weights = data
    y = np.random.default_rng(seed).permutation(y)  # far from any optimum
    # merged moments have other rounding errors than those of all rows at once
    clf = classifier(standardize=False)
    clf.fit(cut(X), cut(y), sample_weight=cut(weights))
    assert clf.n_iter_ == 50
    assert_as_local(clf, X, y, weights)


def test_features_are_standardized_over_all_partitions(client, data):
    X, y, weights = data
    # sorted, so that no partition has the moments of all rows
    order = np.argsort(X[:, 0])
    X, y = X[order] * np.array([1e3, 1, 1e-3, 5, 1]) + 7, y[order]
    clf = classifier().fit(cut(X), cut(y), sample_weight=cut(weights))
    assert_as_local(clf, X, y, weights, rtol=1e-7)
    raw = classifier(standardize=False, max_iter=2)
    with pytest.warns(ScaleWarning, match="saturated.*set standardize=True"):
        raw.fit(cut(X), cut(y))


def test_moments_are_computed_only_for_standardized_features(client, data, monkeypatch):
    X, y, _ = data

    def moments(rows):
        raise ZeroDivisionError("asked for the moments")

    monkeypatch.setattr(ClusterRows, "moments", property(moments))
    classifier(standardize=False, max_iter=2).fit(cut(X), cut(y))
    with pytest.raises(ZeroDivisionError):
        classifier(max_iter=2).fit(cut(X), cut(y))


@pytest.mark.parametrize("names", [*NAMES, *WITH_PARAMETERS], ids=label)
@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.filterwarnings("ignore::skce.DegeneratePairingWarning")
def test_every_pair_equals_the_local_fit(client, data, names, skip):
    X, y, weights = data
    clf = classifier(activation=names[0], penalty=names[1], alpha=10.0, max_iter=15)
    clf.set_params(skip_layer=skip)
    clf.fit(cut(X), cut(y), sample_weight=cut(weights))
    # a flat penalty amplifies rounding errors
    assert_as_local(clf, X, y, weights, rtol=1e-8)


def test_the_order_of_a_categorical_is_kept(client, data):
    X, y, _ = data
    names = np.array(["low", "mid", "high"])
    ordered = pd.Categorical(names[y], categories=names, ordered=True)
    table = pd.DataFrame(X, columns=list("abcde")).assign(y=ordered)
    table = dd.from_pandas(table, npartitions=3)
    clf = classifier(activation="ordinal", penalty="cross_entropy", max_iter=15)
    local = clf.to_local().fit(X, y)
    for rows, labels in [
        (table[list("abcde")], table["y"]),
        (table[list("abcde")], table[["y"]]),
        (cut(X), ordered),
    ]:
        np.testing.assert_allclose(clf.fit(rows, labels).loss_, local.loss_, rtol=1e-8)
        assert clf.thresholds_.tolist() == clf.to_local().thresholds_.tolist()
    with pytest.warns(UserWarning, match="order of the alphabet") as caught:
        assert clf.fit(cut(X), names[y]).loss_ > local.loss_ + 0.01
    assert sum("alphabet" in str(warning.message) for warning in caught) == 1


@pytest.mark.parametrize("solver", SOLVERS)
def test_every_solver_equals_the_local_fit(client, data, solver):
    X, y, _ = data
    clf = classifier(solver=solver, max_iter=6, alpha=10.0).fit(cut(X), cut(y))
    assert_as_local(clf, X, y)


def placed(client, collection, workers):
    """Persist a collection, partition i on workers[i % len(workers)]."""
    parts = np.ravel(collection.to_delayed())
    futures = [
        client.compute(part, workers=[workers[i % len(workers)]])
        for i, part in enumerate(parts)
    ]
    wait(futures)
    shapes = zip(collection.chunks[0], futures, strict=True)
    rest, dtype = collection.shape[1:], collection.dtype
    return da.concatenate(
        [da.from_delayed(future, (n, *rest), dtype) for n, future in shapes]
    )


def test_same_bits_wherever_the_partitions_are(client, data):
    X, y, weights = (cut(values) for values in data)
    workers = list(client.nthreads())
    orders = [workers[:1], workers[:2], workers, [workers[i] for i in (0, 0, 2, 1, 2)]]
    fits = []
    for order in orders:
        there = [placed(client, values, order) for values in (X, y, weights)]
        fits.append(classifier().fit(*there))
    for n_jobs in (1, -2, -9):  # persisted by the fit itself
        fits.append(classifier(n_jobs=n_jobs).fit(X, y, weights))
    for other in fits[1:]:
        same_bits(other, fits[0])


def test_weights_and_label_smoothing_equal_the_local_fit(client, data):
    X, y, weights = data
    parameters = {
        "class_weight": {0: 2.0, 2: 0.5},
        "label_smoothing": 0.1,
        "max_iter": 20,
    }
    for class_weight in ("balanced", {0: 2.0, 2: 0.5}):
        clf = classifier(**{**parameters, "class_weight": class_weight})
        clf.fit(cut(X), cut(y), sample_weight=cut(weights))
        local = clf.to_local().fit(X, y, weights)
        np.testing.assert_allclose(clf.loss_curve_, local.loss_curve_, rtol=1e-8)


@pytest.mark.parametrize("class_weight", [None, "balanced"])
def test_multilabel_equals_the_local_fit(client, data, class_weight):
    X, _, weights = data
    Y = (X[:, :3] > 0.5).astype(int)
    clf = classifier(activation="logistic", class_weight=class_weight, max_iter=20)
    clf.fit(cut(X), cut(Y), sample_weight=cut(weights))
    local = clf.to_local().fit(X, Y, weights)
    np.testing.assert_allclose(clf.loss_curve_, local.loss_curve_, rtol=1e-8)
    np.testing.assert_array_equal(clf.predict(cut(X)).compute(), clf.predict(X))
    np.testing.assert_allclose(clf.score(cut(X), cut(Y)), local.score(X, Y), atol=2e-3)
    with pytest.raises(ValueError, match="activation='logistic'"):
        classifier().fit(cut(X), cut(Y))


def test_float32_and_sparse_blocks_are_fitted(client, data):
    X, y, _ = data
    clf = classifier(max_iter=10).fit(cut(X.astype(np.float32)), cut(y))
    assert clf.coefs_[0].dtype == np.float32
    dense = classifier(max_iter=10).fit(cut(X), cut(y))
    blocks = cut(X).map_blocks(sparse.csr_matrix, dtype=X.dtype)
    clf.fit(blocks, cut(y))
    np.testing.assert_allclose(clf.loss_curve_, dense.loss_curve_, rtol=1e-9)
    np.testing.assert_array_equal(clf.predict(blocks).compute(), clf.predict(X))


def frame(data, labels=("no", "maybe", "yes")):
    X, y, weights = data
    table = pd.DataFrame(X, columns=list("abcde"))
    table["y"] = np.array(labels)[y]
    table["weight"] = weights
    return table


@pytest.mark.parametrize("persisted", [False, True])
def test_data_frames_are_fitted_and_predicted(client, data, persisted):
    table = frame(data)
    table.index += 7
    ddf = dd.from_pandas(table, npartitions=4)
    if persisted:
        ddf = ddf.persist()
    X = ddf[list("abcde")]
    clf = classifier().fit(X, ddf["y"], sample_weight=ddf["weight"])
    local = clf.to_local()
    assert type(local) is PairedMLPClassifier
    assert list(clf.classes_) == ["maybe", "no", "yes"]
    assert list(clf.feature_names_in_) == list("abcde")
    predicted = clf.predict(X)
    assert isinstance(predicted, dd.Series)
    assert predicted.npartitions == 4
    there = predicted.compute()
    np.testing.assert_array_equal(there.to_numpy(), local.predict(table[list("abcde")]))
    np.testing.assert_array_equal(there.index, table.index)
    probabilities = clf.predict_proba(X)
    assert list(probabilities.columns) == list(clf.classes_)
    np.testing.assert_array_equal(
        probabilities.compute().to_numpy(), local.predict_proba(table[list("abcde")])
    )
    score = local.score(table[list("abcde")], table["y"], table["weight"])
    np.testing.assert_allclose(clf.score(X, ddf["y"], ddf["weight"]), score)
    with pytest.raises(ValueError, match="feature names"):
        clf.predict(ddf[list("edcba")])


def test_averages_of_starts_equal_the_local_fit(client, data):
    X, y, _ = data
    clf = classifier(n_init=3, average_starts=True, tol=1e-2).fit(cut(X), cut(y))
    local = clone(clf.to_local()).set_params(growing_sample=False).fit(X, y)
    np.testing.assert_allclose(
        clf.member_parameters_, local.member_parameters_, rtol=1e-3, atol=1e-4
    )
    lazy = clf.predict_proba(cut(X)).compute()
    np.testing.assert_array_equal(lazy, clf.to_local().predict_proba(X))
    assert len(clf.members()) == 3
    assert not hasattr(clf, "decision_function")


@pytest.mark.parametrize(
    "method",
    [
        "predict",
        "predict_proba",
        "predict_log_proba",
        "decision_function",
        "predict_outputs",
    ],
)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_lazy_predictions_keep_the_chunks(client, data, method, n_classes):
    X, y, _ = data
    clf = classifier(max_iter=5).fit(cut(X), cut(y % n_classes))
    expected = getattr(clf.to_local(), method)(X)
    lazy = getattr(clf, method)(da.from_array(X, chunks=(CHUNK, 2)))
    assert isinstance(lazy, da.Array)
    assert lazy.shape == expected.shape
    assert lazy.dtype == expected.dtype
    assert lazy.chunks[0] == cut(X).chunks[0]
    np.testing.assert_array_equal(lazy.compute(), expected)
    np.testing.assert_array_equal(getattr(clf, method)(X), expected)


def test_unknown_chunk_sizes_and_empty_partitions(client, data):
    X, y, _ = data
    kept = X[:, 0] < 0
    sorted_rows = np.argsort(X[:, 0])  # the last partitions become empty
    dX, dy = cut(X[sorted_rows]), cut(y[sorted_rows])
    mask = dX[:, 0] < 0
    clf = classifier().fit(dX[mask], dy[mask])
    rows = sorted_rows[: kept.sum()]
    local = clf.to_local().fit(X[rows], y[rows])
    np.testing.assert_allclose(clf.loss_curve_, local.loss_curve_, rtol=1e-8)
    assert len(clf.predict(dX[mask]).compute()) == kept.sum()
    np.testing.assert_allclose(
        clf.score(dX[mask], dy[mask]), local.score(X[kept], y[kept]), atol=2e-3
    )
    empty = dX[dX[:, 0] > 100]
    with pytest.raises(ValueError, match="no rows in any of its 7 partitions"):
        classifier().fit(empty, dy[dX[:, 0] > 100])


def test_labels_missing_from_a_list_in_memory_are_an_error(client, data):
    X, y, _ = data
    clf = classifier(max_iter=5).fit(cut(X), cut(y))
    for missing in (np.nan, None):
        labels = [*map(str, y[:-1]), missing]
        for method in (clf.fit, clf.score):
            with pytest.raises(ValueError, match=r"y has missing labels"):
                method(cut(X), labels)


def test_empty_frames_and_classes_missing_from_partitions(client, data):
    table = frame(data).sort_values("y")
    ddf = dd.from_pandas(table.reset_index(drop=True), npartitions=6)
    ddf = dd.concat([ddf, ddf[ddf["a"] > 1e6]])
    clf = classifier().fit(ddf[list("abcde")], ddf["y"])
    assert list(clf.classes_) == ["maybe", "no", "yes"]
    local = clf.to_local().fit(table[list("abcde")], table["y"])
    np.testing.assert_allclose(clf.loss_curve_, local.loss_curve_, rtol=1e-8)


def test_a_partition_without_weight_is_allowed(client, data):
    X, y, weights = data
    weights = weights.copy()
    weights[:CHUNK] = 0
    clf = classifier().fit(cut(X), cut(y), cut(weights))
    local = clf.to_local().fit(X, y, weights)
    np.testing.assert_allclose(clf.loss_curve_, local.loss_curve_, rtol=1e-8)
    with pytest.raises(ValueError, match="zero for every row"):
        classifier().fit(cut(X), cut(y), cut(0 * weights))


def spoilt(values, i, value):
    values = np.array(values, dtype=np.result_type(values, type(value)))
    values[i] = value
    return values


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X, y, w: (spoilt(X, 1000, np.nan), y, w), r"Partition 2: .*NaN"),
        (lambda X, y, w: (spoilt(X, 2999, np.inf), y, w), r"Partition 6: .*infinity"),
        (lambda X, y, w: (X, spoilt(y, 500, 0.5), w), r"Partition 1: .*continuous"),
        (lambda X, y, w: (X, spoilt(y, 500, np.nan), w), r"Partition 1: .*NaN"),
        (lambda X, y, w: (X, y, spoilt(w, 5, -1.0)), r"Partition 0: .*negative"),
        (lambda X, y, w: (X, y, spoilt(w, 5, np.nan)), r"Partition 0: .*NaN"),
        (lambda X, y, w: (X, 0 * y, w), r"only one class"),
        (lambda X, y, w: (X[:2000], y, w), r"X has 2000 rows .* y has 3000"),
        (lambda X, y, w: (X, y, w[:30]), r"X has 3000 rows .*sample_weight has 30"),
        (lambda X, y, w: (X[:, :0], y, w), r"0 features"),
        (lambda X, y, w: (X[:, 0], y, w), r"1 dimensions"),
    ],
)
def test_errors_name_what_is_wrong_and_where(client, data, change, message):
    clf = classifier(max_iter=5).fit(cut(data[0]), cut(data[1]))
    before = clf.coefs_
    with pytest.raises(ValueError, match=message):
        clf.fit(*(cut(values) for values in change(*data)))
    assert clf.coefs_ is before


def test_frames_with_other_columns_text_or_partitions_are_refused(client, data):
    table = frame(data)
    parts = [table[:1000], table[1000:2000], table[2000:]]
    columns = list("abcde")

    def collection(parts):
        delayed = [da.core.delayed(part) for part in parts]
        return dd.from_delayed(delayed, meta=parts[0][:0], verify_meta=False)

    y = collection([part[["y"]] for part in parts])["y"]
    good = [part[columns] for part in parts]
    for bad, message in [
        (
            parts[1][list("abced")],
            r"Partition 1: X has the columns \['a', 'b', 'c', 'e",
        ),
        (parts[1][list("abcd")], r"Partition 1: X has the columns"),
        (parts[1][columns].assign(b="?"), r"Partition 1: X contains text"),
        (parts[1][columns][:10], r"Partition 1: X has 10 rows, but y has 1000"),
    ]:
        with pytest.raises(ValueError, match=message):
            classifier().fit(collection([good[0], bad, good[2]]), y)
    with pytest.raises(ValueError, match="X has 2 partitions, but y has 3"):
        classifier().fit(collection(good[:2]), y)
    mixed = parts[1].assign(y=1)[["y"]]
    y = collection([parts[0][["y"]], mixed, parts[2][["y"]]])["y"]
    with pytest.raises(ValueError, match="labels of different kinds"):
        classifier().fit(collection(good), y)
    missing = parts[1].assign(y=None)[["y"]]
    y = collection([parts[0][["y"]], missing, parts[2][["y"]]])["y"]
    with pytest.raises(ValueError, match="Partition 1"):
        classifier().fit(collection(good), y)


def test_nullable_columns_without_na_are_predicted_as_others(client, data):
    plain = frame(data).round(0).assign(b=lambda table: table["b"] > 0)
    plain["c"] = plain["c"].astype(np.float32)
    nullable = plain.convert_dtypes().astype({"b": "boolean", "c": "Float32"})
    ddf = dd.from_pandas(nullable, npartitions=3)
    X, table = ddf[list("abcde")], plain[list("abcde")]
    clf = classifier(max_iter=5).fit(X, ddf["y"])
    local = clf.to_local()
    np.testing.assert_array_equal(clf.predict(X).compute(), local.predict(table))
    probabilities = clf.predict_proba(X)
    np.testing.assert_array_equal(probabilities.compute(), local.predict_proba(table))
    assert list(probabilities.dtypes) == list(probabilities.compute().dtypes)
    assert clf.score(X, ddf["y"]) == local.score(table, plain["y"])


def test_what_is_neither_an_array_nor_a_frame_is_refused(client, data):
    X, y, _ = data
    clf = classifier(max_iter=2).fit(cut(X), cut(y))
    delayed, future = dask.delayed(X), client.scatter(X)
    rows, labels = cut(X), cut(y)
    for lazy in (db.from_sequence([[1.0, 2.0]]), delayed, future):
        calls = [(clf.fit, lazy, labels), (clf.fit, rows, lazy)]
        calls += [(clf.fit, rows, labels, lazy), (clf.predict, lazy)]
        calls += [(clf.score, lazy, labels), (clf.score, rows, lazy)]
        for call, *given in calls:
            with pytest.raises(TypeError, match=f"is a dask {type(lazy).__name__};"):
                call(*given)
    for other in ("tcp://localhost", client.cluster):
        clf.client = other
        with pytest.raises(ValueError, match=r"client=.* must be None or a dist"):
            clf.fit(cut(X), cut(y))
        with pytest.raises(AttributeError, match=r"client=.* must be None or a dist"):
            clf.score(cut(X), cut(y))


@pytest.mark.parametrize("block", [None, [[1.0] * 5] * 1500, 3.0, {"a": 1}])
def test_blocks_that_are_no_arrays_are_refused(client, data, block):
    X, y, _ = data
    name = type(block).__name__

    def with_block(array):
        first = da.from_delayed(
            dask.delayed(lambda: block)(), (1500, *array.shape[1:]), array.dtype
        )
        return da.concatenate([first, cut(array[1500:], 1500)])

    clf = classifier(max_iter=2).fit(cut(X, 1500), cut(y, 1500))
    with pytest.raises(ValueError, match=f"Partition 0: X is of type {name}"):
        clf.fit(with_block(X), cut(y, 1500))
    with pytest.raises(ValueError, match=f"Partition 0: X is of type {name}"):
        clf.score(with_block(X), cut(y, 1500))
    with pytest.raises(ValueError, match=f"A block of X is of type {name}"):
        clf.predict(with_block(X)).partitions[0].compute()
    if name == "list":  # of labels and weights, as good as an array
        return
    with pytest.raises(ValueError, match="Partition 0: y is "):
        clf.fit(cut(X, 1500), with_block(y))
    with pytest.raises(ValueError, match="Partition 0: y is "):
        clf.score(cut(X, 1500), with_block(y))
    with pytest.raises(ValueError, match="Partition 0: "):
        clf.fit(cut(X, 1500), cut(y, 1500), with_block(y))


def test_unsupported_parameters_are_refused(client, data):
    X, y, _ = data
    with pytest.raises(ValueError, match="growing_sample=True"):
        classifier(growing_sample=True).fit(cut(X), cut(y))
    with pytest.raises(ValueError, match="X_val and y_val"):
        classifier(early_stopping=True).fit(cut(X), cut(y))
    with pytest.raises(TypeError, match="from_array"):
        classifier().fit(X, y)
    with pytest.raises(TypeError, match="in memory"):
        classifier(early_stopping=True).fit(cut(X), cut(y), X_val=cut(X), y_val=cut(y))
    with pytest.raises(ValueError, match="worker_timeout"):
        classifier(worker_timeout=0).fit(cut(X), cut(y))
    with pytest.raises(ValueError, match="solver"):
        classifier(solver="adam").fit(cut(X), cut(y))
    with pytest.raises(NotImplementedError, match="PairedMLPClassifier"):
        classifier().fit_targets(cut(X), cut(y))


def test_labels_in_memory_are_partitioned_like_x(client, data):
    X, y, weights = data
    lazy = classifier(max_iter=5).fit(cut(X), cut(y, 700), cut(weights, 77))
    same_bits(classifier(max_iter=5).fit(cut(X), list(y), weights), lazy)


@pytest.mark.parametrize("skip", [False, True])
def test_early_stopping_several_starts_and_warm_starts_work(client, data, skip):
    X, y, _ = data
    dX, dy = cut(X[:2000]), cut(y[:2000])
    clf = classifier(early_stopping=True, n_init=2, n_iter_no_change=3, max_iter=100)
    clf.set_params(skip_layer=skip)
    for scoring in ("penalty", "accuracy"):
        clf.set_params(scoring=scoring)
        clf.fit(dX, dy, X_val=X[2000:], y_val=y[2000:])
        assert clf.solver_result_["reason"] == "stopped"
        assert len(clf.init_losses_) == 2
        assert clf.best_validation_score_ == max(clf.validation_scores_)
    clf = classifier(max_iter=3, skip_layer=skip).fit(dX, dy)
    curve = clf.loss_curve_
    clf.set_params(warm_start=True).fit(dX, dy)
    assert clf.loss_curve_[0] < curve[-1]
    given = classifier(max_iter=3, skip_layer=skip).fit(
        dX,
        dy,
        coefs_init=clf.coefs_,
        intercepts_init=clf.intercepts_,
        skip_coef_init=clf.skip_coef_,
    )
    assert given.loss_curve_[0] < clf.loss_curve_[-1]
    with pytest.raises(ValueError, match="warm_start"):
        clf.fit(dX, (dy > 0).astype(int))


def test_the_warnings_are_those_of_a_local_fit(client, data):
    X, y, _ = data
    with pytest.warns(ConvergenceWarning, match="max_iter=2"):
        classifier(max_iter=2).fit(cut(X), cut(y))
    with pytest.warns(UserWarning, match="saturated"):
        classifier(max_iter=2, standardize=False).fit(cut(1e4 * X), cut(y))
    with pytest.warns(DegeneratePairingWarning):
        classifier(activation="logistic", penalty="cross_entropy", max_iter=2).fit(
            cut(X), cut(y)
        )


def test_clones_keep_the_client_and_pickles_drop_it(client, data):
    own = {"client", "worker_timeout"}
    assert set(DaskPairedMLPClassifier().get_params()) == own | set(
        PairedMLPClassifier().get_params()
    )
    clf = classifier(client=client, worker_timeout=7).fit(cut(data[0]), cut(data[1]))
    copy = clone(clf)
    assert copy.client is client
    assert copy.worker_timeout == 7
    assert not hasattr(copy, "coefs_")
    again = pickle.loads(pickle.dumps(clf))
    assert again.client is None
    assert clf.client is client
    assert clf.client_ is client
    np.testing.assert_array_equal(again.predict(data[0]), clf.predict(data[0]))
    assert b"distributed" not in pickle.dumps(clf.to_local())


def test_a_client_is_required():
    code = """if True:
        import dask.array as da
        from skce.dask import DaskPairedMLPClassifier
        X = da.ones((8, 2), chunks=4)
        try:
            DaskPairedMLPClassifier().fit(X, X[:, 0])
        except ValueError as error:
            assert "Client(LocalCluster())" in str(error), error
        else:
            raise AssertionError("no error")"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_summary_of_a_partition_does_not_grow_with_its_rows():
    sizes = []
    for n in (2_000, 200_000):
        rng = np.random.default_rng(0)
        X, y = rng.normal(size=(n, 4)), rng.integers(0, 3, n)
        expected = Expected(4, None, X.dtype)
        sizes.append(len(pickle.dumps(summarise(0, X, y, None, expected, 10))))
    assert abs(sizes[1] - sizes[0]) < 16


@pytest.mark.parametrize("n", [1, 2, 3, 7, 8, 13])
def test_the_summation_tree_gives_the_same_bits_for_any_placement(n):
    rng = np.random.default_rng(n)
    X, y = rng.normal(size=(2000, 3)), rng.integers(0, 3, 2000)
    pairing = pair("softmax", "natural")
    labels, _ = encode(y, get_activation("softmax"))
    network = Network((3, 4, 3), get_hidden_activation("tanh"), pairing)
    recipe = Recipe(Expected(3, None, X.dtype), network, labels, Encoding(3))
    cuts = np.sort(rng.integers(0, 2000, n - 1))
    parts = [
        prepare(i, X[rows], y[rows], None, recipe)
        for i, rows in enumerate(np.split(np.arange(2000), cuts))
    ]
    theta = rng.normal(size=network.n_parameters)
    results = []
    for n_holders in (1, 2, 3, 5):
        holder = rng.integers(0, n_holders, n)
        nodes = {}
        for j in range(n_holders):
            held = [part for part, h in zip(parts, holder, strict=True) if h == j]
            if held:
                sums = subtree_sums("gradient", [theta], held, n_threads=j + 1)
                nodes |= dict(zip(*sums, strict=True))
        results.append(root_sum(nodes, n))
    for other in results[1:]:
        np.testing.assert_array_equal(other, results[0])
    blocks = [b for p in parts for s in p.shares for b in s]
    whole = Objective(network, BlockRows(network, blocks))
    value, gradient = whole.value_and_gradient(theta)
    np.testing.assert_allclose(results[0] / 2000, [value, *gradient], atol=1e-14)


def test_a_serialised_partition_gives_the_same_bits():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(1000, 20)), rng.integers(0, 3, 1000)
    network = Network(
        (20, 7, 3), get_hidden_activation("logistic"), pair("softmax", "natural")
    )
    labels, _ = encode(y, get_activation("softmax"))
    theta = rng.normal(size=network.n_parameters)

    def sums(X):
        recipe = Recipe(Expected(20, None, X.dtype), network, labels, Encoding(3))
        part = prepare(0, X, y, None, recipe)
        buffers = []
        frozen = pickle.dumps(part, protocol=5, buffer_callback=buffers.append)
        shifted = [bytearray(b"???" + bytes(buffer)) for buffer in buffers]
        moved = pickle.loads(frozen, buffers=[memoryview(b)[3:] for b in shifted])
        assert isinstance(moved, Part)
        return [subtree_sums("gradient", [theta], [p])[1][0] for p in (part, moved)]

    odd = np.frombuffer(b"???" + X.tobytes(), dtype=np.uint8)[3:].view(float)
    first = sums(X)
    for other in (first[1:], sums(odd.reshape(X.shape)), sums(np.asfortranarray(X))):
        for total in other:
            np.testing.assert_array_equal(total, first[0])


def test_partitions_with_labels_of_several_kinds_are_refused():
    X = np.ones((4, 2))
    expected = Expected(2, None, X.dtype)
    summaries = [
        summarise(i, X, np.array(y), None, expected, 2)
        for i, y in enumerate([[0, 1, 0, 1], ["a", "b", "a", "b"]])
    ]
    with pytest.raises(ValueError, match="different kinds"):
        merged(summaries)


# Faults: worker processes without a nanny that would restart them


@pytest.fixture
def doomed():
    """A client, and the processes of two workers that nobody restarts."""
    with (
        LocalCluster(n_workers=0, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        command = [sys.executable, "-m", "distributed.cli.dask_worker"]
        command += [cluster.scheduler_address, "--no-nanny", "--nthreads", "1"]
        command += ["--no-dashboard"]
        processes = [
            subprocess.Popen(
                command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            for _ in range(2)
        ]
        try:
            client.wait_for_workers(2, timeout=60)
            yield client, processes
        finally:
            for process in processes:
                process.kill()
                process.wait()


@pytest.fixture
def at_evaluation(monkeypatch):
    """Call a function at the given evaluation of the objective."""

    def register(number, function):
        original = Objective.value_and_gradient
        count = 0

        def evaluate(self, theta):
            nonlocal count
            count += 1
            if count == number:
                function()
            return original(self, theta)

        monkeypatch.setattr(Objective, "value_and_gradient", evaluate)

    return register


@pytest.mark.parametrize("persisted", [False, True])
def test_a_killed_worker_changes_no_bit(client, data, doomed, at_evaluation, persisted):
    X, y, _ = data
    expected = classifier(client=client).fit(cut(X), cut(y))
    doomed_client, processes = doomed
    dX, dy = cut(X), cut(y)
    if persisted:
        dX, dy = doomed_client.persist([dX, dy])
        wait([dX, dy])
    at_evaluation(9, processes[0].kill)
    clf = classifier(client=doomed_client).fit(dX, dy)
    assert processes[0].wait() == -signal.SIGKILL
    assert len(doomed_client.nthreads()) == 1
    same_bits(clf, expected)
    if persisted:  # data that the user persisted are still available
        np.testing.assert_array_equal(doomed_client.compute(dX).result(), X)


def test_a_worker_killed_during_an_evaluation_changes_no_bit(
    client, doomed, at_evaluation
):
    X = da.random.default_rng(0).standard_normal((60_000, 20), chunks=(9000, 20))
    y = (X[:, 0] > X[:, 1]).astype(int)
    parameters = {"hidden_layer_sizes": 60, "max_iter": 6}
    expected = classifier(client=client, **parameters).fit(X, y)
    doomed_client, processes = doomed
    at_evaluation(4, Timer(0.03, processes[1].kill).start)
    clf = classifier(client=doomed_client, **parameters).fit(X, y)
    assert processes[1].wait() == -signal.SIGKILL
    same_bits(clf, expected)


def test_losing_all_workers_keeps_the_best_weights(data, doomed, at_evaluation):
    X, y, _ = data
    client, processes = doomed

    def kill():
        for process in processes:
            process.kill()

    at_evaluation(9, kill)
    clf = classifier(client=client, worker_timeout=2.0)
    start = time.monotonic()
    with pytest.raises(ClusterLostError, match=r"no worker.*best weights") as caught:
        clf.fit(cut(X), cut(y))
    assert time.monotonic() - start < 120
    best = caught.value.best
    assert type(best) is PairedMLPClassifier
    assert clf.solver_result_["reason"] == "interrupted"
    assert clf.n_iter_ >= 5
    assert clf.loss_ == min(clf.loss_curve_)
    np.testing.assert_array_equal(best.predict(X), clf.predict(X))
    # before the first iteration there is nothing to keep
    with pytest.raises(ClusterLostError, match="no worker") as caught:
        clone(clf).fit(cut(X), cut(y))
    assert caught.value.best is None
    coefs = clf.coefs_
    with pytest.raises(ClusterLostError):
        clf.fit(cut(X), cut(y))
    assert clf.coefs_ is coefs


def test_losing_scattered_data_is_an_error_that_keeps_the_best(
    data, doomed, at_evaluation
):
    X, y, _ = data
    client, processes = doomed
    parts = [slice(i, i + 1000) for i in (0, 1000, 2000)]
    futures = client.scatter([X[part] for part in parts])
    there = [da.from_delayed(f, (1000, 5), X.dtype) for f in futures]
    at_evaluation(9, lambda: [process.kill() for process in processes])
    clf = classifier(client=client, worker_timeout=2.0)
    with pytest.raises(ClusterLostError) as caught:
        clf.fit(da.concatenate(there), cut(y, 1000))
    assert caught.value.best is not None


def test_a_fit_waits_for_the_nanny_to_restart_its_only_worker(
    client, data, at_evaluation
):
    X, y, _ = data
    expected = classifier(client=client).fit(cut(X), cut(y))
    with (
        LocalCluster(
            n_workers=1, threads_per_worker=2, dashboard_address=":0"
        ) as cluster,
        Client(cluster) as alone,
    ):
        (pid,) = alone.run(os.getpid).values()
        at_evaluation(9, lambda: os.kill(pid, signal.SIGKILL))
        clf = classifier(client=alone, worker_timeout=60).fit(cut(X), cut(y))
    same_bits(clf, expected)


@pytest.fixture
def separate(tmp_path):
    """A client, the process of its scheduler, and those of two workers."""
    file = tmp_path / "scheduler.json"
    # what is imported later keeps a process from answering
    options = ["--scheduler-file", file, "--no-dashboard", "--preload", "skce.dask"]
    own = {
        "scheduler": ["--host", "127.0.0.1", "--port", "0"],
        "worker": ["--no-nanny", "--nthreads", "2"],
    }
    processes = [
        subprocess.Popen(
            [
                sys.executable,
                "-m",
                f"distributed.cli.dask_{kind}",
                *own[kind],
                *options,
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for kind in ("scheduler", "worker", "worker")
    ]
    try:
        end = time.monotonic() + 60
        while not file.exists() and time.monotonic() < end:
            time.sleep(0.05)
        client = Client(scheduler_file=str(file), timeout=60)
        client.wait_for_workers(2, timeout=60)
        yield client, processes[0], processes[1:]
    finally:
        for process in processes:
            process.kill()
            process.wait()
        client.close(timeout=2)


def error_of(fit, *arguments):
    """The error of a call that may hang; None if it succeeds."""
    errors = []

    def run():
        try:
            errors.append(fit(*arguments) and None)
        except Exception as error:
            errors.append(error)

    thread = Thread(target=run, daemon=True)
    thread.start()
    thread.join(60)
    assert not thread.is_alive(), "hangs"
    return errors[0]


def slow_penalty(seconds):
    """A penalty of evaluations so long that the scheduler is asked for its workers."""

    class Slow(LeastSquares):
        def value(self, t, y):
            time.sleep(seconds)
            return super().value(t, y)

    return Slow()


def test_a_stopped_scheduler_ends_a_fit(separate, data):
    X, y, _ = data
    client, scheduler, _ = separate
    given = cut(X, 1500), cut(y, 1500)
    clf = classifier(client=client, worker_timeout=2.0, penalty=slow_penalty(1.2))

    def lost(when):
        Timer(when, scheduler.send_signal, [signal.SIGSTOP]).start()
        error = error_of(clf.fit, *given)
        scheduler.send_signal(signal.SIGCONT)
        assert isinstance(error, ClusterLostError)
        assert "no scheduler, for 2 seconds (worker_timeout)" in str(error)

    lost(0.0)
    lost(1.5)
    # its answer comes as soon as it goes on
    Timer(1.0, scheduler.send_signal, [signal.SIGCONT]).start()
    scheduler.send_signal(signal.SIGSTOP)
    clf.set_params(max_iter=1, worker_timeout=30.0)
    assert error_of(clf.fit, *given) is None
    scheduler.send_signal(signal.SIGSTOP)
    clf.worker_timeout = 2.0
    error = error_of(clf.score, *given)
    assert isinstance(error, ClusterLostError)


def test_a_killed_scheduler_ends_a_fit_and_keeps_the_best(
    separate, data, at_evaluation
):
    X, y, _ = data
    client, scheduler, _ = separate
    given = cut(X, 1500), cut(y, 1500)
    clf = classifier(client=client, worker_timeout=2.0, penalty=slow_penalty(1.2))
    at_evaluation(4, scheduler.kill)
    error = error_of(clf.fit, *given)
    assert isinstance(error, ClusterLostError)
    assert error.best.n_iter_ >= 1
    again = error_of(clone(clf).fit, *given)  # it is gone before this fit begins
    assert isinstance(again, ClusterLostError)
    assert again.best is None


def test_a_worker_stopped_and_then_killed_changes_no_bit(client, separate, data):
    X, y, _ = data
    expected = classifier(client=client).fit(cut(X), cut(y))
    _, _, (stopped, _) = separate
    stopped.send_signal(signal.SIGSTOP)
    Timer(1.0, stopped.kill).start()
    clf = classifier(client=separate[0])
    assert error_of(clf.fit, cut(X), cut(y)) is None
    same_bits(clf, expected)


def test_a_retired_worker_changes_no_bit(data, at_evaluation):
    X, y, _ = data
    parameters = {"penalty": slow_penalty(0.1), "max_iter": 4}
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=2, dashboard_address=":0"
        ) as cluster,
        Client(cluster) as client,
    ):
        expected = classifier(client=client, **parameters).fit(cut(X), cut(y))
        at_evaluation(3, Timer(0.1, cluster.scale, [1]).start)
        clf = classifier(client=client, **parameters)
        assert error_of(clf.fit, cut(X), cut(y)) is None
        assert len(client.nthreads()) == 1
    same_bits(clf, expected)


def test_a_worker_whose_threads_are_gone_answers_as_without_partitions():
    with LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=":0"
    ) as cluster:
        (worker,) = cluster.workers.values()
        evaluations = Evaluations()
        evaluations.setup(worker)
        worker.data["part"] = None
        pool = ThreadPoolExecutor(1)
        pool.shutdown()
        worker.executors["default"], own = pool, worker.executors["default"]

        async def answer(status):
            worker.status, before = status, worker.status
            try:
                return await evaluations.sums("loss", [], ["part"], 1)
            finally:
                worker.status = before

        closing = answer(distributed.Status.closing_gracefully)
        assert cluster.sync(lambda: closing)["missing"] == ["part"]
        running = answer(distributed.Status.running)
        with pytest.raises(RuntimeError, match="after shutdown"):
            cluster.sync(lambda: running)
        worker.executors["default"] = own
        del worker.data["part"]


def test_a_failed_fit_leaves_nothing_on_the_cluster(client, data):
    X, y, _ = data
    there = client.persist([cut(X), cut(y)])
    wait(there)
    of_the_user = dict(client.refcount)
    tries = [
        ((cut(spoilt(X, 2000, np.nan)), cut(y)), {}),
        ((cut(X), cut(0 * y)), {}),
        ((there[0], cut(0 * y)), {}),
        (there, {"alpha": 1e300}),
        ((cut(X), cut(y)), {"coefs_init": [np.zeros(3)], "intercepts_init": [0.0]}),
    ]
    errors = []  # whose frames refer to what the fit has computed
    for given, options in tries:
        clf = classifier(alpha=options.pop("alpha", 1.0))
        with pytest.raises(ValueError) as caught:  # noqa: PT011, of any kind
            clf.fit(*given, **options)
        errors.append(caught.value)
    classifier(max_iter=2).fit(*there)
    end = time.monotonic() + 30
    while time.monotonic() < end:
        keys = {key for held in client.has_what().values() for key in held}
        if client.refcount == of_the_user and keys == set(of_the_user):
            break
        time.sleep(0.1)
    assert client.refcount == of_the_user
    assert keys == set(of_the_user)


def test_ctrl_c_keeps_the_best_weights(client, data, at_evaluation):
    X, y, _ = data

    def interrupt():
        raise KeyboardInterrupt

    at_evaluation(9, interrupt)
    with pytest.warns(ConvergenceWarning, match="Ctrl-C"):
        clf = classifier().fit(cut(X), cut(y))
    assert clf.solver_result_["reason"] == "interrupted"
    assert 0 < clf.n_iter_ < 9
    clf.predict(X)


def test_an_error_in_a_user_defined_penalty_is_raised(client, data):
    from problems import Huber

    class Broken(Huber):
        def derivative(self, t, y):
            raise ZeroDivisionError("in the penalty")

    X, y, _ = data
    with pytest.raises(ZeroDivisionError, match="in the penalty"):
        classifier(penalty=Broken()).fit(cut(X), cut(y))


def test_a_search_over_pairings_on_the_cluster(client, data):
    X, y, _ = data
    X, y = X[:300], y[:300]
    grid = pairing_grid()
    local = PairedMLPClassifier(hidden_layer_sizes=3, alpha=1, random_state=0)
    expected = GridSearchCV(local, grid, cv=3).fit(X, y)
    with joblib.parallel_config("dask", wait_for_workers_timeout=60):
        search = GridSearchCV(local, grid, cv=3).fit(X, y)
    np.testing.assert_array_equal(
        search.cv_results_["mean_test_score"], expected.cv_results_["mean_test_score"]
    )
    assert search.best_params_ == expected.best_params_


def test_a_fit_resumes_from_a_checkpoint(client, data, tmp_path):
    X, y, _ = data
    path = tmp_path / "fit"
    whole = classifier(max_iter=20).fit(cut(X), cut(y))
    classifier(max_iter=5).fit(cut(X), cut(y), checkpoint=path)
    clf = classifier(max_iter=20).fit(cut(X), cut(y), checkpoint=path)
    same_bits(clf, whole)
    with pytest.raises(ValueError, match="other rows"):
        classifier(max_iter=20).fit(cut(X), cut((y + 1) % 3), checkpoint=path)


class StopAfterTwo:
    def setup(self, estimator, context):
        pass

    teardown = on_fit_task_begin = setup

    def on_fit_task_end(self, estimator, context, *, fitted_estimator):
        if context.task_name == "iteration":
            fitted_estimator.predict(np.zeros((1, 5)))
        return context.task_name == "iteration" and context.task_id == 1


def test_callbacks_stop_a_fit_on_a_cluster(client, data):
    pytest.importorskip("sklearn.callback")
    clf = classifier().set_callbacks(StopAfterTwo()).fit(cut(data[0]), cut(data[1]))
    assert clf.n_iter_ == 2
    assert clf.solver_result_["reason"] == "stopped"


def test_losing_all_workers_in_early_stopping_keeps_the_best(
    data, doomed, at_evaluation
):
    X, y, _ = data
    client, processes = doomed
    at_evaluation(40, lambda: [process.kill() for process in processes])
    clf = classifier(
        client=client, worker_timeout=2.0, early_stopping=True, n_iter_no_change=100
    )
    clf.set_params(hidden_layer_sizes=30, alpha=1e-6, max_iter=100)
    with pytest.raises(ClusterLostError) as caught:
        clf.fit(cut(X), cut(y), X_val=X[:40], y_val=y[:40])
    assert clf.best_validation_score_ == max(clf.validation_scores_)
    np.testing.assert_array_equal(caught.value.best.predict(X), clf.predict(X))


def test_losing_the_files_of_partitions_keeps_the_best(
    data, doomed, at_evaluation, tmp_path
):
    X, y, _ = data
    client, processes = doomed
    parts = []
    for i in range(4):
        np.save(tmp_path / f"{i}.npy", X[500 * i : 500 * (i + 1)])
        part = dask.delayed(np.load)(tmp_path / f"{i}.npy")
        parts.append(da.from_delayed(part, (500, 5), X.dtype))

    def lose():
        for path in tmp_path.glob("*.npy"):
            path.unlink()
        processes[0].kill()

    at_evaluation(9, lose)
    clf = classifier(client=client, worker_timeout=2.0)
    with pytest.raises(ClusterLostError, match=r"FileNotFound") as caught:
        clf.fit(da.concatenate(parts), cut(y[:2000], 500))
    assert caught.value.best.n_iter_ >= 5


def test_closing_the_client_during_a_fit_keeps_the_best(data, doomed, at_evaluation):
    X, y, _ = data
    client, _ = doomed
    at_evaluation(9, client.close)
    clf = classifier(client=client, worker_timeout=2.0)
    with pytest.raises(ClusterLostError, match=r"closed|lost") as caught:
        clf.fit(cut(X), cut(y))
    assert caught.value.best.n_iter_ >= 5
    with pytest.raises(ValueError, match=r"client is closed"):
        clf.fit(cut(X), cut(y))


def test_a_fit_resumes_with_another_number_of_workers(client, data, doomed, tmp_path):
    X, y, _ = data
    one = classifier(client=doomed[0], max_iter=5, worker_timeout=7)
    one.fit(cut(X), cut(y), checkpoint=tmp_path / "fit")
    other = classifier(client=client, max_iter=20)
    other.fit(cut(X), cut(y), checkpoint=tmp_path / "fit")
    same_bits(other, classifier(client=client, max_iter=20).fit(cut(X), cut(y)))


def test_a_fit_inside_a_dask_task_is_refused(client, data):
    X, y, _ = data
    search = GridSearchCV(classifier(max_iter=2), {"alpha": [1, 10]}, cv=2)
    with (
        client.as_current(),
        joblib.parallel_config("dask"),
        pytest.raises(ValueError, match=r"cannot run inside a dask task"),
    ):
        search.set_params(error_score="raise").fit(cut(X), cut(y))


def test_clones_keep_metadata_requests(client):
    with config_context(enable_metadata_routing=True):
        clf = classifier(client=client).set_fit_request(sample_weight=True)
        copied = clone(clf)
        assert copied.client is client
        assert clf.client is client
        assert copied.get_metadata_routing().fit.requests["sample_weight"] is True


def test_weights_that_sum_to_zero_and_one_dimensional_x_are_refused(client, data):
    X, y, _ = data
    clf = classifier(client=client, max_iter=5).fit(cut(X), cut(y))
    with pytest.raises(ValueError, match=r"sum to 0"):
        clf.score(cut(X), cut(y), cut(np.zeros(len(y))))
    with pytest.raises(ValueError, match=r"1 dimensions"):
        clf.predict(cut(X)[:, 0])
