"""alpha_path: fits for several alphas, each from where the one before ended."""

import numpy as np
from sklearn.base import clone

__all__ = ["alpha_path"]


def alpha_path(estimator, X, y, alphas, **fit_params):
    """Fit for each alpha, from the largest to the smallest, by warm starts.

    The weights of a strong alpha are a good start for a weaker one: the path needs
    fewer iterations than so many fits, and its members change into one another
    instead of falling into minima of their own. Ctrl-C ends one fit, and the path goes
    on with the next.

    Parameters
    ----------
    estimator : PairedMLPClassifier
        Cloned; stays as it is.
    X, y
        As in `fit`.
    alphas : array-like of shape (n_alphas,)
        Different numbers of at least 0, in any order.
    **fit_params
        Passed to each `fit`, such as sample_weight; coefs_init and intercepts_init to
        the first.

    Returns
    -------
    path : list of PairedMLPClassifier
        Fitted, in the order of `alphas`.

    Raises
    ------
    ValueError
        If alphas is empty or has a number twice, a checkpoint is given, and as `fit`.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skce import PairedMLPClassifier, alpha_path
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = PairedMLPClassifier(hidden_layer_sizes=5, random_state=0)
    >>> for fit in alpha_path(clf, X, y, [10, 1, 0.1]):
    ...     print(fit.alpha, round(fit.loss_, 2))
    10.0 0.84
    1.0 0.3
    0.1 0.09
    """
    if "alpha" not in estimator.get_params(deep=False):
        raise TypeError(
            f"alpha_path takes a PairedMLPClassifier itself, not "
            f"{type(estimator).__name__}: scale the rows before."
        )
    if fit_params.get("checkpoint") is not None:
        raise ValueError(
            "checkpoint is a file of one fit, and alpha_path makes several."
        )
    alphas = np.asarray(alphas, dtype=float)
    if alphas.ndim != 1 or len(alphas) == 0 or len(np.unique(alphas)) < len(alphas):
        raise ValueError(
            f"alphas={alphas.tolist()} must be a list of different numbers."
        )
    names = "coefs_init", "intercepts_init"
    start = {name: fit_params.pop(name) for name in names if name in fit_params}
    path = {}
    for alpha in sorted(alphas.tolist(), reverse=True):
        fit = clone(estimator).set_params(alpha=alpha)
        path[alpha] = fit.fit(X, y, **fit_params, **start)
        start = dict(zip(names, (fit.coefs_, fit.intercepts_), strict=True))
    return [path[alpha] for alpha in alphas.tolist()]
