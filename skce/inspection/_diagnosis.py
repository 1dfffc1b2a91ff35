"""Check the derivatives of activations and penalties against central differences."""

from functools import partial
from typing import Any, TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from sklearn.base import clone
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_random_state

from skce._inputs.labels import as_labels, encode, ordered_categories
from skce._inputs.validation import check_training_rows
from skce._network.data import Data
from skce._network.objective import Objective
from skce._network.rows import LocalRows

__all__ = ["check_gradient"]

# Enough to find a wrong derivative, few enough to be quick
MAX_ROWS, MAX_PARAMETERS = 200, 200


class GradientErrors(TypedDict):
    """Relative errors that `check_gradient` found."""

    gradient: float
    hessian: float | None


def check_gradient(
    estimator: Any,
    X: Any,
    y: ArrayLike,
    *,
    step: float = 1e-5,
    random_state: int | np.random.RandomState | None = 0,
) -> GradientErrors:
    """Compare gradients and Hessian products with central differences.

    Use it for user-defined activations, penalties and hidden activations: a solver does
    not notice a wrong derivative; it just converges badly, or to a point that is not a
    minimum.

    Parameters
    ----------
    estimator : PairedMLPClassifier
        The classifier itself, not a pipeline. It need not be fitted and is not changed.
    X : {array-like, sparse matrix, dataframe} of shape (n_samples, n_features)
        At most 200 of its rows, drawn at random, are used. They are converted to
        float64 and scaled to variance 1, and to mean 0 unless X is sparse.
    y : array-like of shape (n_samples,) or (n_samples, n_labels)
    step : float, default=1e-5
        Step of the central differences.
    random_state : int, RandomState instance or None, default=0
        Determines the rows, and the parameters at which derivatives are compared.

    Returns
    -------
    errors : dict of str to float
        "gradient" and "hessian": the largest absolute error, relative to the largest
        absolute component. Correct derivatives give errors of order 1e-9. "hessian" is
        None where a second derivative is not defined.

    Raises
    ------
    TypeError
        If `estimator` is a pipeline.
    ValueError
        If `fit` would not accept X or y, or if `step` is not positive.

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
    >>> check_gradient(clf, X, y)["gradient"] > 0.5
    True
    >>> errors = check_gradient(clf.set_params(penalty="least_squares"), X, y)
    >>> errors["gradient"] < 1e-7 and errors["hessian"] < 1e-7
    True
    """
    if hasattr(estimator, "steps"):
        raise TypeError(
            "check_gradient needs the classifier itself: pass the last step, pipe[-1]."
        )
    if not hasattr(estimator, "alpha"):
        raise TypeError(
            f"check_gradient needs a PairedMLPClassifier, not "
            f"{type(estimator).__name__}: pass one with the pair to be checked."
        )
    if not step > 0:
        raise ValueError(f"step={step!r} must be a number above 0.")
    rng: np.random.RandomState = check_random_state(random_state)
    objective = _objective_of_some_rows(estimator, X, y, rng)
    theta = rng.uniform(-1, 1, objective.network.n_parameters)
    return {
        "gradient": _gradient_error(objective, theta, step, rng),
        "hessian": _hessian_error(objective, theta, step, rng),
    }


def _objective_of_some_rows(
    estimator: Any, X: Any, y: ArrayLike, rng: np.random.RandomState
) -> Objective:
    """Return the objective that `fit` would minimise on a scaled sample of the rows."""
    # Validation records the features of X on the estimator: here on a copy
    order = ordered_categories(y)
    X, y = check_training_rows(clone(estimator), X, as_labels(y))
    pairing, network_for = estimator._architecture()
    labels, codes = encode(y, pairing.activation, order)
    rows = rng.permutation(X.shape[0])[:MAX_ROWS]
    # Centring would fill a sparse X, which may be too wide for that
    scaler = StandardScaler(with_mean=not sparse.issparse(X))
    X = scaler.fit_transform(X[rows].astype(np.float64))
    data, encoding = Data(X, codes[rows]), labels.encoding(pairing.activation)
    frequencies = partial(data.class_frequencies, labels.n_outputs)
    network = network_for(X.shape[1], labels, frequencies)
    l2 = float(estimator.alpha) / len(rows)
    return Objective(network, LocalRows(network, data, encoding), l2)


def _gradient_error(
    objective: Objective,
    theta: NDArray[np.float64],
    step: float,
    rng: np.random.RandomState,
) -> float:
    """Return the error of some random components of the gradient."""
    components = rng.permutation(theta.size)[:MAX_PARAMETERS]
    gradient = objective.value_and_gradient(theta)[1][components]
    differences = np.empty_like(gradient)
    for i, k in enumerate(components):
        shift = np.zeros_like(theta)
        shift[k] = step
        above, below = (
            objective.value_and_gradient(theta + s)[0] for s in (shift, -shift)
        )
        differences[i] = (above - below) / (2 * step)
    return _relative_error(gradient, differences)


def _hessian_error(
    objective: Objective,
    theta: NDArray[np.float64],
    step: float,
    rng: np.random.RandomState,
) -> float | None:
    """Return the error of a product in a random direction; None if not defined."""
    v = rng.uniform(-1, 1, theta.size)
    try:
        product = objective.hessian_product(theta, v)
    except NotImplementedError:
        return None
    above, below = (
        objective.value_and_gradient(theta + s * v)[1] for s in (step, -step)
    )
    return _relative_error(product, (above - below) / (2 * step))


def _relative_error(found: NDArray[Any], expected: NDArray[Any]) -> float:
    return float(np.abs(found - expected).max() / np.abs(expected).max())
