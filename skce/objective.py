"""The objective: mean loss over the blocks plus the L2 term, once.

    F(theta) = 1/S sum_i w_i loss_i + alpha / (2 S) |W|^2,    S = sum_i w_i,

the scale of scikit-learn's MLPClassifier; biases are not penalised.
"""

from collections import deque

import numpy as np

from skce.blocks import shares
from skce.network import Workspace
from skce.threads import serial

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
    run : callable, default=serial
        `run(function, items)` gives the results in the order of the items.
    """

    def __init__(self, network, blocks, decay, dtype=np.float64, run=serial):
        self.network = network
        self.decay = decay
        self.dtype = np.dtype(dtype)
        self.run = run
        self.n_rows = sum(block.n_rows for block in blocks)
        self.shares = shares(blocks)
        if len(blocks) == 1:
            blocks[0].kept_targets = blocks[0].targets(network.n_outputs)
        self._most_rows = max(block.n_rows for block in blocks)
        # As many as ever run at once; a thread takes one and puts it back
        self._workspaces = deque()
        self._sums = np.empty((len(self.shares), network.n_parameters))

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
        core = self._core(theta)
        loss_and_gradient = self.network.loss_and_gradient
        losses, gradient = self._sum(
            lambda block, work: loss_and_gradient(*core, block, work)
        )
        weights = theta[: self.network.n_weights]
        with np.errstate(over="ignore", invalid="ignore"):
            value = losses / self.n_rows + 0.5 * self.decay * (weights @ weights)
            gradient[: self.network.n_weights] += self.decay * weights
        return value, gradient

    def hessian_product(self, theta, v):
        """H(theta) v, shape (n_parameters,), float64."""
        core, direction = self._core(theta), self._core(v)
        hessian_product = self.network.hessian_product

        def of_block(block, work):
            hessian_product(*core, *direction, block, work)
            return 0.0

        _, product = self._sum(of_block)
        n_weights = self.network.n_weights
        product[:n_weights] += self.decay * v[:n_weights]
        return product

    def _core(self, theta):
        """Weights and biases of the core network in the kernel's dtype."""
        core = self.network.to_core(theta).astype(self.dtype, copy=False)
        return self.network.unpack(core)

    def _sum(self, of_block):
        """Sum of `of_block` over the blocks, and the mean of its gradients in theta."""

        def of_share(numbered):
            number, blocks = numbered
            try:
                work = self._workspaces.pop()
            except IndexError:
                work = Workspace(self.network, self._most_rows, self.dtype)
            total, gradient = 0.0, self._sums[number]
            with np.errstate(over="ignore", invalid="ignore"):
                for i, block in enumerate(blocks):
                    total += of_block(block, work)
                    if i == 0:
                        gradient[...] = work.gradient
                    else:
                        gradient += work.gradient
            self._workspaces.append(work)
            return total

        losses = self.run(of_share, enumerate(self.shares))
        with np.errstate(over="ignore", invalid="ignore"):
            gradient = self._sums[0] / self.n_rows
            for part in self._sums[1:]:
                gradient += part / self.n_rows
            return sum(losses), self.network.from_core(gradient)
