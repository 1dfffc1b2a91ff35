"""compare_pairings: shared folds, paired differences, intervals, warnings."""

import warnings

import numpy as np
import pandas as pd
import pytest
from problems import Huber, plain
from sklearn.datasets import load_iris, make_multilabel_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    RepeatedStratifiedKFold,
    ShuffleSplit,
    StratifiedKFold,
    cross_validate,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from skce import (
    DegeneratePairingWarning,
    PairedMLPClassifier,
    compare_pairings,
    pairing_grid,
)
from skce.inspection import PairingComparison
from skce.losses.penalties import CrossEntropy, LogitAdjusted

X, y = load_iris(return_X_y=True)
TWO = [("softmax", "cross_entropy"), ("logistic", "least_squares")]


class SameCrossEntropy(CrossEntropy):
    """Cross-entropy under another name, which is fitted by the chain rule."""

    name = "the_same"


def pipeline(**parameters):
    defaults = {"hidden_layer_sizes": 3, "alpha": 1.0, "random_state": 0}
    return Pipeline(
        [
            ("scale", StandardScaler()),
            ("clf", plain(**defaults | parameters)),
        ]
    )


@pytest.fixture(scope="module")
def comparison():
    return compare_pairings(pipeline(), X, y, pairings=TWO)


def test_scores_are_those_of_cross_validate_on_the_same_folds(comparison):
    assert comparison.pairings == TWO
    assert comparison.names == ["softmax x cross_entropy", "logistic x least_squares"]
    assert list(comparison.scores) == ["accuracy", "neg_log_loss", "neg_brier_score"]
    for i, (activation, penalty) in enumerate(TWO):
        estimator = pipeline(activation=activation, penalty=penalty)
        expected = cross_validate(estimator, X, y, scoring=list(comparison.scores))
        for name, scores in comparison.scores.items():
            np.testing.assert_array_equal(scores[i], expected[f"test_{name}"])
    assert comparison.fit_times.shape == (2, 5)
    assert (comparison.fit_times > 0).all()


def test_differences_and_intervals_are_those_of_nadeau_and_bengio(comparison):
    table = comparison.summary("neg_log_loss")
    scores = comparison.scores["neg_log_loss"]
    differences = scores[1] - scores[0]
    error = np.sqrt((1 / 5 + 30 / 120) * differences.var(ddof=1))
    assert comparison.best("neg_log_loss") == ("softmax", "cross_entropy")
    assert table["difference"][0] == 0
    assert np.isnan([table["lower"][0], table["upper"][0]]).all()
    assert table["difference"][1] == pytest.approx(differences.mean())
    assert table["difference_standard_error"][1] == pytest.approx(error)
    quantile = 2.7764451  # of Student's t with 4 degrees of freedom, at 0.975
    low, high = (
        differences.mean() - quantile * error,
        differences.mean() + quantile * error,
    )
    assert (table["lower"][1], table["upper"][1]) == pytest.approx((low, high))


def coverage(corrected, n_train=80, n_test=20, n_folds=15):
    """How often the interval of the mean of random folds covers the true mean.

    The score of a fold is the mean of its test rows, so that two folds share rows and
    have the correlation n_test / (n_train + n_test) that the correction is made for.
    """
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(1000):
        rows = rng.normal(size=n_train + n_test)
        scores = [
            rng.choice(rows, size=n_test, replace=False).mean() for _ in range(n_folds)
        ]
        table = PairingComparison(
            pairings=[("a", "a"), ("b", "b")],
            names=["a", "b"],
            scores={"score": np.array([scores, np.zeros(n_folds)])},
            fit_times=np.ones((2, n_folds)),
            converged=np.ones((2, n_folds), dtype=bool),
            test_to_train=n_test / n_train if corrected else 0.0,
        ).summary()
        worse = np.argmin(table["mean"])
        covered += table["lower"][worse] <= 0 <= table["upper"][worse]
    return covered / 1000


def test_intervals_have_their_level_only_with_the_correction():
    assert coverage(corrected=True) == pytest.approx(0.95, abs=0.03)
    assert coverage(corrected=False) < 0.75


def test_default_pairs_are_those_of_the_grid():
    scorer = "accuracy"
    found = compare_pairings(pipeline(), X, y, scoring=scorer, cv=2)
    grid = compare_pairings(
        pipeline(), X, y, scoring=scorer, cv=2, pairings=pairing_grid()
    )
    assert len(found.pairings) == len(pairing_grid())
    np.testing.assert_array_equal(found.scores[scorer], grid.scores[scorer])


def test_scores_do_not_depend_on_n_jobs(comparison):
    other = compare_pairings(pipeline(), X, y, pairings=TWO, n_jobs=2)
    for name, scores in comparison.scores.items():
        np.testing.assert_array_equal(scores, other.scores[name])


