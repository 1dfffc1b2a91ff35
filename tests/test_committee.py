"""Averages of the starts of one fit: `average_starts`."""

import pickle
import re
import warnings
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from problems import NAMES, WITH_PARAMETERS, best_penalty, label
from scipy import sparse
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_iris, make_multilabel_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss
from sklearn.model_selection import KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from skce import (
    BrokenFitError,
    PairedMLPClassifier,
    PairedMLPClassifierCV,
    standard_errors,
    summary,
)
from skce._fitting import fits, memory
from skce._fitting.committee import committee_of
from skce._fitting.fits import Fits, Outcome
from skce._fitting.monitor import NonFiniteObjectiveError
from skce._network.logits import log_mean
from skce.losses.activations import ACTIVATIONS
from skce.uncertainty._curvature import flat

X, Y = load_iris(return_X_y=True)
TWO = Y == 2
X_SETS, SETS = make_multilabel_classification(90, 5, n_classes=3, random_state=0)
ORDERED = pd.Categorical.from_codes(Y, ["low", "medium", "high"], ordered=True)
RECORD = ("loss_", "n_iter_", "init_losses_", "solver_result_")

pytestmark = pytest.mark.filterwarnings("ignore::skce.DegeneratePairingWarning")


def averaged(*names, **parameters):
    """An unfitted average of four starts that end in different minima."""
    settings = {"hidden_layer_sizes": 3, "alpha": 0.05, "n_init": 4, "random_state": 0}
    settings |= {"average_starts": True, "tol": 1e-3}
    return PairedMLPClassifier(*names, **settings | parameters)


def probabilities_of_members(clf, rows):
    return np.array([member.predict_proba(rows) for member in clf.members()])


def same_parameters(clf, other):
    return all(map(np.array_equal, clf.coefs_, other.coefs_))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("kind", ["dense", "sparse", "float32"])
