"""The objective: mean loss over the blocks plus the L2 term, once.

    F(theta) = 1/S sum_i w_i loss_i + alpha / (2 S) |W|^2,    S = sum_i w_i,

the scale of scikit-learn's MLPClassifier; biases are not penalised.
"""

from collections import deque
from functools import partial

import numpy as np

from skce._network.blocks import shares
from skce._network.executors import QUIET, serial
from skce._network.kernels import Layers, Workspace

__all__ = ["Objective", "sum_of_blocks"]


class Objective:
    """Value, gradient and Hessian product of F for one network and one data set.

    What overflows is found by its result: callers hold `np.errstate(**QUIET)`.

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
        self.dtype = np.dtype(dtype)
        self.run = run
        self._factor = 1 / sum(block.n_rows for block in blocks)
        parts = shares(blocks)
        if len(blocks) == 1:
            blocks[0].kept_targets = blocks[0].targets(network.n_outputs)
        self._decay = decay * network.penalty_factors
        # As many workspaces as ever run at once; a thread takes one and puts it back
        self._workspaces = deque([Workspace(network, self.dtype)])
        # What every evaluation writes anew: parameters, and the gradient of each share
        self._parameters, self._direction = (
            Layers(network, np.empty(network.n_parameters, dtype=self.dtype))
            for _ in range(2)
        )
        self._sums = np.empty((len(parts), network.n_parameters))
        self._shares_and_sums = [
            (part, Layers(network, total))
            for part, total in zip(parts, self._sums, strict=True)
        ]

    def value_and_gradient(self, theta):
        """F(theta) and its gradient.

        Parameters
        ----------
        theta : ndarray of shape (n_parameters,), float64

        Returns
        -------
        value : float
            In nats a row for the logarithmic losses. Not finite where the data
            overflow.
        gradient : ndarray of shape (n_parameters,), float64
        """
        self._parameters.flat[...] = theta
        loss, gradient = self._mean(self.network.loss_and_gradient, self._parameters)
        decayed = self._decay * theta
        gradient += decayed
        return loss + 0.5 * float(theta.dot(decayed)), gradient

    def mean_loss(self, theta):
        """The mean loss of the rows, without the L2 term; a float."""
        self._parameters.flat[...] = theta
        with np.errstate(**QUIET):
            losses = self.run(self._losses_of_share, self._shares_and_sums)
        return sum(losses) * self._factor

    def hessian_product(self, theta, v, gauss_newton=False):
        """H(theta) v, shape (n_parameters,), float64; or that of Gauss-Newton."""
        self._parameters.flat[...] = theta
        self._direction.flat[...] = v
        kernel = partial(self.network.hessian_product, gauss_newton=gauss_newton)
        _, product = self._mean(kernel, self._parameters, self._direction)
        product += self._decay * v
        return product

    def _mean(self, kernel, *vectors):
        """Mean over the rows of the losses that `kernel` gives, and of its gradients.

        `kernel(*vectors, block, rows, gradient)` writes to `gradient` and returns a
        loss.
        """
        if len(self._shares_and_sums) == 1:
            loss = self._sum_of_share(kernel, vectors, self._shares_and_sums[0])
            return loss * self._factor, self._sums[0] * self._factor
        losses = self.run(
            partial(self._sum_of_share, kernel, vectors), self._shares_and_sums
        )
        total = np.add.reduce(self._sums, axis=0)
        total *= self._factor
        return sum(losses) * self._factor, total

    def _workspace(self):
        try:
            return self._workspaces.pop()
        except IndexError:
            return Workspace(self.network, self.dtype)

    def _losses_of_share(self, share):
        """Sum of the losses over one share."""
        blocks, _ = share
        work, loss = self._workspace(), 0.0
        for block in blocks:
            rows = work.rows(block.n_rows)
            loss += self.network.loss(self._parameters, block, rows)
        self._workspaces.append(work)
        return loss

    def _sum_of_share(self, kernel, vectors, share):
        """Sum over one share; the gradient goes to the share's row of `_sums`."""
        blocks, total = share
        work = self._workspace()
        loss = sum_of_blocks(kernel, vectors, blocks, work, total)
        self._workspaces.append(work)
        return loss


def sum_of_blocks(kernel, vectors, blocks, work, total):
    """The sum of the losses over some blocks, and that of the gradients to `total`.

    Parameters
    ----------
    kernel : callable
        `kernel(*vectors, block, rows, gradient)` writes to `gradient` and returns a
        loss.
    vectors : sequence of Layers
        Of the dtype of the workspace.
    blocks : list of Block
        At least one.
    work : Workspace
    total : Layers
        float64.
    """
    direct = total if work.dtype == np.float64 else work.gradient
    loss = kernel(*vectors, blocks[0], work.rows(blocks[0].n_rows), direct)
    if direct is not total:
        total.flat[...] = direct.flat
    for block in blocks[1:]:
        loss += kernel(*vectors, block, work.rows(block.n_rows), work.gradient)
        total.flat += work.gradient.flat
    return loss
