"""Moderated probabilities: averaged over what the training rows leave open.

About its maximum the posterior of the parameters, of which the objective times the
number of rows is minus the logarithm, is nearly normal, with the inverse of that
objective's Hessian A as covariance (Laplace). Then the logits of a row are nearly
normal too, with covariance J A^-1 J', J = dz / d parameters, and the probabilities
averaged over them are (MacKay 1992; the form for q classes after Lu, Ie & Sha 2020)

    p_k = 1 / sum_j exp(-(z_k - z_j) / sqrt(1 + pi/8 var(z_k - z_j))),

divided by their sum, which for two classes is 1.

References
----------
MacKay (1992), "The evidence framework applied to classification networks", Neural
Computation 4. Lu, Ie & Sha (2020), "Mean-field approximation to Gaussian-softmax
integral with application to uncertainty estimation", arXiv:2006.07584.
"""

import numpy as np

from skce.curvature import check_size, hessian_matrix
from skce.numerics import log_sum_exp

__all__ = ["check_moderated", "moderate", "posterior_covariance"]

# Of the Jacobian of a block of rows
MOST_VALUES = 2**22


def check_moderated(network, alpha):
    """Raise a ValueError where probabilities cannot be moderated."""
    if not network.pairing.is_likelihood:
        raise ValueError(
            f"moderated=True needs a penalty that is a log-likelihood, which "
            f"{network.pairing} is not: take penalty='natural' with "
            "activation='softmax' or 'logistic'."
        )
    if alpha == 0:
        raise ValueError(
            "moderated=True needs alpha > 0: it is the precision of the prior, without "
            "which weights that the rows leave open have no finite variance."
        )
    check_size(network)


def posterior_covariance(objective, theta, n):
    """The covariance of the parameters, in the order of `curvature.flat`.

    The Hessian is that of Gauss-Newton, which has no negative eigenvalues, also short
    of the minimum. Directions in which rounding leaves none are given a variance of 0:
    a common shift of softmax's biases, which moves no probability, or the bias of a
    unit that is saturated for all rows.

    Parameters
    ----------
    objective : Objective
        The mean over rows whose weights sum to `n`.
    theta : ndarray of shape (n_parameters,)
    n : float

    Returns
    -------
    covariance : ndarray of shape (n_parameters, n_parameters)
    """
    values, vectors = np.linalg.eigh(hessian_matrix(objective, theta, True))
    kept = values > values[-1] * len(values) * np.finfo(objective.dtype).eps
    return (vectors[:, kept] / (n * values[kept])) @ vectors[:, kept].T


def moderate(X, coefs, intercepts, hidden_activation, covariance, elementwise):
    """Moderated log probabilities and what they depend on.

    Parameters
    ----------
    X : ndarray or CSR of shape (n, p)
    coefs, intercepts : lists of ndarray of shape (n_in, n_out) and (n_out,)
    hidden_activation : HiddenActivation
    covariance : ndarray of shape (n_parameters, n_parameters)
    elementwise : bool
        Whether each output answers for itself.

    Returns
    -------
    result : ndarray of shape (n, q), float64
        Moderated logits of element-wise outputs, z_k / sqrt(1 + pi/8 var z_k); else
        moderated log probabilities.
    """
    n_outputs = len(intercepts[-1])
    most = max(1, MOST_VALUES // (n_outputs * len(covariance)))
    result = np.empty((X.shape[0], n_outputs))
    for start in range(0, X.shape[0], most):
        rows = slice(start, start + most)
        z, jacobian = _logits_and_jacobian(
            X[rows], coefs, intercepts, hidden_activation
        )
        spread = (jacobian @ covariance) @ jacobian.swapaxes(1, 2)  # (n, q, q)
        variance = np.einsum("nkk->nk", spread)
        if elementwise:
            result[rows] = z / np.sqrt(1 + np.pi / 8 * variance)
            continue
        of_difference = variance[:, :, np.newaxis] + variance[:, np.newaxis]
        of_difference -= 2 * spread
        gap = z[:, :, np.newaxis] - z[:, np.newaxis]
        gap /= np.sqrt(1 + np.pi / 8 * np.maximum(of_difference, 0))
        log_p = -log_sum_exp(np.moveaxis(-gap, 2, 0))
        result[rows] = log_p - log_sum_exp(log_p.T)[:, np.newaxis]
    return result


def _logits_and_jacobian(X, coefs, intercepts, hidden_activation):
    """Logits, (n, q), and dz / d parameters, (n, q, n_parameters)."""
    n, q = X.shape[0], len(intercepts[-1])
    outputs = [X.toarray() if not isinstance(X, np.ndarray) else X]
    for coef, intercept in zip(coefs, intercepts, strict=True):
        a = outputs[-1] @ coef.astype(float) + intercept
        if len(outputs) < len(coefs):
            hidden_activation.apply(a)
        outputs.append(a)
    z = outputs.pop()
    slope = np.broadcast_to(np.eye(q), (n, q, q))  # dz / d pre-activations of a layer
    parts = []
    for coef, y in zip(reversed(coefs), reversed(outputs), strict=True):
        in_coef = y[:, np.newaxis, :, np.newaxis] * slope[:, :, np.newaxis, :]
        parts = [in_coef.reshape(n, q, -1), slope, *parts]
        if len(parts) < 2 * len(coefs):
            slope = (slope @ coef.T) * hidden_activation.derivative(y)[:, np.newaxis]
    return z, np.concatenate(parts, axis=2)