def test_table_and_frame_have_one_line_per_pair_best_first(comparison):
    text = str(comparison)
    assert repr(comparison) == text
    first, second = [line for line in text.splitlines() if " x " in line][:2]
    assert "best" in first
    assert "(" in second
    assert max(map(len, text.splitlines())) <= 88
    frame = comparison.to_frame()
    assert isinstance(frame, pd.DataFrame)
    assert len(frame) == 2 * 3
    for _, rows in frame.groupby("scoring"):
        assert rows["mean"].is_monotonic_decreasing
        assert rows["difference"].iloc[0] == 0
    assert (frame["not_converged"] == 0).all()


def test_a_search_is_repeated_for_every_pair_and_fold():
    grid = {"clf__alpha": [0.1, 0.5]}
    search = GridSearchCV(pipeline(), grid, cv=2, scoring="neg_log_loss")
    found = compare_pairings(search, X, y, pairings=TWO, cv=2, scoring="neg_log_loss")
    assert [len(choices) for choices in found.best_params] == [2, 2]
    for choice in found.best_params[0]:
        assert choice["clf__alpha"] in grid["clf__alpha"]
    assert "alpha=0.1" in str(found)
    for i, (activation, penalty) in enumerate(TWO):
        estimator = GridSearchCV(
            pipeline(activation=activation, penalty=penalty),
            grid,
            cv=2,
            scoring="neg_log_loss",
        )
        expected = cross_validate(estimator, X, y, cv=2, scoring="neg_log_loss")
        np.testing.assert_array_equal(
            found.scores["neg_log_loss"][i], expected["test_score"]
        )


def test_estimator_is_not_changed():
    estimator = pipeline()
    before = repr(estimator.get_params())
    compare_pairings(estimator, X, y, pairings=TWO, cv=2, scoring="accuracy")
    assert repr(estimator.get_params()) == before
    assert not hasattr(estimator["clf"], "coefs_")


def test_random_folds_are_drawn_once():
    folds = ShuffleSplit(3, test_size=0.2)  # no random_state
    pairs = [("softmax", "cross_entropy"), ("softmax", SameCrossEntropy())]
    found = compare_pairings(pipeline(), X, y, pairings=pairs, cv=folds)
    assert found.test_to_train == pytest.approx(0.25)
    one, other = found.scores["neg_log_loss"]
    np.testing.assert_allclose(one, other, rtol=1e-6)


def test_groups_weights_dataframes_and_repeated_folds():
    groups = np.arange(150) % 5
    frame = pd.DataFrame(X, columns=list("abcd"))
    labels = pd.Series(np.array(["x", "y", "z"])[y])
    weights = np.where(y == 0, 3.0, 1.0)
    found = compare_pairings(
        pipeline(),
        frame,
        labels,
        pairings=TWO,
        cv=GroupKFold(5),
        groups=groups,
        params={"clf__sample_weight": weights},
    )
    expected = cross_validate(
        pipeline(),
        frame,
        labels,
        cv=GroupKFold(5),
        groups=groups,
        params={"clf__sample_weight": weights},
        scoring="neg_log_loss",
    )
    np.testing.assert_array_equal(
        found.scores["neg_log_loss"][0], expected["test_score"]
    )
    repeated = compare_pairings(
        pipeline(),
        X,
        y,
        pairings=TWO,
        cv=RepeatedStratifiedKFold(n_splits=2, n_repeats=2),
    )
    assert repeated.scores["accuracy"].shape == (2, 4)


def test_scoring_can_be_a_name_list_callable_or_dict():
    def scores(scoring):
        return compare_pairings(
            pipeline(), X, y, pairings=TWO, cv=2, scoring=scoring
        ).scores

    named = scores("accuracy")["accuracy"]
    np.testing.assert_array_equal(scores(["accuracy"])["accuracy"], named)
    scorer = make_scorer(accuracy_score)
    np.testing.assert_array_equal(scores(scorer)["score"], named)

    def several(estimator, rows, labels):
        return {"a": estimator.score(rows, labels), "b": 0.0}

    np.testing.assert_array_equal(scores(several)["a"], named)
    np.testing.assert_array_equal(scores({"mine": scorer})["mine"], named)


def test_multilabel_labels_are_fitted_by_the_pairs_that_suit_them():
    rows, labels = make_multilabel_classification(80, n_classes=3, random_state=0)
    found = compare_pairings(pipeline(), rows, labels, cv=2, scoring="f1_macro")
    assert len(found.pairings) == len(pairing_grid(multilabel=True))


