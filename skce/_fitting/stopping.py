"""Early stopping: the validation score after each iteration, and the best weights."""

import warnings
from copy import copy

import numpy as np

from skce._fitting.listeners import Listener

__all__ = ["ValidationWatch", "negative_loss", "score_of"]


class ValidationWatch(Listener):
    """Stops a fit once the score has not improved for some iterations.

    Parameters
    ----------
    score : callable
        From theta to a float; greater is better.
    n_iter_no_change : int
    scoring : str or callable
        For errors.

    Attributes
    ----------
    scores : list of float
        One per iteration.
    best, best_score : ndarray of shape (n_parameters,) and float
        Of equal scores the last, as the objective is lowest there.
    """

    def __init__(self, score, n_iter_no_change, scoring):
        self.score = score
        self.n_iter_no_change = n_iter_no_change
        self.scoring = scoring
        self.scores = []
        self.best, self.best_score = None, -np.inf
        self._waiting = 0
        self._at_random = False

    def begin_at(self, theta, at_random=False):
        """Score the start of the stage that is watched; random weights are not kept."""
        self.best = theta  # also if Ctrl-C comes while it is scored
        self.best_score = self._score(theta)
        self._at_random = at_random

    def after(self, iteration):
        """Return whether to stop."""
        score = self._score(iteration.theta)
        self.scores.append(score)
        better = self._at_random or score > self.best_score
        self._at_random = False
        self._waiting = 0 if better else self._waiting + 1
        if better or score == self.best_score:
            self.best, self.best_score = iteration.theta, score
        return self._waiting >= self.n_iter_no_change

    def is_beaten_by(self, theta):
        """Whether other parameters, such as those of constant outputs, score better."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of scores that are not defined for them
            try:
                return self.score(theta) > self.best_score
            except ValueError:
                return False

    def _score(self, theta):
        score = self.score(theta)
        if np.isnan(score):
            raise ValueError(
                f"scoring={self.scoring!r} is undefined (NaN) on the validation rows. "
                "Are they finite, and do they contain all classes? Raise "
                "validation_fraction, or pass X_val and y_val."
            )
        return score


def negative_loss(objective):
    """Return the score that is minus the mean loss of the rows of an objective."""
    return lambda theta: -objective.mean_loss(theta)


def score_of(scorer, estimator, attributes_at, rows):
    """Return the score of a scorer of scikit-learn.

    Parameters
    ----------
    scorer : callable
        `scorer(estimator, X, y, **weights)`.
    estimator : BasePairedMLP
        Copied, so that it stays as it is.
    attributes_at : callable
        From theta to the fitted attributes.
    rows : tuple
        X, y and the weights (or None).
    """
    fitted = copy(estimator)
    fitted.n_jobs = 1
    vars(fitted).pop("feature_names_in_", None)  # the rows are arrays
    X, y, weights = rows
    options = {} if weights is None else {"sample_weight": weights}

    def score(theta):
        vars(fitted).update(attributes_at(theta))
        try:
            return float(scorer(fitted, X, y, **options))
        except TypeError as error:
            if weights is None:
                raise
            raise ValueError(
                f"scoring={estimator.scoring!r} cannot score the validation rows with "
                f"their weights ({error}): it must take (estimator, X, y, "
                "sample_weight=None)."
            ) from error
        except ValueError as error:
            raise ValueError(
                f"scoring={estimator.scoring!r} cannot score the validation rows: "
                f"{error} Do they contain all classes? Raise validation_fraction, or "
                "pass X_val and y_val."
            ) from error

    return score
