"""Ordered classes: against the plain likelihood, and what the parameters are."""

import pickle

import numpy as np
import pandas as pd
import pytest
from problems import best_penalty
from scipy import optimize, stats
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline

from skce import (
    PairedMLPClassifier,
    PairedMLPClassifierCV,
    alpha_path,
    check_gradient,
    compare_pairings,
    hessian,
    pairing_grid,
    standard_errors,
    summary,
)
from skce.inspection._candidates import default_pairs
from skce.losses import Entmax, Ordinal
from skce.losses._links import LINKS
from skce.losses.penalties import CrossEntropy

DISTRIBUTIONS = {
    "logit": stats.logistic,
    "probit": stats.norm,
    "loglog": stats.gumbel_r,
    "cloglog": stats.gumbel_l,
    "cauchit": stats.cauchy,
}


def rows(link, n=400):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 3)) * [1, 20, 0.1] + [0, 5, 1]
    eta = X @ [1.2, -0.03, 2] + DISTRIBUTIONS[link].rvs(size=n, random_state=1)
    return X, np.digitize(eta, np.quantile(eta, [0.15, 0.4, 0.8]))


X, Y = rows("logit")
LINEAR = {"hidden_layer_sizes": (), "alpha": 0, "solver": "trust-ncg", "tol": 1e-8}


def ordinal(link="logit", order=None, **parameters):
    return PairedMLPClassifier(Ordinal(link, order), "cross_entropy", **parameters)


def negative_log_likelihood(parameters, F, X, y):
    """Of coefficients and thresholds, by the definition."""
    eta = X @ parameters[:3]
    cuts = np.concatenate([[-np.inf], parameters[3:], [np.inf]])
    p = F.cdf(cuts[y + 1] - eta) - F.cdf(cuts[y] - eta)
    return -np.log(np.maximum(p, 1e-300)).sum()


@pytest.mark.parametrize("link", LINKS)
def test_without_hidden_units_it_is_the_cumulative_link_model(link):
    X, y = rows(link)
    F, scale = DISTRIBUTIONS[link], X.std(axis=0)
    cuts = F.ppf(np.cumsum(np.bincount(y))[:-1] / len(y))
    Z = (X - X.mean(axis=0)) / scale
    found = optimize.minimize(
        negative_log_likelihood,
        np.concatenate([np.zeros(3), cuts]),
        (F, Z, y),
        method="BFGS",
        options={"gtol": 1e-5},
    )
    coefs = found.x[:3] / scale
    thresholds = found.x[3:] + X.mean(axis=0) @ coefs
    clf = ordinal(link, **LINEAR).fit(X, y)
    assert clf.loss_ * len(y) == pytest.approx(found.fun, abs=1e-7)
    np.testing.assert_allclose(clf.coefs_[-1][:, 1], coefs, rtol=1e-4)
    np.testing.assert_allclose(clf.thresholds_, thresholds, rtol=1e-4, atol=1e-4)
    assert not clf.coefs_[-1][:, [0, 2, 3]].any()
    assert clf.intercepts_[-1][0] == 0
    eta = X @ clf.coefs_[-1][:, [1]]
    below = F.cdf(clf.thresholds_ - eta)
    expected = np.diff(below, axis=1, prepend=0, append=1)
    np.testing.assert_allclose(clf.predict_proba(X), expected, atol=1e-12)
    # the errors, by second differences of the plain likelihood
    parameters = np.concatenate([clf.coefs_[-1][:, 1], clf.thresholds_])
    step = 1e-3 * np.concatenate([1 / scale, np.ones(3)])

    def at(a, b):
        moved = parameters + a + b
        return negative_log_likelihood(moved, F, X, y)

    E = np.diag(step)
    H = [
        [
            (at(a, b) - at(a, -b) - at(-a, b) + at(-a, -b)) / (4 * a.sum() * b.sum())
            for b in E
        ]
        for a in E
    ]
    table = standard_errors(clf, X, y)
    np.testing.assert_allclose(
        table.errors[:, 0], np.sqrt(np.diag(np.linalg.inv(H))), rtol=1e-4
    )
    np.testing.assert_allclose(table.estimates[:, 0], parameters)
    assert table.names == ["x0", "x1", "x2", "0|1", "1|2", "2|3"]


