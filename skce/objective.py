"""The objective: mean loss over the blocks plus the L2 term, once.

    F(theta) = 1/S sum_i w_i loss_i + alpha / (2 S) |W|^2,    S = sum_i w_i,

the scale of scikit-learn's MLPClassifier; biases are not penalised.
"""

import numpy as np

from skce.blocks import run_serial

__all__ = ["Objective"]


class Objective:
    """Value, gradient and Hessian product of F for one network and one data set.

    Parameters
    ----------
    network : Network
    blocks : list of Block
        All rows; their weights, if any, have a mean of 1 over all rows.
    decay : float
        alpha / S.
    dtype : dtype
        In which the blocks are computed. Parameters, sums over blocks and the L2
        term are float64.
    run : callable, default=run_serial
        `run(function, blocks)` yields the results in the order of the blocks.
    """

    def __init__(self, network, blocks, decay, dtype=np.float64, run=run_serial):
        self.network = network
        self.blocks = blocks
        self.decay = decay
        self.dtype = dtype
        self.run = run
        self.n_rows = sum(block.X.shape[0] for block in blocks)

    def value_and_gradient(self, theta):
        """F(theta) and its gradient.

        Parameters
        ----------
        theta : ndarray of shape (n_parameters,), float64

        Returns
        -------
        value : float
            In nats a row for the logarithmic losses. Not finite where the data
            overflow; no warning is raised.
        gradient : ndarray of shape (n_parameters,), float64
        """
        with np.errstate(over="ignore", invalid="ignore"):
            narrow = theta.astype(self.dtype, copy=False)
            value, gradient = 0.0, np.zeros_like(theta)
            for loss, part in self.run(
                lambda block: self.network.loss_and_gradient(narrow, block), self.blocks
            ):
                value += loss
                gradient += part
            value /= self.n_rows
            gradient /= self.n_rows
            weights = theta[: self.network.n_weights]
            value += 0.5 * self.decay * (weights @ weights)
            gradient[: self.network.n_weights] += self.decay * weights
        return value, gradient

    def hessian_product(self, theta, v):
        """H(theta) v, shape (n_parameters,), float64."""
        with np.errstate(over="ignore", invalid="ignore"):
            narrow = theta.astype(self.dtype, copy=False)
            narrow_v = v.astype(self.dtype, copy=False)
            product = np.zeros_like(theta)
            for part in self.run(
                lambda block: self.network.hessian_product(narrow, narrow_v, block),
                self.blocks,
            ):
                product += part
            product /= self.n_rows
            n_weights = self.network.n_weights
            product[:n_weights] += self.decay * v[:n_weights]
        return product
