"""Minibatches: what a pass sums, where the stage leads, and how it ends."""

import numpy as np
import pytest
from problems import DEGENERATE, NAMES, plain
from scipy import sparse
from sklearn import config_context
from sklearn.datasets import make_classification
from sklearn.exceptions import ConvergenceWarning

from skce import BrokenFitError
from skce._fitting import minibatches
from skce._fitting.listeners import Listeners
from skce._fitting.problem import Problem
from skce._network.data import MAX_EXACT_ROWS
from skce._network.rows import LocalRows
from skce.losses.hidden import HIDDEN_ACTIVATIONS

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::skce.ScaleWarning"),  # of a large tol
]

X, Y = make_classification(
    640, 6, n_informative=5, n_redundant=0, n_classes=3, random_state=0
)


def classifier(*pair, **parameters):
    defaults = {"hidden_layer_sizes": 5, "growing_sample": "minibatches"}
    return plain(*pair, **{**defaults, "random_state": 0, **parameters})


def spied(monkeypatch):
    """Return the list that will hold the arguments and the result of each stage."""
    calls, original = [], minibatches.minimize_by_batches

    def spy(*arguments):
        calls.append((*arguments, original(*arguments)))
        return calls[-1][-1]

    monkeypatch.setattr("skce._fitting.stages.minimize_by_batches", spy)
    return calls


def start_and_end(*pair, **parameters):
    """The objective of all rows at the start, and where the early stage has ended."""
    every_point = {"tol": 1e9, **parameters}
    return [
        classifier(*pair, growing_sample=growing, **every_point).fit(X, Y).loss_
        for growing in (False, "minibatches")
    ]


@pytest.mark.parametrize(
    "names", [n for n in NAMES if n not in DEGENERATE], ids=" x ".join
)
def test_every_pair_gets_lower(names):
    start, end = start_and_end(*names)
    assert end < start


@pytest.mark.parametrize("hidden", HIDDEN_ACTIVATIONS)
@pytest.mark.parametrize("skip", [False, True])
def test_every_hidden_activation_gets_lower(hidden, skip):
    start, end = start_and_end(
        hidden_activation=hidden, skip_layer=skip, hidden_layer_sizes=(5, 4)
    )
    assert end < start


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("standardize", [False, True])
def test_batches_have_the_mean_of_all_rows(
    container, weighted, standardize, monkeypatch
):
    calls = spied(monkeypatch)
    weights = np.random.default_rng(0).uniform(0.5, 2, 640) if weighted else None
    if weighted:
        weights[:320] = 0
    monkeypatch.setattr(minibatches, "LEARNING_RATE", 0.0)
    monkeypatch.setattr("skce.classifier.dense_if_small", lambda X: X)
    monkeypatch.setattr("skce._inputs.validation.MAX_DENSE_BYTES", 0, raising=False)
    rows = container(X * (np.abs(X) > 0.5) + 3)
    classifier(standardize=standardize, max_iter=4).fit(rows, Y, weights)
    problem, start, *_, (end, losses, size) = calls[0]
    np.testing.assert_array_equal(end, start)
    assert 640 % size == 0
    value, _ = problem.full_objective.value_and_gradient(start)
    np.testing.assert_allclose(losses, value, rtol=1e-12)
    assert len(losses) == 3


@pytest.mark.parametrize("standardize", [False, True])
def test_the_first_step_is_against_the_gradient(standardize, monkeypatch):
    calls = spied(monkeypatch)
    monkeypatch.setattr(minibatches, "BATCH_SIZE", 640)
    monkeypatch.setattr(minibatches, "MIN_STEPS", 1)
    classifier(standardize=standardize, max_iter=2).fit(X + 3, Y)
    problem, start, *_, (end, _, size) = calls[0]
    assert size == 640
    _, gradient = problem.full_objective.value_and_gradient(start)
    # in the solver's parameters, but for the shift of standardised features
    order = np.abs(gradient) > 1e-5
    assert order.mean() > 0.9
    step = np.where(gradient > 0, -minibatches.LEARNING_RATE, minibatches.LEARNING_RATE)
    np.testing.assert_allclose((end - start)[order], step[order], rtol=1e-2)


def test_the_start_is_kept_if_the_stage_leads_up(monkeypatch):
    calls = spied(monkeypatch)
    monkeypatch.setattr(minibatches, "LEARNING_RATE", 1e200)
    fitted = classifier().fit(X, Y)
    _, start, *_, (end, losses, _) = calls[0]
    assert end is start
    assert not np.isfinite(losses).all()
    assert fitted.solver_result_["success"]


def test_same_bits_for_any_number_of_threads_and_by_random_state():
    fits = [
        classifier(n_jobs=n_jobs, random_state=seed, tol=1e-2).fit(X, Y)
        for n_jobs, seed in ((1, 0), (3, 0), (1, 1))
    ]
    np.testing.assert_array_equal(fits[0].coefs_[0], fits[1].coefs_[0])
    assert fits[0].stages_ == fits[1].stages_
    assert fits[0].stages_ != fits[2].stages_


def test_it_is_computed_in_the_dtype_of_the_rows(monkeypatch):
    calls = spied(monkeypatch)
    single = classifier(tol=1e9).fit(X.astype(np.float32), Y).loss_
    assert single == pytest.approx(classifier(tol=1e9).fit(X, Y).loss_, rel=0.02)
    dtypes = [call[0].rows.dtype for call in calls]
    assert dtypes == [np.float32, np.float64]
    np.testing.assert_array_equal(calls[0][-1][0], np.float32(calls[0][-1][0]))


