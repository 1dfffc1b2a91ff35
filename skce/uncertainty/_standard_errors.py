"""The Hessian of a fitted objective, and standard errors of coefficients."""

from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import block_diag, null_space
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from skce._fitting.problem import Problem
from skce._inputs.duplicates import dense_if_small
from skce._inputs.validation import check_rows
from skce._inputs.weights import (
    check_weights,
    class_factors,
    class_totals,
    weigh_data,
)
from skce._network.blocks import row_slices
from skce._network.data import Data
from skce._network.executors import Executor
from skce._network.kernels import Workspace
from skce._network.parameters import Layers
from skce._network.rows import LocalRows
from skce._network.standardization import Standardization
from skce._support.fitted import unwrapped
from skce._support.warn import warn
from skce.losses.penalties import LeastSquares
from skce.uncertainty._coefficients import CoefficientTable, check_confidence_level
from skce.uncertainty._curvature import check_size, flat, hessian_matrix

__all__ = ["hessian", "standard_errors"]

KINDS = ("model", "sandwich")

# Gradients of a block of rows
MAX_VALUES = 2**21


@dataclass(frozen=True)
class _Refit:
    """The problem of a fitted estimator once more, on given rows, in float64.

    Attributes
    ----------
    problem : Problem
    theta : ndarray of shape (n_parameters,)
        For X itself.
    class_weights : ndarray of shape (n,) or None
        Weights of the rows by their classes alone.
    """

    problem: Problem
    theta: np.ndarray
    class_weights: np.ndarray | None

    @classmethod
    def of(cls, estimator, X, y, sample_weight):
        """Validate the rows, and weigh them as in the fit."""
        check_is_fitted(estimator)
        if not hasattr(estimator, "pairing_"):
            raise TypeError(
                f"{type(estimator).__name__} is neither a PairedMLPClassifier nor a "
                "pipeline or search that ends in one."
            )
        network, theta = estimator._fitted_network
        labels = estimator._labels
        check_size(network)
        X = dense_if_small(check_rows(estimator, X)).astype(np.float64, copy=False)
        codes = labels.code(y, "y")
        check_consistent_length(X, codes)
        data = Data(X, codes, *check_weights(sample_weight, X.shape[0]))
        factors = class_factors(
            estimator.class_weight, labels, partial(class_totals, data, labels)
        )
        activation = estimator.pairing_.activation
        encoding = labels.encoding(activation, estimator.label_smoothing)
        executor = Executor(estimator.n_jobs)
        rows = LocalRows(network, weigh_data(data, factors), encoding, executor)
        problem = Problem(
            network,
            labels,
            rows,
            encoding,
            float(estimator.alpha),
            estimator._standardization,
        )
        class_weights = None if factors is None else factors(codes)
        return cls(problem, theta, class_weights)

    def with_objective(self, function, standardization=None):
        """Call a function of the objective, with threads if they are worth it.

        It is one of the parameters for X itself, or for standardised features.
        """
        objective = self.problem.objective().of_parameters(standardization)
        executor, work = self.problem.rows.run, self.problem.work
        return executor.opened(work, lambda: function(objective))


def hessian(
    estimator: Any,
    X: Any,
    y: Any,
    sample_weight: ArrayLike | None = None,
    *,
    gauss_newton: bool = False,
) -> NDArray[np.float64]:
    """Compute the Hessian of a fitted objective, including the L2 term.

    Parameters
    ----------
    estimator : PairedMLPClassifier, Pipeline or search
        Fitted, with at most 5000 parameters.
    X, y, sample_weight
        The rows of the fit; class_weight, label_smoothing and alpha are taken from the
        estimator. (With early stopping, its objective did not include the rows that
        were held out for validation.)
    gauss_newton : bool, default=False
        Whether to keep only the curvature of the loss with respect to the logits, and
        to leave out that of the network. For natural pairs this part has no negative
        eigenvalues.

    Returns
    -------
    matrix : ndarray of shape (n_parameters, n_parameters), float64
        Hessian of the mean loss, in nats per row for logarithmic penalties. The order
        is coefs_[0].ravel(), intercepts_[0], coefs_[1].ravel(), and so on, with
        skip_coef_.ravel() last. "ordinal" outputs fix at 0 the weights to all of them
        but the second, and the first intercept, of the output layer (and of
        skip_coef_): their rows and columns are 0.

    Raises
    ------
    ValueError
        If there are too many parameters, or if the rows do not match the fit.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from skce import PairedMLPClassifier, hessian
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = PairedMLPClassifier(hidden_layer_sizes=2, alpha=1, random_state=0)
    >>> H = hessian(clf.fit(X, y), X, y)
    >>> H.shape
    (19, 19)
    >>> bool(np.linalg.eigvalsh(H).min() > -1e-6)  # the fit ended in a minimum
    True

    Without the parameters that ordered classes fix at 0:

    >>> clf.set_params(activation="ordinal", penalty="cross_entropy")
    PairedMLPClassifier(activation='ordinal', alpha=1, hidden_layer_sizes=2,
                        penalty='cross_entropy', random_state=0)
    >>> H = hessian(clf.fit(X, y), X, y)
    >>> free = H.any(axis=1)
    >>> H.shape, H[np.ix_(free, free)].shape
    ((19, 19), (14, 14))
    """
    estimator, X = unwrapped(estimator, X)
    refit = _Refit.of(estimator, X, y, sample_weight)
    return refit.with_objective(
        lambda objective: hessian_matrix(objective, refit.theta, gauss_newton)
    )


