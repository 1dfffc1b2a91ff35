"""The objective: mean loss over the blocks plus the L2 term, once.

    F(theta) = 1/S sum_i w_i loss_i + alpha / (2 S) |W|^2,    S = sum_i w_i,

the scale of scikit-learn's MLPClassifier; biases are not penalised.
"""

from collections import deque
from functools import partial

import numpy as np

from skce.blocks import shares
from skce.network import Workspace
from skce.threads import QUIET, serial

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
        self._numbered = list(enumerate(self.shares))
        self._most_rows = max(block.n_rows for block in blocks)
        # As many workspaces as ever run at once; a thread takes one and puts it back
        self._workspaces = deque([Workspace(network, self._most_rows, self.dtype)])
        # What every evaluation writes anew: parameters, and sums of the gradient
        self._core = _Parameters(network, self.dtype)
        self._direction = _Parameters(network, self.dtype)
        self._sums = np.empty((len(self.shares), network.n_parameters))
        self._total = network.unpack(self._sums[0])
        factor = 1 / self.n_rows
        self._factor = factor if network.scale is None else factor * network.scale

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
        loss_and_gradient = self.network.loss_and_gradient
        with np.errstate(**QUIET):
            core = self._core.of(theta)
            loss, gradient = self._mean(partial(loss_and_gradient, *core))
            weights = theta[: self.network.n_weights]
            decayed = self.decay * weights
            in_weights = gradient[: self.network.n_weights]
            in_weights += decayed
            return loss + 0.5 * float(np.dot(weights, decayed)), gradient

    def hessian_product(self, theta, v):
        """H(theta) v, shape (n_parameters,), float64."""
        hessian_product = self.network.hessian_product

        def of_block(block, work):
            hessian_product(*core, *direction, block, work)
            return 0.0

        with np.errstate(**QUIET):
            core, direction = self._core.of(theta), self._direction.of(v)
            _, product = self._mean(of_block)
            n_weights = self.network.n_weights
            product[:n_weights] += self.decay * v[:n_weights]
        return product

    def _mean(self, of_block):
        """Mean over the rows of the losses of `of_block`, and of its gradients."""
        losses = self.run(partial(self._sum_of_share, of_block), self._numbered)
        for part in self._sums[1:]:
            self._sums[0] += part
        self.network.from_core(*self._total)
        return sum(losses) / self.n_rows, self._sums[0] * self._factor

    def _sum_of_share(self, of_block, numbered):
        """Sum over one share; the gradient goes to the share's row of `_sums`."""
        number, blocks = numbered
        try:
            work = self._workspaces.pop()
        except IndexError:
            work = Workspace(self.network, self._most_rows, self.dtype)
        total, gradient = 0.0, self._sums[number]
        for i, block in enumerate(blocks):
            total += of_block(block, work)
            if i == 0:
                gradient[...] = work.gradient
            else:
                gradient += work.gradient
        self._workspaces.append(work)
        return total


class _Parameters:
    """A buffer for the parameters of the core network in the kernel's dtype."""

    def __init__(self, network, dtype):
        self._network = network
        self._wide = np.empty(network.n_parameters)
        same = dtype == self._wide.dtype
        self._narrow = self._wide if same else np.empty(network.n_parameters, dtype)
        self._views = network.unpack(self._narrow)

    def of(self, theta):
        """Weights and biases of the core network at theta, overwritten by the next."""
        self._network.to_core(theta, out=self._wide)
        if self._narrow is not self._wide:
            self._narrow[...] = self._wide
        return self._views
