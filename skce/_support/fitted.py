"""Find the fitted classifier inside pipelines, searches and wrappers."""

from collections.abc import Iterator
from typing import Any

__all__ = ["innermost", "levels", "unwrapped"]


def innermost(estimator: Any) -> Any:
    """Return the fitted estimator at the innermost level of nesting.

    It is the last step of a pipeline, the best estimator of a search, and what a
    wrapper such as CalibratedClassifierCV or FrozenEstimator has fitted.

    Raises
    ------
    ValueError
        If a wrapper has fitted several.
    """
    *_, last = levels(estimator)
    return last


def unwrapped(estimator: Any, X: Any) -> tuple[Any, Any]:
    """Return the last estimator of nested pipelines and searches, and X as it sees it.

    Wrappers of other kinds change predictions, and are returned as they are.
    """
    for level in levels(estimator):
        if hasattr(level, "best_estimator_"):
            continue
        if not hasattr(level, "steps"):
            break
        X = level[:-1].transform(X)
    return level, X


def levels(estimator: Any) -> Iterator[Any]:
    """Yield an estimator and those nested in it, from the outside inwards."""
    while estimator is not None:
        yield estimator
        estimator = _nested(estimator)


def _nested(estimator: Any) -> Any:
    """Return the estimator one level further in, or None at the innermost."""
    if hasattr(estimator, "best_estimator_"):
        return estimator.best_estimator_
    if hasattr(estimator, "steps"):
        return estimator.steps[-1][1]
    if hasattr(estimator, "calibrated_classifiers_"):
        return _only(estimator, estimator.calibrated_classifiers_).estimator
    # First, as an ensemble keeps the unfitted template in estimator_
    if hasattr(estimator, "estimators_"):
        return _only(estimator, estimator.estimators_)
    if hasattr(estimator, "estimator_"):
        return estimator.estimator_
    if type(estimator).__name__ == "FrozenEstimator":
        return estimator.estimator
    return None


def _only(estimator: Any, fits: Any) -> Any:
    fits = list(fits)
    if len(fits) > 1:
        raise ValueError(
            f"{type(estimator).__name__} contains {len(fits)} fitted classifiers: pass "
            "one of them."
        )
    return fits[0]
