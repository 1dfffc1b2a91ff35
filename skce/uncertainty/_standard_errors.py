"""Curvature of a fitted objective, and standard errors of coefficients."""

import warnings
from dataclasses import dataclass, field

import numpy as np
from scipy.linalg import null_space
from scipy.special import ndtr
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from skce._fitting.stages import new_objective
from skce._inputs.labels import fitted_labels
from skce._inputs.validation import check_rows, check_weights, with_unit_mean
from skce._inputs.weights import class_factors, mass, weigh_classes
from skce._network.blocks import cut, dense_if_small
from skce._network.executors import workers
from skce._network.kernels import Network
from skce._support.fitted import unwrapped
from skce._support.optional import optional
from skce.losses.penalties import LeastSquares
from skce.uncertainty._curvature import check_size, flat, hessian_matrix

__all__ = ["CoefficientTable", "hessian", "standard_errors"]

KINDS = ("model", "sandwich")


@dataclass(frozen=True)
class _Refit:
    """A fitted estimator's network and rows, as in its fit.

    Attributes
    ----------
    network : Network
    theta : ndarray of shape (n_parameters,)
    rows : tuple
        X (float64 or CSR), codes and weights with those of the classes (or None).
    factors : ndarray of shape (n,) or None
        Of the classes alone.
    total : float
        Sum of the weights.
    """

    network: Network
    theta: np.ndarray
    rows: tuple
    factors: np.ndarray | None
    total: float

    def with_objective(self, estimator, function):
        """`function` of the objective."""
        X, codes, weights = self.rows
        with workers(X.shape[0] * self.network.n_parameters, estimator.n_jobs) as run:
            objective = new_objective(
                self.network,
                (X, codes, with_unit_mean(weights, np.float64)),
                float(estimator.alpha) / self.total,
                dtype=np.float64,
                run=run,
                smoothing=estimator._smoothing(self.network),
            )
            return function(objective)


def _refit(estimator, X, y, sample_weight):
    check_is_fitted(estimator)
    if not hasattr(estimator, "pairing_"):
        raise TypeError(
            f"{type(estimator).__name__} is no PairedMLPClassifier, nor a pipeline or "
            "search that ends in one."
        )
    layers = (estimator.coefs_[0].shape[0], *(len(b) for b in estimator.intercepts_))
    network = Network(layers, estimator._hidden_activation, estimator.pairing_)
    check_size(network)
    X = dense_if_small(check_rows(estimator, X)).astype(np.float64)
    labels = fitted_labels(estimator)
    codes = labels.code(y, "y")
    check_consistent_length(X, codes)
    weights, total = check_weights(sample_weight, X)
    rows, factors = (X, codes, weights), None
    if estimator.class_weight is not None:
        before = mass(rows)
        of_codes = class_factors(estimator.class_weight, labels, codes, weights)
        factors = of_codes(codes)
        rows = weigh_classes(rows, of_codes)
        total *= mass(rows) / before
    theta = network.pack([coef.T for coef in estimator.coefs_], estimator.intercepts_)
    return _Refit(network, theta, rows, factors, total)


def hessian(estimator, X, y, sample_weight=None, *, gauss_newton=False):
    """The second derivatives of a fitted objective, L2 term included.

    Parameters
    ----------
    estimator : PairedMLPClassifier, Pipeline or search
        Fitted, with at most 5000 parameters.
    X, y, sample_weight
        The rows of the fit; class_weight, label_smoothing and alpha are the
        estimator's. (With early stopping its objective was one of the rows that were
        not kept for validation.)
    gauss_newton : bool, default=False
        Whether to leave out the curvature of the network in its parameters, and to
        keep that of the loss in the logits alone. For natural pairs that part has no
        negative eigenvalue.

    Returns
    -------
    matrix : ndarray of shape (n_parameters, n_parameters), float64
        Of the mean loss, so in nats a row for the logarithmic penalties; in the order
        coefs_[0].ravel(), intercepts_[0], coefs_[1].ravel(), and so on.

    Raises
    ------
    ValueError
        If there are too many parameters, or the rows do not go with the fit.

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
    """
    estimator, X = unwrapped(estimator, X)
    refit = _refit(estimator, X, y, sample_weight)
    return refit.with_objective(
        estimator,
        lambda objective: hessian_matrix(objective, refit.theta, gauss_newton),
    )


