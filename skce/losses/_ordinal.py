"""Ordinal: class probabilities between ordered thresholds on one predictor.

Shapes as in `skce.losses.activations`: logits z, outputs y and targets t are (q, n).
"""

from collections.abc import Iterable
from copy import copy
from functools import cache
from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, ndtri

from skce.losses._activation import Activation
from skce.losses._base import Array, valid_for
from skce.losses._binary_links import CERTAIN
from skce.losses._graph import Graph, Tensor
from skce.losses._links import LINKS, ByInterval, Link
from skce.losses._transforms import ByUnit, Transform
from skce.losses.intervals import Interval

__all__ = ["Ordinal"]


class Ordinal(Activation):
    """P(Y <= k) = F(theta_k - eta): a cumulative link model of ordered classes.

    Of the logits z_1 to z_q, z_2 is the predictor eta less
    the first threshold; from z_3 on they set the distances of the thresholds, and z_1
    is 0. So all weights but those of unit 2 stay 0, and so do both of unit 1:

        theta_1 - eta = -z_2,    theta_k = theta_{k-1} + log(1 + exp(z_{k+1})).

    A fitted classifier has the thresholds as `thresholds_`, and the coefficients of eta
    in `coefs_[-1][:, 1]`: a positive one is for higher classes, as in R's polr.

    Parameters
    ----------
    link : {"logit", "probit", "loglog", "cloglog", "cauchit"}, default="logit"
        F: of the logistic (proportional odds), the normal, the two extreme value
        (cloglog: proportional hazards) or the Cauchy distribution.
    order : array-like of shape (n_classes,), default=None
        The labels from the lowest class to the highest. None: the categories of y if
        it is an ordered pandas Categorical, else the sorted labels, with a warning if
        they are strings. The columns of predictions are those of the sorted labels,
        `classes_`, in any case.

    Notes
    -----
    Any penalty may be paired with it. Cross-entropy is the likelihood; without hidden
    units it is convex in eta and the thresholds for all links but cauchit (Pratt 1981).
    There is no natural loss. Two classes with the logit link are logistic regression.

    Some meta-estimators of scikit-learn replace the labels by integers in the order of
    the alphabet before they fit: VotingClassifier, StackingClassifier,
    BaggingClassifier, CalibratedClassifierCV with ensemble=False, and
    cross_val_predict of probabilities. There, an order of strings is lost: give
    integers in the order of the classes as y, 0, 1, 2 and so on.

    References
    ----------
    McCullagh (1980), "Regression models for ordinal data", JRSS B 42.

    Pratt (1981), "Concavity of the log likelihood", JASA 76.

    Examples
    --------
    >>> import numpy as np
    >>> from skce import PairedMLPClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(500, 2))
    >>> y = np.digitize(2 * X[:, 0] + rng.logistic(size=500), [-1, 0, 2])
    >>> clf = PairedMLPClassifier(
    ...     "ordinal", "cross_entropy", hidden_layer_sizes=(), alpha=0)
    >>> clf.fit(X, y).thresholds_.round(1)
    array([-0.7,  0. ,  1.8])
    >>> clf.coefs_[-1][:, 1].round(1)
    array([ 2.1, -0.1])
    """

    range = Interval(0, 1)
    on_simplex = True
    ordered = True
    link: str
    order: ArrayLike | None
    _places: list[int] | None = None

    def __init__(self, link: str = "logit", order: ArrayLike | None = None) -> None:
        if not isinstance(link, str) or link not in LINKS:
            raise ValueError(
                f"link={link!r} is unknown; it may be {', '.join(map(repr, LINKS))}."
            )
        if order is not None:
            labels = np.asarray(order)
            if labels.ndim != 1 or len(np.unique(labels)) < len(labels):
                raise ValueError(
                    f"order={order!r} must be the labels of the classes, once each, "
                    "from the lowest to the highest."
                )
        self.link = link
        self.order = order

    def __repr__(self) -> str:
        order = None if self.order is None else np.asarray(self.order).tolist()
        return f"{type(self).__name__}(link={self.link!r}, order={order!r})"

    def _registered_name(self) -> str:
        """The name in the registry for its link, else with the parameter."""
        name = super().name.partition("(")[0]
        return name if self.link == "logit" else f"{name}(link={self.link!r})"

    name = valid_for(*Activation.formulas)(property(_registered_name))

    def for_classes(self, classes: Array, order: Array | None) -> Self:
        """Return the activation whose outputs are these classes in their order.

        Raises
        ------
        ValueError
            If a class is not in `order`.
        """
        wanted = self.order if self.order is not None else order
        fitted = copy(self)
        fitted._places = None
        if wanted is None:
            return fitted
        labels, places = np.asarray(wanted).tolist(), {}
        for place, label in enumerate(classes.tolist()):
            if label not in labels:
                raise ValueError(self._why_not_in_order(label, labels))
            places[label] = place
        fitted._places = [places[label] for label in labels if label in places]
        return fitted

    @staticmethod
    def _why_not_in_order(label: object, order: list[object]) -> str:
        """Return the error about a label, which a meta-estimator may have encoded."""
        text = f"y has the label {label!r}, which is not in the order {order}"
        if isinstance(label, int) and any(isinstance(one, str) for one in order):
            text += (
                ": a meta-estimator, such as VotingClassifier, or cross_val_predict of "
                "probabilities, has replaced the labels by integers in the order of "
                f"the alphabet. Give it 0 to {len(order) - 1} as y, in the order of "
                "the classes, and no order"
            )
        return f"{text}."

    def value(self, z: Array) -> Array:
        """y_k = F(theta_k - eta) - F(theta_{k-1} - eta)."""
        return np.exp(Ordinal.log_outputs(self, z).value)

    def jacobian_product(self, z: Array, y: Array, u: Array) -> Array:
        """J' u, by the logarithm of y."""
        return Ordinal.log_outputs(self, z).product(y * u)

    def direction(self, z: Array, y: Array, dz: Array) -> Array:
        """J dz."""
        return y * Ordinal.log_outputs(self, z).direction(dz)

    def jacobian_derivative(self, z: Array, y: Array, dz: Array, u: Array) -> Array:
        """(dJ') u."""
        log_y = Ordinal.log_outputs(self, z)
        change = log_y.product(y * log_y.direction(dz) * u)
        return change + log_y.product_derivative(dz, y * u)

    @valid_for("value")
    def log_outputs(self, z: Array) -> Transform:
        """log y, by the logarithm of the tail or the interval of each class."""
        cuts = _Cuts(z)
        return _OfCuts(cuts, _log_inside(LINKS[self.link], cuts), self._places)

    @valid_for("value")
    def log_odds(self, z: Array) -> Transform:
        """log(y / (1 - y)), with 1 - y by its two tails."""
        link, cuts = LINKS[self.link], _Cuts(z)
        inside, outside = _log_inside(link, cuts), _log_outside(link, cuts)
        parts = (a - b for a, b in zip(inside, outside, strict=True))
        return _OfCuts(cuts, ByInterval(*parts), self._places)

    @valid_for("value")
    def probabilities(self, z: Array) -> Array:
        """y."""
        return np.exp(Ordinal._log_y_in_double(self, z)).astype(z.dtype)

    @valid_for("value", "probabilities")
    def log_probabilities(self, z: Array) -> Array:
        """log y."""
        with np.errstate(over="ignore"):  # to -inf, of a probability of 0
            return Ordinal._log_y_in_double(self, z).astype(z.dtype)

    @valid_for("value", "probabilities")
    def class_scores(self, z: Array) -> Array:
        """log y: the largest is predicted, which the logits do not tell."""
        return Ordinal.log_probabilities(self, z)

    def _log_y_in_double(self, z: Array) -> Array:
        # of float32 a logarithm of -20 leaves five digits of y
        return Ordinal.log_outputs(self, z.astype(np.float64)).value

    @valid_for("value")
    def logits_of(self, p: Array) -> Array:
        """Logits of eta = 0 with thresholds at the quantiles of cumulated p."""
        p = p if self._places is None else p[self._places]
        below = np.cumsum(p, axis=0)[:-1]
        above = np.cumsum(p[::-1], axis=0)[-2::-1]
        total = below + above
        cuts = LINKS[self.link].quantile(np.log(below / total), np.log(above / total))
        gaps = np.diff(cuts, axis=0)
        with np.errstate(divide="ignore"):
            distances = gaps + np.log(-np.expm1(-gaps))  # inverts log(1 + exp(z))
        distances = np.maximum(distances, -700)  # where p is 0 to the last digit
        return np.concatenate([np.zeros_like(cuts[:1]), -cuts[:1], distances])

    def free_parameters(self, n_outputs: int) -> tuple[Array, Array]:
        """Whether the weights and the bias of each unit are fitted, (q,) each."""
        unit = np.arange(n_outputs)
        return unit == 1, unit > 0

    @valid_for("value")
    def onnx_value(self, graph: Graph, z: Tensor) -> Tensor:
        """Differences of F at the thresholds less eta; float32 loses 1e-7 |z| / 2."""
        q = graph.n_outputs
        steps = -graph("Gather", z, [1], axis=1)
        if q > 2:
            gaps = graph("Gather", z, list(range(2, q)), axis=1)
            tail = graph("Log", graph("Exp", -abs(gaps)) + 1)
            steps = graph("Concat", steps, graph("Relu", gaps) + tail, axis=1)
        cuts = graph("MatMul", steps, np.triu(np.ones((q - 1, q - 1))))
        F = LINKS[self.link].onnx_cdf(graph, cuts)
        # y = F D + (0, ..., 0, 1)
        y = graph("MatMul", F, np.eye(q - 1, q) - np.eye(q - 1, q, 1))
        y = graph("Relu", y + np.eye(1, q, q - 1))
        if self._places is None:
            return y
        return graph("Gather", y, np.argsort(self._places), axis=1)

    @valid_for("value", "probabilities")
    def onnx_probabilities(self, graph: Graph, z: Tensor) -> Tensor:
        """y."""
        return self.onnx_value(graph, z)

    @valid_for("value", "probabilities")
    def onnx_class_scores(self, graph: Graph, z: Tensor) -> Tensor:
        """log y."""
        return graph("Log", self.onnx_value(graph, z))

    @valid_for("value")
    def moderated(self, z: Array, covariance: Array, unit: Array) -> Array:
        """Logits of the average of y over normal logits, by quasi-random points."""
        values, vectors = np.linalg.eigh(covariance)
        root = vectors * np.sqrt(np.maximum(values, 0))[:, np.newaxis]
        total = np.zeros_like(z)
        points = _normal_points(len(z))
        for point in points:
            shifted = unit * (z + (root @ point).T)
            total += Ordinal.probabilities(self, np.clip(shifted, -CERTAIN, CERTAIN))
        least = np.finfo(z.dtype).tiny
        return self.logits_of(np.maximum(total / len(points), least))

    def in_order(self, classes: Array) -> Array:
        """The sorted classes of the fit, from the lowest to the highest."""
        return classes if self._places is None else classes[self._places]

    def thresholds(self, biases: Array) -> Array:
        """theta, (q - 1,), in increasing order, of the biases of the units, (q,)."""
        return _Cuts(biases[:, np.newaxis]).position[1:, 0]

    def thresholds_jacobian(self, biases: Array) -> Array:
        """d theta / d biases, (q - 1, q)."""
        units = np.eye(len(biases))
        cuts = _Cuts(biases[:, np.newaxis])
        return np.array([cuts.shift(unit[:, np.newaxis])[1:, 0] for unit in units]).T


