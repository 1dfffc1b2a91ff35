"""The objective: mean loss over the rows plus the L2 term, once.

    F(theta) = 1/S sum_i w_i loss_i + alpha / (2 S) |W|^2,    S = sum_i w_i,

the scale of scikit-learn's MLPClassifier; biases are not penalised. With a
standardisation theta, and so W, are of the standardised features.
"""

from copy import copy

import numpy as np

from skce._network.executors import QUIET

__all__ = ["Objective"]


class Objective:
    """Value, gradient and Hessian product of F for one network and its rows.

    What overflows is found by its result: callers hold `np.errstate(**QUIET)`.

    Parameters
    ----------
    network : Network
    rows : Rows
        Their weights, if any, have a mean of 1 over all rows.
    l2 : float, default=0.0
        alpha / S.
    standardization : Standardization or None
        Of the features.
    """

    def __init__(self, network, rows, l2=0.0, standardization=None):
        self.network = network
        self.rows = rows
        self.standardization = standardization
        self._factor = 1 / rows.n_rows
        self._l2 = l2 * network.l2_factors

    def value_and_gradient(self, theta):
        """F(theta) and its gradient.

        Parameters
        ----------
        theta : ndarray of shape (n_parameters,), float64

        Returns
        -------
        value : float
            In nats per row for the logarithmic losses. Not finite where the data
            overflow.
        gradient : ndarray of shape (n_parameters,), float64
        """
        total = self._means("gradient", theta)
        gradient = total[1:]
        slope = self._l2 * theta
        gradient += slope
        return total.item(0) + 0.5 * float(theta.dot(slope)), gradient

    def mean_loss(self, theta):
        """Mean loss of the rows, without the L2 term; a float."""
        with np.errstate(**QUIET):
            return self._means("loss", theta).item(0)

    def l2_term(self, theta):
        """The L2 term alone, a float."""
        return 0.5 * float(theta.dot(self._l2 * theta))

    def hessian_product(self, theta, v, gauss_newton=False):
        """H(theta) v, shape (n_parameters,), float64; or that of Gauss-Newton."""
        kind = "gauss_newton" if gauss_newton else "hessian"
        product = self._means(kind, theta, v)[1:]
        product += self._l2 * v
        return product

    def of_parameters(self, standardization):
        """Return the same objective as a function of other parameters.

        Parameters
        ----------
        standardization : Standardization or None
            Of the features that they are for; None for X itself.
        """
        objective, l2 = copy(self), self._l2
        if self.standardization is not None:
            l2 = self.standardization.l2_for_rows(l2, self.network)
        if standardization is not None:
            l2 = standardization.l2_for_solver(l2, self.network)
        objective.standardization, objective._l2 = standardization, l2
        return objective

    def _means(self, kind, *vectors):
        """[loss, vector...] of this kind, averaged over the rows."""
        standardization, network = self.standardization, self.network
        free = network.free
        if free is not None:  # theta is 0 in the others
            vectors = [v * free for v in vectors]
        if standardization is not None:
            vectors = [standardization.for_rows(v, network) for v in vectors]
        total = self.rows.sums(kind, vectors)
        total *= self._factor
        if standardization is not None and len(total) > 1:
            standardization.pull_back(total[1:], network)
        if free is not None and len(total) > 1:
            total[1:][~free] = 0
        return total