def standard_errors(
    estimator: Any,
    X: Any,
    y: Any,
    sample_weight: ArrayLike | None = None,
    *,
    kind: str = "model",
    reference: Any = None,
    confidence_level: float = 0.95,
) -> CoefficientTable:
    """Compute standard errors of the coefficients of a fit without hidden units.

    With A the Hessian of the summed objective, including the L2 term, and
    B = sum_i w_i g_i g_i' from the gradients of the rows:

    - "model": A^-1, for the pairs whose penalty is a log-likelihood (the inverse of
      the observed information for alpha = 0; for alpha > 0 the posterior covariance
      of a normal prior). For identity x least_squares, that of linear regression,
      with the residual variance RSS_k / (S - p - 1) of each output.
    - "sandwich": A^-1 B A^-1, for every pair (Huber 1967; White 1982): valid
      even if the model is wrong, as for least squares on labels.

    Parameters
    ----------
    estimator : PairedMLPClassifier, Pipeline or search
        Fitted with `hidden_layer_sizes=()`, and to its minimum: use a small `tol`.
    X, y, sample_weight
        The rows of the fit. A weight k counts as k rows.
    kind : {"model", "sandwich"}, default="model"
    reference : label, optional
        For activations such as softmax, whose outputs do not change if the
        coefficients of all classes are shifted alike: the class whose coefficients are
        set to 0, as in nnet::multinom, so that the others are log odds against it. By
        default they are shifted to a sum of 0.
    confidence_level : float, default=0.95
        Of the intervals, which are normal: the estimate plus and minus 1.96 standard
        errors for 0.95.

    Returns
    -------
    table : CoefficientTable
        Prints as a table; `table.to_frame()` is a pandas.DataFrame.

    Raises
    ------
    ValueError
        If `kind` or `confidence_level` is not allowed; if there are hidden units; if
        kind="model" is not defined for the pair, or is
        used with class_weight or label_smoothing; or if the rows do not determine the
        coefficients.

    Warns
    -----
    ConvergenceWarning
        If the minimum is more than a tenth of a standard error away.

    References
    ----------
    Huber (1967), "The behavior of maximum likelihood estimates under nonstandard
    conditions". White (1982), "Maximum likelihood estimation of misspecified models".

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skce import PairedMLPClassifier, standard_errors
    >>> iris = load_iris(as_frame=True)
    >>> X, y = iris.data[50:].iloc[:, 2:], iris.target[50:]
    >>> clf = PairedMLPClassifier(
    ...     "logistic", hidden_layer_sizes=(), alpha=0, solver="trust-ncg", tol=1e-8)
    >>> print(standard_errors(clf.fit(X, y), X, y))
    logistic x binary_cross_entropy, standard errors of the model
    <BLANKLINE>
    class 2                estimate  std. error       z         p         95 % interval
      petal length (cm)       5.755       2.306    2.50    0.0126        1.235 to 10.27
      petal width (cm)        10.45       3.756    2.78   0.00541        3.086 to 17.81
      intercept              -45.27       13.61   -3.33  0.000881      -71.95 to -18.59
    """
    if kind not in KINDS:
        raise ValueError(f"kind={kind!r} must be 'model' or 'sandwich'.")
    check_confidence_level(confidence_level)
    estimator, X = unwrapped(estimator, X)
    refit = _Refit.of(estimator, X, y, sample_weight)
    network, pairing = refit.problem.network, estimator.pairing_
    if network.has_hidden_units:
        raise ValueError(
            f"The fit has hidden units, {network.layer_sizes[1:-1]}, whose weights "
            "have no standard errors (units are interchangeable). Fit with "
            "hidden_layer_sizes=(), or see hessian and moderated=True."
        )
    if kind == "model":
        _check_model(estimator, pairing)
    p1 = network.layer_sizes[0] + 1
    names, parameters = (
        _feature_names(estimator),
        (flat(estimator.coefs_, estimator.intercepts_)),
    )
    if network.pairing.activation.ordered:
        free, shown, estimates, of_thresholds = _of_thresholds(
            network, estimator, parameters, reference
        )
        names, outputs = [*names, *of_thresholds], np.array(["higher"])
    else:
        contrast, basis, outputs = _contrasts(network, estimator.classes_, reference)
        free, shown = np.kron(np.eye(p1), basis), np.kron(np.eye(p1), contrast)
        names, estimates = [*names, "intercept"], shown @ parameters
    covariance, step = _covariance(refit, free, kind)
    covariance = shown @ covariance @ shown.T
    errors = np.sqrt(np.diag(covariance))
    _warn_if_short(shown @ step, errors, estimator.standardize)
    shape = (len(names), len(outputs))
    return CoefficientTable(
        names=names,
        outputs=outputs.tolist(),
        estimates=estimates.reshape(shape),
        errors=errors.reshape(shape),
        covariance=covariance,
        title=f"{pairing}, standard errors of the {kind}",
        confidence_level=confidence_level,
    )


