"""Fit a classifier for several alphas, each from the solution of the one before."""

from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, clone

__all__ = ["alpha_path"]


Estimator = TypeVar("Estimator", bound=BaseEstimator)


def alpha_path(
    estimator: Estimator, X: Any, y: ArrayLike, alphas: ArrayLike, **fit_params: Any
) -> list[Estimator]:
    """Fit a sequence of alphas, from the largest to the smallest, with warm starts.

    The weights for a large alpha are a good start for a smaller one: the path takes
    fewer iterations than separate fits, and its solutions change gradually with alpha
    instead of jumping between unrelated minima. Ctrl-C ends the current fit; the path
    continues with the next alpha.

    Parameters
    ----------
    estimator : PairedMLPClassifier
        It is cloned and not changed.
    X, y
        As in `fit`.
    alphas : array-like of shape (n_alphas,)
        Different numbers of at least 0, in any order.
    **fit_params
        Passed to each `fit`, such as sample_weight. coefs_init, intercepts_init and
        skip_coef_init are passed to the first fit only.

    Returns
    -------
    path : list of PairedMLPClassifier
        Fitted, in the order of `alphas`.

    Raises
    ------
    TypeError
        If `estimator` is not a classifier itself but, for instance, a pipeline.
    ValueError
        If alphas is empty or repeats a number, if a checkpoint is given, or if `fit`
        raises it.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skce import PairedMLPClassifier, alpha_path
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = PairedMLPClassifier(
    ...     hidden_layer_sizes=5, hidden_activation="tanh", random_state=0)
    >>> for fit in alpha_path(clf, X, y, [10, 1, 0.1]):
    ...     print(fit.alpha, round(fit.loss_, 1))
    10.0 0.5
    1.0 0.1
    0.1 0.1
    """
    if "alpha" not in estimator.get_params(deep=False):
        raise TypeError(
            f"alpha_path needs the PairedMLPClassifier itself, not "
            f"{type(estimator).__name__}: for a pipeline, pass its last step and the "
            "transformed X. (Features are scaled within the fit.)"
        )
    if fit_params.get("checkpoint") is not None:
        raise ValueError(
            "A checkpoint belongs to a single fit, but alpha_path makes several: "
            "leave it out."
        )
    values = np.asarray(alphas, dtype=float)
    if values.ndim != 1 or len(values) == 0 or len(np.unique(values)) < len(values):
        raise ValueError(
            f"alphas={values.tolist()} must be a list of distinct numbers."
        )
    names = "coefs_init", "intercepts_init", "skip_coef_init"
    start = {name: fit_params.pop(name) for name in names if name in fit_params}
    path = {}
    for alpha in sorted(values.tolist(), reverse=True):
        fit = clone(estimator).set_params(alpha=alpha)
        path[alpha] = fit.fit(X, y, **fit_params, **start)
        ends = fit.coefs_, fit.intercepts_, fit.skip_coef_
        start = dict(zip(names, ends, strict=True))
    return [path[alpha] for alpha in values.tolist()]
