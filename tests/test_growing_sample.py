"""The growing sample: its sizes, its stages, its result, and when it is used."""

import warnings
from itertools import pairwise

import numpy as np
import pytest
from problems import plain
from scipy import sparse
from sklearn.datasets import make_classification
from sklearn.exceptions import ConvergenceWarning

from skce._fitting.problem import MIN_GROWING_ROWS
from skce._fitting.stages import (
    CHECK_EVERY,
    MAX_ITERATIONS,
    minimize,
    sample_sizes,
)
from skce._inputs.sampling import MAX_COPIED_BYTES, stratified_order


@pytest.fixture(scope="module")
def data():
    return make_classification(
        4000, 10, n_informative=6, n_classes=3, flip_y=0.1, random_state=0
    )


def classifier(**parameters):
    defaults = {"hidden_layer_sizes": 8, "alpha": 1.0, "growing_sample": True}
    return plain(**{**defaults, "random_state": 0, **parameters})


@pytest.mark.parametrize("seed", range(3))
def test_every_prefix_of_the_order_is_stratified(seed):
    rng = np.random.default_rng(seed)
    codes = rng.permutation(np.repeat([0, 1, 3], [900, 95, 5]))
    order = stratified_order(codes, np.random.RandomState(seed))
    np.testing.assert_array_equal(np.sort(order), np.arange(1000))
    for m in (10, 100, 500):
        counts = np.bincount(codes[order[:m]], minlength=4)
        expected = np.bincount(codes) * m / 1000
        assert np.abs(counts - expected).max() <= 1.5
    # ... and random within a class
    assert not np.array_equal(order, np.sort(order))
    rows = order[codes[order] == 0]
    assert abs(np.corrcoef(rows, np.arange(len(rows)))[0, 1]) < 0.15


def test_the_order_of_indicators_is_a_permutation():
    codes = np.eye(4)[np.arange(40) % 4]
    order = stratified_order(codes, np.random.RandomState(0))
    np.testing.assert_array_equal(np.sort(order), np.arange(40))


@pytest.mark.parametrize("n_rows", [10, 1000, 4_000_000, 10**9])
@pytest.mark.parametrize("row_bytes", [8, 200, 1e6])
def test_samples_double_and_fit_into_memory_with_their_fresh_rows(n_rows, row_bytes):
    sizes = sample_sizes(n_rows, n_rows * row_bytes)
    assert sizes == sorted(set(sizes))
    assert sizes or n_rows < 16
    for size in sizes:
        assert 2 * size <= n_rows
        assert 2 * size * row_bytes <= MAX_COPIED_BYTES
    assert all(b == 2 * a for a, b in pairwise(sizes))


def test_stages_grow_and_the_last_is_on_all_rows(data):
    fitted = classifier().fit(*data)
    sizes = [stage.n_rows for stage in fitted.stages_]
    assert sizes == [250, 500, 1000, 2000, 4000]
    for stage in fitted.stages_[:-1]:
        assert 0 < stage.n_iter <= MAX_ITERATIONS
        assert len(stage.loss_curve) == stage.n_iter < stage.nfev
        assert stage.fresh_loss > 0
    last = fitted.stages_[-1]
    assert last.fresh_loss is None
    assert last.loss_curve == fitted.loss_curve_
    assert last.n_iter == fitted.n_iter_ == fitted.solver_result_["nit"]
    assert fitted.solver_result_["success"]


@pytest.mark.parametrize("pair", [("softmax", "natural"), ("logistic", "natural")])
def test_without_hidden_units_the_minimum_is_the_same(data, pair):
    settings = {"hidden_layer_sizes": (), "tol": 1e-7}
    X, y = data[0], data[1] == 0
    grown = classifier(activation=pair[0], **settings).fit(X, y)
    whole = classifier(activation=pair[0], growing_sample=False, **settings).fit(X, y)
    np.testing.assert_allclose(grown.coefs_[0], whole.coefs_[0], rtol=1e-4, atol=1e-5)
    assert grown.loss_ == pytest.approx(whole.loss_, rel=1e-10)


