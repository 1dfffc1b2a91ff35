"""Shallow copies of estimators."""

__all__ = ["shallow_copy"]


def shallow_copy(estimator):
    """Return a copy with the same attributes, as they are at one moment.

    `copy.copy` leaves out what is not to be pickled.
    """
    twin = object.__new__(type(estimator))
    vars(twin).update(vars(estimator))
    return twin