@pytest.mark.parametrize("max_iter", [1, 2, 5, 30])
@pytest.mark.parametrize("max_fun", [1, 3, 1000])
def test_passes_count_as_iterations_and_evaluations(max_iter, max_fun):
    fitted = classifier(max_iter=max_iter, max_fun=max_fun, tol=1e-12).fit(X, Y)
    stages = fitted.stages_
    most = minibatches.max_passes(len(X), fitted._network.n_parameters)
    assert sum(stage.n_iter for stage in stages) <= max_iter
    assert sum(stage.nfev for stage in stages) <= max_fun
    assert len(stages) == (1 if 1 in (max_iter, max_fun) else 2)
    for stage in stages[:-1]:
        assert stage.n_iter == len(stage.loss_curve) <= most
        assert (stage.n_rows, stage.batch_size) == (640, 40)


def test_many_rows_take_fewer_passes_and_not_many_more_steps():
    numbers = [minibatches.max_passes(10**k, 10**10) for k in range(1, 10)]
    assert numbers == sorted(numbers, reverse=True)
    assert set(numbers) >= {1, minibatches.MAX_PASSES}
    steps = minibatches.max_passes(2 * 10**6, 10) * 2 * 10**6 / minibatches.BATCH_SIZE
    assert steps <= minibatches.MAX_STEPS


def test_more_passes_for_many_rows_per_parameter():
    few, many = (minibatches.max_passes(10_000, n) for n in (1001, 1000))
    assert few == minibatches.MAX_PASSES < minibatches.MANY_PASSES == many


@pytest.mark.parametrize("after", [0, 20, 50])
def test_ctrl_c_keeps_what_a_pass_has_reached(after, monkeypatch):
    left, step = [after], minibatches._Adam.step

    def interrupted(self, block):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return step(self, block)

    monkeypatch.setattr(minibatches._Adam, "step", interrupted)
    if after < 16:
        with pytest.raises(KeyboardInterrupt):
            classifier().fit(X, Y)
        return
    with pytest.warns(ConvergenceWarning, match="was interrupted"):
        fitted = classifier().fit(X, Y)
    assert fitted.stages_[0].n_iter == after // 16
    assert fitted.solver_result_["reason"] == "interrupted"


def test_it_is_scored_after_the_stage_and_may_be_best(monkeypatch):
    calls = spied(monkeypatch)
    fitted = classifier(early_stopping=True, n_iter_no_change=2).fit(X, Y)
    assert isinstance(calls[0][0], Problem)
    assert len(fitted.validation_scores_) == fitted.n_iter_


@pytest.mark.parametrize("call", [1, 2, 3, 4])
def test_ctrl_c_after_the_last_pass_keeps_its_end(call, monkeypatch):
    # 1 and 2: in the check of the end; 3: in the first evaluation of the next stage
    calls, left, sums = spied(monkeypatch), [call], LocalRows.sums
    check = minibatches._is_lower

    def interrupted(self, kind, vectors):
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt
        return sums(self, kind, vectors)

    def begins_to_count(*arguments):
        monkeypatch.setattr(LocalRows, "sums", interrupted)
        return check(*arguments)

    monkeypatch.setattr(minibatches, "_is_lower", begins_to_count)
    with pytest.warns(ConvergenceWarning, match="was interrupted"):
        fitted = classifier().fit(X, Y)
    *_, (end, losses, _) = calls[0]
    n_passes = minibatches.max_passes(len(X), fitted._network.n_parameters)
    assert fitted.stages_[0].n_iter == len(losses) == n_passes
    assert fitted.solver_result_["reason"] == "interrupted"
    assert fitted.loss_ <= calls[0][0].full_objective.value_and_gradient(end)[0]


def test_ctrl_c_in_the_first_score_keeps_the_passes():
    def interrupted(*arguments):
        raise KeyboardInterrupt

    with pytest.warns(ConvergenceWarning, match="was interrupted"):
        fitted = classifier(early_stopping=True, scoring=interrupted).fit(X, Y)
    assert fitted.solver_result_["reason"] == "interrupted"
    assert [stage.n_iter for stage in fitted.stages_] == [minibatches.MANY_PASSES, 0]
    assert fitted.score(X, Y) > np.bincount(Y).max() / len(Y) + 0.1


def test_verbose_prints_a_line_for_each_pass(capsys):
    fitted = classifier(verbose=2, tol=1e-2).fit(X, Y)
    first_stage = capsys.readouterr().out.partition("stage 2")[0]
    assert first_stage.count("objective") == fitted.stages_[0].n_iter
    assert "nan" not in first_stage


def test_weights_that_rounding_makes_0_are_left_out():
    n = MAX_EXACT_ROWS + 1  # of fewer, those without a weight are dropped before
    rng = np.random.default_rng(0)
    weights = np.zeros(n)
    weights[:400], weights[:40] = 3e-47, 1
    rows = rng.normal(size=(n, 6)).astype(np.float32)
    fitted = classifier(tol=1e-2).fit(rows, rng.integers(3, size=n), weights)
    assert fitted.solver_result_["success"]


def test_listeners_see_no_network_that_overflows(monkeypatch):
    seen = []

    class Spy(Listeners):
        def after(self, iteration):
            seen.append(iteration)
            return super().after(iteration)

    monkeypatch.setattr("skce._fitting.stages.Listeners", Spy)
    monkeypatch.setattr(minibatches, "LEARNING_RATE", 1e200)
    fitted = classifier().fit(X, Y)
    assert fitted.stages_[0].n_iter == 1
    assert seen == []


def test_a_start_that_no_pass_has_improved_is_not_the_best_of_a_broken_fit():
    rows = X.copy()
    rows[3, 1] = np.nan
    with (
        config_context(assume_finite=True),
        pytest.raises(BrokenFitError, match="NaN") as caught,
    ):
        classifier().fit(rows, Y)
    assert caught.value.best is None
