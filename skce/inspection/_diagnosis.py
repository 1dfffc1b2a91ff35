"""Diagnosis: whether the derivatives of a pair are those of its value."""

import numpy as np
from sklearn.utils import check_random_state

from skce._inputs.labels import encode
from skce._inputs.validation import check_layer_sizes
from skce._network.blocks import cut
from skce._network.kernels import Network
from skce._network.objective import Objective
from skce.losses.activations import get_activation
from skce.losses.hidden import get_hidden_activation
from skce.losses.pairings import check_shapes, pair

__all__ = ["check_gradient"]

# Enough to find a wrong derivative, few enough to be quick
MOST_ROWS, MOST_PARAMETERS = 200, 200


def check_gradient(estimator, X, y, *, step=1e-5, random_state=0):
    """Compare gradients and Hessian products with central differences.

    For activations, penalties and hidden activations of your own: a wrong derivative
    does not stop a solver, it only leads it astray.

    Parameters
    ----------
    estimator : PairedMLPClassifier
        Itself, not a pipeline. Need not be fitted, and stays as it is.
    X : array-like of shape (n_samples, n_features)
        Of which at most 200 rows are used, scaled to mean 0 and variance 1.
    y : array-like of shape (n_samples,) or (n_samples, n_labels)
    step : float, default=1e-5
        Of the differences.
    random_state : int, RandomState instance or None, default=0
        Of the parameters at which they are compared.

    Returns
    -------
    errors : dict of str to float
        "gradient" and "hessian": the largest absolute error over the largest absolute
        component, of order 1e-9 where all is right. "hessian" is None where a second
        derivative is not defined.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skce import PairedMLPClassifier, check_gradient
    >>> from skce.losses.penalties import LeastSquares
    >>> class Wrong(LeastSquares):
    ...     def derivative(self, t, y):
    ...         return 2 * (y - t)
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = PairedMLPClassifier("softmax", Wrong(), hidden_layer_sizes=3)
    >>> round(check_gradient(clf, X, y)["gradient"], 2)
    1.0
    >>> errors = check_gradient(clf.set_params(penalty="least_squares"), X, y)
    >>> errors["gradient"] < 1e-7 and errors["hessian"] < 1e-7
    True
    """
    if hasattr(estimator, "steps"):
        raise TypeError(
            "check_gradient takes the classifier itself: pass the last step, pipe[-1]."
        )
    if not step > 0:
        raise ValueError(f"step={step!r} must be a number above 0.")
    random_state = check_random_state(random_state)
    X, y = np.asarray(X, dtype=np.float64), np.asarray(y)
    rows = random_state.permutation(len(X))[:MOST_ROWS]
    X = X - X.mean(axis=0)
    X = (X / np.where(X.std(axis=0) > 0, X.std(axis=0), 1))[rows]
    labels = encode(y, get_activation(estimator.activation))
    network = Network(
        (
            X.shape[1],
            *check_layer_sizes(estimator.hidden_layer_sizes),
            labels.n_outputs,
        ),
        get_hidden_activation(estimator.hidden_activation),
        pair(estimator.activation, estimator.penalty),
    )
    check_shapes(network.pairing, network.n_outputs)
    decay = float(estimator.alpha) / len(rows)
    objective = Objective(network, cut(X, labels.codes[rows]), decay)
    theta = random_state.uniform(-1, 1, network.n_parameters)
    where = random_state.permutation(theta.size)[:MOST_PARAMETERS]
    gradient = objective.value_and_gradient(theta)[1][where]
    differences = np.empty_like(gradient)
    for i, k in enumerate(where):
        shift = np.zeros_like(theta)
        shift[k] = step
        above, below = (
            objective.value_and_gradient(theta + s)[0] for s in (shift, -shift)
        )
        differences[i] = (above - below) / (2 * step)
    return {
        "gradient": _error(gradient, differences),
        "hessian": _hessian_error(objective, theta, step, random_state),
    }


def _hessian_error(objective, theta, step, random_state):
    """The error of one product in a random direction; None if it is not defined."""
    v = random_state.uniform(-1, 1, theta.size)
    try:
        product = objective.hessian_product(theta, v)
    except NotImplementedError:
        return None
    above, below = (
        objective.value_and_gradient(theta + s * v)[1] for s in (step, -step)
    )
    return _error(product, (above - below) / (2 * step))


def _error(found, expected):
    return float(np.abs(found - expected).max() / np.abs(expected).max())