@pytest.mark.parametrize("classes", [Y, TWO], ids=["three", "two"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_probabilities_are_the_mean_of_the_members(activation, classes, kind):
    convert = {"dense": np.asarray, "sparse": sparse.csr_array, "float32": np.float32}
    rows = convert[kind](X)
    clf = averaged(activation, best_penalty(activation)).fit(rows, classes)
    p = clf.predict_proba(rows)
    tight = 1e-6 if kind == "float32" else 1e-13
    expected = probabilities_of_members(clf, rows).mean(axis=0)
    np.testing.assert_allclose(p, expected, rtol=tight, atol=tight)
    assert p.dtype == clf.member_parameters_.dtype == rows.dtype
    np.testing.assert_array_equal(clf.predict(rows), clf.classes_[p.argmax(axis=1)])
    log_p, zero = clf.predict_log_proba(rows), p == 0
    np.testing.assert_array_equal(np.isneginf(log_p), zero)
    precise = p > np.finfo(p.dtype).tiny  # smaller numbers have fewer digits
    np.testing.assert_allclose(
        log_p[precise], np.log(p[precise]), rtol=10 * tight, atol=10 * tight
    )
    outputs = [member.predict_outputs(rows) for member in clf.members()]
    np.testing.assert_allclose(
        clf.predict_outputs(rows), np.mean(outputs, axis=0), rtol=tight, atol=tight
    )


@pytest.mark.parametrize("names", [*NAMES, *WITH_PARAMETERS], ids=label)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore:average_starts=True averages over n_init=1")
def test_of_one_start_it_is_the_fit_itself(names):
    plain = averaged(*names, average_starts=False, n_init=1).fit(X, Y)
    clf = averaged(*names, n_init=1).fit(X, Y)
    assert same_parameters(clf, plain)
    assert clf.member_parameters_.shape == (1, plain._network.n_parameters)
    for method in ("predict", "predict_proba", "predict_log_proba", "predict_outputs"):
        np.testing.assert_array_equal(
            getattr(clf, method)(X), getattr(plain, method)(X)
        )


def test_an_average_over_one_start_is_not_silent():
    with pytest.warns(UserWarning, match="averages over n_init=1 start.* raise n_init"):
        averaged(n_init=1).fit(X, Y)


def test_the_fits_are_those_of_n_init_and_the_best_comes_first():
    best, clf = averaged(average_starts=False).fit(X, Y), averaged().fit(X, Y)
    assert best.member_parameters_ is None
    assert same_parameters(clf, best)
    np.testing.assert_array_equal(clf.init_losses_, best.init_losses_)
    assert clf.member_parameters_.shape == (4, best._network.n_parameters)
    parameters = flat(clf.coefs_, clf.intercepts_, clf.skip_coef_)
    np.testing.assert_array_equal(clf.member_parameters_[0], parameters)
    np.testing.assert_array_equal(
        clf.members()[0].predict_proba(X), best.predict_proba(X)
    )
    p = clf.predict_proba(X)
    assert not np.allclose(p, best.predict_proba(X))
    clf.set_params(average_starts=False)
    np.testing.assert_array_equal(clf.predict_proba(X), best.predict_proba(X))
    np.testing.assert_array_equal(clf.decision_function(X), best.decision_function(X))


def test_the_log_loss_is_at_most_the_mean_of_the_members():
    """The logarithm is concave."""
    clf = averaged().fit(X[::2], Y[::2])
    losses = [log_loss(Y, p) for p in probabilities_of_members(clf, X)]
    assert log_loss(Y, clf.predict_proba(X)) < np.mean(losses)


@pytest.mark.parametrize("n_jobs", [2, 3])
def test_any_number_of_threads_gives_the_same_bits(n_jobs):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(6000, 10))
    labels = (rows[:, 0] * rows[:, 1] > 0).astype(int) + (rows[:, 2] > 1)
    params = {"hidden_layer_sizes": 30, "max_iter": 20, "n_init": 3}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        one = averaged(n_jobs=1, **params).fit(rows, labels)
        clf = averaged(n_jobs=n_jobs, **params).fit(rows, labels)
    np.testing.assert_array_equal(clf.member_parameters_, one.member_parameters_)
    np.testing.assert_array_equal(clf.predict_proba(rows), one.predict_proba(rows))


def test_multilabel():
    clf = averaged("logistic").fit(X_SETS, SETS)
    p = clf.predict_proba(X_SETS)
    expected = probabilities_of_members(clf, X_SETS).mean(axis=0)
    np.testing.assert_allclose(p, expected, rtol=1e-13)
    np.testing.assert_array_equal(clf.predict(X_SETS), p > 0.5)
    np.testing.assert_allclose(clf.predict_log_proba(X_SETS), np.log(p), rtol=1e-9)
    assert 0 < summary(clf, X_SETS, SETS).spread < 0.5


def test_ordered_classes_have_thresholds_in_each_member():
    clf = averaged("ordinal", "cross_entropy").fit(X, ORDERED)
    thresholds = [member.thresholds_ for member in clf.members()]
    assert (np.diff(thresholds, axis=1) > 0).all()
    np.testing.assert_array_equal(thresholds[0], clf.thresholds_)
    assert clf.score(X, ORDERED) > 0.9


def test_integer_weights_are_copies_and_soft_targets_are_taken():
    weights = np.random.default_rng(0).integers(0, 3, len(Y))
    clf = averaged().fit(X, Y, weights)
    copies = averaged().fit(X.repeat(weights, axis=0), Y.repeat(weights))
    np.testing.assert_array_equal(clf.member_parameters_, copies.member_parameters_)
    soft = averaged().fit_targets(X, np.eye(3)[Y])
    assert soft.score(X, Y) > 0.9
    assert len(soft.members()) == 4


@pytest.mark.parametrize("options", [{}, {"scoring": "accuracy"}], ids=str)
def test_each_member_stops_early_at_its_own_best_point(options):
    options |= {"early_stopping": True, "n_iter_no_change": 3, "tol": 1e-6}
    rows = {"X_val": X[::3], "y_val": Y[::3]}
    clf = averaged(**options).fit(X, Y, **rows)
    best = averaged(average_starts=False, **options).fit(X, Y, **rows)
    assert same_parameters(clf, best)
    assert clf.best_validation_score_ == best.best_validation_score_
    assert len(clf.members()) == 4
    if not options.get("scoring"):
        losses = [log_loss(Y[::3], m.predict_proba(X[::3])) for m in clf.members()]
        assert losses == sorted(losses)
        np.testing.assert_allclose(losses[0], -clf.best_validation_score_)


def test_a_growing_sample_and_a_checkpoint(tmp_path):
    clf = averaged(growing_sample=True).fit(X, Y)
    assert len(clf.members()) == 4
    path = tmp_path / "fit"
    before = averaged(growing_sample=True).fit(X, Y, checkpoint=path)
    again = averaged(growing_sample=True).fit(X, Y, checkpoint=path)
    for other in (before, again):
        np.testing.assert_array_equal(other.member_parameters_, clf.member_parameters_)
    best = averaged(growing_sample=True, average_starts=False)
    assert same_parameters(best.fit(X, Y, checkpoint=path), clf)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_warm_start_continues_each_member(tmp_path):
    clf = averaged(max_iter=5, warm_start=True).fit(X, Y)
    before = clf.member_parameters_
    losses = np.sort(clf.init_losses_)
    given, path = pickle.dumps(clf), tmp_path / "fit"
    clf.fit(X, Y)
    # in the order of the members, as the starts are now
    assert (clf.init_losses_ < losses).all()
    assert not np.array_equal(clf.member_parameters_, before)
    resumed = pickle.loads(given).fit(X, Y, checkpoint=path)
    resumed.fit(X, Y, checkpoint=path)  # replayed from where it began
    np.testing.assert_array_equal(resumed.member_parameters_, clf.member_parameters_)
    fewer = pickle.loads(given).set_params(n_init=2).fit(X, Y)
    np.testing.assert_array_equal(fewer.init_losses_, clf.init_losses_[:2])
    more = pickle.loads(given).set_params(n_init=6).fit(X, Y)
    np.testing.assert_array_equal(more.init_losses_[:4], clf.init_losses_)
    single = pickle.loads(given).set_params(average_starts=False, n_init=1).fit(X, Y)
    assert single.init_losses_ == clf.init_losses_[0]
    assert single.member_parameters_ is None


def test_pickle_and_clone():
    clf = averaged(skip_layer=True).fit(X, Y)
    copy = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(copy.predict_proba(X), clf.predict_proba(X))
    again = clone(clf)
    assert again.average_starts
    assert not hasattr(again, "member_parameters_")
    state = vars(clf).copy()
    for name in ("average_starts", "member_parameters_"):  # of an earlier version
        del state[name]
    old = PairedMLPClassifier.__new__(PairedMLPClassifier)
    old.__setstate__(state)
    np.testing.assert_array_equal(
        old.predict_proba(X), clf.members()[0].predict_proba(X)
    )


def test_skops():
    skops = pytest.importorskip("skops.io")
    from skce.persistence import trusted_types

    clf = averaged().fit(X, Y)
    copy = skops.loads(skops.dumps(clf), trusted=trusted_types())
    np.testing.assert_array_equal(copy.predict_proba(X), clf.predict_proba(X))


def test_members_are_classifiers_of_their_own():
    clf = averaged(skip_layer=True).fit(pd.DataFrame(X, columns=list("abcd")), Y)
    assert len(clf.members()) == len(clf.member_parameters_)
    for member, row in zip(clf.members(), clf.member_parameters_, strict=True):
        assert type(member) is PairedMLPClassifier
        assert np.shares_memory(member.coefs_[0], clf.member_parameters_)
        parameters = flat(member.coefs_, member.intercepts_, member.skip_coef_)
        np.testing.assert_array_equal(parameters, row)
        assert list(member.feature_names_in_) == list("abcd")
        assert not member.average_starts
        assert hasattr(member, "decision_function")
        assert not any(hasattr(member, name) for name in RECORD)
    assert clf.average_starts
    (only,) = averaged(average_starts=False).fit(X, Y).members()
    assert only.score(X, Y) > 0.9


def test_there_is_no_decision_function():
    clf = averaged()
    for estimator in (clf, clf.fit(X, Y)):
        assert not hasattr(estimator, "decision_function")
    with pytest.raises(AttributeError) as caught:
        _ = clf.decision_function
    assert "average_starts=False" in str(caught.value.__cause__)
    # what asks for scores takes the probabilities
    assert cross_val_score(averaged(), X, TWO, scoring="roc_auc", cv=3).min() > 0.9
    assert CalibratedClassifierCV(averaged(), cv=3).fit(X, Y).score(X, Y) > 0.9


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (lambda p: p[:, 1:], r"of shape \(4, 26\), has no row of 27 floats"),
        (lambda p: p[0], r"has no row of 27 floats"),
        (lambda p: p[:0], r"has no row of 27 floats"),
        (lambda p: p.astype(int), r"has no row of 27 floats"),
        (lambda p: p.tolist(), r"has no row of 27 floats"),
        (lambda p: np.where(np.arange(27) == 3, np.nan, p), r"that is not finite"),
        (lambda p: p[::-1], r"differs from member_parameters_\[0\]"),
    ],
)
def test_changed_members_are_found(values, message):
    clf = averaged().fit(X, Y)
    clf.member_parameters_ = values(clf.member_parameters_)
    for use in (clf.predict, clf.predict_proba, clf.predict_log_proba, summary):
        with pytest.raises(ValueError, match=message):
            use(clf if use is summary else X)
    clf.set_params(warm_start=True)
    with pytest.raises(ValueError, match=message):
        clf.fit(X, Y)
    clf.set_params(average_starts=False, warm_start=False)
    assert clf.score(X, Y) > 0.9


