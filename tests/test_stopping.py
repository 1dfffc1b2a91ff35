"""How fits end: early stopping, several starts, interruption, overflow."""

import pickle
import warnings
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import numpy as np
import pandas as pd
import pytest
from problems import NAMES
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris, make_multilabel_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from skce import (
    BrokenFitError,
    PairedMLPClassifier,
    alpha_path,
    check_gradient,
    summary,
)
from skce._fitting.solvers import SOLVERS
from skce._fitting.stages import minimize_in_stages
from skce._inputs.duplicates import merge_duplicates
from skce._inputs.sampling import split
from skce._network.data import MAX_EXACT_ROWS, Data
from skce._network.executors import share_out
from skce._network.objective import Objective
from skce._network.rows import LocalRows
from skce.losses.penalties import LeastSquares

X, y = load_digits(return_X_y=True)
X = X[:600] / 16
y = y[:600]
X, X_val, y, y_val = train_test_split(X, y, random_state=0)


def classifier(*names, **parameters):
    defaults = {"hidden_layer_sizes": 8, "early_stopping": True, "random_state": 0}
    return PairedMLPClassifier(*names, **defaults | parameters)


@pytest.mark.parametrize("names", NAMES, ids=" x ".join)
@pytest.mark.filterwarnings("ignore::skce.DegeneratePairingWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_best_weights_are_restored(names):
    fitted = classifier(*names, max_iter=200).fit(X, y, X_val=X_val, y_val=y_val)
    scores = fitted.validation_scores_
    assert len(scores) == fitted.n_iter_
    assert fitted.best_validation_score_ >= max(scores)
    # the score recomputed from the fitted weights: minus the mean penalty
    outputs = fitted.predict_outputs(X_val)
    targets = np.eye(10)[y_val]
    if fitted.pairing_.penalty is not None and names[1] != "cross_entropy":
        loss = fitted.pairing_.penalty.value(targets, outputs).sum(axis=1).mean()
        assert fitted.best_validation_score_ == pytest.approx(-loss, rel=1e-6)


# not the solvers with Hessian products: with tol=0 rounding may end them sooner
@pytest.mark.parametrize("solver", [s for s in SOLVERS if not SOLVERS[s].uses_hessian])
def test_stops_after_n_iter_no_change_iterations_without_a_better_score(solver):
    fitted = classifier(solver=solver, n_iter_no_change=4, alpha=0, tol=0)
    fitted.fit(X, y, X_val=X_val, y_val=y_val)
    scores = np.array([-np.inf, *fitted.validation_scores_])
    assert fitted.solver_result_["reason"] == "stopped"
    assert scores.argmax() == len(scores) - 1 - 4
    assert fitted.best_validation_score_ == scores.max()
    assert fitted.best_validation_score_ == pytest.approx(
        -log_loss(y_val, fitted.predict_proba(X_val)), rel=1e-9
    )
    assert not fitted.solver_result_["success"]


def test_early_stopping_generalises_better_than_convergence():
    stopped = classifier(alpha=0).fit(X, y, X_val=X_val, y_val=y_val)
    ended = classifier(alpha=0, early_stopping=False).fit(X, y)
    losses = [log_loss(y_val, c.predict_proba(X_val)) for c in (stopped, ended)]
    assert losses[0] < losses[1]


@pytest.mark.parametrize("scoring", ["accuracy", "neg_log_loss"])
def test_any_scorer_can_be_monitored(scoring):
    fitted = classifier(scoring=scoring).fit(X, y, X_val=X_val, y_val=y_val)
    if scoring == "accuracy":
        expected = fitted.score(X_val, y_val)
    else:
        expected = -log_loss(y_val, fitted.predict_proba(X_val))
    assert fitted.best_validation_score_ == pytest.approx(expected)


def test_the_log_loss_scores_like_the_penalty_of_softmax():
    one = classifier().fit(X, y, X_val=X_val, y_val=y_val)
    other = classifier(scoring="neg_log_loss").fit(X, y, X_val=X_val, y_val=y_val)
    np.testing.assert_allclose(
        one.validation_scores_, other.validation_scores_, rtol=1e-9
    )


def test_weights_of_the_validation_rows_enter_the_score():
    weights = np.where(y_val < 5, 3.0, 0.5)
    fitted = classifier(scoring="accuracy").fit(
        X, y, X_val=X_val, y_val=y_val, sample_weight_val=weights
    )
    right = fitted.predict(X_val) == y_val
    assert fitted.best_validation_score_ == pytest.approx(
        np.average(right, weights=weights)
    )
    counts = np.where(y_val < 5, 3, 1)
    one = classifier().fit(X, y, X_val=X_val, y_val=y_val, sample_weight_val=counts)
    other = classifier().fit(
        X, y, X_val=np.repeat(X_val, counts, axis=0), y_val=np.repeat(y_val, counts)
    )
    np.testing.assert_allclose(one.validation_scores_, other.validation_scores_)


def test_a_fraction_of_the_training_rows_is_held_out():
    fitted = classifier(validation_fraction=0.2).fit(X, y)
    assert len(fitted.validation_scores_) == fitted.n_iter_
    again = classifier(validation_fraction=0.2).fit(X, y)
    np.testing.assert_array_equal(fitted.coefs_[0], again.coefs_[0])


def test_split_is_stratified_and_leaves_a_row_of_each_class():
    random_state = np.random.RandomState(0)
    codes = np.repeat([0, 1, 2], [700, 290, 10])
    training, validation = split(codes, 0.1, random_state)
    assert np.array_equal(np.sort(np.r_[training, validation]), np.arange(1000))
    counts = np.bincount(codes[validation], minlength=3)
    assert np.abs(counts - [70, 29, 1]).max() <= 1
    few = np.array([0, 1, 1, 2, 2, 2])
    for seed in range(20):
        training, _ = split(few, 0.5, np.random.RandomState(seed))
        assert set(few[training]) == {0, 1, 2}
    with pytest.raises(ValueError, match="pass X_val and y_val"):
        split(np.array([0, 1, 2]), 0.1, random_state)


def test_weights_equal_repetitions_with_early_stopping():
    counts = np.random.default_rng(0).integers(0, 3, len(y))
    repeated = np.repeat(X, counts, axis=0), np.repeat(y, counts)
    assert len(repeated[1]) <= MAX_EXACT_ROWS
    one = classifier().fit(X, y, counts)
    other = classifier().fit(*repeated)
    np.testing.assert_array_equal(one.coefs_[0], other.coefs_[0])


@config_context(enable_metadata_routing=True)
def test_a_pipeline_can_transform_the_validation_rows():
    pipeline = Pipeline(
        [("scale", StandardScaler()), ("clf", classifier())], transform_input=["X_val"]
    )
    pipeline["clf"].set_fit_request(X_val=True, y_val=True)
    pipeline.fit(X, y, X_val=X_val, y_val=y_val)
    score = pipeline["clf"].best_validation_score_
    expected = -log_loss(y_val, pipeline.predict_proba(X_val))
    assert score == pytest.approx(expected, rel=1e-9)


def test_early_stopping_accepts_frames_and_multilabel():
    frame, frame_val = (
        pd.DataFrame(X).add_prefix("p"),
        pd.DataFrame(X_val).add_prefix("p"),
    )
    fitted = classifier(scoring="accuracy").fit(frame, y, X_val=frame_val, y_val=y_val)
    assert list(fitted.feature_names_in_) == list(frame.columns)
    rows, labels = make_multilabel_classification(200, random_state=0)
    fitted = classifier("logistic").fit(
        rows[:150], labels[:150], X_val=rows[150:], y_val=labels[150:]
    )
    assert len(fitted.validation_scores_) == fitted.n_iter_


def test_a_growing_sample_is_scored_in_its_last_stage():
    fitted = classifier(growing_sample=True).fit(X, y, X_val=X_val, y_val=y_val)
    assert len(fitted.stages_) > 1
    assert len(fitted.validation_scores_) == fitted.n_iter_


@pytest.mark.parametrize(
    ("parameters", "given", "message"),
    [
        ({}, {"X_val": X_val}, "must be given together"),
        (
            {"early_stopping": False},
            {"X_val": X_val, "y_val": y_val},
            "does not use it",
        ),
        ({}, {"X_val": X_val[:, :3], "y_val": y_val}, "3 features"),
        ({}, {"X_val": X_val, "y_val": y_val + 5}, "which were not seen in the fit"),
        ({}, {"X_val": X_val, "y_val": y_val[:9]}, "rows, but y_val has 9"),
        ({"scoring": "acuracy"}, {}, "acuracy"),
        ({"scoring": 3}, {}, "scoring=3 must be"),
        ({"validation_fraction": 1.0}, {}, "validation_fraction=1.0 must be a number"),
        ({"n_iter_no_change": 0}, {}, "n_iter_no_change=0 must be"),
        ({"early_stopping": "auto"}, {}, "early_stopping='auto' must be True or False"),
        ({"n_init": 0}, {}, "n_init=0 must be an integer of at least 1"),
    ],
)
def test_invalid_parameters_are_refused(parameters, given, message):
    with pytest.raises(ValueError, match=message):
        classifier(**parameters).fit(X, y, **given)


def test_the_best_of_several_starts_is_kept():
    fitted = classifier(early_stopping=False, alpha=1, n_init=4).fit(X, y)
    assert fitted.init_losses_.shape == (4,)
    assert fitted.loss_ == fitted.init_losses_.min()
    one = classifier(early_stopping=False, alpha=1).fit(X, y)
    assert fitted.init_losses_[0] == one.loss_
    watched = classifier(n_init=3).fit(X, y, X_val=X_val, y_val=y_val)
    alone = classifier().fit(X, y, X_val=X_val, y_val=y_val)
    assert watched.best_validation_score_ >= alone.best_validation_score_


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("early_stopping", [False, True])
def test_same_bits_for_any_number_of_threads(early_stopping, monkeypatch):
    monkeypatch.setattr("skce._network.executors.MIN_WORK", 1000)
    monkeypatch.setattr("skce._fitting.fits.MIN_WORK_OF_A_START", 1000)
    options = {"n_init": 3, "max_iter": 30, "early_stopping": early_stopping}
    fits = [classifier(n_jobs=n, **options).fit(X, y) for n in (1, 2, 4)]
    for fit in fits[1:]:
        np.testing.assert_array_equal(fit.coefs_[0], fits[0].coefs_[0])
        np.testing.assert_array_equal(fit.init_losses_, fits[0].init_losses_)


def test_a_warm_start_is_the_first_of_several():
    warm = classifier(early_stopping=False, warm_start=True, alpha=1).fit(X, y)
    loss = warm.loss_
    warm.set_params(n_init=3).fit(X, y)
    assert warm.init_losses_[0] <= loss
    assert warm.loss_ <= loss


class InterruptedAfter:
    """A scorer whose n-th call is interrupted by Ctrl-C."""

    def __init__(self, n):
        self.n = n

    def __call__(self, estimator, rows, labels):
        self.n -= 1
        if self.n == 0:
            raise KeyboardInterrupt
        return estimator.score(rows, labels)


def test_ctrl_c_keeps_the_best_weights_so_far_and_warns():
    estimator = classifier(scoring=InterruptedAfter(8))
    with pytest.warns(ConvergenceWarning, match="was interrupted .* so far are kept"):
        estimator.fit(X, y, X_val=X_val, y_val=y_val)
    assert estimator.solver_result_["reason"] == "interrupted"
    assert estimator.score(X_val, y_val) == estimator.best_validation_score_ > 0.2


def test_ctrl_c_skips_the_remaining_starts(monkeypatch):
    calls = []

    def counted(*arguments, **options):
        result = minimize_in_stages(*arguments, **options)
        calls.append(result)
        return result

    monkeypatch.setattr("skce._fitting.fits.minimize_in_stages", counted)
    estimator = classifier(scoring=InterruptedAfter(8), n_init=3)
    with pytest.warns(ConvergenceWarning, match="was interrupted"):
        estimator.fit(X, y, X_val=X_val, y_val=y_val)
    assert len(calls) == 1
    assert np.isnan(estimator.init_losses_).tolist() == [False, True, True]


def test_ctrl_c_in_a_growing_sample_warns(monkeypatch):
    presses = iter([False] * 60 + [True] + [False] * 10_000)
    original = Objective.value_and_gradient

    def pressed(self, theta):
        if next(presses):
            raise KeyboardInterrupt
        return original(self, theta)

    monkeypatch.setattr(Objective, "value_and_gradient", pressed)
    estimator = classifier(early_stopping=False, growing_sample=True)
    with pytest.warns(ConvergenceWarning, match="was interrupted") as record:
        estimator.fit(X, y)
    assert len(record) == 1
    assert estimator.solver_result_["reason"] == "interrupted"
    assert estimator.score(X_val, y_val) > 0.5


def test_ctrl_c_before_the_first_iteration_leaves_the_estimator(monkeypatch):
    estimator = classifier(early_stopping=False, alpha=1).fit(X, y)
    before = estimator.coefs_
    presses = iter([False, True])
    original = Objective.value_and_gradient

    def pressed(self, theta):
        if next(presses):
            raise KeyboardInterrupt
        return original(self, theta)

    monkeypatch.setattr(Objective, "value_and_gradient", pressed)
    with pytest.raises(KeyboardInterrupt):
        estimator.fit(X, y)
    assert estimator.coefs_ is before


def test_ctrl_c_waits_for_the_helper_threads():
    interrupt, ended = Event(), []

    def work(i):
        if i == 1:
            interrupt.wait(20)
        ended.append(i)

    class Waiting:
        """A future whose first wait is interrupted by Ctrl-C."""

        def __init__(self, future):
            self.future, self.pressed = future, False

        def cancel(self):
            return False

        def exception(self):
            if not self.pressed:
                self.pressed = True
                raise KeyboardInterrupt
            return self.future.exception()

    class Pool:
        def __init__(self, pool):
            self.pool = pool

        def submit(self, function):
            return Waiting(self.pool.submit(function))

    with ThreadPoolExecutor(1) as pool, pytest.raises(KeyboardInterrupt):
        share_out(Pool(pool), 1, work, range(2), interrupt.set)
    assert interrupt.is_set()
    assert sorted(ended) == [0, 1]


def test_an_undefined_score_is_an_error():
    one_class = y_val == 0
    with pytest.raises(ValueError, match=r"is undefined .NaN. on the validation"):
        classifier(scoring=lambda *_: np.nan).fit(
            X, y, X_val=X_val[one_class], y_val=y_val[one_class]
        )
    with pytest.raises(ValueError, match="cannot score the validation rows"):
        classifier(scoring="neg_log_loss").fit(
            X, y, X_val=X_val[one_class], y_val=y_val[one_class]
        )


def test_indicators_of_the_validation_rows_are_checked():
    rows, labels = make_multilabel_classification(100, random_state=0)
    for bad in (labels * 0.9, labels * 2, labels * 256):
        with pytest.raises(
            ValueError, match=r"In X_val, y_val or .* must be indicators"
        ):
            classifier("logistic").fit(rows, labels, X_val=rows, y_val=bad)


class Recorder:
    """A scorer that accepts weights and records them."""

    def __call__(self, estimator, rows, labels, **weights):
        self.seen = weights
        self.rows = len(labels)
        return estimator.score(rows, labels)


def test_a_scorer_gets_weights_only_if_the_user_passed_some():
    twice = np.vstack([X, X[:50]]), np.r_[y, y[:50]]
    for options in ({}, {"class_weight": "balanced"}):
        recorder = Recorder()
        fit = classifier(scoring=recorder, validation_fraction=0.3, **options)
        fit.fit(*twice)
        assert recorder.seen == {}
        assert recorder.rows > 0.3 * len(X)  # counted with repetitions
        fit.fit(*twice, sample_weight=np.full(len(twice[1]), 2.0))
        assert len(recorder.seen["sample_weight"]) <= recorder.rows


def test_class_weights_enter_the_penalty_of_the_validation_rows():
    weights = {k: 1.0 + k for k in range(10)}
    fit = classifier(class_weight=weights).fit(X, y, X_val=X_val, y_val=y_val)
    p = fit.predict_proba(X_val)
    expected = log_loss(y_val, p, sample_weight=1.0 + y_val)
    assert fit.best_validation_score_ == pytest.approx(-expected, rel=1e-9)
    smooth = classifier(label_smoothing=0.2).fit(X, y, X_val=X_val, y_val=y_val)
    targets = 0.8 * np.eye(10)[y_val] + 0.02
    value = smooth.pairing_.penalty.value(targets, smooth.predict_proba(X_val))
    assert smooth.best_validation_score_ == pytest.approx(-value.sum(axis=1).mean())


def test_alpha_is_relative_to_the_training_rows_alone():
    # alpha / S, where S is the weight of the training rows without validation rows
    fit = classifier(validation_fraction=0.5, max_iter=3, alpha=50.0, standardize=False)
    with pytest.warns(ConvergenceWarning):
        fit.fit(X, y)
    stage = fit.stages_[-1]
    penalty = sum((W**2).sum() for W in fit.coefs_)
    assert stage.n_rows == pytest.approx(len(X) / 2, abs=1)
    decay = fit.loss_ - mean_penalty_of_training(fit)
    assert decay == pytest.approx(50.0 / (2 * stage.n_rows) * penalty, rel=1e-6)


def mean_penalty_of_training(fit):
    """The objective without its L2 term, on the training rows of `split`."""
    merged = merge_duplicates(Data(X, y))
    rows, codes = merged.X, merged.codes
    training, _ = split(codes, fit.validation_fraction, np.random.RandomState(0))
    return log_loss(codes[training], fit.predict_proba(rows[training]))


@pytest.mark.parametrize("skip", [False, True])
def test_a_fit_begins_at_an_explicit_start(skip):
    options = {"early_stopping": False, "hidden_activation": "tanh"}
    options["skip_layer"] = skip
    first = classifier(**options, tol=1e-6, max_iter=2000).fit(X, y)
    start = {
        "coefs_init": first.coefs_,
        "intercepts_init": first.intercepts_,
        "skip_coef_init": first.skip_coef_,
    }
    again = classifier(**options).fit(X, y, **start)
    assert again.n_iter_ == 0
    assert again.loss_ == pytest.approx(first.loss_)
    other = classifier(**options, n_init=2).fit(X, y, **start)
    assert other.init_losses_[0] == again.loss_
    assert other.loss_ <= again.loss_


@pytest.mark.parametrize("skip", [False, True])
def test_a_warm_start_keeps_the_skip_layer(skip):
    clf = classifier(early_stopping=False, skip_layer=skip).fit(X, y)
    before, loss = clf.skip_coef_, clf.loss_
    clf.set_params(warm_start=True).fit(X, y)
    assert clf.loss_ <= loss
    with pytest.raises(ValueError, match=r"layers of the prev.*skip_coef_ \(64, 10\)"):
        clf.set_params(skip_layer=not skip).fit(X, y)
    if skip:
        np.testing.assert_allclose(clf.skip_coef_, before, atol=0.2)
        clf.skip_coef_[0, 0] = np.nan
        with pytest.raises(ValueError, match=r"skip_coef_ has a value.* not finite"):
            clf.set_params(skip_layer=True).fit(X, y)


ZEROS = {
    "coefs_init": [np.zeros((64, 8)), np.zeros((8, 10))],
    "intercepts_init": [np.zeros(8), np.zeros(10)],
}


@pytest.mark.parametrize(
    ("start", "message"),
    [
        ({"coefs_init": []}, "must be given together"),
        ({"coefs_init": [], "intercepts_init": []}, "have the shapes .* must be"),
        (
            {
                "coefs_init": [np.zeros((64, 8)), np.full((8, 10), np.nan)],
                "intercepts_init": [np.zeros(8), np.zeros(10)],
            },
            "not finite",
        ),
        ({"skip_coef_init": np.zeros((64, 10))}, "must be given together"),
        (
            ZEROS | {"skip_coef_init": np.zeros((64, 10))},
            r"is an array of shape \(64, 10\); .* must be None.*skip_layer=True",
        ),
        (
            ZEROS | {"skip_layer": True},
            r"is None; .* must be an array of shape \(64, 10\)",
        ),
        (
            ZEROS | {"skip_layer": True, "skip_coef_init": np.zeros((10, 64))},
            r"of shape \(10, 64\); .* must be an array of shape \(64, 10\)",
        ),
        (
            ZEROS | {"skip_layer": True, "skip_coef_init": np.full((64, 10), np.inf)},
            "not finite",
        ),
    ],
)
def test_an_invalid_start_is_refused(start, message):
    clf = classifier(early_stopping=False, skip_layer=start.pop("skip_layer", False))
    with pytest.raises(ValueError, match=message):
        clf.fit(X, y, **start)


class Breaks(LeastSquares):
    """NaN after a given number of calls."""

    def __init__(self, after):
        self.after = after
        self.n_calls = 0

    def value(self, t, y):
        self.n_calls += 1
        return super().value(t, y) * (np.nan if self.n_calls > self.after else 1)


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_broken_fit_returns_its_last_good_weights(solver):
    X, labels = load_iris(return_X_y=True)
    names = np.array(["a", "b", "c"])[labels]
    clf = PairedMLPClassifier(
        "softmax", hidden_layer_sizes=3, solver=solver, random_state=0, tol=1e-4
    ).fit(X, names)
    before = dict(vars(clf))
    clf.set_params(penalty=Breaks(after=20))
    with pytest.raises(
        BrokenFitError, match=r"raise alpha; of a user-defined"
    ) as raised:
        clf.fit(X, names)
    clf.set_params(penalty="natural")
    assert vars(clf) == before
    best = pickle.loads(pickle.dumps(raised.value)).best
    assert set(best.predict(X)) <= set("abc")
    # the weights of the same fit with a smaller max_iter
    for n_iter in range(1, 30):
        short = clone(best).set_params(penalty="least_squares", max_iter=n_iter)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            if np.array_equal(short.fit(X, names).coefs_[0], best.coefs_[0]):
                break
    else:
        pytest.fail("no iteration ended there")
    with pytest.raises(BrokenFitError, match=r"no iteration") as raised:
        clf.set_params(penalty=Breaks(after=1)).fit(X, names)
    assert raised.value.best is None


def test_a_fit_broken_after_a_stage_returns_the_weights_of_the_stage():
    X, labels = load_iris(return_X_y=True)
    penalty = Breaks(after=np.inf)
    clf = PairedMLPClassifier("softmax", penalty, hidden_layer_sizes=3, random_state=0)
    clf.set_params(growing_sample=True, tol=1e-3).fit(X, labels)
    calls = sum(stage.nfev for stage in clf.stages_[:-1])  # and checks on fresh rows
    penalty.after = penalty.n_calls - clf.stages_[-1].nfev - 1
    penalty.n_calls = 0
    assert penalty.after > calls
    with pytest.raises(BrokenFitError, match=r"fitted with the last good") as raised:
        clf.fit(X, labels)
    best = raised.value.best
    assert best.solver_result_["reason"] == "overflow"
    assert len(best.stages_) > 1
    assert np.isfinite(best.predict_proba(X)).all()
    assert "overflow" in str(summary(best, X, labels))


def test_a_broken_fit_returns_the_best_of_several_starts():
    X, labels = load_iris(return_X_y=True)
    clf = PairedMLPClassifier(
        "softmax", Breaks(after=30), hidden_layer_sizes=3, random_state=0, n_init=2
    )
    with pytest.raises(BrokenFitError) as raised:
        clf.fit(X, labels)
    assert raised.value.best.n_iter_ > 0


@pytest.mark.parametrize("stage", [2, 3, 4])
def test_ctrl_c_between_stages_keeps_the_last_stage(stage, monkeypatch):
    X, labels = load_digits(return_X_y=True)
    clf = PairedMLPClassifier(hidden_layer_sizes=5, random_state=0, growing_sample=True)
    begun, part = [], LocalRows.part

    def interrupted(*args):
        begun.append(0)
        if len(begun) == 2 * stage:  # the sample and its fresh rows
            raise KeyboardInterrupt
        return part(*args)

    monkeypatch.setattr(LocalRows, "part", interrupted)
    with pytest.warns(ConvergenceWarning, match=r"Ctrl-C"):
        clf.fit(X / 16, labels)
    assert len(clf.stages_) == stage
    assert clf.solver_result_["reason"] == "interrupted"


class Sums(LeastSquares):
    def value(self, t, y):
        return super().value(t, y).sum()


def test_a_penalty_that_returns_a_sum_is_refused():
    X, labels = load_iris(return_X_y=True)
    clf = PairedMLPClassifier("softmax", Sums(), hidden_layer_sizes=2)
    with pytest.raises(ValueError, match=r"loss has the shape \(\), which must be"):
        clf.fit(X, labels)
    with pytest.raises(ValueError, match=r"must not sum"):
        check_gradient(clf, X, labels)
    with pytest.raises(TypeError, match=r"pipe\[-1\]"):
        check_gradient(Pipeline([("clf", clf)]), X, labels)
    with pytest.raises(TypeError, match=r"PairedMLPClassifier itself"):
        alpha_path(Pipeline([("clf", clf)]), X, labels, [1])


def test_a_scorer_without_sample_weight_is_refused_if_there_are_weights():
    X, labels = load_iris(return_X_y=True)
    clf = classifier(scoring=lambda clf, X, y: clf.score(X, y))
    with pytest.raises(ValueError, match=r"sample_weight=None"):
        clf.fit(X / 8, labels, sample_weight=np.arange(150.0))


def test_without_a_limit_early_stopping_goes_back_to_the_best_of_all_iterations():
    X, labels = load_iris(return_X_y=True)
    clf = classifier(n_iter_no_change=np.inf, alpha=1e-3, scoring="accuracy")
    clf.fit(X, labels)
    scores = np.array(clf.validation_scores_)
    best = np.flatnonzero(scores == scores.max())[-1]
    assert len(scores) == clf.n_iter_ > best + 11
    assert clf.best_validation_score_ == scores.max()


def test_verbose_prints_why_each_start_ended(capsys):
    X, labels = load_iris(return_X_y=True)
    clf = PairedMLPClassifier(hidden_layer_sizes=2, verbose=1, tol=10, n_init=2)
    with pytest.warns(ConvergenceWarning, match="did nothing|has learned nothing"):
        clf.fit(X, labels)
    printed = capsys.readouterr().out
    assert printed.count("The start is a stationary point.") == 2
    assert "start 2 of 2" in printed
