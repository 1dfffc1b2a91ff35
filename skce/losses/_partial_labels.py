"""A penalty for rows for which several classes are possible."""

from typing import TYPE_CHECKING

import numpy as np

from skce.losses._base import Array, valid_for
from skce.losses._numerics import log_softmax, log_sum_exp
from skce.losses._penalty import LogPenalty

if TYPE_CHECKING:
    from skce.losses._activation import Activation

__all__ = ["PartialLabels"]


class PartialLabels(LogPenalty):
    """-log sum_{k in S} y_k, where S are the candidate classes of a row.

    One of the candidates is the true class. S are the classes whose target is not
    exactly 0; with a single candidate this is cross-entropy. It corresponds to
    `censored=TRUE` of R's nnet. Outputs that do not sum to 1 are divided by their sum.

    Notes
    -----
    Pass the targets to `fit_targets`: 1 / |S| for the classes of S, because rows sum to
    1. This is maximum likelihood if, given S, it does not depend on the true class
    which S a row has. Without rows that have a single candidate, the network is free to
    distribute the probability within S. `label_smoothing` raises an error, because it
    would make every class a candidate.

    References
    ----------
    Jin & Ghahramani (2002), "Learning with multiple labels", NeurIPS.

    Examples
    --------
    Iris, where for half of the rows of the last two species only that much is known:

    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from skce import PairedMLPClassifier
    >>> from skce.losses.penalties import PartialLabels
    >>> X, y = load_iris(return_X_y=True)
    >>> possible = np.eye(3)[y]
    >>> possible[50::2, 1:] = 1
    >>> targets = possible / possible.sum(axis=1, keepdims=True)
    >>> clf = PairedMLPClassifier("softmax", PartialLabels(), hidden_layer_sizes=5,
    ...                           random_state=0)
    >>> clf.fit_targets(X, targets).score(X, y) > 0.95
    True
    """

    elementwise = False
    min_outputs = 2  # a single one would be divided by itself
    takes_smoothing = False

    def _possible(self, t: Array) -> Array:
        """Whether a class is in S, (q, n); a row without mass may have any."""
        return (t > 0) | (t.sum(axis=0) == 0)

    def _shares(self, t: Array, log_y: Array) -> tuple[Array, Array]:
        """y_k / sum_j y_j, and y_k / sum_{j in S} y_j in S and 0 outside, (q, n)."""
        within = np.where(self._possible(t), log_y, -np.inf)
        return np.exp(log_softmax(log_y)), np.exp(log_softmax(within))

    def log_value(self, t: Array, log_y: Array) -> Array:
        """t_k log(sum_j y_j / sum_{j in S} y_j): the sum over k is that of the row."""
        possible = self._possible(t)
        within = log_sum_exp(np.where(possible, log_y, -np.inf))
        others = np.where(possible, -np.inf, log_y - within)
        # the logarithm of 1 + the odds of the others, exact where S has nearly all
        return t * np.logaddexp.reduce(others, axis=0, initial=0)

    def log_derivative(self, t: Array, log_y: Array) -> Array:
        """s (y_k / sum_j y_j - y_k / sum_{j in S} y_j in S), with s = sum_j t_j."""
        of_all, of_s = self._shares(t, log_y)
        return t.sum(axis=0) * (of_all - of_s)

    @valid_for()
    def posterior_of(self, y: Array, activation: "Activation") -> Array | None:
        """P = y."""
        return y if activation.on_simplex else None

    def log_curvature(self, t: Array, log_y: Array, d: Array) -> Array:
        """s (p_k (d_k - p.d) - r_k (d_k - r.d)), p and r the two shares."""
        change = [
            share * (d - np.einsum("kn,kn->n", share, d))
            for share in self._shares(t, log_y)
        ]
        return t.sum(axis=0) * (change[0] - change[1])
