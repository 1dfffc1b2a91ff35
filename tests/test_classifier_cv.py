"""PairedMLPClassifierCV: equal to GridSearchCV without racing, and close to it with."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.datasets import load_iris, load_wine, make_classification
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.metrics import get_scorer
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    LeaveOneOut,
    RepeatedStratifiedKFold,
    StratifiedKFold,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale
from sklearn.utils.estimator_checks import parametrize_with_checks

from skce import (
    AlphaCurveDisplay,
    PairedMLPClassifier,
    PairedMLPClassifierCV,
    compare_pairings,
    summary,
)
from skce.search._candidates import Candidate, groups_of
from skce.search._fold import FoldTask, SearchData, Trial
from skce.search._racing import Visit, cannot_win, first_visit
from skce.search._rounds import Search, rounds_of
from skce.search._scoring import HeldOutRows

X, y = load_iris(return_X_y=True)
X = scale(X)
ALPHAS = [0.1, 1.0, 10.0]
SMALL = {"hidden_layer_sizes": 4, "hidden_activation": "tanh", "random_state": 0}
PAIRS = [("softmax", "natural"), ("softmax", "least_squares"), ("logistic", "natural")]

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def search(**params):
    return PairedMLPClassifierCV(**({"alphas": ALPHAS} | SMALL | params))


@pytest.mark.filterwarnings("ignore")  # the checks' data are not scaled
@parametrize_with_checks(
    [
        PairedMLPClassifierCV(hidden_layer_sizes=3, alphas=[0.1, 1], cv=3),
        PairedMLPClassifierCV(
            "logistic", hidden_layer_sizes=(), alphas=[1], scoring="accuracy", cv=2
        ),
    ]
)
def test_check_estimator(estimator, check):
    check(estimator)


@pytest.mark.parametrize("scoring", ["neg_log_loss", "neg_brier_score", "accuracy"])
def test_without_racing_the_scores_are_those_of_grid_search(scoring):
    # an integer shuffles the rows here
    options = {"scoring": scoring, "cv": StratifiedKFold(5)}
    ours = search(racing=False, pairings=PAIRS, **options).fit(X, y)
    grid = [{"activation": [a], "penalty": [p], "alpha": ALPHAS} for a, p in PAIRS]
    theirs = GridSearchCV(PairedMLPClassifier(**SMALL), grid, **options)
    theirs.fit(X, y)
    for fold in range(5):
        name = f"split{fold}_test_score"
        np.testing.assert_allclose(
            ours.cv_results_[name], theirs.cv_results_[name], rtol=1e-9, atol=1e-12
        )
    assert ours.best_score_ == pytest.approx(theirs.best_score_)
    np.testing.assert_array_equal(
        ours.cv_results_["rank_test_score"] == 1,
        theirs.cv_results_["rank_test_score"] == 1,
    )


def test_other_scorers_are_called_as_in_grid_search():
    options = {"scoring": "roc_auc_ovr", "cv": StratifiedKFold(3)}
    ours = search(racing=False, **options).fit(X, y)
    theirs = GridSearchCV(PairedMLPClassifier(**SMALL), {"alpha": ALPHAS}, **options)
    theirs.fit(X, y)
    np.testing.assert_allclose(
        ours.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"]
    )


def results_of(clf):
    columns = dict(clf.cv_results_)
    del columns["mean_fit_time"], columns["params"]
    return pd.DataFrame(columns)


@pytest.fixture
def processes_for_any_work(monkeypatch):
    monkeypatch.setattr("skce.search._rounds.MIN_WORK_OF_PROCESSES", 0)


@pytest.mark.usefixtures("processes_for_any_work")
@pytest.mark.parametrize("racing", [True, False])
def test_any_number_of_processes_gives_the_same_bits(racing):
    options = {"pairings": PAIRS, "racing": racing, "alphas": None}
    one = search(**options).fit(X, y)
    two = search(**options, n_jobs=2).fit(X, y)
    pd.testing.assert_frame_equal(results_of(one), results_of(two), check_exact=True)
    for ours, theirs in zip(one.coefs_, two.coefs_, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("params", [{}, {"n_init": 2}, {"label_smoothing": 0.1}])
def test_complete_fits_have_the_weights_of_the_classifier(params, monkeypatch):
    seen = {}
    held_out = SearchData.held_out

    class Spy:
        def __init__(self, rows):
            self.rows = rows

        def __getattr__(self, name):
            return getattr(self.rows, name)

        def losses(self, fitted):
            seen[fitted.alpha] = fitted.coefs_
            return self.rows.losses(fitted)

    monkeypatch.setattr(SearchData, "held_out", lambda *args: Spy(held_out(*args)))
    template = PairedMLPClassifier(**SMALL, **params)
    train, test = next(StratifiedKFold(5).split(X, y))
    data = SearchData(X, y, None, "neg_log_loss", {}, 3)
    task = FoldTask(template, dict(enumerate(ALPHAS)), 0, racing=True, first=True)
    trials = task(data, train, test)
    complete = [ALPHAS[trial.candidate] for trial in trials if trial.complete]
    assert complete
    for alpha in complete:
        alone = clone(template).set_params(alpha=alpha).fit(X[train], y[train])
        for ours, theirs in zip(seen[alpha], alone.coefs_, strict=True):
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("solver", ["lbfgs", "newton-cg"])
def test_processes_are_used_where_they_may_pay(solver):
    here = []

    def scorer(clf, X, y):
        here.append(clf)  # a copy of the list, in another process
        return clf.score(X, y)

    search(scoring=scorer, solver=solver, n_jobs=2).fit(X, y)
    assert bool(here) == (solver == "lbfgs")


@pytest.mark.usefixtures("processes_for_any_work")
def test_the_refit_is_a_fit_of_the_classifier_to_all_rows():
    clf = search(n_jobs=2).fit(X, y)
    alone = PairedMLPClassifier(**SMALL, alpha=clf.alpha_).fit(X, y)
    np.testing.assert_array_equal(clf.predict_proba(X), alone.predict_proba(X))
    assert clf.loss_ == clf.best_estimator_.loss_ == alone.loss_
    assert str(clf.pairing_) == str(alone.pairing_)


def problem(seed):
    rng = np.random.default_rng(seed)
    made = make_classification(
        n_samples=300,
        n_features=10,
        n_informative=5,
        n_classes=int(rng.integers(2, 4)),
        flip_y=rng.choice([0, 0.1, 0.3]),
        random_state=seed,
    )
    return scale(made[0]), made[1]


def test_a_pair_that_pairings_replace_may_be_undefined():
    options = {"alphas": [1.0], "hidden_layer_sizes": (), "cv": 2}
    options |= {"activation": "ordinal", "pairings": [("softmax", "natural")]}
    found = PairedMLPClassifierCV(**options).fit(X, y)
    assert str(found.pairing_) == "softmax x cross_entropy"


def test_racing_seldom_loses_a_standard_error():
    regrets = []
    for seed in range(6):
        X, y = problem(seed)
        options = {"refit": False, "random_state": seed, "alphas": None}
        racing = search(**options).fit(X, y)
        full = search(**options, racing=False).fit(X, y)
        scores = full.scores_.reshape(-1, 5)
        chosen, best = scores[racing.best_index_], scores[full.best_index_]
        error = best.std(ddof=1) / np.sqrt(5)
        regrets.append((best.mean() - chosen.mean()) / error)
        found = racing.scores_.reshape(-1, 5)[racing.best_index_]
        fitted = ~np.isnan(found)
        np.testing.assert_array_equal(found[fitted], chosen[fitted])
    assert np.mean(regrets) < 0.5
    assert max(regrets) < 1.5


def test_racing_gives_up_what_full_search_fits():
    clf = search(alphas=None, pairings=PAIRS, hidden_layer_sizes=20).fit(X, y)
    results = clf.cv_results_
    assert set(results["status"]) == {"kept", "given up", "not tried"}
    given_up = results["status"] != "kept"
    assert given_up.mean() > 0.5
    assert (results["n_splits"][~given_up] >= 2).all()
    assert (results["rank_test_score"][given_up] > 1).all()
    assert results["status"][clf.best_index_] == "kept"


def test_ties_go_to_the_larger_alpha():
    # no row can be told from another, so that all alphas predict the class frequencies
    constant = np.zeros((100, 1))
    half = np.arange(100) % 2
    clf = search(hidden_layer_sizes=(), refit=False).fit(constant, half)
    assert clf.alpha_ == max(ALPHAS)


def test_a_candidate_that_is_behind_cannot_win():
    rng = np.random.default_rng(0)
    losses = rng.exponential(size=200)
    assert cannot_win(losses + 0.2, losses, None)
    assert not cannot_win(losses - 0.2, losses, None)
    assert not cannot_win(losses + 0.2, losses, None, to_come=0.5)
    assert not cannot_win(losses[:10] + 0.2, losses[:10], None)  # too few rows
    weights = np.r_[np.ones(100), np.zeros(100)]
    half = np.r_[losses[:100] + 0.2, losses[100:] - 9]
    assert cannot_win(half, losses, weights)


def visited(curve, overfits=()):
    """The alphas that are fitted to a fold, whose losses are a function of alpha."""
    order, best = [], [np.inf]

    def fit(i, may_postpone):
        order.append(i)
        if may_postpone and i in overfits:
            return Visit(curve[i], beaten=True, postponed=True)
        beaten = curve[i] > best[0]
        best[0] = min(best[0], curve[i])
        return Visit(curve[i], beaten)

    first_visit([0.01, 0.1, 1, 10, 100], 2.0, fit)
    return order


def test_first_visit_leaves_out_alphas_behind_those_that_lose():
    assert visited([5, 4, 1, 2, 3]) == [2, 3, 1, 0]
    assert visited([5, 4, 3, 2, 1]) == [2, 3, 4, 1, 0]
    assert visited([1, 2, 3, 4, 5]) == [2, 3, 1, 0]
    assert visited([9, 8, 7, 1, 2], overfits={2}) == [2, 3, 4, 2, 1]


def test_every_candidate_meets_every_fold_once():
    for n_folds in (1, 2, 3, 5, 10):
        pairs = [pair for group in rounds_of("abc", n_folds) for pair in group]
        assert sorted(pairs) == [(name, i) for name in "abc" for i in range(n_folds)]


def test_weights_count_in_fits_and_scores():
    weights = np.where(np.arange(len(y)) % 3, 1.0, 3.0)
    clf = search(racing=False, refit=False, cv=KFold(3, shuffle=True, random_state=0))
    clf.fit(X, y, sample_weight=weights)
    for i, alpha in enumerate(ALPHAS):
        for fold, (train, test) in enumerate(clf.cv.split(X)):
            alone = PairedMLPClassifier(**SMALL, alpha=alpha)
            alone.fit(X[train], y[train], sample_weight=weights[train])
            score = get_scorer("neg_log_loss")(
                alone, X[test], y[test], sample_weight=weights[test]
            )
            assert clf.scores_[0, 0, i, fold] == pytest.approx(score)


def test_groups_reach_the_splitter():
    groups = np.arange(len(y)) % 7
    clf = search(cv=GroupKFold(3)).fit(X, y, groups=groups)
    assert clf.n_splits_ == 3
    with pytest.raises(ValueError, match="groups"):
        search(cv=GroupKFold(3)).fit(X, y)
    with pytest.raises(TypeError, match=r"fit got \['colour'\]"):
        search().fit(X, y, colour=groups)


def test_metadata_are_routed():
    groups = np.arange(len(y)) % 7
    with sklearn.config_context(enable_metadata_routing=True):
        clf = search(cv=GroupKFold(3)).set_fit_request(sample_weight=True)
        clf.fit(X, y, groups=groups, sample_weight=np.ones(len(y)))
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        outer = make_pipeline(scaler, clf)
        outer.fit(X, y, groups=groups, sample_weight=np.ones(len(y)))
    assert clf.n_splits_ == 3


def test_layer_sizes_are_chosen():
    clf = search(hidden_layer_sizes=[(), (4,), [4, 3]], racing=False).fit(X, y)
    assert clf.scores_.shape == (1, 3, 3, 5)
    assert clf.hidden_layer_sizes_ in [(), (4,), (4, 3)]
    assert clf._network.layer_sizes[1:-1] == clf.hidden_layer_sizes_
    assert search(hidden_layer_sizes=[4, 3]).fit(X, y).hidden_layer_sizes_ == (4, 3)


def test_all_pairs_that_fit_the_labels_are_chosen_from():
    clf = search(pairings="all", alphas=[1], hidden_layer_sizes=()).fit(X, y)
    assert clf.scores_.shape[0] >= 8
    labels = np.column_stack([y == 0, X[:, 0] > 0]).astype(int)
    clf = search(activation="logistic", pairings="all", scoring="f1_macro", cv=3)
    assert clf.fit(X, labels).predict(X).shape == labels.shape
    assert {"softmax"}.isdisjoint(clf.cv_results_["param_activation"])


def test_repeated_folds_and_other_scorers_race():
    folds = RepeatedStratifiedKFold(n_splits=3, n_repeats=2, random_state=0)
    for scoring in ("neg_log_loss", "balanced_accuracy"):
        clf = search(cv=folds, scoring=scoring, alphas=[1, 1e4]).fit(X, y)
        assert clf.n_splits_ == 6
        assert clf.alpha_ == 1
        assert list(clf.cv_results_["status"]) == ["kept", "given up"]


def test_what_takes_the_classifier_takes_the_search(tmp_path):
    clf = search().fit(X, y)
    copy = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(copy.predict_proba(X), clf.predict_proba(X))
    assert clone(clf).get_params() == clf.get_params()
    assert f"alpha={clf.alpha_:g}" in str(summary(clf, X, y))
    frame = pd.DataFrame(X, columns=list("abcd"))
    pipe = make_pipeline(StandardScaler().set_output(transform="pandas"), search())
    assert list(pipe.fit(frame, y)[-1].feature_names_in_) == list("abcd")
    compared = compare_pairings(search(), X, y, pairings=PAIRS[:2], cv=2)
    assert compared.names == ["softmax x cross_entropy", "softmax x least_squares"]


def test_onnx_export_predicts_the_same():
    pytest.importorskip("skl2onnx")
    runtime = pytest.importorskip("onnxruntime")
    from skce.onnx import to_onnx

    clf = search().fit(X, y)
    model = runtime.InferenceSession(to_onnx(clf, X[:1]).SerializeToString())
    labels, _ = model.run(None, {"X": X})
    np.testing.assert_array_equal(labels, clf.predict(X))


def test_without_refit_there_are_scores_but_no_predictions():
    clf = search(refit=False).fit(X, y)
    assert clf.alpha_ in ALPHAS
    with pytest.raises(NotFittedError):
        clf.predict(X)
    assert not hasattr(clf, "best_estimator_")


def test_random_starts_are_the_same_for_all_alphas():
    clf = search(random_state=np.random.RandomState(3)).fit(X, y)
    again = search(random_state=np.random.RandomState(3)).fit(X, y)
    np.testing.assert_array_equal(clf.scores_, again.scores_)
    assert search(random_state=None).fit(X, y).score(X, y) > 0.9


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"alphas": []}, "alphas"),
        ({"alphas": [1, 1]}, "distinct"),
        ({"alphas": [-1]}, "at least 0"),
        ({"alphas": ["a"]}, "alphas"),
        ({"pairings": "some"}, "'all'"),
        ({"pairings": [("softmax", "natural"), ("softmax", "cross_entropy")]}, "twice"),
        ({"pairings": [("identity", "cross_entropy")]}, "cannot be paired"),
        ({"hidden_layer_sizes": [(3,), 3]}, "twice"),
        ({"hidden_layer_sizes": [(3,), "x"]}, "hidden_layer_sizes"),
        ({"scoring": "nonsense"}, "nonsense"),
        ({"racing": 1}, "racing=1"),
        ({"refit": "accuracy"}, "refit"),
        ({"max_iter": 0}, "max_iter"),
        ({"cv": 1}, "n_splits"),
    ],
)
def test_errors_name_the_parameter(params, message):
    with pytest.raises(ValueError, match=message):
        search(**params).fit(X, y)


def test_the_choice_rests_on_two_folds_at_least():
    """Also of one candidate, and where a pair wins that begins with one fold."""
    alone = search(alphas=[1.0]).fit(X, y)
    assert np.isfinite(alone.best_score_)
    pairs = [("logistic", "cross_entropy"), ("softmax", "natural")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        clf = search(activation="logistic", penalty="cross_entropy", pairings=pairs)
        clf.fit(X, y)
    assert clf.best_params_["activation"] == "softmax"
    for fitted in (alone, clf):
        assert fitted.cv_results_["n_splits"][fitted.best_index_] >= 2


def test_folds_of_a_single_row_drop_no_larger_alpha():
    """Two easy rows favour a small alpha."""
    rng = np.random.RandomState(1)
    rows = rng.normal(size=(60, 10))
    labels = rows[:, 0] + 2 * rng.normal(size=60) > 0
    options = {"alphas": [0.01, 30], "hidden_layer_sizes": (), "cv": LeaveOneOut()}
    race, full = (
        search(**options, racing=racing).fit(rows, labels) for racing in (True, False)
    )
    assert race.alpha_ == full.alpha_ == 30


def test_folds_count_alike_whatever_their_size():
    """The candidate that leads on the mean of the folds is not dropped."""
    folds = [(np.arange(440, 450), np.arange(400)), (np.arange(9), np.arange(400, 440))]
    group = groups_of(search(), multilabel=False, ordered=True)[0]
    candidates = [Candidate(group, 1.0), Candidate(group, 0.1)]
    rng = np.random.default_rng(0)
    base = rng.normal(1, 0.1, 440)
    data = SearchData(np.zeros((450, 1)), np.zeros(450), None, "neg_log_loss", {}, 2)
    race = Search(candidates, {group: None}, data, folds, True, None, False)
    for fold, (_, test) in enumerate(folds):
        for i, gain in enumerate([(0.0, 0.0), (-0.05, 0.4)]):
            losses = base[test] - gain[fold]
            score = -losses.mean()
            race.trials[i, fold] = Trial(i, fold, score, 0.0, True, losses)
    race._race_by_rows([0, 1])
    assert race.best == 1


def test_without_refit_nothing_of_an_earlier_refit_is_left():
    clf = search().fit(X[:100], y[:100])
    assert hasattr(clf, "best_estimator_")
    clf.set_params(refit=False).fit(X, y)
    assert clf.n_features_in_ == X.shape[1]
    for name in ("best_estimator_", "classes_", "coefs_"):
        assert not hasattr(clf, name)
    with pytest.raises(NotFittedError):
        clf.predict(X)


def test_boolean_masks_are_folds():
    folds = list(KFold(3, shuffle=True, random_state=0).split(X))
    masks = [[np.isin(np.arange(len(X)), rows) for rows in fold] for fold in folds]
    sorted_folds = [[np.sort(rows) for rows in fold] for fold in folds]
    scores = [search(cv=cv).fit(X, y).scores_ for cv in (masks, sorted_folds)]
    np.testing.assert_array_equal(*scores)


def test_scores_that_cannot_be_used_are_explained():
    with pytest.raises(ValueError, match=r"all scores are NaN.*score is NaN"):
        search(scoring=lambda clf, X, y: np.nan).fit(X, y)
    with pytest.raises(ValueError, match="cannot score held-out rows with sample_we"):
        search(scoring=lambda clf, X, y: 1.0).fit(X, y, sample_weight=np.ones(len(y)))
    weights = np.ones(len(y))
    weights[:30] = 0
    with pytest.raises(ValueError, match="All held-out rows of fold 0"):
        search(cv=KFold(5)).fit(X, y, sample_weight=weights)


def test_brier_score_counts_a_class_that_the_training_rows_lack():
    rows = HeldOutRows(np.zeros((1, 1)), np.array([2]), "neg_brier_score", {}, 3)

    class Fitted:
        classes_ = np.array([0, 1])

        def predict_log_proba(self, X):
            return np.log([[0.75, 0.25]])

    assert rows.losses(Fitted())[0] == pytest.approx(0.75**2 + 0.25**2 + 1)


def test_parameters_left_out_are_unknown():
    with pytest.raises(TypeError, match=r"PairedMLPClassifierCV.*'alpha'.*alphas="):
        PairedMLPClassifierCV(alpha=1)
    with pytest.raises(TypeError, match="early stopping has the same effect"):
        PairedMLPClassifierCV(early_stopping=True)
    with pytest.raises(NotImplementedError, match="callbacks"):
        search().set_callbacks()


def test_a_failed_search_leaves_the_classifier_as_it_was():
    clf = search().fit(X, y)
    before = clf.predict_proba(X)
    with pytest.raises(ValueError, match="No candidate is left"):
        clf.set_params(alphas=[0, 1], hidden_layer_sizes=()).fit(1e300 * X, y)
    np.testing.assert_array_equal(clf.predict_proba(X), before)


def test_fits_that_do_not_converge_are_counted_in_one_warning():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        search(max_iter=2, refit=False, racing=False).fit(X, y)
    texts = [str(one.message) for one in caught if one.category is ConvergenceWarning]
    assert len(texts) == 1
    assert "15 of 15 fits" in texts[0]
    assert "max_iter 15" in texts[0]


def test_verbose_prints_a_line_per_round(capsys):
    search(verbose=1, racing=False).fit(X, y)
    assert capsys.readouterr().out.count("round") == 1


def test_display_draws_a_curve_per_pair_and_marks_the_choice():
    clf = search(alphas=None, pairings=PAIRS).fit(X, y)
    display = AlphaCurveDisplay.from_estimator(clf)
    assert len(display.lines_) == 3
    assert display.ax_.get_ylabel().startswith("neg_log_loss")
    star = display.ax_.get_lines()[-1]
    assert star.get_xdata()[0] == clf.alpha_
    assert star.get_ydata()[0] == pytest.approx(clf.best_score_)
    hollow = [line for line in display.ax_.get_lines() if line.get_mfc() == "w"]
    n_hollow = sum(np.isfinite(line.get_ydata()).sum() for line in hollow)
    results = clf.cv_results_
    given_up = results["status"] == "given up"
    assert n_hollow == (given_up & np.isfinite(results["mean_test_score"])).sum()
    with pytest.raises(ValueError, match="contains no PairedMLPClassifierCV"):
        AlphaCurveDisplay.from_estimator(PairedMLPClassifier())


def test_zero_has_a_place_in_the_display():
    clf = search(alphas=[0, 1], hidden_layer_sizes=()).fit(X, y)
    assert AlphaCurveDisplay.from_estimator(clf).ax_.get_xscale() == "symlog"


def test_rows_of_a_class_that_the_training_rows_lack_cost_the_most():
    X, y = load_wine(return_X_y=True)
    without = np.flatnonzero(y != 2), np.flatnonzero(y == 2)
    folds = [without, *StratifiedKFold(2).split(X, y)]
    clf = search(cv=folds, racing=False, refit=False).fit(scale(X), y)
    assert clf.scores_[0, 0, 0, 0] == pytest.approx(np.log(np.finfo(float).eps))