@pytest.mark.parametrize("kind", [str, int, object])
@pytest.mark.filterwarnings("ignore:The least populated class")
def test_a_class_of_fewer_rows_than_folds_is_named_before_any_fit(kind, monkeypatch):
    labels = np.array(["0", "1", "7"], dtype=object)[y]
    labels = np.r_[labels[:100], labels[148:]].astype(kind)
    with monkeypatch.context() as patch:
        patch.setattr("skce.inspection._comparison.Parallel", None)
        message = r"lack the class '?7'?, which has 2 of 102 rows.*accuracy"
        with pytest.raises(ValueError, match=message):
            compare_pairings(pipeline(), X[:102], labels, pairings=TWO)
    options = {"pairings": TWO[:1], "scoring": "accuracy"}
    assert compare_pairings(pipeline(), X[:102], labels, **options).scores


def test_nullable_labels_are_compared():
    column = pd.Series(y == 0).astype("boolean")
    options = {"pairings": TWO, "cv": 2, "scoring": "neg_log_loss"}
    found = compare_pairings(pipeline(), X, column, **options)
    expected = compare_pairings(pipeline(), X, y == 0, **options)
    np.testing.assert_array_equal(
        found.scores["neg_log_loss"], expected.scores["neg_log_loss"]
    )


def test_scorers_that_are_undefined_for_multilabel_labels_are_refused():
    rows, labels = make_multilabel_classification(80, n_classes=3, random_state=0)
    with pytest.raises(ValueError, match="y is multilabel: take 'accuracy'"):
        compare_pairings(pipeline(), rows, labels)


def test_missing_labels_are_refused():
    labels = np.array(["a", None] * 75, dtype=object)
    with pytest.raises(ValueError, match="drop the rows without a label"):
        compare_pairings(pipeline(), X, labels)


@pytest.mark.parametrize("sign", [1, -1])
def test_convergence_of_a_search_is_that_of_the_chosen_classifier(sign):
    # 30 iterations are enough for alpha=100 and too few for alpha=1e-3
    search = GridSearchCV(
        pipeline(max_iter=30),
        {"clf__alpha": [1e-3, 100]},
        cv=2,
        scoring=lambda estimator, *_: sign * estimator["clf"].alpha,
    )
    with pytest.warns(ConvergenceWarning) as caught:
        found = compare_pairings(search, X, y, pairings=TWO[:1], cv=2)
    assert (found.converged == (sign == 1)).all()
    # the warning counts what the table counts, or says that it counts other fits
    (text,) = [str(warning.message) for warning in caught]
    assert "cross_entropy 2 of 2)" in text
    assert ("though the fit that is scored converged" in text) == (sign == 1)


def test_a_pair_that_learns_nothing_is_told_though_it_converged():
    with pytest.warns(ConvergenceWarning, match="converged. The first: .* learned not"):
        found = compare_pairings(
            pipeline(), np.ones((len(y), 2)), y, pairings=TWO[:1], scoring="accuracy"
        )
    assert found.converged.all()


def test_early_stopping_counts_as_convergence():
    options = {"scoring": "accuracy", "n_iter_no_change": 2}
    early = pipeline(early_stopping=True, alpha=0, tol=0, **options)
    found = compare_pairings(early, X, y, pairings=TWO[:1], cv=3)
    assert found.converged.all()


def test_warnings_turned_into_errors_are_raised_by_the_fit():
    with pytest.raises(ConvergenceWarning) as error:
        compare_pairings(pipeline(max_iter=2), X, y, pairings=TWO, cv=2)
    assert "softmax x cross_entropy" in error.value.__notes__[0]


class OddWarning(UserWarning):
    def __init__(self):
        super().__init__("odd")


def test_a_warning_category_without_a_message_argument_is_passed_on():
    def scorer(estimator, rows, labels):
        warnings.warn(OddWarning(), stacklevel=1)
        return 0.0

    with pytest.warns(UserWarning, match="OddWarning: On some folds .* 2 of 2.* odd"):
        found = compare_pairings(pipeline(), X, y, pairings=TWO, cv=2, scoring=scorer)
    assert found.scores["score"].shape == (2, 2)


def test_pairs_may_contain_user_defined_instances():
    found = compare_pairings(
        pipeline(),
        X,
        y,
        pairings=iter([("softmax", Huber()), *TWO]),  # any iterable
        cv=2,
        scoring="accuracy",
    )
    assert found.names[0] == "softmax x huber"


def test_convergence_warnings_are_counted_and_issued_once():
    with pytest.warns(ConvergenceWarning, match="On some folds") as record:
        found = compare_pairings(
            pipeline(max_iter=2), X, y, pairings=TWO, cv=3, scoring="accuracy"
        )
    assert len(record) == 1
    text = str(record[0].message)
    assert "softmax x cross_entropy 3 of 3, logistic x least_squares 3 of 3" in text
    assert "max_iter" in text
    assert not found.converged.any()
    assert record[0].filename == __file__
    assert "3 of 3" in str(found)


