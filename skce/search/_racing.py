"""Rules for giving up candidates early; see `PairedMLPClassifierCV`.

All compare losses of the same held-out rows, in pairs: what makes a row hard makes it
hard for both candidates, so that the differences vary far less than the losses.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from skce._fitting.listeners import Listener
from skce._support.folds import standard_error_of_folds, t_quantile

__all__ = [
    "HeldOutWatch",
    "Rival",
    "Visit",
    "behind_by_folds",
    "cannot_win",
    "clearly_behind",
    "first_visit",
    "mean_loss",
    "paired_difference",
]

# Of the interval of a mean difference, in standard errors of that difference
N_STANDARD_ERRORS = 1.0

# ... for a larger alpha than that of the best, and for a fit above its own lowest loss
N_ERRORS_OF_LARGER, N_ERRORS_OF_RISE = 3.0, 2.0

# The lead that is not worth finding, in standard errors of the mean loss itself
TOLERANCE = 0.5

# Held-out rows below which no standard error of their mean is trusted
MIN_ROWS = 20

# The held-out rows are looked at every few iterations; their fall is measured over two
# such intervals
CHECK_EVERY = 5

# What the held-out loss may still fall by, as a multiple of that fall: L-BFGS slows
# down as it converges
FALLS_TO_COME = 5.0

# Folds before scores that are no means over rows are compared
MIN_FOLDS = 3

Array = NDArray[np.float64]


def mean_loss(losses: Array, weights: Array | None) -> float:
    """sum_i w_i l_i / sum_i w_i."""
    return float(np.average(losses, weights=weights))


def n_counting(losses: Array, weights: Array | None) -> int:
    """Return the number of rows with a weight above 0."""
    return len(losses) if weights is None else int(np.count_nonzero(weights))


def standard_error(losses: Array, weights: Array | None) -> float:
    """Return that of the weighted mean of losses, (n,)."""
    n = n_counting(losses, weights)
    if n < 2:
        return np.inf
    shares = np.ones_like(losses) if weights is None else weights
    deviations = shares * (losses - mean_loss(losses, weights))
    error = np.sqrt(deviations.dot(deviations) * n / (n - 1)) / shares.sum()
    return float(error)


def paired_difference(
    losses: Array, others: Array, weights: Array | None
) -> tuple[float, float]:
    """Return the weighted mean of losses - others, (n,), and its standard error."""
    differences = losses - others
    return mean_loss(differences, weights), standard_error(differences, weights)


def cannot_win(
    losses: Array,
    others: Array,
    weights: Array | None,
    *,
    inflation: float = 1.0,
    to_come: float = 0.0,
) -> bool:
    """Return whether losses, (n,), are hardly lower than others of the same rows.

    The upper end of the interval of the lead, plus what the lead may still grow by, is
    below the tolerance.

    Parameters
    ----------
    losses, others : ndarray of shape (n,)
    weights : ndarray of shape (n,) or None
    inflation : float
        Multiplies the standard errors, where rows are repeated.
    to_come : float
        What the mean of `losses` may still fall by.
    """
    if n_counting(losses, weights) < MIN_ROWS:
        return False
    behind, error = paired_difference(losses, others, weights)
    error_of_mean = standard_error(others, weights)
    reach = inflation * (N_STANDARD_ERRORS * error - TOLERANCE * error_of_mean)
    return to_come - behind + reach < 0


def clearly_behind(
    losses: Array, others: Array, weights: Array | None, inflation: float = 1.0
) -> bool:
    """Return whether losses, (n,), are certainly greater than others of the same rows.

    For a larger alpha than that of the others: a network with a small alpha is wrong
    with certainty on rare rows, which few rows held out may not show.
    """
    if n_counting(losses, weights) < MIN_ROWS:
        return False
    behind, error = paired_difference(losses, others, weights)
    return behind > N_ERRORS_OF_LARGER * inflation * error


def behind_by_folds(scores: Array, others: Array, test_to_train: float) -> bool:
    """Return whether scores of folds, (J,), are clearly smaller than others.

    The lower end of the interval of `compare_pairings` for others - scores is over 0.
    """
    n_folds = len(scores)
    if n_folds < MIN_FOLDS:
        return False
    differences = others - scores
    error = standard_error_of_folds(differences, test_to_train)
    return bool(differences.mean() > t_quantile(n_folds) * error)


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
        """Return whether other losses are greater, by more than the tolerance."""
        behind, error = paired_difference(losses, self.losses, self.weights)
        lead = TOLERANCE * standard_error(self.losses, self.weights)
        return behind > N_ERRORS_OF_RISE * error + lead

    def beats(self, losses: Array, to_come: float = 0.0) -> bool:
        """Return whether a fit with other losses of the same rows cannot win."""
        return cannot_win(losses, self.losses, self.weights, to_come=to_come)


class HeldOutWatch(Listener):
    """Stops a fit that cannot win against a rival.

    By its held-out loss now, and what that may still fall by; or, once it rises, by its
    lowest. (An overfitted network is wrong with certainty on few rows: its loss is
    high, but so is the standard error.) Without a rival, a fit is ended once its loss
    is clearly above its own lowest.

    Parameters
    ----------
    losses_at : callable
        From theta to the losses of the held-out rows, (n_test,).
    weights : ndarray of shape (n_test,) or None
    rival : Rival or None

    Attributes
    ----------
    losses : ndarray of shape (n_test,) or None
        Those of the last check.
    """

    def __init__(
        self, losses_at: Callable, weights: Array | None, rival: Rival | None
    ) -> None:
        self._losses_at = losses_at
        self._weights = weights
        self._rival = rival
        self._curve: list[float] = []
        self._lowest: Rival | None = None
        self.losses: Array | None = None

    def after(self, iteration):
        """Return whether to end the fit; checks every few iterations."""
        if iteration.number % CHECK_EVERY:
            return False
        self.losses = self._losses_at(iteration.theta)
        self._curve.append(mean_loss(self.losses, self._weights))
        if self._curve[-1] == min(self._curve):
            self._lowest = Rival(self.losses, self._weights)
        if len(self._curve) < 3:
            return False
        rises = min(self._curve[-2:]) > min(self._curve)
        if self._rival is None:
            return rises and self._lowest.leads(self.losses)
        fall = max(self._curve[-3] - self._curve[-1], 0.0)
        return self._rival.beats(self.losses, FALLS_TO_COME * fall) or (
            rises and self._rival.beats(self._lowest.losses)
        )


class Visit(NamedTuple):
    """How a fit of `first_visit` went.

    Attributes
    ----------
    loss : float
        Mean loss of the held-out rows.
    beaten : bool
        Whether the fit cannot win against the best of the fold.
    postponed : bool
        Whether it was ended without a rival.
    """

    loss: float
    beaten: bool = False
    postponed: bool = False


def first_visit(
    alphas: Sequence[float], first: float, fit: Callable[[int, bool], Visit]
) -> None:
    """Fit the alphas of a fold, and leave out those that can be expected to lose.

    It begins with the smallest alpha from `first` on whose fit does not overfit; then
    come the larger ones up to the largest, then the smaller ones. The rest of either
    way is left out after fits that are beaten and no better than the one before: one
    on the way up, two in a row on the way down, as small alphas give erratic fits.

    Parameters
    ----------
    alphas : sequence of float
    first : float
        The alpha nearest to it is tried first.
    fit : callable
        `fit(i, may_postpone)` fits the i-th alpha.
    """
    order = np.argsort(alphas, kind="stable").tolist()
    with np.errstate(divide="ignore"):
        distance = np.abs(np.log(np.asarray(alphas)[order]) - np.log(first))
    start = int(distance.argmin())
    outcome = fit(order[start], start < len(order) - 1)
    while outcome.postponed:
        start += 1
        outcome = fit(order[start], start < len(order) - 1)
    for way, patience in ((order[start + 1 :], 1), (order[:start][::-1], 2)):
        _fit_until_beaten(fit, way, outcome.loss, patience)


def _fit_until_beaten(
    fit: Callable[[int, bool], Visit], way: list[int], before: float, patience: int
) -> None:
    """Fit one after another, until `patience` in a row are beaten and no better."""
    n_beaten = 0
    for i in way:
        outcome = fit(i, False)
        no_better = outcome.beaten and not outcome.loss < before
        n_beaten = n_beaten + 1 if no_better else 0
        before = outcome.loss
        if n_beaten == patience:
            return