@dataclass(frozen=True)
class CoefficientTable:
    """Coefficients and their standard errors.

    Attributes
    ----------
    names : list of str, of length n_features + 1
        Features, then "intercept".
    outputs : list
        The labels that the columns are for.
    estimates, errors : ndarray of shape (n_features + 1, n_columns)
        Coefficients, the last row the intercepts; standard errors.
    covariance : ndarray
        Of `estimates.ravel()`.
    title : str

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skce import PairedMLPClassifier, standard_errors
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = PairedMLPClassifier(hidden_layer_sizes=(), alpha=0, max_iter=5000)
    >>> table = standard_errors(clf.fit(X[50:, 2:], y[50:]), X[50:, 2:], y[50:])
    >>> table.names
    ['x0', 'x1', 'intercept']
    >>> table.z.shape
    (3, 2)
    >>> table.to_frame().columns.tolist()
    ['estimate', 'error', 'z', 'p']
    """

    names: list
    outputs: list
    estimates: np.ndarray
    errors: np.ndarray
    covariance: np.ndarray = field(repr=False)
    title: str

    @property
    def z(self):
        """Estimates over their standard errors."""
        return self.estimates / self.errors

    @property
    def p(self):
        """Two-sided normal probability of a |z| as large where the coefficient is 0."""
        return 2 * ndtr(-np.abs(self.z))

    def rows(self):
        """One dict an output and feature."""
        columns = ("estimate", "error", "z", "p")
        tables = (self.estimates, self.errors, self.z, self.p)
        return [
            {"class": output, "feature": name}
            | {c: float(t[i, k]) for c, t in zip(columns, tables, strict=True)}
            for k, output in enumerate(self.outputs)
            for i, name in enumerate(self.names)
        ]

    def to_frame(self):
        """A pandas DataFrame, indexed by class and feature."""
        pandas = optional("pandas", "CoefficientTable.to_frame")
        return pandas.DataFrame(self.rows()).set_index(["class", "feature"])

    def __str__(self):
        width = max(len(str(name)) for name in self.names)
        lines = [self.title]
        for k, output in enumerate(self.outputs):
            head = f"{f'class {output}':<{width + 2}}{'estimate':>12}"
            lines += ["", f"{head}{'std. error':>12}{'z':>9}{'p':>9}"]
            lines += [
                f"  {name:<{width}}{self.estimates[i, k]:12.4g}"
                f"{self.errors[i, k]:12.4g}{self.z[i, k]:9.2f}{self.p[i, k]:9.3g}"
                for i, name in enumerate(self.names)
            ]
        return "\n".join(lines)