def test_a_changed_coefficient_is_found():
    clf = averaged().fit(X, Y)
    clf.coefs_[0][0, 0] += 1
    with pytest.raises(ValueError, match=r"^coefs_.* differs .* average_starts=False"):
        clf.predict(X)


@pytest.mark.parametrize("value", [None, "yes", 1, 2.0])
def test_a_bad_value_is_an_error(value):
    with pytest.raises(ValueError, match=r"average_starts=.* must be True or False"):
        averaged(average_starts=value).fit(X, Y)


def test_it_is_not_combined_with_moderated():
    clf = averaged().fit(X, Y)
    before = clf.member_parameters_
    with pytest.raises(ValueError, match=r"average_starts=True and moderated=True"):
        clf.set_params(moderated=True).fit(X, Y)
    assert clf.member_parameters_ is before
    # as it is read in fit: these are still averages
    expected = clone(clf).set_params(moderated=False).fit(X, Y).predict_proba(X)
    np.testing.assert_array_equal(clf.predict_proba(X), expected)


def break_starts(monkeypatch, numbers):
    """Have the objective of some starts overflow."""
    original, counter = fits.minimize_in_stages, iter(range(100))

    def minimize(*arguments):
        if next(counter) in numbers:
            raise NonFiniteObjectiveError("the objective overflowed", None, [])
        return original(*arguments)

    monkeypatch.setattr(fits, "minimize_in_stages", minimize)


