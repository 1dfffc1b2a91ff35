"""The fitted classifier inside a pipeline, a search or a wrapper."""

__all__ = ["innermost", "unwrapped"]


def innermost(estimator):
    """The last step of a pipeline, the best of a search, what a wrapper has fitted.

    Raises
    ------
    ValueError
        If a wrapper has fitted several.
    """
    if hasattr(estimator, "best_estimator_"):
        return innermost(estimator.best_estimator_)
    if hasattr(estimator, "steps"):
        return innermost(estimator.steps[-1][1])
    if hasattr(estimator, "calibrated_classifiers_"):
        return innermost(_only(estimator, estimator.calibrated_classifiers_).estimator)
    if hasattr(estimator, "estimator_"):
        return innermost(estimator.estimator_)
    if hasattr(estimator, "estimators_"):
        return innermost(_only(estimator, estimator.estimators_))
    if type(estimator).__name__ == "FrozenEstimator":
        return innermost(estimator.estimator)
    return estimator


def _only(estimator, fits):
    fits = list(fits)
    if len(fits) > 1:
        raise ValueError(
            f"{type(estimator).__name__} holds {len(fits)} fits: pass one of them."
        )
    return fits[0]


def unwrapped(estimator, X):
    """The classifier at the end of pipelines and searches, and X as it sees it."""
    if hasattr(estimator, "best_estimator_"):
        return unwrapped(estimator.best_estimator_, X)
    if hasattr(estimator, "steps"):
        return unwrapped(estimator.steps[-1][1], estimator[:-1].transform(X))
    return estimator, X