def standard_errors(
    estimator, X, y, sample_weight=None, *, kind="model", reference=None
):
    """Standard errors of the coefficients of a fit without hidden units.

    With A the Hessian of the summed objective, L2 term included, and B = sum_i w_i
    g_i g_i' of the gradients of the rows:

    - "model": A^-1, for the pairs whose penalty is a log-likelihood (the inverse of
      the observed information for alpha = 0; for alpha > 0 the posterior covariance
      of a normal prior). For identity x least_squares, that of linear regression,
      with the residual variance RSS_k / (S - p - 1) of each output.
    - "sandwich": A^-1 B A^-1, for every pair (Huber 1967; White 1982): right also
      where the model is not, as for least squares on labels.

    Parameters
    ----------
    estimator : PairedMLPClassifier, Pipeline or search
        Fitted with `hidden_layer_sizes=()`, and to its minimum: take a low `tol`.
    X, y, sample_weight
        The rows of the fit. A weight counts as so many rows.
    kind : {"model", "sandwich"}, default="model"
    reference : label, optional
        For softmax and sparsemax, whose outputs do not change if the coefficients of
        all classes are shifted alike: the class whose coefficients are set to 0, as in
        nnet::multinom, so that the others are log odds against it. By default they are
        shifted to a sum of 0.

    Returns
    -------
    table : CoefficientTable

    Raises
    ------
    ValueError
        If there are hidden units; if kind="model" is not defined for the pair, or with
        class_weight or label_smoothing; if the rows do not determine the coefficients.

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
    class 2              estimate  std. error        z        p
      petal length (cm)     5.755       2.306     2.50   0.0126
      petal width (cm)      10.45       3.756     2.78  0.00541
      intercept            -45.27       13.61    -3.33 0.000881
    """
    if kind not in KINDS:
        raise ValueError(f"kind={kind!r} is unknown; it may be 'model' or 'sandwich'.")
    estimator, X = unwrapped(estimator, X)
    refit = _refit(estimator, X, y, sample_weight)
    network, pairing = refit.network, refit.network.pairing
    if len(network.weight_shapes) > 1:
        raise ValueError(
            f"The fit has hidden units, {network.layer_sizes[1:-1]}, whose weights "
            "have no standard errors (units can change places). Fit "
            "hidden_layer_sizes=(), or see hessian and moderated=True."
        )
    linear = pairing.status == "natural" and (
        pairing.activation.natural_penalty is LeastSquares
    )
    if kind == "model":
        _check_model(estimator, pairing, linear)
    contrast, basis, outputs = _contrasts(network, estimator.classes_, reference)
    value_and_gradient, A = refit.with_objective(
        estimator,
        lambda F: (F.value_and_gradient(refit.theta), hessian_matrix(F, refit.theta)),
    )
    q, p1 = network.n_outputs, refit.rows[0].shape[1] + 1
    gradient = value_and_gradient[1].reshape(q, p1).T.ravel()
    free = np.kron(np.eye(p1), basis)
    inverse = _inverse(refit.total * free.T @ A @ free)
    step = free @ inverse @ (refit.total * free.T @ gradient)
    delta, counts = _deltas(refit, estimator)
    if kind == "model" and linear:
        if refit.total <= p1:
            raise ValueError(
                f"kind='model' needs more rows than coefficients an output, {p1}; a "
                f"weight counts as so many rows, and their sum is {refit.total:g}."
            )
        rest = delta.T @ (delta * counts[:, np.newaxis]) / (refit.total - p1)
        covariance = np.kron(inverse[::q, ::q], rest)
    elif kind == "model":
        covariance = free @ inverse @ free.T
    else:
        middle = free.T @ _outer_products(refit, delta, counts) @ free
        covariance = free @ inverse @ middle @ inverse @ free.T
    shown = np.kron(np.eye(p1), contrast)
    covariance = shown @ covariance @ shown.T
    estimates = shown @ flat(estimator.coefs_, estimator.intercepts_)
    errors = np.sqrt(np.diag(covariance))
    _warn_if_short(shown @ step, errors)
    shape = (p1, len(outputs))
    return CoefficientTable(
        names=[*_feature_names(estimator), "intercept"],
        outputs=outputs.tolist(),
        estimates=estimates.reshape(shape),
        errors=errors.reshape(shape),
        covariance=covariance,
        title=f"{pairing}, standard errors of the {kind}",
    )


def _check_model(estimator, pairing, linear):
    """Raise a ValueError where the model has no likelihood."""
    if not (pairing.is_likelihood or linear):
        raise ValueError(
            f"kind='model' needs a penalty that is a log-likelihood, which {pairing} "
            "is not: take kind='sandwich', which is for every pair."
        )
    if estimator.class_weight is not None or estimator.label_smoothing > 0:
        raise ValueError(
            "kind='model' is not defined with class_weight or label_smoothing, which "
            f"are no part of a likelihood (class_weight={estimator.class_weight!r}, "
            f"label_smoothing={estimator.label_smoothing!r}): take kind='sandwich'."
        )