def test_two_classes_with_the_logit_link_are_logistic_regression():
    y = Y > 1
    clf = ordinal(**LINEAR).fit(X, y)
    other = PairedMLPClassifier("logistic", **LINEAR).fit(X, y)
    np.testing.assert_allclose(clf.coefs_[0][:, 1], other.coefs_[0][:, 0], rtol=1e-6)
    np.testing.assert_allclose(-clf.thresholds_, other.intercepts_[0], rtol=1e-6)
    np.testing.assert_allclose(
        clf.decision_function(X), other.decision_function(X), rtol=1e-6, atol=1e-9
    )
    theirs = LogisticRegression(C=1e9, tol=1e-10, max_iter=10_000).fit(X, y)
    np.testing.assert_allclose(clf.coefs_[0][:, 1], theirs.coef_[0], rtol=1e-3)


NAMES = np.array(["lo", "mid", "hi", "top"])


def test_the_order_of_a_categorical_or_of_the_parameter_is_that_of_the_classes():
    sorted_labels = ordinal(**LINEAR).fit(X, Y)
    y = pd.Series(pd.Categorical(NAMES[Y], categories=NAMES, ordered=True))
    by_dtype = ordinal(**LINEAR).fit(X, y)
    by_order = ordinal(order=NAMES, **LINEAR).fit(X, NAMES[Y])
    for clf in (by_dtype, by_order, pickle.loads(pickle.dumps(by_order))):
        np.testing.assert_array_equal(clf.classes_, np.unique(NAMES))
        np.testing.assert_allclose(clf.thresholds_, sorted_labels.thresholds_)
        p = clf.predict_proba(X)[:, np.searchsorted(clf.classes_, NAMES)]
        np.testing.assert_allclose(p, sorted_labels.predict_proba(X))
        np.testing.assert_array_equal(
            clf.predict(X), NAMES[sorted_labels.predict(X).astype(int)]
        )
        scores = clf.decision_function(X)
        np.testing.assert_array_equal(
            clf.classes_[scores.argmax(axis=1)], clf.predict(X)
        )
        # the columns are those that scorers of scikit-learn expect
        loss = log_loss(NAMES[Y], clf.predict_proba(X))
        assert loss == pytest.approx(clf.loss_, rel=1e-9)
        names = standard_errors(clf, X, y).names
        assert names[3:] == ["lo|mid", "mid|hi", "hi|top"]
    frame = y.to_frame()
    with pytest.warns(match="column-vector"):
        assert ordinal(**LINEAR).fit(X, frame).loss_ == by_dtype.loss_


CATEGORIES = pd.Categorical(NAMES[Y], categories=NAMES, ordered=True)
ORDERED = [
    CATEGORIES,
    pd.Series(CATEGORIES, index=np.arange(len(Y))[::-1]),
    pd.CategoricalIndex(CATEGORIES),
]


def by_fit(clf, y):
    return clf.fit(X, y).predict_proba(X)


def by_search(clf, y):
    search = PairedMLPClassifierCV(
        clf.activation,
        "cross_entropy",
        hidden_layer_sizes=(),
        alphas=[1, 2],
        random_state=0,
    )
    return search.fit(X, y).scores_, search.predict_proba(X)


def by_alpha_path(clf, y):
    return [fit.predict_proba(X) for fit in alpha_path(clf, X, y, [1, 2])]


def by_comparison(clf, y):
    pairs = [(clf.activation, "cross_entropy"), ("softmax", "natural")]
    return [*compare_pairings(clf, X, y, pairings=pairs, cv=3).scores.values()]


def by_soft_targets(clf, y):
    # of the sorted classes, labelled by their order
    names = np.unique(NAMES)
    ordered = getattr(getattr(y, "dtype", None), "ordered", False)
    classes = pd.Categorical(names, categories=NAMES, ordered=True)
    targets = np.eye(4)[np.searchsorted(names, np.asarray(y, dtype=str))]
    clf.fit_targets(X, targets, classes=classes if ordered else names)
    return clf.predict_proba(X)


def by_checked_gradient(clf, y):
    return list(check_gradient(clf, X, y, random_state=0).values())