@cache
def _normal_points(q: int, n: int = 128) -> Array:
    """Points of the standard normal distribution in q dimensions, (2 n, q).

    Multiples of the powers of a root of x^(q + 1) = x + 1, and their opposites.
    """
    root = 2.0
    for _ in range(60):
        root = (1 + root) ** (1 / (q + 1))
    steps = root ** -np.arange(1.0, q + 1)
    points = ndtri((0.5 + np.arange(1, n + 1)[:, np.newaxis] * steps) % 1)
    return np.concatenate([points, -points])


class _Cuts:
    """Positions of the thresholds less eta, and their change with the logits.

    Attributes
    ----------
    position : ndarray of shape (q, n)
        Of class k, its lower end; of the first class, its upper end.
    width, log_width : ndarray of shape (q - 2, n)
        Of the classes that have one: log(1 + exp(z)) of the units from the third on.
    """

    def __init__(self, z: Array) -> None:
        gaps = z[2:]
        tail = np.log1p(np.exp(-np.abs(gaps)))
        self.width = np.maximum(gaps, 0) + tail
        far = gaps < -30  # where width = exp(z) to the last digit, or underflows
        self.log_width = np.where(far, gaps, np.log(np.where(far, 1, self.width)))
        self._slope = expit(gaps)
        self._complement = expit(-gaps)
        # d log width / dz
        self._relative = np.where(far, 1, self._slope / np.where(far, 1, self.width))
        self.position = np.concatenate([-z[1:2], self._cumulated(-z[1:2], self.width)])

    @staticmethod
    def _cumulated(first: Array, steps: Array) -> Array:
        return np.cumsum(np.concatenate([first, steps]), axis=0)

    def shift(self, dz: Array) -> Array:
        """The change of `position`, (q, n)."""
        first = -dz[1:2]
        return np.concatenate([first, self._cumulated(first, self._slope * dz[2:])])

    def widen(self, dz: Array) -> Array:
        """The change of `log_width`, (q - 2, n)."""
        return self._relative * dz[2:]

    def pull(self, of_position: Array, of_log_width: Array) -> Array:
        """The gradient in z, (q, n), of those in position and log width."""
        # sums over the classes from k on
        above = np.cumsum(of_position[::-1], axis=0)[::-1]
        by_gaps = self._slope * above[2:] + self._relative * of_log_width
        return np.concatenate([np.zeros_like(above[:1]), -above[:1], by_gaps])

    def pull_derivative(self, dz: Array, of_position: Array, of_log: Array) -> Array:
        """The change of `pull` along dz, with the two gradients held fixed."""
        above = np.cumsum(of_position[::-1], axis=0)[::-1]
        bend = self._slope * self._complement
        relative = self._relative * (self._complement - self._relative)
        by_gaps = (bend * above[2:] + relative * of_log) * dz[2:]
        return np.concatenate([np.zeros_like(above[:2]), by_gaps])