def _covariance(refit, free, kind):
    """Covariance of the parameters (p + 1, q) by rows, and the Newton step from them.

    The columns of `free` span what they are free in.
    """
    network, rows, theta = refit.problem.network, refit.problem.rows, refit.theta
    total_weight = rows.total_weight
    q, p1 = network.n_outputs, network.layer_sizes[0] + 1
    # in the parameters of standardised features, as a large mean of a feature leaves of
    # the curvature in its coefficient a rounding error
    mean, scale = np.zeros(p1 - 1), np.ones(p1 - 1)
    standardization = Standardization.of(rows.moments)
    if standardization is not None:
        mean, scale = standardization.mean, standardization.scale
        theta = standardization.for_solver(theta, network)
    gradient, A = refit.with_objective(
        lambda F: (F.value_and_gradient(theta)[1], hessian_matrix(F, theta)),
        standardization,
    )
    # from them to the parameters for X: W = V / s, b = c - V m / s
    for_rows = np.diag(np.append(1 / scale, 1))
    for_rows[-1, :-1] = -mean / scale
    for_rows = np.kron(for_rows, np.eye(q))
    with np.errstate(over="ignore", invalid="ignore"):  # found by `_inverse`
        summed = total_weight * free.T @ A @ free
    inverse = _inverse(summed)
    gradient = gradient.reshape(q, p1).T.ravel()
    step = for_rows @ free @ inverse @ (total_weight * free.T @ gradient)
    free_for_rows = for_rows @ free
    if kind == "model" and not _is_linear_regression(network.pairing):
        return free_for_rows @ inverse @ free_for_rows.T, step
    delta, counts = _deltas(refit)
    if kind == "model":
        if total_weight <= p1:
            raise ValueError(
                f"kind='model' needs more rows than the {p1} coefficients of an "
                f"output; weights count as rows, and their sum is {total_weight:g}."
            )
        residual = delta.T @ (delta * counts[:, np.newaxis]) / (total_weight - p1)
        covariance = np.kron(inverse[::q, ::q], residual)
        return for_rows @ covariance @ for_rows.T, step
    middle = free.T @ _outer_products(refit, mean, scale, delta, counts) @ free
    return free_for_rows @ inverse @ middle @ inverse @ free_for_rows.T, step


def _is_linear_regression(pairing):
    natural = pairing.activation.natural_penalty
    return pairing.status == "natural" and natural is LeastSquares


def _check_model(estimator, pairing):
    """Raise a ValueError where the model has no likelihood."""
    if not (pairing.is_likelihood or _is_linear_regression(pairing)):
        raise ValueError(
            f"kind='model' needs a penalty that is a log-likelihood, which {pairing} "
            "is not: use kind='sandwich', which works for every pair."
        )
    if estimator.class_weight is not None or estimator.label_smoothing > 0:
        raise ValueError(
            "kind='model' is not defined with class_weight or label_smoothing, which "
            f"are not part of a likelihood (class_weight={estimator.class_weight!r}, "
            f"label_smoothing={estimator.label_smoothing!r}): use kind='sandwich'."
        )


def _of_thresholds(network, estimator, parameters, reference):
    """Return what is free, what is shown of it, estimates, and names of thresholds.

    Shown are the coefficients of the one unit that has any, and the thresholds.
    """
    if reference is not None:
        raise ValueError(
            f"reference={reference!r} is for classes with coefficients of their own, "
            "but ordered classes share them: leave it at None."
        )
    f, q, p = network.pairing.activation, network.n_outputs, network.layer_sizes[0]
    free = np.eye(network.n_parameters)[:, network.free[network.public_order]]
    shared = np.eye(q)[f.free_parameters(q)[0]]
    biases = estimator.intercepts_[-1]
    shown = block_diag(np.kron(np.eye(p), shared), f.thresholds_jacobian(biases))
    estimates = np.append((shown @ parameters)[:p], f.thresholds(biases))
    names = [f"{a}|{b}" for a, b in pairwise(f.in_order(estimator.classes_).tolist())]
    return free, shown, estimates, names