@pytest.mark.parametrize(
    "result_of",
    [
        by_fit,
        by_search,
        by_alpha_path,
        by_comparison,
        by_soft_targets,
        by_checked_gradient,
    ],
)
def test_the_order_of_y_is_kept_wherever_y_enters(result_of):
    parameters = {"hidden_layer_sizes": (), "random_state": 0}
    expected = result_of(ordinal(order=NAMES, **parameters), NAMES[Y])
    for y in ORDERED:
        found = result_of(ordinal(**parameters), y)
        np.testing.assert_equal(found, expected)
    # the alphabet's is another, of which every way in warns once
    with pytest.warns(
        UserWarning, match=r"order of the alphabet.*\['hi', 'lo',"
    ) as all:
        found = result_of(ordinal(**parameters), NAMES[Y])
    assert len(all) == (2 if result_of is by_alpha_path else 1)
    assert not np.array_equal(np.ravel(found[0]), np.ravel(expected[0]))


def test_scikit_learn_keeps_the_order_of_the_parts_of_a_series():
    scores = [
        cross_val_score(ordinal(order=order, **LINEAR), X, labels, cv=3).mean()
        for order, labels in ((None, ORDERED[1]), (NAMES, NAMES[Y]))
    ]
    assert scores[0] == scores[1]


def test_a_search_among_ordered_and_other_outputs_warns_once():
    search = PairedMLPClassifierCV(
        pairings=[
            ("softmax", "natural"),
            ("ordinal", "cross_entropy"),
            (Ordinal("probit"), "cross_entropy"),
        ],
        hidden_layer_sizes=(),
        alphas=[2],
        cv=2,
        refit=False,
    )
    with pytest.warns(UserWarning, match="order of the alphabet") as caught:
        search.fit(X, NAMES[Y])
    assert len(caught) == 1
    for y in (CATEGORIES, Y, NAMES[Y] > "lo"):
        search.fit(X, y)


@pytest.mark.parametrize(
    ("y", "activation", "ordered"),
    [
        (NAMES[Y], "softmax", False),
        (Y, "softmax", False),
        (CATEGORIES, "softmax", True),
        (Y, "ordinal", True),
    ],
)
def test_the_default_grid_has_ordinal_for_ordered_classes(y, activation, ordered):
    given = {"hidden_layer_sizes": (), "random_state": 0}
    search = PairedMLPClassifierCV(
        activation, **given, pairings="all", alphas=[2], cv=2, refit=False
    ).fit(X, y)
    clf = PairedMLPClassifier(activation, "cross_entropy", **given)
    compared = compare_pairings(clf, X, y, cv=2, scoring="accuracy")
    searched = [params["activation"] for params in search.cv_results_["params"]]
    for activations in (searched, [f for f, _ in compared.pairings]):
        assert ("ordinal" in activations) == ordered
        assert len(activations) == len(pairing_grid(ordered=ordered))


