"""Links: distribution functions F, whose tails are exact however far they reach.

All functions are element-wise; no derivative is a difference of two large numbers.
"""

import math
from functools import cache
from typing import NamedTuple

import numpy as np
from scipy.special import erfcx, expit, exprel, log_ndtr, ndtri_exp

from skce.losses._base import Array
from skce.losses._graph import Graph, Tensor
from skce.losses._numerics import log_expit
from skce.losses._transforms import ByUnit

__all__ = ["LINKS", "ByInterval", "ComplementaryLogLogLink", "Link", "ProbitLink"]


class ByInterval(NamedTuple):
    """Functions of intervals (a, a + d), and their derivatives in a and g = log d.

    d is at least the smallest positive number, or g alone tells how small it is.
    """

    value: Array
    a: Array
    g: Array
    aa: Array
    ag: Array
    gg: Array


class Link:
    """A distribution function F, by the logarithms of its two tails.

    Attributes
    ----------
    median : float
        Where F is 1/2.
    """

    median = 0.0

    def log_cdf(self, x: Array) -> ByUnit:
        """log F(x) and its derivatives."""
        raise NotImplementedError

    def log_survival(self, x: Array) -> ByUnit:
        """log(1 - F(x)) and its derivatives; here of an F that is symmetric about 0."""
        return _mirrored(self.log_cdf(-x))

    def quantile(self, log_p: Array, log_q: Array) -> Array:
        """x with F(x) = p, for log p and the log of q = 1 - p."""
        raise NotImplementedError

    def onnx_log_cdf(self, graph: Graph, x: Tensor) -> Tensor:
        """log F(x), or anything from which it differs by a function of the row."""
        raise NotImplementedError

    def onnx_cdf(self, graph: Graph, x: Tensor) -> Tensor:
        """F(x)."""
        return graph("Exp", self.onnx_log_cdf(graph, x))

    def log_interval(self, a: Array, g: Array, d: Array) -> ByInterval:
        """log(F(a + d) - F(a)) with d = exp(g)."""
        raise NotImplementedError


def _mirrored(tail: ByUnit) -> ByUnit:
    """g(-x) as a function of x, for g and its derivatives at -x."""
    return ByUnit(tail.value, -tail.slope, tail.bend)


class LogitLink(Link):
    """The logistic distribution."""

    def log_cdf(self, x: Array) -> ByUnit:
        """log F(x), 1 - F and -F (1 - F)."""
        F, rest = expit(x), expit(-x)
        return ByUnit(log_expit(x), rest, -F * rest)

    def quantile(self, log_p: Array, log_q: Array) -> Array:
        """log p - log q."""
        return log_p - log_q

    def log_interval(self, a: Array, g: Array, d: Array) -> ByInterval:
        """log F(a + d) + log(1 - F(a)) + log(1 - exp(-d))."""
        upper, lower = self.log_cdf(a + d), self.log_survival(a)
        with np.errstate(over="ignore"):
            s = 1 / exprel(d)  # d / (exp(d) - 1)
        du, bend = d * upper.slope, d * upper.bend
        return ByInterval(
            upper.value + lower.value + g + np.log(exprel(-d)),
            upper.slope + lower.slope,
            du + s,
            upper.bend + lower.bend,
            bend,
            du + d * bend + s * (1 - s - d),
        )

    def onnx_cdf(self, graph: Graph, x: Tensor) -> Tensor:
        """1 / (1 + exp(-x))."""
        return graph("Sigmoid", x)