def test_other_warnings_are_issued_once():
    with pytest.warns(DegeneratePairingWarning) as record:
        compare_pairings(
            pipeline(),
            X,
            y,
            pairings=[("logistic", "cross_entropy")],
            cv=3,
            scoring="accuracy",
        )
    assert len(record) == 1


def test_a_pair_with_an_undefined_score_is_never_best():
    def scorer(estimator, rows, labels):
        nan = estimator["clf"].penalty == "cross_entropy"
        return np.nan if nan else estimator.score(rows, labels)

    found = compare_pairings(pipeline(), X, y, pairings=TWO, cv=2, scoring=scorer)
    assert found.best() == ("logistic", "least_squares")
    assert "undefined on 2" in str(found)
    nothing = compare_pairings(
        pipeline(), X, y, pairings=TWO, cv=2, scoring=lambda *_: np.nan
    )
    with pytest.raises(ValueError, match="no pair has a finite score"):
        nothing.best()
    assert "undefined on 2" in str(nothing)


def test_infinite_scores_rank_last_without_a_warning():
    def scorer(estimator, rows, labels):
        return -np.inf if estimator["clf"].penalty == "least_squares" else 0.5

    found = compare_pairings(pipeline(), X, y, pairings=TWO, cv=2, scoring=scorer)
    assert found.best() == ("softmax", "cross_entropy")
    assert "-inf" in str(found)


@pytest.mark.parametrize(
    ("estimator", "keywords", "message"),
    [
        (LogisticRegression(), {}, "contains no PairedMLPClassifier"),
        (PairedMLPClassifier, {}, "must be a PairedMLPClassifier"),
        (
            make_pipeline(PairedMLPClassifier(), PairedMLPClassifier()),
            {},
            "contains several, at .*1__.*2__",
        ),
        (pipeline(), {"pairings": []}, "pairings is empty"),
        (pipeline(), {"pairings": ("softmax", "natural")}, "must be a list of pairs"),
        (pipeline(), {"pairings": "softmax"}, "pairings='softmax' must be a list"),
        (pipeline(), {"pairings": 5}, "pairings=5 must be a list"),
        (pipeline(), {"pairings": pairing_grid()[0]}, "must be a list of pairs"),
        (
            GridSearchCV(pipeline(), [{"clf__activation": ["logistic"]}]),
            {},
            "param_grid of estimator searches activation or penalty",
        ),
        (pipeline(), {"pairings": [("softmax",)]}, "not a pair"),
        (pipeline(), {"pairings": [TWO[0], ("softmax", "natural")]}, "entropy twice"),
        (pipeline(), {"pairings": [("identity", "cross_entropy")]}, "cannot be paired"),
        (pipeline(), {"pairings": pairing_grid("clf__")}, "without a prefix"),
        (pipeline(), {"cv": ShuffleSplit(1)}, "intervals need at least two"),
        (pipeline(), {"scoring": "acuracy"}, "acuracy"),
    ],
)
def test_invalid_arguments_are_refused(estimator, keywords, message):
    with pytest.raises(ValueError, match=message):
        compare_pairings(estimator, X, y, **keywords)


def test_an_error_raised_by_a_fit_names_its_pair():
    rows, labels = make_multilabel_classification(80, n_classes=3, random_state=0)
    with pytest.raises(ValueError, match="multilabel") as error:
        compare_pairings(
            pipeline(), rows, labels, pairings=TWO[:1], cv=2, scoring="accuracy"
        )
    assert "softmax x cross_entropy" in error.value.__notes__[0]


def test_a_scorer_that_was_not_computed_is_refused(comparison):
    with pytest.raises(ValueError, match="'f1' was not computed; there are 'accuracy'"):
        comparison.best("f1")


def test_ratio_of_test_to_training_rows_is_averaged_over_the_folds():
    folds = list(StratifiedKFold(4).split(X, y))
    found = compare_pairings(
        pipeline(), X, y, pairings=TWO, cv=folds, scoring="accuracy"
    )
    ratios = [len(test) / len(train) for train, test in folds]
    assert found.test_to_train == pytest.approx(np.mean(ratios))


def test_pairs_that_differ_in_what_their_name_does_not_show_have_two_names():
    penalties = [LogitAdjusted(frequencies=f) for f in [(1, 2, 3), (3, 2, 1)]]
    pairings = [("softmax", penalty) for penalty in (*penalties, "cross_entropy")]
    comparison = compare_pairings(pipeline(), X, y, pairings=pairings, cv=2)
    assert comparison.names == [
        "Softmax() x LogitAdjusted(tau=1.0, frequencies=(1, 2, 3))",
        "Softmax() x LogitAdjusted(tau=1.0, frequencies=(3, 2, 1))",
        "softmax x cross_entropy",
    ]
    with pytest.raises(ValueError, match=r"logit_adjusted.* twice"):
        compare_pairings(pipeline(), X, y, pairings=[*pairings, pairings[0]])
