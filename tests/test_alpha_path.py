"""alpha_path: the same solutions as separate fits, in fewer iterations."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.pipeline import make_pipeline

from skce import PairedMLPClassifier, alpha_path

X, y = load_digits(return_X_y=True)
X, y = X[:500] / 16, y[:500]
ALPHAS = [1, 30, 10, 3]


def classifier(**parameters):
    return PairedMLPClassifier(**{"random_state": 0, "max_iter": 3000} | parameters)


def test_a_convex_path_has_the_solutions_of_separate_fits():
    flat = classifier(hidden_layer_sizes=(), tol=1e-6)
    path = alpha_path(flat, X, y, ALPHAS)
    assert [fit.alpha for fit in path] == ALPHAS
    for fit, alpha in zip(path, ALPHAS, strict=True):
        alone = classifier(hidden_layer_sizes=(), tol=1e-6, alpha=alpha).fit(X, y)
        np.testing.assert_allclose(fit.coefs_[0], alone.coefs_[0], atol=1e-3)


@pytest.mark.parametrize("skip", [False, True])
def test_a_path_takes_fewer_iterations_than_separate_fits(skip):
    network = classifier(hidden_layer_sizes=10, skip_layer=skip)
    alphas = np.geomspace(0.3, 3, 6)
    path = alpha_path(network, X, y, alphas)
    alone = [clone(network).set_params(alpha=a).fit(X, y) for a in alphas]
    assert sum(fit.n_iter_ for fit in path) < sum(fit.n_iter_ for fit in alone)
    losses = [fit.loss_ for fit in path]
    assert losses == sorted(losses)
    assert not hasattr(network, "coefs_")


def test_fit_parameters_are_passed_to_each_fit():
    weights = np.where(y < 5, 2.0, 0.5)
    path = alpha_path(
        classifier(hidden_layer_sizes=()), X, y, [10], sample_weight=weights
    )
    alone = classifier(hidden_layer_sizes=(), alpha=10).fit(X, y, weights)
    np.testing.assert_array_equal(path[0].coefs_[0], alone.coefs_[0])


@pytest.mark.parametrize("alphas", [[], [1, 1], [[1]]])
def test_invalid_alphas_are_refused(alphas):
    with pytest.raises(ValueError, match="must be a list of distinct numbers"):
        alpha_path(classifier(), X, y, alphas)


def test_a_pipeline_is_refused():
    with pytest.raises(TypeError, match="needs the PairedMLPClassifier itself"):
        alpha_path(make_pipeline(classifier()), X, y, [1])