class ProbitLink(Link):
    """The standard normal distribution."""

    def log_cdf(self, x: Array) -> ByUnit:
        """log F(x), h and -h (x + h) with h = F' / F."""
        hazard = math.sqrt(2 / math.pi) / erfcx(-math.sqrt(0.5) * x)
        return ByUnit(log_ndtr(x), hazard, -hazard * _hazard_excess(x, hazard))

    def quantile(self, log_p: Array, log_q: Array) -> Array:
        """From the smaller of the two tails."""
        x = ndtri_exp(np.minimum(log_p, log_q))
        return np.where(log_p < log_q, x, -x).astype(log_p.dtype)

    def onnx_cdf(self, graph: Graph, x: Tensor) -> Tensor:
        """F(x), of the tail t exp(P - x^2 / 2)."""
        rest, tail, square = self._onnx_parts(graph, x)
        lower = graph("Exp", tail - square)
        return graph("Where", graph("Less", x, 0.0), lower, rest)

    def onnx_log_cdf(self, graph: Graph, x: Tensor) -> Tensor:
        """log F(x) plus half the square of the row's largest min(x, 0).

        Of the squares of -800 float32 leaves no digit of their difference.
        """
        rest, tail, _ = self._onnx_parts(graph, x)
        r = graph("Where", graph("Less", x, 0.0), tail, graph("Log", rest))
        low = graph("Min", x, 0.0)
        top = graph.max(low)
        return r - (low - top) * (low + top) * 0.5

    def _onnx_parts(self, graph: Graph, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """F(|x|), and log F(-|x|) + x^2 / 2 = log t + P(2 t - 1), and x^2 / 2."""
        t = 1 / (abs(x) * 0.5 + 1)
        P = _log_tail()[-1] * (t * 0.0 + 1.0)
        for coefficient in _log_tail()[-2::-1]:
            P = P * (t * 2.0 - 1.0) + coefficient
        tail, square = P + graph("Log", t), x * x * 0.5
        return 1 - graph("Exp", tail - square), tail, square

    def log_interval(self, a: Array, g: Array, d: Array) -> ByInterval:
        """By quadrature where the density hardly changes, else by the nearer tail."""
        b = a + d
        steep = 0.5 * d * np.abs(a + b)  # |log f(b) - log f(a)|
        wide = (steep > 2) | (d > 2)
        narrow = ~wide
        result = ByInterval(*(np.empty_like(a) for _ in ByInterval._fields))
        for which, function in ((wide, _wide_interval), (narrow, _narrow_interval)):
            if which.any():
                parts = function(a[which], g[which], d[which])
                for whole, part in zip(result, parts, strict=True):
                    whole[which] = part
        return result


@cache
def _log_tail() -> list[float]:
    """Coefficients of P, which is smooth on [-1, 1]; its error is 1e-8."""
    s = np.polynomial.chebyshev.chebpts1(200)
    t = (1 + s) / 2
    P = np.log(erfcx(math.sqrt(2) * (1 / t - 1)) / (2 * t))
    fit = np.polynomial.Chebyshev.fit(s, P, 12, domain=[-1, 1])
    return fit.convert(kind=np.polynomial.Polynomial).coef.tolist()


# Of Gauss-Legendre on [0, 1]
NODES, WEIGHTS = np.polynomial.legendre.leggauss(16)
NODES, WEIGHTS = (1 + NODES)[:, np.newaxis] / 2, WEIGHTS[:, np.newaxis] / 2


def _narrow_interval(a: Array, g: Array, d: Array) -> ByInterval:
    """g + log of the mean of the normal density over a + d t, t in [0, 1].

    Derivatives are means and covariances, under the density, of those of its
    logarithm: -x in a, and -x d t in g.
    """
    t, weights = NODES.astype(a.dtype), WEIGHTS.astype(a.dtype)
    x, dt = a + d * t, d * t
    middle = a + d / 2
    # less that of the middle: (middle^2 - x^2) / 2
    density = weights * np.exp(0.5 * d * (0.5 - t) * (2 * a + d * (0.5 + t)))
    total = density.sum(axis=0)
    density /= total
    ta = -x
    tg = ta * dt
    mean_a, mean_g = (density * ta).sum(axis=0), (density * tg).sum(axis=0)
    ta, tg = ta - mean_a, tg - mean_g
    return ByInterval(
        g - 0.5 * middle * middle - 0.5 * math.log(2 * math.pi) + np.log(total),
        mean_a,
        1 + mean_g,
        (density * ta * ta).sum(axis=0) - 1,
        (density * (ta * tg - dt)).sum(axis=0),
        (density * (tg * tg - dt * dt)).sum(axis=0) + mean_g,
    )


def _wide_interval(a: Array, g: Array, d: Array) -> ByInterval:
    """From f(a) and f(b) over F(b) - F(a), b = a + d, of the tail that is larger."""
    b = a + d
    above = a + b > 0  # the upper tail: the interval (-b, -a) in the lower one
    low, high = np.where(above, -b, a), np.where(above, -a, b)
    hazard = math.sqrt(2 / math.pi) / erfcx(-math.sqrt(0.5) * high)
    of_low = math.sqrt(2 / math.pi) / erfcx(-math.sqrt(0.5) * low)
    # f(low) / f(high), and F(low) / F(high)
    falls = np.exp(0.5 * (high - low) * (low + high))
    share = falls * (hazard / of_low)
    r_high = hazard / (1 - share)
    r_low = r_high * falls
    slope = r_high - r_low
    # (log f)' - d log(F(b) - F(a)) / da at the two ends, without cancellation
    at_high = r_low - r_high * share - _hazard_excess(high, hazard)
    at_low = -low - slope
    r_a, r_b = np.where(above, r_high, r_low), np.where(above, r_low, r_high)
    at_a = np.where(above, -at_high, at_low)
    at_b = np.where(above, -at_low, at_high)
    return ByInterval(
        log_ndtr(high) + np.log1p(-share),
        r_b - r_a,
        d * r_b,
        r_b * at_b - r_a * at_a,
        d * r_b * at_b,
        d * r_b * (1 + d * (at_b - r_a)),
    )


# Below it x + h is computed by a continued fraction, of which so many terms are exact
FAR, N_TERMS = -5.0, 30


def _hazard_excess(x: Array, hazard: Array) -> Array:
    """x + h of the normal distribution, which cancels in the lower tail.

    There h = t + 1 / (t + 2 / (t + 3 / ...)) with t = -x (Laplace).
    """
    excess = x + hazard
    far = x < FAR
    if far.any():
        t = -x[far]
        fraction = t
        for n in range(N_TERMS, 1, -1):
            fraction = t + n / fraction
        excess[far] = 1 / fraction
    return excess


class ComplementaryLogLogLink(Link):
    """F = 1 - exp(-exp(x)): of the minimum of many variables (Gumbel)."""

    median = math.log(math.log(2))

    def log_cdf(self, x: Array) -> ByUnit:
        """log(1 - exp(-u)) with u = exp(x)."""
        u = _exponential(x).value
        with np.errstate(over="ignore"):  # to a slope of 0
            slope = 1 / exprel(u)  # u / (exp(u) - 1)
        near_1 = np.log1p(-np.exp(-np.maximum(u, 1)))
        value = np.where(u > 1, near_1, np.minimum(x, 0) + np.log(exprel(-u)))
        return ByUnit(value, slope, slope * (1 - 1 / exprel(-u)))

    def log_survival(self, x: Array) -> ByUnit:
        """-exp(x)."""
        u = _exponential(x)
        return ByUnit(-u.value, -u.slope, -u.bend)

    def quantile(self, log_p: Array, log_q: Array) -> Array:
        """log(-log q), from p where that is small."""
        small = np.minimum(log_p, -1)
        with np.errstate(divide="ignore"):
            lower = small + np.log(-np.log1p(-np.exp(small)) / np.exp(small))
            upper = np.log(-log_q)
        return np.where(log_p < -1, np.where(log_p < -40, log_p, lower), upper)

    def onnx_log_cdf(self, graph: Graph, x: Tensor) -> Tensor:
        """log(1 - exp(-u)) with u = exp(x), by its series where u is small."""
        u = graph("Exp", graph("Min", x, 80.0))
        square = u * u
        series = ((square / 181440 - 1 / 2880) * square + 1 / 24) * square - u * 0.5
        direct = graph("Log", 1 - graph("Exp", -u))
        return graph("Where", graph("Less", u, 0.5), x + series, direct)

    def log_interval(self, a: Array, g: Array, d: Array) -> ByInterval:
        """-exp(a) + log(1 - exp(-w)) with w = exp(a) (exp(d) - 1)."""
        u = _exponential(a)
        with np.errstate(over="ignore"):
            log_w = a + g + np.log(exprel(d))
            log_w = np.where(np.isfinite(log_w), log_w, a + d)
        s = 1 / exprel(-d)  # d log w / dg
        w = _log_of_rest(log_w)
        return ByInterval(
            w.value - u.value,
            w.slope - u.slope,
            w.slope * s,
            w.bend - u.bend,
            w.bend * s,
            w.bend * s * s + w.slope * s * (1 - s + d),
        )


def _log_of_rest(log_w: Array) -> ByUnit:
    """log(1 - exp(-w)), and its derivatives in log w."""
    return ComplementaryLogLogLink().log_cdf(log_w)


class LogLogLink(Link):
    """F = exp(-exp(-x)): of the maximum of many variables (Gumbel)."""

    median = -math.log(math.log(2))

    def log_cdf(self, x: Array) -> ByUnit:
        """-exp(-x)."""
        return _mirrored(ComplementaryLogLogLink().log_survival(-x))

    def log_survival(self, x: Array) -> ByUnit:
        """log(1 - exp(-exp(-x)))."""
        return _mirrored(ComplementaryLogLogLink().log_cdf(-x))

    def quantile(self, log_p: Array, log_q: Array) -> Array:
        """-log(-log p), from q where that is small."""
        return -ComplementaryLogLogLink().quantile(log_q, log_p)

    def log_interval(self, a: Array, g: Array, d: Array) -> ByInterval:
        """-exp(-b) + log(1 - exp(-w)) with w = exp(-b) (exp(d) - 1), b = a + d."""
        u = _exponential(-a - d)
        with np.errstate(over="ignore"):
            s = 1 / exprel(d)  # d log w / dg
        w = _log_of_rest(g + np.log(exprel(-d)) - a)
        return ByInterval(
            w.value - u.value,
            u.slope - w.slope,
            d * u.slope + w.slope * s,
            w.bend - u.bend,
            -d * u.bend - w.bend * s,
            d * (u.slope - d * u.bend) + w.bend * s * s + w.slope * s * (1 - s - d),
        )

    def onnx_cdf(self, graph: Graph, x: Tensor) -> Tensor:
        """exp(-exp(-x))."""
        return graph("Exp", -graph("Exp", graph("Min", -x, 80.0)))


class CauchitLink(Link):
    """The Cauchy distribution: outliers cost the logarithm of their distance."""

    def log_cdf(self, x: Array) -> ByUnit:
        """log(atan2(1, -x) / pi), exact in the lower tail."""
        theta = np.arctan2(np.ones_like(x), -x)
        square = 1 + x * x
        hazard = 1 / (square * theta)
        # of the upper tail, pi - theta
        rest = np.arctan2(np.ones_like(x), x) / math.pi
        value = np.where(
            x < 0, np.log(theta / math.pi), np.log1p(-np.where(x < 0, 0, rest))
        )
        # -2 x / (1 + x^2) - hazard, which cancels in the lower tail
        return ByUnit(value, hazard, -hazard * (2 * x / square + hazard))

    def quantile(self, log_p: Array, log_q: Array) -> Array:
        """-1 / tan(pi p), from the smaller of the two tails."""
        x = -1 / np.tan(math.pi * np.exp(np.minimum(log_p, log_q)))
        return np.where(log_p < log_q, x, -x)

    def onnx_cdf(self, graph: Graph, x: Tensor) -> Tensor:
        """1/2 + atan(x) / pi; runtimes have atan in single precision alone."""
        angle = graph("Atan", graph.cast(x, "float32"))
        return graph.cast(angle, graph.dtype.name) / math.pi + 0.5

    def log_interval(self, a: Array, g: Array, d: Array) -> ByInterval:
        """log(atan2(d, 1 + a b) / pi), b = a + d, the angle between the two ends."""
        b = a + d
        A, B, w = 1 + a * a, 1 + b * b, 1 + a * b
        # K = d / angle, also where d underflows
        tiny = (d < 1e-4 * w) & (w > 0)
        x = np.where(tiny, d / np.where(tiny, w, 1), 0)
        angle = np.arctan2(np.where(tiny, 1, d), w)
        K = np.where(tiny, w * (1 + x * x / 3), d / angle)
        slope_a, slope_g = -K * (a + b) / (A * B), K / B
        by_b = 2 * b / B
        return ByInterval(
            g - np.log(K * math.pi),
            slope_a,
            slope_g,
            -2 * K / (A * B) - slope_a * (2 * a / A + by_b + slope_a),
            -slope_g * (slope_a + by_b),
            slope_g * (1 - slope_g - d * by_b),
        )


def _exponential(x: Array) -> ByUnit:
    """exp(x), and its tangent beyond x = 236 (29 in float32).

    There F differs from 1 by exp(-1e102), and exp(x) would soon be too large for the
    solvers, which square the gradient. Loss and gradient stay those of one function.
    """
    end = math.floor(math.log(np.finfo(x.dtype).max) / 3)
    u = np.exp(np.minimum(x, end))
    beyond = np.maximum(x - end, 0)
    return ByUnit(u * (1 + beyond), u, np.where(beyond > 0, 0, u))


LINKS: dict[str, Link] = {
    "logit": LogitLink(),
    "probit": ProbitLink(),
    "loglog": LogLogLink(),
    "cloglog": ComplementaryLogLogLink(),
    "cauchit": CauchitLink(),
}
