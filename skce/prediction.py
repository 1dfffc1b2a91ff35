"""Functions of the logits of many rows, block by block."""

import numpy as np

from skce.blocks import block_rows, row_slices, shares
from skce.network import Layers, Workspace
from skce.threads import QUIET, workers
from skce.validation import largest

__all__ = ["map_logits"]


def map_logits(network, coefs, intercepts, X, function, n_jobs=None):
    """`function` of the logits of X.

    Parameters
    ----------
    network : Network
    coefs, intercepts : lists of ndarray of shape (n_in, n_out) and (n_out,)
        As on the estimator.
    X : ndarray or CSR of shape (n, p)
    function : callable
        From logits (q, n) to (columns, n); element-wise along the rows.
    n_jobs : int or None

    Returns
    -------
    result : ndarray of shape (n, columns)
        Of the wider dtype of X and the coefficients.

    Raises
    ------
    ValueError
        If a logit is not finite.
    """
    dtype = np.result_type(X.dtype, coefs[0].dtype)
    theta = network.pack([coef.T for coef in coefs], intercepts)
    parameters = Layers(network, theta.astype(dtype))
    slices = row_slices(X.shape[0], block_rows(X.shape[0], network))
    n_columns = function(np.zeros((network.n_outputs, 1), dtype=dtype)).shape[0]
    result = np.empty((X.shape[0], n_columns), dtype=dtype)

    def of_share(share):
        work = Workspace(network, dtype)
        with np.errstate(**QUIET):
            for rows in share:
                block = X[rows].astype(dtype, copy=False)
                z = network.forward(parameters, block, work.rows(block.shape[0]))
                if not np.isfinite(z).all():
                    raise ValueError(
                        f"The network overflows: X reaches {largest(X):.3g} in "
                        f"absolute value, as {X.dtype}. Scale it as the training data "
                        "were scaled."
                    )
                result[rows] = function(z).T

    with workers(X.shape[0] * network.n_parameters, n_jobs) as run:
        run(of_share, shares(slices))
    return result