class _OfCuts(Transform):
    """A function of each class's position and log width, as one of the logits.

    Parameters
    ----------
    cuts : _Cuts
    parts : ByInterval
    places : list of int or None
        The output of each class in ascending order; None if they are in it.
    """

    def __init__(
        self, cuts: _Cuts, parts: ByInterval, places: list[int] | None
    ) -> None:
        self._cuts = cuts
        self._parts = parts
        self._places = places
        super().__init__(self._placed(parts.value))

    def _placed(self, values: Array) -> Array:
        """From classes in ascending order to outputs."""
        return values if self._places is None else values[np.argsort(self._places)]

    def _ascending(self, values: Array) -> Array:
        return values if self._places is None else values[self._places]

    def direction(self, dz: Array) -> Array:
        """The change along dz."""
        shift, widen = self._changes(dz)
        return self._placed(self._parts.a * shift + self._parts.g * widen)

    def product(self, v: Array) -> Array:
        """D' v, by the chain rule."""
        v = self._ascending(v)
        return self._cuts.pull(self._parts.a * v, (self._parts.g * v)[1:-1])

    def product_derivative(self, dz: Array, v: Array) -> Array:
        """(dD') v: of the parts, and of the cuts."""
        parts, v = self._parts, self._ascending(v)
        shift, widen = self._changes(dz)
        of_a = (parts.aa * shift + parts.ag * widen) * v
        of_g = (parts.ag * shift + parts.gg * widen) * v
        return self._cuts.pull(of_a, of_g[1:-1]) + self._cuts.pull_derivative(
            dz, parts.a * v, (parts.g * v)[1:-1]
        )

    def _changes(self, dz: Array) -> tuple[Array, Array]:
        widen = self._cuts.widen(dz)
        end = np.zeros_like(dz[:1])
        return self._cuts.shift(dz), np.concatenate([end, widen, end])


