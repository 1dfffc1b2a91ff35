"""Results of a search as arrays, one entry per candidate."""

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from skce.search._rounds import Search

__all__ = ["convergence_advice", "cv_results", "scores_of_all"]


def scores_of_all(search: Search) -> NDArray[np.float64]:
    """Return the scores, (n_candidates, n_folds); NaN where there was no fit."""
    scores = np.full((len(search.candidates), len(search.folds)), np.nan)
    for (i, fold), trial in search.trials.items():
        scores[i, fold] = trial.score
    return scores


def cv_results(search: Search) -> dict[str, Any]:
    """Return `cv_results_`; see `PairedMLPClassifierCV`."""
    scores = scores_of_all(search)
    n, n_folds = scores.shape
    begun = np.array(
        [[(i, f) in search.trials for f in range(n_folds)] for i in range(n)]
    )
    complete = np.zeros((n, n_folds), dtype=bool)
    seconds = np.zeros((n, n_folds))
    for (i, fold), trial in search.trials.items():
        complete[i, fold], seconds[i, fold] = trial.complete, trial.seconds
    counts = np.maximum(begun.sum(axis=1), 1)
    with np.errstate(invalid="ignore"):
        totals = np.where(begun, scores, 0).sum(axis=1)
        mean = np.where(begun.any(axis=1), totals / counts, np.nan)
        deviations = np.where(begun, scores - mean[:, np.newaxis], 0)
    std = np.where(
        begun.any(axis=1), np.sqrt((deviations**2).sum(axis=1) / counts), np.nan
    )
    alive = np.isin(np.arange(n), search.alive)
    rank = np.full(n, alive.sum() + 1)
    rank[alive] = rankdata(-mean[alive], method="min")
    results = _parameters(search)
    for fold in range(n_folds):
        results[f"split{fold}_test_score"] = scores[:, fold]
    return results | {
        "mean_test_score": mean,
        "std_test_score": std,
        "rank_test_score": rank.astype(np.int32),
        "n_splits": complete.sum(axis=1),
        "mean_fit_time": seconds.sum(axis=1) / counts,
        "status": np.select(
            [alive, begun.any(axis=1)], ["kept", "given up"], "not tried"
        ).astype(object),
    }


def _parameters(search: Search) -> dict[str, Any]:
    """Return the columns of the parameters, and `params` as in GridSearchCV."""
    params = [candidate.params for candidate in search.candidates]
    columns: dict[str, Any] = {"params": params}
    for name in params[0]:
        column = np.empty(len(params), dtype=float if name == "alpha" else object)
        for i, values in enumerate(params):
            column[i] = values[name]
        columns[f"param_{name}"] = column
    return columns


def convergence_advice(search: Search) -> str | None:
    """Return what to warn of about the fits that did not converge, or None."""
    trials = search.trials.values()
    reasons = Counter(trial.trouble for trial in trials if trial.trouble is not None)
    if not reasons:
        return None
    counts = ", ".join(f"{reason} {n}" for reason, n in reasons.most_common())
    return (
        f"{reasons.total()} of {len(trials)} fits of the cross-validation did not "
        f"converge ({counts}): raise alphas, max_iter or tol"
    )
