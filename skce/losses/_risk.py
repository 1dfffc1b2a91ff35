"""The expected loss of a pair given a posterior, minimised and probed numerically.

Shapes: logits z and outputs y are (q, n); posteriors P are (q,); a loss of all labels
is (q, n), labels x columns, and its slope (q, q, n), units x labels x columns. All
points are fixed, so that an answer is the same in every run.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any, TypeVar, cast

import numpy as np
from scipy.optimize import minimize

from skce.losses._base import Array
from skce.losses.pairings import Pairing

__all__ = ["ConditionalRisk", "Minimum"]

# Differences of two losses or outputs that count as 0, relative to their size
TOLERANCE = 1e-8
# A slope that counts as none, relative to the largest of wrong rows
NO_SLOPE = 1e-6
# A posterior that is estimated by logits beyond this is taken for one at infinity
FAR = 20.0
# An expected loss that has fallen to this, relative to moderate logits, has no minimum
NO_MINIMUM = -100.0

F = TypeVar("F", bound=Callable[..., Any])


def _quiet(method: F) -> F:
    """Let losses be infinite, or user-defined ones not a number, without a warning."""
    return cast(F, np.errstate(all="ignore")(method))


@dataclass(frozen=True)
class Minimum:
    """Where an expected loss is smallest.

    Attributes
    ----------
    z, outputs : ndarray of shape (q,)
    risk : float
    at_infinity : bool
        Whether the loss falls, or stays, as the logits grow without bound.
    exists : bool
        False if the loss is not bounded from below.
    others : ndarray of shape (q, m)
        Logits of about the same risk.
    """

    z: Array
    outputs: Array
    risk: float
    at_infinity: bool
    exists: bool
    others: Array


@dataclass(frozen=True)
class Curvature:
    """A direction in which the loss of a label bends downwards."""

    z: Array
    label: int
    value: float  # along a unit vector


@dataclass(frozen=True)
class Flatness:
    """A ray of logits, z = s direction, on which wrong rows lose their slope.

    Attributes
    ----------
    direction : ndarray of shape (q,)
    label : int
    size : float
        s from which on the slope is below 1 % of the largest.
    margin : float
        max_j z_j - z_label there.
    """

    direction: Array
    label: int
    size: float
    margin: float


def posteriors(q: int) -> Array:
    """Posterior probabilities, (q, m), some without a class of half the mass."""
    steps = np.linspace(0, -1, q)
    logits = [np.roll(a * steps, i) for i, a in enumerate((0.15, 0.5, 1, 2, 3))]
    logits += list(np.random.default_rng(1).normal(size=(3, q)))
    p = np.exp(np.array(logits).T)
    return p / p.sum(axis=0)


def directions(q: int) -> Array:
    """Directions of -1, 0 and 1, (q, m), all of them for at most 5 classes."""
    if q <= 5:
        every = np.array(list(product((-1.0, 0.0, 1.0), repeat=q))).T
    else:
        drawn = np.random.default_rng(2).integers(-1, 2, (q, 200)).astype(float)
        every = np.hstack([np.eye(q), -np.eye(q), 2 * np.eye(q) - 1, drawn])
    return every[:, np.any(every != 0, axis=0)]


class ConditionalRisk:
    """sum_k P_k loss(e_k, z), for one-of-q labels e_k.

    Parameters
    ----------
    pairing : Pairing
    n_classes : int
        q, the number of labels and of output units.
    """

    def __init__(self, pairing: Pairing, n_classes: int) -> None:
        self.pairing = pairing
        self.q = n_classes

    @_quiet
    def losses_and_slopes(self, z: Array) -> tuple[Array, Array]:
        """The loss of each label, (q, n), and its gradient in z, (q, q, n)."""
        n = z.shape[1]
        t = np.repeat(np.eye(self.q), n, axis=1)
        loss, delta = self.pairing.loss_and_delta(np.tile(z, self.q), t)
        return loss.reshape(self.q, n), delta.reshape(self.q, self.q, n)

    @_quiet
    def risk(self, p: Array, z: Array) -> Array:
        """The expected loss at each column of z, (n,); inf where it is not a number."""
        return _weighted(p, self.losses_and_slopes(z)[0])

    @_quiet
    def outputs(self, z: Array) -> Array:
        """f(z), (q, n)."""
        return self.pairing.activation.value(z.copy())

    @_quiet
    def decisions(self, z: Array) -> Array:
        """The probabilities whose largest one is predicted, (q, n)."""
        return self.pairing.activation.probabilities(z.copy())

    @cached_property
    def near(self) -> Array:
        """Logits of moderate size, (q, n)."""
        normal = np.random.default_rng(0).normal(size=(self.q, 4, 100))
        scales = np.array([0.3, 1.0, 3.0, 10.0])
        return (normal * scales[:, np.newaxis]).reshape(self.q, -1)

    @cached_property
    def _starts(self) -> tuple[Array, Array]:
        """Logits to begin a search at, and the losses there; large ones come last."""
        rays = directions(self.q)
        z = np.hstack([self.near, *(a * rays for a in (0.25, 1, 4, 30, 300, 3000))])
        return z, self.losses_and_slopes(z)[0]

    @cached_property
    def minima(self) -> list[tuple[Array, Minimum]]:
        """Posteriors, and where the expected losses for them are smallest."""
        return [(p, self.minimum(p)) for p in posteriors(self.q).T]

    @_quiet
    def minimum(self, p: Array) -> Minimum:
        """Minimise the expected loss for the posterior `p`, (q,)."""
        z, losses = self._starts
        risk = _weighted(p, losses)
        starts = [z[:, i] for i in _distinct(risk, self.outputs(z), 4)]
        truth = self.logits_of(p)
        starts += [] if truth is None else [truth]
        ends = [self._descend(p, start) for start in starts]
        best = ends[self.risk(p, np.array(ends).T).argmin()]
        slope = self.losses_and_slopes(best[:, np.newaxis])[1][:, :, 0] @ p
        if np.abs(slope).max() > 1e-5:
            ends.append(self._descend_from_kink(p, best))
        ends += [a * end for end in ends for a in (10, 1000)]
        points = np.array(starts + ends).T
        risks = self.risk(p, points)
        lowest = risks.min()
        slack = 0.1 * TOLERANCE * min(max(1, abs(lowest)), 1e300)
        tied = points[:, risks <= lowest + slack]
        size = np.abs(tied - tied.mean(axis=0)).max(axis=0)
        if not self.pairing.activation.on_simplex:
            size = np.abs(tied).max(axis=0)
        best = tied[:, size.argmin()] if size.min() < FAR else points[:, risks.argmin()]
        return Minimum(
            best,
            self.outputs(best[:, np.newaxis])[:, 0],
            float(lowest),
            bool(size.min() >= FAR),
            bool(lowest > NO_MINIMUM * max(1, abs(risk[: self.near.shape[1]].min()))),
            tied,
        )

    def _descend(self, p: Array, start: Array) -> Array:
        """The end of a descent from `start`, (q,)."""

        def risk(z: Array) -> tuple[float, Array]:
            loss, slope = self.losses_and_slopes(z[:, np.newaxis])
            value = float(_weighted(p, loss)[0])
            gradient = slope[:, :, 0] @ p
            return value, np.where(np.isfinite(gradient), gradient, 0)

        options = {"gtol": 1e-11, "ftol": 0, "maxfun": 100}
        found = minimize(risk, start, jac=True, method="L-BFGS-B", options=options)
        return np.asarray(found.x)

    def _descend_from_kink(self, p: Array, start: Array) -> Array:
        """The end of a descent from `start`, (q,), by values alone."""
        options = {"xatol": 1e-6, "fatol": 1e-12, "maxfev": 400}
        found = minimize(
            lambda z: self.risk(p, z[:, np.newaxis])[0],
            start,
            method="Nelder-Mead",
            options=options,
        )
        return np.asarray(found.x)

    @_quiet
    def logits_of(self, p: Array) -> Array | None:
        """Logits whose outputs are `p`, (q,), or None if there are none."""
        activation = self.pairing.activation
        known = activation.logits_of(p)
        if known is not None:
            known = np.asarray(known, dtype=float)
            if self.reaches(known, p):
                return known
        z = self._starts[0]
        start = z[:, np.square(self.outputs(z) - p[:, np.newaxis]).sum(axis=0).argmin()]

        def distance(z: Array) -> tuple[float, Array]:
            column = z[:, np.newaxis]
            y = activation.value(column.copy())
            gap = y - p[:, np.newaxis]
            slope = activation.jacobian_product(column.copy(), y, gap)
            return float(np.square(gap).sum()), 2 * slope[:, 0]

        found = minimize(distance, start, jac=True, method="BFGS", tol=1e-12).x
        return found if self.reaches(found, p) else None

    def reaches(self, z: Array, p: Array) -> bool:
        return bool(np.abs(self.outputs(z[:, np.newaxis])[:, 0] - p).max() < 1e-5)

    @_quiet
    def downward_curvature(self) -> Curvature | None:
        """A point where the loss of a label is not convex, if one is found."""
        q, z, h = self.q, self.near, 1e-4
        hessian = np.empty((q, q, q, z.shape[1]))  # along, units, labels, columns
        for i in range(q):
            step = h * np.eye(q)[:, [i]]
            above, below = (self.losses_and_slopes(z + s)[1] for s in (step, -step))
            hessian[i] = (above - below) / (2 * h)
        matrices = hessian.transpose(2, 3, 0, 1)
        matrices = np.where(np.isfinite(matrices), matrices, 0)
        bends, vectors = np.linalg.eigh((matrices + matrices.swapaxes(2, 3)) / 2)
        lowest = bends[:, :, 0]
        found = None
        # a kink spoils a matrix of differences, but not the slope along one line
        for flat in np.argsort(lowest, axis=None)[:50]:
            label, i = np.unravel_index(flat, lowest.shape)
            v = vectors[label, i, :, :1]
            ends = np.hstack([z[:, [i]] - h * v, z[:, [i]] + h * v])
            slopes = self.losses_and_slopes(ends)[1][:, label]
            bend = float((slopes[:, 1] - slopes[:, 0]) @ v[:, 0] / (2 * h))
            if bend < -NO_SLOPE and (found is None or bend < found.value):
                found = Curvature(z[:, i], int(label), bend)
        return found or self._above_chord()

    def _above_chord(self) -> Curvature | None:
        """The points whose loss is the most above the chord through two others."""
        z = self.near.reshape(self.q, 4, -1)
        ends = np.stack([z, np.roll(z, 1, axis=2)]).reshape(2, self.q, -1)
        middle = ends.mean(axis=0)
        low, high, between = map(self._losses, (*ends, middle))
        rise = low - 2 * between + high
        slack = TOLERANCE * (np.abs(low) + np.abs(high) + np.abs(between))
        step = np.square(ends[1] - ends[0]).sum(axis=0) / 4
        bend = np.where(rise < -slack, rise, 0) / step
        bend = np.where(np.isfinite(bend), bend, 0)
        label, i = np.unravel_index(bend.argmin(), bend.shape)
        if bend[label, i] >= -NO_SLOPE:
            return None
        return Curvature(middle[:, i], int(label), float(bend[label, i]))

    def _losses(self, z: Array) -> Array:
        return self.losses_and_slopes(z)[0]

    @cached_property
    def _rays(self) -> tuple[Array, Array, Array, Array]:
        """Directions, sizes, and on these rays the largest slopes and where wrong.

        The last two are (labels, directions, sizes).
        """
        rays = directions(self.q)
        sizes = np.geomspace(0.1, 1e4, 101)
        z = (rays[:, :, np.newaxis] * sizes).reshape(self.q, -1)
        shape = self.q, rays.shape[1], sizes.size
        slope = np.abs(self.losses_and_slopes(z)[1]).max(axis=0).reshape(shape)
        decisions = self.decisions(z)
        wrong = np.array(
            [
                decisions[k] <= np.delete(decisions, k, axis=0).max(axis=0)
                for k in range(self.q)
            ]
        )
        return rays, sizes, slope, wrong.reshape(shape)

    @_quiet
    def flatness(self) -> Flatness | None:
        """The ray on which wrong rows lose their slope at the smallest margin."""
        rays, sizes, slope, wrong = self._rays
        moderate = wrong[:, :, sizes <= 10]
        largest = slope[:, :, sizes <= 10][moderate].max(initial=0)
        flat = wrong[:, :, -1] & (slope[:, :, -1] <= NO_SLOPE * largest)
        # where only others tie, a slope between them may vanish on that ray alone
        ahead = rays == rays.max(axis=0)
        flat &= ahead | (ahead.sum(axis=0) == 1)
        found, lowest = None, (True, np.inf)
        for label, i in np.argwhere(flat):
            steep = np.flatnonzero(slope[label, i] > 0.01 * largest)
            size = sizes[min(steep[-1] + 1 if steep.size else 0, sizes.size - 1)]
            margin = float(size * (rays[:, i].max() - rays[label, i]))
            # a tie is wrong as well, but says less
            rank = (margin == 0, margin or size)
            if found is None or rank < lowest:
                found, lowest = (
                    Flatness(rays[:, i], int(label), float(size), margin),
                    rank,
                )
        return found

    @_quiet
    def supremum(self) -> float:
        """The supremum of the loss of a wrong row, inf if there is none."""
        rays, _, _, wrong = self._rays
        ends = np.array(
            [self.losses_and_slopes(a * rays)[0] for a in (1e2, 1e4, 1e6, 1e8)]
        )
        ends = np.where(wrong[:, :, -1], ends, 0)
        if not np.isfinite(ends).all():
            return np.inf
        rise = np.diff(ends, axis=0)
        still = np.maximum(rise[1:-1], 0) * 0.5 + TOLERANCE * np.abs(ends[-1])
        if (rise[-1] > still[-1] + TOLERANCE).any():
            return np.inf
        moderate = self._starts[1]
        return float(max(ends[-1].max(), moderate[np.isfinite(moderate)].max()))

    @_quiet
    def cost_exponent(self, known: bool) -> float:
        """x where mistaking a probability e for 2 e costs as e^x, from 0.01 to 1e-6.

        inf where it costs nothing. `known` says that the minimum is where the outputs
        are the posterior.
        """
        cost = []
        for e in (1e-2, 1e-6):
            truth, double = (
                np.r_[x, (1 - x) * np.linspace(2, 1, self.q - 1) / _mass(self.q)]
                for x in (e, 2 * e)
            )
            at = [self.logits_of(p) if known else None for p in (truth, double)]
            at = [
                self.minimum(p).z if z is None else z
                for p, z in zip((truth, double), at, strict=True)
            ]
            right, doubled = self.risk(truth, np.array(at).T)
            cost.append((doubled - right) / e)
        if cost[0] <= NO_SLOPE or cost[1] <= 0:
            return np.inf
        return 1 + float(np.log(cost[1] / cost[0]) / np.log(1e-4))


def _mass(q: int) -> float:
    return float(np.linspace(2, 1, q - 1).sum())


def _weighted(p: Array, losses: Array) -> Array:
    """sum_k p_k losses_k, (n,), inf where that is not a number."""
    risk = p @ losses
    return np.where(np.isnan(risk), np.inf, risk)


def _distinct(risk: Array, outputs: Array, count: int) -> list[int]:
    """Indices of the smallest risks, whose outputs are not close to each other."""
    chosen: list[int] = []
    for i in np.argsort(risk, kind="stable"):
        others = outputs[:, chosen]
        if not chosen or np.abs(others - outputs[:, [i]]).max(axis=0).min() > 0.1:
            chosen.append(int(i))
        if len(chosen) == count:
            break
    return chosen + [chosen[0]] * (count - len(chosen))