def _contrasts(network, classes, reference):
    """What is shown of the outputs' coefficients, a basis of what is free, the labels.

    The first, (shown, q), is multiplied with coefficients (q,); the basis, (q, q) or
    (q, q - 1), is orthonormal.
    """
    q, f = network.n_outputs, network.pairing.activation
    z = np.linspace(-1, 1, q)[:, np.newaxis]
    if f.elementwise or not np.allclose(f.value(z + 1), f.value(z)):
        if reference is not None:
            raise ValueError(
                f"reference={reference!r} is for softmax and sparsemax; each output of "
                f"{f.name} has coefficients of its own."
            )
        return np.eye(q), np.eye(q), classes[-q:]
    basis = null_space(np.ones((1, q)))
    if reference is None:
        return np.eye(q) - 1 / q, basis, classes
    place = np.flatnonzero(classes == reference)
    if len(place) == 0:
        raise ValueError(
            f"reference={reference!r} is not a class; they are {classes.tolist()}."
        )
    contrast = np.delete(np.eye(q) - np.eye(q)[place], place, axis=0)
    return contrast, basis, np.delete(classes, place)


def _deltas(refit, estimator):
    """d loss / dz of each row, (n, q), without weights; and what each row counts."""
    X, codes, weights = refit.rows
    (block,) = cut(X, codes, None, len(codes), estimator._smoothing(refit.network))
    z = X @ estimator.coefs_[0].astype(float) + estimator.intercepts_[0]
    targets = block.targets(refit.network.n_outputs)
    _, delta = refit.network.pairing.loss_and_delta(z.T.copy(), targets, not block.soft)
    counts = np.ones(len(codes)) if weights is None else weights
    return delta.T, counts * (refit.total / counts.sum())


def _outer_products(refit, delta, counts):
    """The sum over the rows of their gradients' outer products.

    A class weight is a factor of the loss, and so of each of the two gradients; a
    weight of the user counts rows.
    """
    X = refit.rows[0]
    X = X if isinstance(X, np.ndarray) else X.toarray()
    X = np.column_stack([X, np.ones(len(X))])
    by = counts if refit.factors is None else counts * refit.factors
    gradients = (X[:, :, np.newaxis] * delta[:, np.newaxis]).reshape(len(X), -1)
    return (gradients * by[:, np.newaxis]).T @ gradients


def _inverse(A):
    """The inverse of a Hessian.

    Raises
    ------
    ValueError
        If it is singular to rounding, or has a negative eigenvalue.
    """
    scale = 1 / np.sqrt(np.maximum(np.diag(A), np.finfo(float).tiny))
    values, vectors = np.linalg.eigh(scale[:, np.newaxis] * A * scale)
    if not values[0] > 100 * len(A) * np.finfo(float).eps:
        raise ValueError(
            "The rows do not determine the coefficients: the Hessian has the relative "
            f"eigenvalue {values[0]:.2g}. Leave out features that follow from others; "
            "where the classes are separable, there is no minimum with alpha=0: fit "
            "with a larger alpha."
        )
    vectors = scale[:, np.newaxis] * vectors
    return (vectors / values) @ vectors.T


def _warn_if_short(step, errors):
    """Warn of a fit that has stopped before its minimum."""
    there = errors > 0
    distance = np.max(np.abs(step[there]) / errors[there], initial=0)
    if distance > 0.1:
        warnings.warn(
            f"The minimum of the objective on these rows is {distance:.2g} standard "
            "errors away from a coefficient: fit these rows, without early stopping, "
            "with a lower tol.",
            ConvergenceWarning,
            stacklevel=3,
        )


def _feature_names(estimator):
    """Names of the features, x0, x1 ... where there are none."""
    names = getattr(estimator, "feature_names_in_", None)
    if names is None:
        return [f"x{i}" for i in range(estimator.n_features_in_)]
    return names.tolist()
