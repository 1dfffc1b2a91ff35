"""Matrices of second derivatives, in the order of the fitted attributes."""

import numpy as np

from skce._network.executors import QUIET

__all__ = ["MAX_PARAMETERS", "check_size", "flat", "hessian_matrix", "unflat"]

# A matrix of 200 MB, and 5000 Hessian products
MAX_PARAMETERS = 5000


def check_size(network):
    """Raise a ValueError if the matrix would be too large."""
    if network.n_parameters > MAX_PARAMETERS:
        raise ValueError(
            f"The network has {network.n_parameters} parameters, but a Hessian is "
            f"computed for at most {MAX_PARAMETERS}: use fewer hidden units."
        )


def flat(coefs, intercepts, skip_coef=None):
    """Join coefs[0] row by row, intercepts[0], coefs[1]... skip_coef."""
    parts = [part for pair in zip(coefs, intercepts, strict=True) for part in pair]
    if skip_coef is not None:
        parts.append(skip_coef)
    return np.concatenate([part.ravel() for part in parts])


def unflat(network, vector):
    """Invert `flat`: lists of arrays (n_in, n_out) and (n_out,), and skip_coef."""
    coefs, intercepts, start = [], [], 0
    for n_out, n_in in network.weight_shapes:
        middle, stop = start + n_in * n_out, start + (n_in + 1) * n_out
        coefs.append(vector[start:middle].reshape(n_in, n_out))
        intercepts.append(vector[middle:stop])
        start = stop
    skip_coef = None
    if network.skip_layer:
        skip_coef = vector[start:].reshape(-1, network.n_outputs)
    return coefs, intercepts, skip_coef


@np.errstate(**QUIET)
def hessian_matrix(objective, theta, gauss_newton=False):
    """Compute the Hessian of an objective, or its Gauss-Newton part, by columns.

    Parameters
    ----------
    objective : Objective
    theta : ndarray of shape (n_parameters,)
        In the parameters of the core network.
    gauss_newton : bool
        Whether to leave out the curvature of the network in its parameters.

    Returns
    -------
    matrix : ndarray of shape (n_parameters, n_parameters), float64
        In the order of `flat`. Symmetric; 0 in what the activation fixes.
    """
    network = objective.network
    order, size = network.public_order, network.n_parameters
    matrix = np.zeros((size, size))
    fitted = np.ones(size) if network.free is None else network.free[order]
    # theta is linear in the parameters: a 1 in the place of each gives a column
    for k in np.flatnonzero(fitted):
        v = network.pack_coefs(*unflat(network, np.eye(1, size, k)[0]))
        product = objective.hessian_product(theta, v, gauss_newton)
        matrix[k] = network.slopes(product)[order]
    return (matrix + matrix.T) / 2