def _contrasts(network, classes, reference):
    """Return contrasts, a basis of the identifiable directions, and the labels.

    The first, (shown, q), is multiplied with coefficients (q,); the basis, (q, q) or
    (q, q - 1), is orthonormal.
    """
    q, f = network.n_outputs, network.pairing.activation
    z = np.linspace(-1, 1, q)[:, np.newaxis]
    if f.elementwise or not np.allclose(f.value(z + 1), f.value(z)):
        if reference is not None:
            raise ValueError(
                f"reference={reference!r} is for outputs that sum to 1, but each "
                f"output of {f.name} has coefficients of its own: leave it at None."
            )
        return np.eye(q), np.eye(q), classes[-q:]
    basis = null_space(np.ones((1, q)))
    if reference is None:
        return np.eye(q) - 1 / q, basis, classes
    place = np.flatnonzero(classes == reference)
    if len(place) == 0:
        raise ValueError(
            f"reference={reference!r} must be one of the classes, {classes.tolist()}."
        )
    contrast = np.delete(np.eye(q) - np.eye(q)[place], place, axis=0)
    return contrast, basis, np.delete(classes, place)


def _deltas(refit):
    """d loss / dz of each row, (n, q), without weights; and the count of each row."""
    network, rows = refit.problem.network, refit.problem.rows
    (block,) = LocalRows(
        network, replace(rows.data, weights=None), rows.encoding
    ).blocks(rows.n_rows)
    buffers = Workspace(network, float).buffers(rows.n_rows)
    parameters = Layers(network, refit.theta)
    z = network.forward(parameters, block.X, buffers, block.has_ones)
    hard = rows.encoding.hard
    _, delta = network.pairing.loss_and_delta(z, block.targets(), hard)
    weights = rows.data.weights
    counts = np.ones(rows.n_rows) if weights is None else weights
    return delta.T, counts * (rows.total_weight / counts.sum())


def _outer_products(refit, mean, scale, delta, counts):
    """Sum over the rows of their gradients' outer products, for (X - mean) / scale.

    A class weight is a factor of the loss, and so of each of the two gradients; a
    weight of the user counts rows.
    """
    X, size = refit.problem.rows.data.X, refit.problem.network.n_parameters
    by = counts if refit.class_weights is None else counts * refit.class_weights
    total = np.zeros((size, size))
    for rows in row_slices(X.shape[0], max(1, MAX_VALUES // size)):
        part = X[rows] if isinstance(X, np.ndarray) else X[rows].toarray()
        part = np.column_stack([(part - mean) / scale, np.ones(len(part))])
        gradients = part[:, :, np.newaxis] * delta[rows, np.newaxis]
        gradients = gradients.reshape(len(part), size)
        total += (gradients * by[rows, np.newaxis]).T @ gradients
    return total


def _inverse(A):
    """Invert a Hessian.

    Raises
    ------
    ValueError
        If it is not finite, is singular to rounding, or has a negative eigenvalue.
    """
    if not np.isfinite(A).all():
        raise ValueError(
            "The Hessian of the summed objective overflows (a weight of k counts as k "
            "rows): multiply sample_weight by a small constant."
        )
    scale = 1 / np.sqrt(np.maximum(np.diag(A), np.finfo(float).tiny))
    values, vectors = np.linalg.eigh(scale[:, np.newaxis] * A * scale)
    if not values[0] > 100 * len(A) * np.finfo(float).eps:
        raise ValueError(
            "The rows do not determine the coefficients: the smallest eigenvalue of "
            f"the scaled Hessian is {values[0]:.2g}. Drop features that are linear "
            "combinations of others. If the classes are separable, there is no minimum "
            "with alpha=0: fit with a larger alpha."
        )
    vectors = scale[:, np.newaxis] * vectors
    return (vectors / values) @ vectors.T


def _warn_if_short(step, errors, standardized):
    """Warn of a fit that has stopped before its minimum."""
    known = errors > 0
    distance = np.max(np.abs(step[known]) / errors[known], initial=0)
    if distance > 0.1:
        advice = "" if standardized else " and standardize=True"
        warn(
            f"A coefficient is {distance:.2g} standard errors away from the minimum of "
            "the objective on these rows: fit these rows without early stopping, "
            f"with a lower tol{advice}.",
            ConvergenceWarning,
        )


def _feature_names(estimator):
    """Names of the features, x0, x1 ... where there are none."""
    names = getattr(estimator, "feature_names_in_", None)
    if names is None:
        return [f"x{i}" for i in range(estimator.n_features_in_)]
    return names.tolist()
