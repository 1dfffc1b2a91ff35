"""The rules by which candidates are given up; see `PairedMLPClassifierCV`.

All compare losses of the same held-out rows, in pairs: what makes a row hard makes it
hard for both candidates, so that the differences vary far less than the losses.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student_t

from skce._fitting.listeners import Listener

__all__ = [
    "HeldOutWatch",
    "Rival",
    "behind_by_folds",
    "first_visit",
    "is_behind",
    "mean_loss",
    "paired_difference",
]

# Standard errors that the mean difference must exceed
N_STANDARD_ERRORS = 2.0

# Held-out rows below which no standard error of their mean is trusted
MIN_ROWS = 20

# The held-out rows are looked at every few iterations; their fall is measured over two
# such intervals
CHECK_EVERY = 5

# A fit is given up if at the present pace it would catch up in more than so many times
# the iterations over which the pace was measured: L-BFGS slows down as it converges
CATCH_UP = 5.0

# Folds before scores that are no means over rows are compared, and the confidence
MIN_FOLDS, CONFIDENCE = 3, 0.95

Array = NDArray[np.float64]


def mean_loss(losses: Array, weights: Array | None) -> float:
    """sum_i w_i l_i / sum_i w_i."""
    return float(np.average(losses, weights=weights))


def paired_difference(
    losses: Array, others: Array, weights: Array | None
) -> tuple[float, float]:
    """Return the weighted mean of losses - others, (n,), and its standard error."""
    differences = losses - others
    mean = mean_loss(differences, weights)
    shares = np.ones_like(differences) if weights is None else weights
    n = np.count_nonzero(shares)
    if n < 2:
        return mean, np.inf
    deviations = shares * (differences - mean)
    error = np.sqrt(deviations.dot(deviations) * n / (n - 1)) / shares.sum()
    return mean, float(error)


def is_behind(
    losses: Array, others: Array, weights: Array | None, inflation: float = 1.0
) -> bool:
    """Return whether losses, (n,), are clearly greater than others of the same rows.

    `inflation` multiplies the standard error, where rows are repeated.
    """
    if np.count_nonzero(np.ones_like(losses) if weights is None else weights) < (
        MIN_ROWS
    ):
        return False
    mean, error = paired_difference(losses, others, weights)
    return mean > N_STANDARD_ERRORS * inflation * error


def behind_by_folds(scores: Array, others: Array, test_to_train: float) -> bool:
    """Return whether scores of folds, (J,), are clearly smaller than others.

    The lower end of the interval of `compare_pairings` for others - scores is over 0.
    """
    n_folds = len(scores)
    if n_folds < MIN_FOLDS:
        return False
    differences = others - scores
    error = np.sqrt((1 / n_folds + test_to_train) * differences.var(ddof=1))
    reach = student_t.ppf((1 + CONFIDENCE) / 2, n_folds - 1)
    return bool(differences.mean() > reach * error)


@dataclass(frozen=True)
class Rival:
    """The best complete fit of a fold so far.

    Attributes
    ----------
    losses : ndarray of shape (n_test,)
    weights : ndarray of shape (n_test,) or None
    """

    losses: Array
    weights: Array | None = None

    @property
    def mean(self) -> float:
        """Its mean loss."""
        return mean_loss(self.losses, self.weights)

    def leads(self, losses: Array) -> bool:
        """Return whether other losses of the same rows are clearly greater."""
        return is_behind(losses, self.losses, self.weights)


class HeldOutWatch(Listener):
    """Gives a fit up that is clearly behind a rival and not about to catch up.

    Parameters
    ----------
    losses_at : callable
        From theta to the losses of the held-out rows, (n_test,).
    rival : Rival

    Attributes
    ----------
    losses : ndarray of shape (n_test,) or None
        Those of the last check.
    """

    def __init__(self, losses_at: Callable, rival: Rival) -> None:
        self._losses_at = losses_at
        self._rival = rival
        self._curve: list[float] = []
        self.losses: Array | None = None

    def after(self, iteration):
        """Return whether to give up; checks every few iterations."""
        if iteration.number % CHECK_EVERY:
            return False
        self.losses = self._losses_at(iteration.theta)
        self._curve.append(mean_loss(self.losses, self._rival.weights))
        if len(self._curve) < 3:
            return False
        lead = self._curve[-1] - self._rival.mean
        fall = self._curve[-3] - self._curve[-1]
        return lead > CATCH_UP * fall and self._rival.leads(self.losses)


def first_visit(
    alphas: Sequence[float], first: float, fit: Callable[[int], tuple[bool, float]]
) -> None:
    """Fit the alphas of a fold, and leave out those that can be expected to be behind.

    From the alpha nearest to `first` up to the largest, then down to the smallest. On
    the way up the rest is left out after one fit that is clearly behind and no better
    than the one before, on the way down after two: small alphas give erratic fits.

    Parameters
    ----------
    alphas : sequence of float
    first : float
    fit : callable
        Fits the alpha of an index; returns whether it is clearly behind the best of the
        fold, and its mean loss.
    """
    order = np.argsort(alphas, kind="stable")
    with np.errstate(divide="ignore"):
        distance = np.abs(np.log(np.asarray(alphas)[order]) - np.log(first))
    start = int(distance.argmin())
    _, loss_of_start = fit(order[start])
    for way, patience in ((order[start + 1 :], 1), (order[:start][::-1], 2)):
        _fit_until_behind(fit, way, loss_of_start, patience)


def _fit_until_behind(
    fit: Callable, way: Iterable[int], before: float, patience: int
) -> None:
    """Fit one after another, until `patience` in a row are behind and no better."""
    n_behind = 0
    for i in way:
        behind, loss = fit(i)
        n_behind = n_behind + 1 if behind and not loss < before else 0
        before = loss
        if n_behind == patience:
            return
