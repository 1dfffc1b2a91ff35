"""Finding the classifier inside pipelines, searches and wrappers."""

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_iris
from sklearn.ensemble import BaggingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skce import PairedMLPClassifier
from skce._support.fitted import innermost, unwrapped

X, y = load_iris(return_X_y=True)


def classifier():
    return PairedMLPClassifier(hidden_layer_sizes=2, alpha=1, random_state=0)


def search(estimator):
    return GridSearchCV(estimator, {}, cv=2)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda c: c,
        make_pipeline,
        search,
        lambda c: search(make_pipeline(StandardScaler(), search(c))),
        lambda c: CalibratedClassifierCV(make_pipeline(c), ensemble=False, cv=2),
        lambda c: BaggingClassifier(c, n_estimators=1),
        lambda c: FrozenEstimator(make_pipeline(c.fit(X, y))),
    ],
)
def test_innermost_is_the_fitted_classifier(wrap):
    found = innermost(wrap(classifier()).fit(X, y))
    assert isinstance(found, PairedMLPClassifier)
    assert hasattr(found, "coefs_")


def test_innermost_refuses_a_wrapper_with_several_fits():
    several = make_pipeline(OneVsRestClassifier(classifier())).fit(X, y)
    with pytest.raises(
        ValueError, match="OneVsRestClassifier contains 3 fitted classifiers: pass one"
    ):
        innermost(several)


def test_unwrapped_transforms_the_rows_and_stops_at_other_wrappers():
    frozen = FrozenEstimator(classifier().fit(X, y))
    pipeline = make_pipeline(StandardScaler(), StandardScaler(), frozen)
    found, rows = unwrapped(search(pipeline).fit(X, y), X)
    assert isinstance(found, FrozenEstimator)
    np.testing.assert_allclose(rows, StandardScaler().fit_transform(X), atol=1e-12)

    several = OneVsRestClassifier(classifier()).fit(X, y)
    assert unwrapped(several, X) == (several, X)
    alone = classifier().fit(X, y)
    assert unwrapped(alone, X) == (alone, X)