def test_a_stage_returns_the_point_where_fresh_rows_were_best():
    # random labels: a sample can only be overfitted
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(2000, 30)), rng.integers(0, 2, 2000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted = classifier(alpha=1e-4, max_iter=20).fit(X, y)
    first = fitted.stages_[0]
    assert first.n_iter <= 4 * CHECK_EVERY
    assert first.fresh_loss < 1.5 * np.log(2)
    # while the sample itself was nearly memorised
    assert first.loss_curve[-1] < 0.5


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_next_stage_starts_where_fresh_rows_were_best(data, monkeypatch):
    starts, watched = [], []

    def spying(objective, theta, plan, listeners, interrupt):
        starts.append(theta)
        watched.append([])
        for watch in filter(None, listeners):
            see, fresh = watched[-1].append, watch.objective.mean_loss
            see((fresh(theta), theta))
            check = watch.check
            watch.check = lambda theta, see=see, fresh=fresh, check=check: (
                see((fresh(theta), theta)) or check(theta)
            )
        return minimize(objective, theta, plan, listeners, interrupt)

    monkeypatch.setattr("skce._fitting.stages.minimize", spying)
    fitted = classifier(alpha=1e-4, max_iter=30).fit(*data)
    assert len(starts) == 5
    rejected = 0
    for seen, start, stage in zip(watched, starts[1:], fitted.stages_, strict=False):
        loss, best = min(seen, key=lambda pair: pair[0])
        assert stage.fresh_loss == loss
        np.testing.assert_array_equal(start, best)
        rejected += seen[-1][0] > loss
    assert rejected > 0


@pytest.mark.parametrize("solver", ["bfgs", "cg", "newton-cg", "trust-krylov"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_every_solver_grows_within_max_fun(data, solver):
    for max_fun in (1, 10, 60):
        fitted = classifier(solver=solver, max_fun=max_fun).fit(*data)
        assert sum(stage.nfev + stage.nhev for stage in fitted.stages_) <= max_fun
        assert fitted.solver_result_["nfev"] >= 1


def test_the_warning_names_the_max_iter_that_was_given(data):
    message = "max_iter=20 iterations, those of early stages included"
    with pytest.warns(ConvergenceWarning, match=message):
        classifier(max_iter=20, tol=1e-9).fit(*data)


def test_a_start_that_no_stage_improves_has_learned_nothing():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40_000, 20)).astype(np.float32), rng.integers(0, 2, 40_000)
    with pytest.warns(ConvergenceWarning, match="learned nothing"):
        classifier(hidden_layer_sizes=(), tol=0.02).fit(X, y)


def test_reproducible_from_random_state(data):
    fits = [classifier(random_state=seed).fit(*data) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(fits[0].coefs_[0], fits[1].coefs_[0])
    assert fits[0].stages_ == fits[1].stages_
    assert fits[0].stages_ != fits[2].stages_


def test_same_bits_for_any_number_of_threads():
    X, y = make_classification(
        30_000, 20, n_informative=9, n_classes=4, flip_y=0.1, random_state=0
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fits = [
            classifier(hidden_layer_sizes=20, max_iter=12, n_jobs=n_jobs).fit(X, y)
            for n_jobs in (1, 2, 4)
        ]
    for other in fits[1:]:
        assert other.stages_ == fits[0].stages_
        np.testing.assert_array_equal(other.coefs_[0], fits[0].coefs_[0])


def test_not_used_if_switched_off_for_few_rows_or_after_a_warm_start(data):
    assert len(classifier(growing_sample=False).fit(*data).stages_) == 1
    assert len(data[1]) < MIN_GROWING_ROWS
    assert len(classifier(growing_sample="auto").fit(*data).stages_) == 1
    warm = classifier(warm_start=True, tol=1e-3).fit(*data)
    assert len(warm.stages_) == 5
    assert len(warm.fit(*data).stages_) == 1


def test_on_by_default_for_many_rows():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(MIN_GROWING_ROWS, 2))
    y = X[:, 0] > 0
    wide = sparse.hstack([sparse.csr_array(X), sparse.csr_array((len(X), 200))])
    for rows, hidden, n_stages in ((X, 8, 2), (X, (), 5), (wide.tocsr(), 8, 5)):
        fitted = classifier(growing_sample="auto", hidden_layer_sizes=hidden, tol=1e-3)
        assert len(fitted.fit(rows, y).stages_) == n_stages


@pytest.mark.parametrize("max_iter", [1, 2, 7, 30])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_max_iter_bounds_the_work_of_all_stages(data, max_iter):
    fitted = classifier(max_iter=max_iter, tol=1e-9).fit(*data)
    work = [stage.n_iter * stage.n_rows / 4000 for stage in fitted.stages_]
    assert sum(work) <= max_iter
    assert sum(work) > max_iter - 1
    assert fitted.n_iter_ >= 1


def test_a_sample_without_weighted_rows_is_left_out(data):
    X, y = data
    weights = np.zeros(4000)
    weights[:40] = 1.0
    fitted = classifier(tol=1e-3).fit(X, y, weights)
    alone = classifier(tol=1e-3, growing_sample=False).fit(X[:40], y[:40])
    assert fitted.loss_ == pytest.approx(alone.loss_, rel=0.05)


def test_sparse_rows_have_the_stages_of_dense_rows(data):
    X, y = data
    X = np.where(np.abs(X) > 1, X, 0)
    dense = classifier(max_iter=40, tol=1e-2).fit(X, y)
    wide = sparse.hstack([sparse.csr_array(X), sparse.csr_array((4000, 300))])
    thin = classifier(max_iter=40, tol=1e-2).fit(wide.tocsr(), y)
    sizes = [stage.n_rows for stage in thin.stages_]
    assert sizes == [stage.n_rows for stage in dense.stages_]
    assert thin.loss_ < 0.9 * np.log(3)


def test_multilabel_fits_use_a_growing_sample(data):
    X, y = data
    labels = np.column_stack([y == 0, y > 1])
    fitted = classifier(activation="logistic", tol=1e-3).fit(X, labels)
    assert len(fitted.stages_) == 5


@pytest.mark.parametrize("value", [None, 0, 1, "yes", 0.5])
def test_invalid_values_are_refused(data, value):
    with pytest.raises(ValueError, match=r"growing_sample=.*'minibatches', True or"):
        classifier(growing_sample=value).fit(*data)


def test_verbose_names_the_stages(data, capsys):
    classifier(verbose=True, tol=1e-2).fit(*data)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "stage 1: 250 of 4000 rows"
    assert "stage 5: all 4000 rows" in lines