def test_two_classes_and_sorted_categories_do_not_warn():
    ordinal().fit(X, NAMES[Y // 2])
    ordinal(order=np.unique(NAMES)).fit(X, NAMES[Y])
    for y in (Y, Y * 1.0, Y > 1):
        ordinal().fit(X, y)


META_ESTIMATORS = {
    "cross_val_predict": lambda clf, y: cross_val_predict(
        clf, X, y, method="predict_proba", cv=3
    ),
    "CalibratedClassifierCV": lambda clf, y: (
        CalibratedClassifierCV(clf, cv=3, ensemble=False).fit(X, y).predict_proba(X)
    ),
    "VotingClassifier": lambda clf, y: (
        VotingClassifier([("a", clf)], voting="soft").fit(X, y).predict_proba(X)
    ),
    "StackingClassifier": lambda clf, y: (
        StackingClassifier([("a", clf)], cv=3).fit(X, y).predict_proba(X)
    ),
    "BaggingClassifier": lambda clf, y: (
        BaggingClassifier(clf, random_state=0).fit(X, y).predict_proba(X)
    ),
}


@pytest.mark.parametrize("predict", META_ESTIMATORS.values(), ids=META_ESTIMATORS)
def test_meta_estimators_that_encode_labels_keep_the_order_of_integers(predict):
    clf = ordinal(hidden_layer_sizes=())
    loss = log_loss(Y, predict(clf, Y))
    assert loss < clf.fit(X, Y).loss_ + 0.2
    # ... of other labels that of the alphabet, which a given order finds out
    assert log_loss(NAMES[Y], predict(clf, ORDERED[1])) > loss + 0.05
    clf = ordinal(order=NAMES, hidden_layer_sizes=())
    with pytest.raises(ValueError, match=r"label 0.* a meta-estimator.* 0 to 3 as y"):
        predict(clf, NAMES[Y])


def test_an_instance_takes_the_place_of_its_namesake_in_the_default_grid():
    own = Ordinal("probit", NAMES)
    given = {"hidden_layer_sizes": (), "random_state": 0}
    clf = PairedMLPClassifier(own, "cross_entropy", **given)
    compared = compare_pairings(make_pipeline(clf), X, NAMES[Y], cv=2).pairings
    search = PairedMLPClassifierCV(
        own, "cross_entropy", **given, alphas=[2], pairings="all", cv=2
    )
    searched = search.fit(X, NAMES[Y]).cv_results_["params"]
    for activations in (
        [activation for activation, _ in compared],
        [params["activation"] for params in searched],
    ):
        assert len(activations) == len(pairing_grid(ordered=True))
        assert [f for f in activations if f is own]
        assert "ordinal" not in activations
        assert "softmax" in activations
    pairs = default_pairs(Entmax(1.2), Custom(), multilabel=False, ordered=True)
    assert {repr(f) for f, _ in pairs if not isinstance(f, str)} == {
        "Entmax(alpha=1.2)"
    }
    assert all(isinstance(penalty, str) for _, penalty in pairs)


class Custom(CrossEntropy):
    """Another penalty than the one whose class it extends."""

    def log_value(self, t, log_y):
        return -2 * t * log_y


@pytest.mark.parametrize("order", [[*NAMES], NAMES, tuple(NAMES), pd.Index(NAMES)])
def test_an_order_is_shown_as_a_list_and_kept_as_it_is(order):
    clf = ordinal(order=order)
    shown = "Ordinal(link='logit', order=['lo', 'mid', 'hi', 'top'])"
    assert repr(clf.activation) == shown
    assert clf.get_params()["activation__order"] is order
    assert repr(clone(clf).activation) == shown


def test_categories_without_rows_are_left_out():
    categories = [*NAMES[:2], "none", *NAMES[2:]]
    y = pd.Categorical(NAMES[Y], categories=categories, ordered=True)
    clf = ordinal(**LINEAR).fit(X, y)
    np.testing.assert_allclose(clf.thresholds_, ordinal(**LINEAR).fit(X, Y).thresholds_)


@pytest.mark.parametrize("order", [["lo", "mid", "hi"], ["lo", "lo"], "lo"])
def test_an_order_that_is_none_is_refused(order):
    with pytest.raises(ValueError, match=r"order"):
        ordinal(order=order).fit(X, NAMES[Y])


@pytest.mark.parametrize("link", [None, "logistic", 1])
def test_an_unknown_link_is_refused(link):
    with pytest.raises(ValueError, match=r"'logit', 'probit', 'loglog'"):
        Ordinal(link)


def test_links_are_searched_and_named():
    grid = {"activation__link": [*LINKS]}
    search = GridSearchCV(ordinal(alpha=1, hidden_layer_sizes=()), grid, cv=3)
    search.fit(X, Y)
    assert len(search.cv_results_["params"]) == len(LINKS)
    assert str(ordinal("probit").fit(X, Y).pairing_) == (
        "ordinal(link='probit') x cross_entropy"
    )
    assert repr(ordinal().fit(X, Y).pairing_.activation) == (
        "Ordinal(link='logit', order=None)"
    )
    assert clone(ordinal().fit(X, Y)).activation.link == "logit"


def test_a_multilabel_y_is_refused():
    with pytest.raises(ValueError, match=r"y is multilabel"):
        ordinal().fit(X, np.eye(4)[Y][:, :3])


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("hidden_activation", ["tanh", "logistic", "relu"])
def test_what_is_fixed_stays_0_in_networks_and_is_no_parameter(hidden_activation, skip):
    clf = ordinal(
        alpha=1,
        hidden_layer_sizes=4,
        hidden_activation=hidden_activation,
        skip_layer=skip,
        init="uniform",
        random_state=0,
        moderated=True,
    ).fit(X, Y)
    fixed = np.ones(4, dtype=bool)
    fixed[1] = False
    assert not clf.coefs_[-1][:, fixed].any()
    assert clf.coefs_[-1][:, 1].any()
    assert clf.intercepts_[-1][0] == 0
    if skip:
        assert not clf.skip_coef_[:, fixed].any()
    assert np.all(np.diff(clf.thresholds_) > 0)
    covariance = clf.posterior_covariance_
    n_free = 4 * 4 + 4 + 3 + (3 if skip else 0)
    assert summary(clf).n_parameters == clf._network.free.sum() == n_free
    H = hessian(clf, X, Y)
    free = H.any(axis=1)
    fixed = [np.isin(np.arange(4), [0, 2, 3])] * (5 + 3 * skip)
    fixed[4] = np.arange(4) == 0
    np.testing.assert_array_equal(free[16:], ~np.concatenate(fixed))
    assert np.linalg.matrix_rank(H[np.ix_(free, free)]) == free.sum()
    assert np.count_nonzero(np.diag(covariance)) <= clf._network.free.sum()
    plain = clone(clf).set_params(moderated=False).fit(X, Y)
    p, q = plain.predict_proba(X), clf.predict_proba(X)
    np.testing.assert_allclose(q.sum(axis=1), 1)
    assert q.max(axis=1).mean() < p.max(axis=1).mean()
    again = clone(clf).set_params(warm_start=True, moderated=False)
    start = {"coefs_init": clf.coefs_, "intercepts_init": clf.intercepts_}
    if skip:
        start["skip_coef_init"] = clf.skip_coef_
    assert again.fit(X, Y, **start).loss_ <= clf.loss_ * (1 + 1e-9)
    assert again.fit(X, Y).loss_ <= clf.loss_ * (1 + 1e-9)
    start["intercepts_init"] = [b + 1 for b in clf.intercepts_]
    with pytest.raises(ValueError, match=r"must be 0 where those of Ordinal"):
        again.fit(X, Y, **start)


@pytest.mark.parametrize("link", LINKS)
def test_moderated_probabilities_are_averages_over_the_posterior(link):
    few = slice(0, 40)
    moderated = ordinal(link, hidden_layer_sizes=(), alpha=1, tol=1e-7, moderated=True)
    moderated.fit(X[few], Y[few])
    f, covariance = moderated.pairing_.activation, moderated.posterior_covariance_
    rng = np.random.default_rng(0)
    draws = rng.multivariate_normal(
        np.zeros(len(covariance)), covariance, 4000, method="eigh"
    )
    rows = np.column_stack([X[few], np.ones(40)])
    coefs = np.vstack([moderated.coefs_[0], moderated.intercepts_[0]])
    total = 0
    for draw in draws:
        z = rows @ (coefs + draw.reshape(coefs.shape))
        total = total + f.probabilities(z.T).T
    p = moderated.predict_proba(X[few])
    np.testing.assert_allclose(p, total / len(draws), atol=0.02)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("link", LINKS)
def test_thresholds_start_at_the_quantiles_of_the_frequencies(link):
    clf = ordinal(link, hidden_layer_sizes=()).fit(np.zeros((len(Y), 1)), Y)
    assert clf.n_iter_ == 0
    p = clf.predict_proba([[0.0]])[0]
    np.testing.assert_allclose(p, np.bincount(Y) / len(Y), rtol=1e-12)


def test_thresholds_are_none_of_other_outputs():
    clf = ordinal().fit(X, Y)
    assert clf.thresholds_.shape == (3,)
    clf.set_params(activation="softmax", penalty=best_penalty("softmax"))
    assert clf.fit(X, Y).thresholds_ is None


def test_single_precision_keeps_its_dtype():
    clf = ordinal(alpha=1).fit(X.astype(np.float32), Y)
    assert clf.thresholds_.dtype == np.float32
    assert clf.predict_proba(X.astype(np.float32)).dtype == np.float32
