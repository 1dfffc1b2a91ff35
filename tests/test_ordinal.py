"""Ordered classes: against the plain likelihood, and what the parameters are."""

import pickle

import numpy as np
import pandas as pd
import pytest
from problems import best_penalty
from scipy import optimize, stats
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, cross_val_score

from skce import PairedMLPClassifier, PairedMLPClassifierCV, hessian, standard_errors
from skce.losses import Ordinal
from skce.losses._links import LINKS

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
    # without the order, the alphabet's is worse
    assert ordinal(**LINEAR).fit(X, NAMES[Y]).loss_ > by_order.loss_ + 0.1
    frame = y.to_frame()
    with pytest.warns(match="column-vector"):
        assert ordinal(**LINEAR).fit(X, frame).loss_ == by_dtype.loss_
    scores = [
        cross_val_score(ordinal(order=order, **LINEAR), X, labels, cv=3).mean()
        for order, labels in ((None, y), (NAMES, NAMES[Y]))
    ]
    assert scores[0] == scores[1]
    with pytest.raises(ValueError, match=r"lost in the folds.*Ordinal\(order=\['lo', "):
        PairedMLPClassifierCV("ordinal", "cross_entropy").fit(X, y)


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
    assert np.linalg.matrix_rank(hessian(clf, X, Y)) <= clf._network.free.sum()
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
