"""Output activations whose outputs are a distribution function of their logits.

Shapes as in `skce.losses.activations`: logits z, outputs y and targets t are (q, n).
"""

from typing import ClassVar

import numpy as np

from skce.losses._activation import ElementwiseActivation
from skce.losses._base import Array, own_name, valid_for
from skce.losses._graph import Graph, Tensor
from skce.losses._links import ComplementaryLogLogLink, Link, ProbitLink
from skce.losses._numerics import log_shares, log_sum_exp
from skce.losses._transforms import ByUnit, Transform
from skce.losses.intervals import Interval

__all__ = ["BinaryLink", "ComplementaryLogLog", "Probit"]

# For averages over a normal distribution
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(32)
LOG_WEIGHTS = np.log(WEIGHTS / WEIGHTS.sum())[:, np.newaxis, np.newaxis]
# A logit beyond which all outputs are 0 or 1
CERTAIN = 600.0


class BinaryLink(ElementwiseActivation):
    """Base class of the activations y = F(z), for the link of the same name.

    A subclass has a name and a `link`. With binary cross-entropy a unit is a binomial
    regression with that link: the likelihood, whose only natural pair is the logistic
    one (a composite proper loss estimates P whatever its link; Reid & Williamson 2010,
    "Composite binary losses", JMLR 11).

    Attributes
    ----------
    link : Link
        F, by its tails.
    """

    link: ClassVar[Link]
    range = Interval(0, 1)

    def value(self, z: Array) -> Array:
        """F(z)."""
        return np.exp(self.link.log_cdf(z).value)

    def derivative(self, z: Array, y: Array) -> Array:
        """F'(z), as y d log F / dz."""
        return y * self.link.log_cdf(z).slope

    def second_derivative(self, z: Array, y: Array) -> Array:
        """F''(z)."""
        log_y = self.link.log_cdf(z)
        return y * (log_y.slope * log_y.slope + log_y.bend)

    @valid_for("value")
    def logits_of(self, p: Array) -> Array:
        """F^-1(p)."""
        return self.link.quantile(np.log(p), np.log1p(-p))

    @valid_for("value")
    def log_outputs(self, z: Array) -> Transform:
        """log F(z)."""
        return self.link.log_cdf(z)

    @valid_for("value")
    def log_odds(self, z: Array) -> Transform:
        """log F(z) - log(1 - F(z))."""
        on, off = self.link.log_cdf(z), self.link.log_survival(z)
        return ByUnit(on.value - off.value, on.slope - off.slope, on.bend - off.bend)

    @valid_for("value")
    def probabilities(self, z: Array) -> Array:
        """y_k / sum_j y_j, shape (q, n)."""
        return np.exp(BinaryLink.log_probabilities(self, z))

    @valid_for("value", "probabilities")
    def log_probabilities(self, z: Array) -> Array:
        """log y_k - log sum_j y_j, shape (q, n)."""
        # of log Phi(-800) = -320008 float32 leaves no digit behind the point
        log_y = self.link.log_cdf(z.astype(np.float64)).value
        return log_shares(log_y).astype(z.dtype)

    @valid_for("value")
    def decision(self, z: Array) -> Array:
        """z less the median of F: positive where y > 1/2."""
        return z - self.link.median

    @valid_for("value")
    def marginals(self, z: Array) -> tuple[Array, Array]:
        """1 - y and y, shape (q, n) each."""
        off, on = BinaryLink.log_marginals(self, z)
        return np.exp(off), np.exp(on)

    @valid_for("value", "marginals")
    def log_marginals(self, z: Array) -> tuple[Array, Array]:
        """log(1 - y) and log y, shape (q, n) each."""
        return self.link.log_survival(z).value, self.link.log_cdf(z).value

    @valid_for("value")
    def onnx_value(self, graph: Graph, z: Tensor) -> Tensor:
        """F(z)."""
        return self.link.onnx_cdf(graph, z)

    @valid_for("value", "probabilities")
    def onnx_probabilities(self, graph: Graph, z: Tensor) -> Tensor:
        """Softmax of log F(z)."""
        return graph("Softmax", self.link.onnx_log_cdf(graph, z), axis=1)

    @valid_for("value", "decision")
    def onnx_decision(self, graph: Graph, z: Tensor) -> Tensor:
        """z less the median of F."""
        return z - self.link.median

    @valid_for("value", "marginals")
    def onnx_marginals(self, graph: Graph, z: Tensor) -> Tensor:
        """F(z)."""
        return self.link.onnx_cdf(graph, z)

    @valid_for("value")
    def moderated(self, z: Array, covariance: Array, unit: Array) -> Array:
        """F^-1 of the average of F over normal logits, by 32 nodes of Gauss-Hermite."""
        deviation = np.sqrt(np.einsum("nkk->kn", covariance))
        points = unit * (z + deviation * NODES[:, np.newaxis, np.newaxis])
        points = np.clip(points, -CERTAIN, CERTAIN)
        tails = self.link.log_cdf(points), self.link.log_survival(points)
        return self.link.quantile(*(log_sum_exp(LOG_WEIGHTS + t.value) for t in tails))


class Probit(BinaryLink):
    """y = Phi(z), the probability that a latent normal variable of mean z is positive.

    Examples
    --------
    >>> import numpy as np
    >>> from skce.losses.activations import Probit
    >>> z = np.array([[-1.0], [0.0], [1.0]])
    >>> Probit().value(z).round(3)
    array([[0.159],
           [0.5  ],
           [0.841]])

    Probit regression:

    >>> from sklearn.datasets import load_breast_cancer
    >>> from skce import PairedMLPClassifier, standard_errors
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> clf = PairedMLPClassifier("probit", "binary_cross_entropy", alpha=0, tol=1e-8,
    ...                           hidden_layer_sizes=(), solver="trust-ncg")
    >>> clf.fit(X[:, [1, 4]], y).coefs_[0].round(2).tolist()
    [[-0.17], [-45.77]]
    """

    name = own_name("probit")
    link = ProbitLink()

    @valid_for("value")
    def moderated(self, z: Array, covariance: Array, unit: Array) -> Array:
        """z_k / sqrt(1 + var z_k), exactly."""
        return z / np.sqrt(1 / unit**2 + np.einsum("nkk->kn", covariance))


class ComplementaryLogLog(BinaryLink):
    """y = 1 - exp(-exp(z)), the probability of at least one event at the rate exp(z).

    Of proportional hazards in discrete time. Beyond z = 236 (29 in float32), where
    1 - y is exp(-1e102), the loss of a target of 0 goes on as its tangent, as exp(z)
    soon overflows.

    Examples
    --------
    >>> import numpy as np
    >>> from skce.losses.activations import ComplementaryLogLog
    >>> z = np.array([[-1.0], [0.0], [1.0]])
    >>> ComplementaryLogLog().value(z).round(3)
    array([[0.308],
           [0.632],
           [0.934]])
    >>> from skce import PairedMLPClassifier
    >>> clf = PairedMLPClassifier("cloglog", "binary_cross_entropy", alpha=1)
    >>> clf.fit([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1]).pairing_
    <cloglog x binary_cross_entropy: workable>
    """

    name = own_name("cloglog")
    link = ComplementaryLogLogLink()
