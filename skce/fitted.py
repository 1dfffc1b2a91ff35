"""The fitted classifier inside a pipeline, a search or a wrapper."""

__all__ = ["innermost"]


def innermost(estimator):
    """The last step of a pipeline, the best of a search, what a wrapper has fitted."""
    if hasattr(estimator, "best_estimator_"):
        return innermost(estimator.best_estimator_)
    if hasattr(estimator, "steps"):
        return innermost(estimator.steps[-1][1])
    if hasattr(estimator, "estimator_"):
        return innermost(estimator.estimator_)
    return estimator