def _log_inside(link: Link, cuts: _Cuts) -> ByInterval:
    """log y_k."""
    first, last = cuts.position[:1], cuts.position[-1:]
    between = link.log_interval(cuts.position[1:-1], cuts.log_width, cuts.width)
    return _with_ends(link.log_cdf(first), between, link.log_survival(last))


def _log_outside(link: Link, cuts: _Cuts) -> ByInterval:
    """log(1 - y_k) = log(F(a) + 1 - F(b)): derivatives are means of those of both."""
    first, last = cuts.position[:1], cuts.position[-1:]
    a, d = cuts.position[1:-1], cuts.width
    low, high = link.log_cdf(a), link.log_survival(a + d)
    value = np.logaddexp(low.value, high.value)
    p, q = np.exp(low.value - value), np.exp(high.value - value)
    gap = low.slope - high.slope
    between = (
        value,
        p * low.slope + q * high.slope,
        q * high.slope * d,
        p * low.bend + q * high.bend + p * gap * (q * gap),
        d * (q * high.bend - p * gap * (q * high.slope)),
        d * (q * (high.slope + d * high.bend) + p * d * high.slope * (q * high.slope)),
    )
    return _with_ends(link.log_survival(first), between, link.log_cdf(last))


def _with_ends(first: ByUnit, between: Iterable[Array], last: ByUnit) -> ByInterval:
    """Join functions of the first and last class, which have no width, to the others.

    Of the first class, a is its upper end.
    """
    none = np.zeros_like(first.value)
    ends = [(t.value, t.slope, none, t.bend, none, none) for t in (first, last)]
    parts = zip(ends[0], between, ends[1], strict=True)
    return ByInterval(*map(np.concatenate, parts))
