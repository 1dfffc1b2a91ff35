"""Scores of held-out rows; those that are means over rows also row by row."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skce.search._racing import mean_loss

__all__ = ["ROW_LOSSES", "HeldOutRows"]


def _log_loss(log_p, at_class, n_classes):
    """-log p of the class of each row, at most -log eps, as scikit-learn clips p."""
    rows = np.arange(len(log_p))
    least = np.log(np.finfo(log_p.dtype).eps)
    chosen = np.where(at_class >= 0, log_p[rows, at_class], -np.inf)
    return -np.maximum(chosen, least)


def _brier_loss(log_p, at_class, n_classes):
    """sum_k (p_k - t_k)^2 over all classes, half of it for two."""
    targets = np.arange(log_p.shape[1]) == at_class[:, np.newaxis]
    losses = ((np.exp(log_p) - targets) ** 2).sum(axis=1)
    losses += at_class < 0  # p = 0 of a class that has t = 1
    return losses / 2 if n_classes == 2 else losses


def _error(log_p, at_class, n_classes):
    """1 for a row whose class is not the likeliest."""
    return (log_p.argmax(axis=1) != at_class).astype(float)


# Names of scorers that are a constant minus the mean of a loss of each row: the
# constant, and the loss from the log-probabilities, (n, n_classes), and the places of
# the classes, (n,), -1 for one that the training rows lack, and the number of classes
ROW_LOSSES: dict[str, tuple[float, Callable]] = {
    "neg_log_loss": (0.0, _log_loss),
    "neg_brier_score": (0.0, _brier_loss),
    "accuracy": (1.0, _error),
}


@dataclass(frozen=True)
class HeldOutRows:
    """The held-out rows of a fold, and how they are scored.

    Attributes
    ----------
    X, y : ndarray or CSR, and ndarray
    scoring : str or scorer
        A name in `ROW_LOSSES`, or a scorer `scorer(estimator, X, y, **params)`.
    params : dict
        Of the scorer, of these rows.
    n_classes : int
        Of all rows.
    """

    X: Any
    y: NDArray[Any]
    scoring: Any
    params: dict[str, Any]
    n_classes: int

    @property
    def by_rows(self) -> bool:
        """Whether the score is a mean over rows."""
        return isinstance(self.scoring, str)

    @property
    def weights(self) -> NDArray[np.float64] | None:
        """Their weights."""
        weights = self.params.get("sample_weight")
        return None if weights is None else np.asarray(weights, dtype=float)

    def losses(self, fitted: Any) -> NDArray[np.float64]:
        """Return the loss of each row, (n,), of a fitted classifier."""
        return self.losses_from(fitted.predict_log_proba(self.X), fitted.classes_)

    def losses_from(
        self, log_p: NDArray[Any], classes: NDArray[Any]
    ) -> NDArray[np.float64]:
        """Return the loss of each row, (n,), from the log-probabilities of classes.

        Parameters
        ----------
        log_p : ndarray of shape (n, n_training_classes)
        classes : ndarray of shape (n_training_classes,)
            Sorted; the training rows may lack some.
        """
        place = np.searchsorted(classes, self.y).clip(max=len(classes) - 1)
        at_class = np.where(classes[place] == self.y, place, -1)
        loss = ROW_LOSSES[self.scoring][1]
        return loss(log_p, at_class, self.n_classes).astype(float)

    def mean(self, losses: NDArray[np.float64]) -> float:
        """Return the mean of the losses of all rows."""
        return mean_loss(losses, self.weights)

    def score_of(self, losses: NDArray[np.float64]) -> float:
        """Return the score of the losses of all rows."""
        return ROW_LOSSES[self.scoring][0] - self.mean(losses)

    def score(self, fitted: Any) -> float:
        """Return the score of a fitted classifier."""
        try:
            return float(self.scoring(fitted, self.X, self.y, **self.params))
        except TypeError as error:
            if not self.params:
                raise
            raise ValueError(
                f"scoring={self.scoring!r} cannot score held-out rows with "
                f"{', '.join(self.params)} ({error}): it must take (estimator, X, y, "
                "sample_weight=None)."
            ) from error
