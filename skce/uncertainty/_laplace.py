"""Moderated probabilities: averaged over a Laplace approximation of the posterior.

About its maximum the posterior of the parameters, of which the objective times the
number of rows is minus the logarithm, is nearly normal, with the inverse of that
objective's Hessian A as covariance (Laplace). Then the logits of a row are nearly
normal too, with covariance J A^-1 J', J = dz / d parameters, and the probabilities
averaged over them are those of `Activation.moderated`: of softmax (MacKay 1992; the
form for q classes after Lu, Ie & Sha 2020)

    p_k = 1 / sum_j exp(-(z_k - z_j) / sqrt(1 + pi/8 var(z_k - z_j))),

divided by their sum, which for two classes is 1. All of it is computed in float64.

References
----------
MacKay (1992), "The evidence framework applied to classification networks", Neural
Computation 4. Lu, Ie & Sha (2020), "Mean-field approximation to Gaussian-softmax
integral with application to uncertainty estimation", arXiv:2006.07584.
"""

import numpy as np

from skce._network.blocks import shares
from skce._network.executors import QUIET
from skce._network.kernels import Workspace
from skce._network.parameters import Layers
from skce.losses.penalties import PENALTIES
from skce.uncertainty._curvature import check_size

__all__ = ["check_moderated", "moderate", "posterior_covariance"]

# Size of the Jacobian of a block of rows
MAX_VALUES = 2**21


def check_moderated(network, alpha):
    """Raise a ValueError where probabilities cannot be moderated."""
    activation = network.pairing.activation
    if not network.pairing.is_likelihood or activation.moderated is None:
        needed = "an activation with a `moderated` method"
        advice = "activation='softmax' with penalty='natural'"
        if activation.moderated is not None:
            needed = "a penalty that is a log-likelihood"
            likelihoods = [
                name for name, one in PENALTIES.items() if one.is_likelihood(activation)
            ]
            advice = f"penalty={likelihoods[0]!r}" if likelihoods else advice
        raise ValueError(
            f"moderated=True needs {needed}, which {network.pairing} does not have: "
            f"use {advice}."
        )
    if alpha == 0:
        raise ValueError(
            "moderated=True needs alpha > 0: it is the precision of the prior, without "
            "which weights that the rows do not determine have no finite variance."
        )
    check_size(network)


@np.errstate(**QUIET)
def posterior_covariance(problem, theta, run):
    """Compute the covariance of the parameters.

    The Hessian is that of Gauss-Newton, sum_i w_i J_i' H_i J_i + alpha on the weights,
    with H the Hessian of the loss in the logits; it has no negative eigenvalues, also
    short of the minimum. Directions in which rounding leaves none are given a variance
    of 0: a common shift of softmax's biases, which moves no probability, or the bias
    of a unit that is saturated for all rows, or of relu at 0 for all rows.

    Parameters
    ----------
    problem : Problem
        With `LocalRows`.
    theta : ndarray of shape (n_parameters,)
    run : callable
        An executor, over columns of the matrix.

    Returns
    -------
    covariance : ndarray of shape (n_parameters, n_parameters)
        In the order coefs_[0].ravel(), intercepts_[0], coefs_[1].ravel()...
        skip_coef_.ravel().
    """
    network, rows, theta = problem.network, problem.rows, problem.for_rows(theta)
    size, q = network.n_parameters, network.n_outputs
    A = np.zeros((size, size))
    columns = [slice(s[0], s[-1] + 1) for s in shares(range(size))]
    for block in rows.blocks(_max_rows(network)):
        z, J = _logits_and_jacobian(network, theta, block.X, block.has_ones)
        t = block.targets().astype(float)
        units = np.eye(q)[:, :, np.newaxis] * np.ones(block.n_rows)
        H = np.array([network.pairing.delta_derivative(z.T, t, u) for u in units])
        if block.weights is not None:
            H *= block.weights
        bent = (np.moveaxis(H, 2, 0) @ J).reshape(-1, size)
        _add_product(A, J.reshape(-1, size).T, bent, columns, run)
    A *= rows.total_weight / rows.n_rows
    penalised = np.where(network.l2_factors > 0, 1.0, 0.0)
    if problem.standardization is not None:
        penalised = problem.standardization.l2_for_rows(penalised, network)
    A[np.diag_indices(size)] += problem.alpha * penalised[network.public_order]
    if network.free is not None:
        fixed = ~network.free[network.public_order]
        A[fixed] = A[:, fixed] = 0
    # in units in which the diagonal is 1, so that scales of features do not matter;
    # rounding must not give a share of others to what has no curvature at all
    diagonal = np.diag(A)
    scale = np.zeros(size)
    np.divide(1, np.sqrt(diagonal), out=scale, where=diagonal > 0)
    values, vectors = np.linalg.eigh(scale[:, np.newaxis] * A * scale)
    kept = values > values[-1] * size * np.finfo(float).eps
    vectors = scale[:, np.newaxis] * vectors[:, kept]
    return (vectors / values[kept]) @ vectors.T


def _add_product(A, left, right, columns, run):
    def add(part):
        A[:, part] += left @ right[:, part]

    run(add, columns)


def _max_rows(network):
    """Rows of a block whose Jacobian is not too large."""
    return max(1, MAX_VALUES // (network.n_outputs * network.n_parameters))


def moderate(network, theta, X, covariance, run):
    """Compute moderated logits: their outputs are the averaged probabilities.

    Parameters
    ----------
    network : Network
    theta : ndarray of shape (n_parameters,)
    X : ndarray or CSR of shape (n, p)
    covariance : ndarray of shape (n_parameters, n_parameters)
        Of `posterior_covariance`.
    run : callable
        An executor, over blocks of rows.

    Returns
    -------
    result : ndarray of shape (n, q), float64
        Those of `Activation.moderated`. NaN where the covariance is not finite.
    """
    size, q = network.n_parameters, network.n_outputs
    moderated = network.pairing.activation.moderated
    assert moderated is not None
    result = np.empty((X.shape[0], q))

    @np.errstate(**QUIET)
    def of_rows(start):
        rows = slice(start, start + max_rows)
        z, J = _logits_and_jacobian(network, theta, X[rows])
        # all in units of the largest slope of the row, whose square may overflow
        unit = np.maximum(np.abs(J).max(axis=(1, 2)), 1)[:, np.newaxis]
        J /= unit[:, :, np.newaxis]
        product = (J.reshape(-1, size) @ covariance).reshape(J.shape)
        spread = product @ J.swapaxes(1, 2)  # (n, q, q)
        if not np.isfinite(spread).all():
            result[rows] = np.nan
            return
        unit = unit[:, 0]
        result[rows] = moderated(z.T / unit, spread, unit).T

    max_rows = _max_rows(network)
    run(of_rows, range(0, X.shape[0], max_rows))
    return result


def _logits_and_jacobian(network, theta, X, has_ones=False):
    """Logits (n, q) and dz / d parameters (n, q, n_parameters), in float64.

    The parameters are in the order of `posterior_covariance`.
    """
    X = X.astype(float, copy=False)
    buffers = Workspace(network, float).buffers(X.shape[0])
    J = network.jacobian(Layers(network, theta), X, buffers, has_ones)
    return buffers.logits.T, J