def test_starts_that_overflow_are_left_out(monkeypatch):
    break_starts(monkeypatch, {0, 2})
    clf = averaged()
    with pytest.warns(ConvergenceWarning, match=r"averages 2 of 4 starts \(2 overflow"):
        clf.fit(X, Y)
    assert len(clf.members()) == 2
    np.testing.assert_array_equal(np.isinf(clf.init_losses_), [True, False] * 2)
    monkeypatch.undo()
    break_starts(monkeypatch, range(4))
    before = clf.member_parameters_
    with pytest.raises(BrokenFitError):
        clf.fit(X, Y)
    assert clf.member_parameters_ is before


def test_starts_that_are_stuck_are_left_out():
    """Deep relu networks of few units start where all are off."""
    rows = StandardScaler().fit_transform(X)
    clf = averaged(hidden_layer_sizes=(4,) * 4, alpha=1, n_init=10)
    with pytest.warns(ConvergenceWarning, match=r"of 10 starts \(\d+ stuck far above"):
        clf.fit(rows, Y)
    assert 1 < len(clf.members()) < 10
    losses = np.sort(clf.init_losses_)
    assert losses[len(clf.members())] > 2 * losses[len(clf.members()) - 1]
    assert clf.score(rows, Y) > 0.9


def outcome(loss, reason="tolerance", error=None):
    """An outcome of a fit, of which only this much is looked at."""
    record = {"success": reason in ("tolerance", "plateau"), "reason": reason}
    solution = SimpleNamespace(record=record, value=loss)
    return Outcome(None, None if np.isnan(loss) else solution, error=error)


FAILED = outcome(np.nan, error=NonFiniteObjectiveError("overflow", None, []))
STUCK, SHORT, STOPPED = outcome(0.9), outcome(0.6, "max_iter"), outcome(0.6, "stopped")


@pytest.mark.parametrize(
    ("outcomes", "constant", "kept", "text"),
    [
        ([outcome(0.7), outcome(0.5), STOPPED], 1.0, [0.5, 0.6, 0.7], None),
        ([outcome(0.5), STUCK, FAILED], 1.0, [0.5], "1 stuck.*, 1 overflowed"),
        ([STUCK, outcome(0.5)], np.inf, [0.5, 0.9], None),  # of unknown frequencies
        ([outcome(1.5), outcome(1.2)], 1.0, [1.2, 1.5], None),  # has its own warning
        ([outcome(0.5), outcome(np.nan)], 1.0, [0.5], "1 not begun"),
        ([outcome(0.5), outcome(0.9, "interrupted")], 1.0, [0.5], "1 interrupted"),
        ([outcome(0.5), SHORT], 1.0, [0.5, 0.6], "1 averaged although not converged"),
        (
            [SHORT, outcome(0.7, "max_fun")],
            1.0,
            [0.6, 0.7],
            None,
        ),  # a warning of the best one
    ],
)
def test_what_is_averaged_and_what_is_said(outcomes, constant, kept, text):
    problem = SimpleNamespace(constant_loss=constant)
    found = committee_of(Fits(outcomes), problem)
    assert [member.loss for member in found.members] == kept
    if text is None:
        assert found.advice is None
    else:
        told = rf"averages {len(kept)} of {len(outcomes)} starts \(.*{text}.*\)"
        assert re.fullmatch(told, found.advice)


