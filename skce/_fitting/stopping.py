"""Early stopping: validation rows, their score after each iteration, the best."""

from copy import copy
from dataclasses import dataclass

import numpy as np
from sklearn.utils.validation import check_consistent_length

from skce._fitting.stages import MOST_BYTES, n_bytes, random_order, stratified_order
from skce._inputs.validation import check_rows, check_weights

__all__ = [
    "Validation",
    "ValidationWatch",
    "given_rows",
    "negative_loss",
    "score_of",
    "split",
    "split_rows",
]


# Validation rows of a large X, in bytes
MOST_VALIDATED = 2**25


@dataclass(frozen=True)
class Validation:
    """Validation rows.

    Attributes
    ----------
    rows : tuple
        X, codes and weights (or None), without those of the classes.
    weighted : bool
        Whether the weights are the user's; else they count repeated rows.
    """

    rows: tuple
    weighted: bool

    def for_scorer(self, labels):
        """X, y and the user's weights (or None)."""
        X, codes, weights = self.rows
        if weights is not None and not self.weighted:
            repeated = np.repeat(np.arange(len(codes)), weights.astype(int))
            X, codes, weights = X[repeated], codes[repeated], None
        return X, labels.decode(codes), weights


class ValidationWatch:
    """Asks for a stop once the score has not risen for so many iterations.

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
        One an iteration.
    best, best_score : ndarray of shape (n_parameters,) and float
        The start included.
    """

    def __init__(self, score, n_iter_no_change, scoring):
        self.score = score
        self.n_iter_no_change = n_iter_no_change
        self.scoring = scoring
        self.scores = []
        self.best, self.best_score = None, -np.inf
        self._waiting = 0

    def _look(self, theta):
        score = self.score(theta)
        if np.isnan(score):
            raise ValueError(
                f"scoring={self.scoring!r} is undefined (NaN) on the validation rows. "
                "Do they have all classes? Raise validation_fraction, or give X_val "
                "and y_val."
            )
        return score

    def begin(self, theta):
        """Look at the start of the stage that is watched."""
        self.best, self.best_score = theta, self._look(theta)

    def __call__(self, theta):
        """Whether to stop at theta."""
        score = self._look(theta)
        self.scores.append(score)
        self._waiting += 1
        if score > self.best_score:
            self.best, self.best_score, self._waiting = theta, score, 0
        return self._waiting >= self.n_iter_no_change


def split(codes, fraction, random_state):
    """Indices of the training and of the validation rows, stratified by class.

    Every class keeps a training row.

    Parameters
    ----------
    codes : ndarray of shape (n,) or (n, q)
    fraction : float
    random_state : RandomState

    Returns
    -------
    training, validation : ndarray of int, sorted

    Raises
    ------
    ValueError
        If no row can be spared.
    """
    n = len(codes)
    order = stratified_order(codes, random_state)
    # the last row of each class in this order stays
    kept = np.zeros(n, dtype=bool)
    if codes.ndim == 1:
        _, last = np.unique(codes[order][::-1], return_index=True)
        kept[order[n - 1 - last]] = True
    else:
        kept[order[-1]] = True
    spare = order[~kept[order]]
    validation = spare[: int(np.ceil(fraction * n))]
    if len(validation) == 0:
        raise ValueError(
            f"early_stopping=True, but none of {n} different rows can be spared for "
            "validation, as each class has one only: give X_val and y_val."
        )
    mask = np.zeros(n, dtype=bool)
    mask[validation] = True
    return np.flatnonzero(~mask), np.flatnonzero(mask)


def split_rows(rows, fraction, random_state, weighted):
    """The training rows, and a Validation of the others.

    `rows` are X, codes and weights (or None), and `weighted` whether these are the
    user's. Rows without weight are in neither part.
    """
    X, codes, weights = rows
    if n_bytes(X) > MOST_BYTES:
        return _split_large(rows, fraction, random_state, weighted)
    there = np.arange(len(codes)) if weights is None else np.flatnonzero(weights > 0)
    training, validation = (
        (X[part], codes[part], None if weights is None else weights[part])
        for part in (
            there[part] for part in split(codes[there], fraction, random_state)
        )
    )
    return training, Validation(validation, weighted)


def _split_large(rows, fraction, random_state, weighted):
    """The same for a large X, of which no more than the validation rows is copied.

    They are at most `MOST_VALIDATED`, and weigh nothing in training. Every class keeps
    a training row.
    """
    X, codes, weights = rows
    n = len(codes)
    n_there = n if weights is None else np.count_nonzero(weights)
    most = min(int(np.ceil(fraction * n_there)), MOST_VALIDATED * n // n_bytes(X))
    order = random_order(X, codes, random_state, most if weights is None else n)
    if weights is not None:
        order = order[weights[order] > 0]
    validation = np.sort(order[:most])
    kept = np.ones(n, dtype=np.float32) if weights is None else weights.copy()
    kept[validation] = 0
    if codes.ndim == 1:
        lost = np.setdiff1d(codes[validation], codes[kept > 0])
        back = validation[np.isin(codes[validation], lost)]
        kept[back] = 1 if weights is None else weights[back]
        validation = np.setdiff1d(validation, back)
    part = X[validation], codes[validation]
    part = (*part, None if weights is None else weights[validation])
    return (X, codes, kept), Validation(part, weighted)


def given_rows(estimator, given, labels):
    """The Validation of the rows that fit was given; else None.

    Parameters
    ----------
    estimator : PairedMLPClassifier
    given : tuple
        X_val, y_val and sample_weight_val.
    labels : Labels

    Raises
    ------
    ValueError
        If they are of no use, or do not go with X and y.
    """
    X, y, sample_weight = given
    if X is None and y is None and sample_weight is None:
        return None
    if X is None or y is None:
        raise ValueError("X_val and y_val must be given, both of them.")
    if not estimator.early_stopping:
        raise ValueError(
            "X_val was given, but early_stopping=False makes no use of it: set "
            "early_stopping=True, or leave it out."
        )
    try:
        X = check_rows(estimator, X)
        codes = labels.code(y)
        check_consistent_length(X, codes)
        weights, _ = check_weights(sample_weight, X)
    except ValueError as error:
        raise ValueError(f"In X_val, y_val or sample_weight_val: {error}") from error
    return Validation((X, codes, weights), weighted=sample_weight is not None)


def negative_loss(objective):
    """The score that is minus the mean loss of the rows of an objective."""
    return lambda theta: -objective.mean_loss(theta)


def score_of(scorer, estimator, keep, rows):
    """The score of a scorer of scikit-learn.

    Parameters
    ----------
    scorer : callable
        `scorer(estimator, X, y, **weights)`.
    estimator : PairedMLPClassifier
        Copied, so that it stays as it is.
    keep : callable
        `keep(estimator, theta)` sets the fitted attributes.
    rows : tuple
        X, y and the weights (or None).
    """
    fitted = copy(estimator)
    fitted.n_jobs = 1
    vars(fitted).pop("feature_names_in_", None)  # the rows are arrays
    X, y, weights = rows
    options = {} if weights is None else {"sample_weight": weights}

    def score(theta):
        keep(fitted, theta)
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
                f"{error} Do they have all classes? Raise validation_fraction, or "
                "give X_val and y_val."
            ) from error

    return score
