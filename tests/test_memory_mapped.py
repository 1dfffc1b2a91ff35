"""Rows in a memory-mapped file: the same fit, in little memory."""

import tracemalloc

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from skce import PairedMLPClassifier
from skce._fitting import stages
from skce._inputs import sampling
from skce._inputs.labels import ROWS_AT_A_TIME
from skce._inputs.sampling import MAX_COPIED_BYTES, order_of_runs, random_order
from skce._network.data import Data

N, P = 800_000, 50


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """160 MB of float32, sorted by class."""
    path = tmp_path_factory.mktemp("rows") / "X.npy"
    X = np.lib.format.open_memmap(path, "w+", np.float32, (N, P))
    rng = np.random.default_rng(0)
    for start in range(0, N, 100_000):
        X[start : start + 100_000] = rng.random((100_000, P), dtype=np.float32)
        X[start : start + 100_000, :2] += 2 * (start / N)
    X.flush()
    return path


Y = np.repeat(["a", "b"], N // 2)
OPTIONS = {
    "plain": {},
    "early stopping": {"early_stopping": True},
    "scorer": {"early_stopping": True, "scoring": "accuracy"},
    "class weights": {"class_weight": "balanced"},
    "growing": {"growing_sample": True},
    "minibatches": {"growing_sample": "minibatches"},
}


def classifier(**params):
    given = {"hidden_layer_sizes": 3, "max_iter": 4, "random_state": 0, "n_jobs": 1}
    given["growing_sample"] = False
    return PairedMLPClassifier(**given | params)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", OPTIONS)
def test_the_rows_are_not_copied(name, path, monkeypatch):
    for module in (stages, sampling):
        monkeypatch.setattr(module, "MAX_COPIED_BYTES", 2**24)
    X = np.load(path, mmap_mode="r")
    tracemalloc.start()
    try:
        clf = classifier(**OPTIONS[name]).fit(X, Y)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        predicted = clf.predict(X[: N // 2])
        _, most_of_prediction = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # less than the 160 MB: the workspace, validation rows (32 MB), a few columns
    assert most < 70e6
    assert most_of_prediction < 20e6
    assert len(predicted) == N // 2


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("growing", [False, True, "minibatches"])
def test_a_memory_mapped_array_gives_the_fit_of_one_in_memory(growing, path):
    X, rows = np.load(path, mmap_mode="r"), slice(None, None, 1 if growing else 4)
    kept = np.array(X[rows])
    on_file = classifier(growing_sample=growing).fit(X[rows], Y[rows])
    in_memory = classifier(growing_sample=growing).fit(kept, Y[rows])
    np.testing.assert_array_equal(on_file.coefs_[0], in_memory.coefs_[0])
    np.testing.assert_array_equal(
        on_file.predict_proba(X[rows]), in_memory.predict_proba(kept)
    )


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_samples_and_validation_rows_of_a_sorted_file_have_all_classes(path):
    X = np.load(path, mmap_mode="r")
    clf = classifier(growing_sample=True, max_iter=60, early_stopping=True).fit(X, Y)
    assert len(clf.stages_) > 1
    share = np.mean(clf.predict(X[::50]) == Y[::50])
    assert share > 0.9


def test_validation_rows_of_a_file_have_no_weight_in_training(path):
    X = np.load(path, mmap_mode="r")
    codes = (Y == "b").astype(np.int8)
    for weights in (None, np.random.default_rng(0).random(N)):
        data = Data(X, codes, weights)
        random_state = np.random.RandomState(0)
        training, held_out = sampling.split_data(data, 0.05, random_state, False)
        assert training.X is X
        kept = training.weights > 0
        assert kept.sum() == N - round(0.05 * N)
        np.testing.assert_array_equal(held_out.data.X, X[~kept])
        np.testing.assert_array_equal(held_out.data.codes, codes[~kept])
        assert 0.4 < held_out.data.codes.mean() < 0.6


RUN = 128


def test_every_class_of_a_large_array_keeps_a_training_row(monkeypatch):
    monkeypatch.setattr(sampling, "MAX_COPIED_BYTES", 0)
    X, codes = np.zeros((20 * RUN, 1)), np.zeros(20 * RUN, dtype=np.int8)
    codes[:RUN] = 1
    weights = np.where(np.arange(len(codes)) % 2, 1.0, 0.0)
    monkeypatch.setattr(
        sampling, "random_order", lambda X, codes, *_: np.arange(len(codes))
    )  # all rows of a class first
    for given in (None, weights):
        training, held_out = sampling.split_data(
            Data(X, codes, given), 0.3, np.random.RandomState(0), False
        )
        assert set(codes[training.weights > 0]) == {0, 1}
        assert held_out.data.n_rows > 0
        if given is not None:
            assert (held_out.data.weights > 0).all()


@pytest.mark.parametrize("n", [2, RUN, 5 * RUN + 3])
def test_runs_of_neighbouring_rows_cover_all_rows_once(n):
    order = order_of_runs(n, np.random.RandomState(0), n, RUN)
    np.testing.assert_array_equal(np.sort(order), np.arange(n))
    assert np.mean(np.diff(order) == 1) >= 1 - 1 / RUN - 6 / n
    some = order_of_runs(10 * n, np.random.RandomState(0), n, RUN)
    assert n <= len(some) <= n + 2 * RUN


def test_wide_rows_are_drawn_one_by_one_and_stratified():
    n = 600
    X = np.broadcast_to(np.float64(0), (n, MAX_COPIED_BYTES // (8 * n) + 1))
    order = random_order(X, np.repeat([0, 1, 2], n // 3), np.random.RandomState(0), 60)
    counts = np.bincount(order[:60] // (n // 3))
    assert counts.min() >= 18


@pytest.mark.parametrize("labels", [[3, 7, -2], ["b", "a", "c"], [True, False, True]])
def test_labels_of_many_rows_are_encoded_in_chunks(labels):
    y = np.random.default_rng(0).choice(labels, ROWS_AT_A_TIME + 1000)
    y[:ROWS_AT_A_TIME] = labels[0]  # the other classes only occur after the first chunk
    X = np.random.default_rng(1).normal(size=(len(y), 1)).astype(np.float32)
    with pytest.warns(ConvergenceWarning):
        clf = classifier(max_iter=1).fit(X, y)
    np.testing.assert_array_equal(clf.classes_, np.unique(labels))