def test_the_summary_tells_how_far_the_members_differ():
    clf = averaged().fit(X, Y)
    found = summary(clf)
    assert (found.n_starts, found.n_members, found.spread) == (4, 4, None)
    pipeline = make_pipeline(StandardScaler(), averaged()).fit(X, Y)
    weights = np.arange(len(Y)) % 3
    p = probabilities_of_members(pipeline[-1], pipeline[:-1].transform(X))
    best = p.mean(axis=0).argmax(axis=1)
    deviations = p.std(axis=0)[np.arange(len(Y)), best]
    for weight in (None, weights):
        found = summary(pipeline, X, Y, weight)
        expected = np.average(deviations, weights=weight)
        np.testing.assert_allclose(found.spread, expected, rtol=1e-12)
        assert (
            f"4 averaged; standard deviation of their probabilities {expected:.4f}"
            in str(found)
        )
    found = summary(averaged(average_starts=False).fit(X, Y), X, Y)
    assert (found.n_members, found.spread) == (1, None)
    assert "averaged" not in str(found)


def test_standard_errors_are_those_of_the_best_member():
    options = {"hidden_layer_sizes": (), "alpha": 1, "tol": 1e-7}
    clf = averaged(**options).fit(X, Y)
    table = standard_errors(clf, X, Y)
    expected = standard_errors(clf.members()[0], X, Y)
    np.testing.assert_array_equal(table.errors, expected.errors)


def test_a_search_scores_and_refits_averages():
    parameters = {"hidden_layer_sizes": 3, "n_init": 3, "random_state": 0}
    folds = KFold(3, shuffle=True, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        search = PairedMLPClassifierCV(
            average_starts=True, alphas=[0.1, 1], cv=folds, racing=False, **parameters
        ).fit(X, Y)
        single = PairedMLPClassifier(average_starts=True, alpha=0.1, **parameters)
        for k, (train, test) in enumerate(folds.split(X)):
            p = clone(single).fit(X[train], Y[train]).predict_proba(X[test])
            np.testing.assert_allclose(
                search.scores_[0, 0, 0, k], -log_loss(Y[test], p)
            )
        refit = single.set_params(alpha=search.alpha_).fit(X, Y)
    np.testing.assert_array_equal(search.member_parameters_, refit.member_parameters_)
    np.testing.assert_array_equal(search.predict_proba(X), refit.predict_proba(X))
    assert len(search.members()) == 3
    assert type(search.members()[0]) is PairedMLPClassifier


def test_memory_is_asked_for_all_starts(monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda: 10**9)
    with pytest.raises(ValueError, match=r"fewer starts than n_init=10000"):
        averaged(n_init=10_000, hidden_layer_sizes=10_000).fit(X, Y)


def test_the_logarithm_of_a_mean_is_exact():
    tiny = np.array([[-1e-20, -2.0, -800.0, -np.inf, -np.inf, 0.0]])
    other = np.array([[-3e-20, -1.0, -802.0, -np.inf, -1.0, 0.0]])
    with np.errstate(all="ignore"):
        found = log_mean([tiny, other])
    two = np.log((np.exp(-2) + np.exp(-1)) / 2)
    far = -800 + np.log((1 + np.exp(-2)) / 2)
    expected = [[-2e-20, two, far, -np.inf, -1 - np.log(2), 0.0]]
    np.testing.assert_allclose(found, expected, rtol=1e-14)


@pytest.mark.filterwarnings("ignore")  # the checks' data are not scaled
@parametrize_with_checks(
    [
        PairedMLPClassifier(
            f,
            best_penalty(f),
            hidden_layer_sizes=10,
            n_init=2,
            average_starts=True,
            early_stopping=early_stopping,
        )
        for f in ACTIVATIONS
        for early_stopping in (False, True)
    ]
)
def test_check_estimator(estimator, check):
    check(estimator)
