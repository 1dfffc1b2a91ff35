"""compare_pairings: every pair on the same folds, with honest intervals."""

import warnings
from collections import Counter
from collections.abc import Iterable
from itertools import product

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import check_scoring
from sklearn.model_selection import check_cv, cross_validate
from sklearn.utils import indexable
from sklearn.utils.parallel import Parallel, delayed

from skce._inputs.labels import kind_of_labels
from skce._support.fitted import innermost
from skce.inspection._paired_scores import PairingComparison
from skce.losses.pairings import pair, pairing_grid

__all__ = ["compare_pairings"]


def compare_pairings(
    estimator,
    X,
    y,
    *,
    pairings=None,
    cv=5,
    scoring=("accuracy", "neg_log_loss", "neg_brier_score"),
    groups=None,
    params=None,
    n_jobs=None,
    verbose=0,
):
    """Cross-validate all pairs of activation and penalty on the same folds.

    Parameters
    ----------
    estimator : estimator
        A PairedMLPClassifier, or what contains one: a pipeline, or a search over
        alpha, whose choice is then made anew for every pair and fold. It is cloned,
        and stays as it was. With an integer `random_state` all folds begin with the
        same weights (and all pairs, if their networks have the same layers), so that
        the luck of one start is in all differences and in no interval; with None every
        fit has a start of its own.
    X : {array-like, sparse matrix, dataframe} of shape (n_samples, n_features)
    y : array-like of shape (n_samples,) or (n_samples, n_labels)
    pairings : list of (activation, penalty), default=None
        The pairs, each by names or instances; `pairing_grid()` is understood as
        well. None: all pairs that can be fitted to y and are not degenerate.
    cv : int, cross-validation generator or iterable, default=5
        Folds as in `cross_validate`; for classes an int stands for stratified ones.
        Repeated folds give narrower intervals.
    scoring : str, callable, sequence of str or dict, default=("accuracy", \
            "neg_log_loss", "neg_brier_score")
        Scorers of scikit-learn; greater is better. A multilabel y needs others than
        the default; for imbalanced classes "balanced_accuracy" says more than
        "accuracy".
    groups : array-like of shape (n_samples,), default=None
        Groups that `cv` keeps together.
    params : dict, default=None
        Passed to fit, such as `{"clf__sample_weight": weights}`, cut to each fold.
        The scores stay unweighted.
    n_jobs : int or None, default=None
        Fits at a time, as in joblib.
    verbose : int, default=0
        joblib's reports of progress.

    Returns
    -------
    comparison : PairingComparison
        Prints as a table; `comparison.to_frame()` goes into pandas.

    Raises
    ------
    ValueError
        If no PairedMLPClassifier or more than one is found in `estimator`, if it
        searches the pair itself, if a pair is undefined or given twice, if a scorer
        does not suit y, or if there are fewer than two folds. An error of a fit is
        passed on, with a note that names its pair.

    Warns
    -----
    ConvergenceWarning and others
        Each category that a fit gave once, with the numbers of folds for each pair.

    Notes
    -----
    One alpha is not the same for every penalty: where alpha matters, compare the
    pairs each at its own, by giving a GridSearchCV over alpha as `estimator`.

    The J folds share training rows, so that their scores are correlated and the
    standard error of J independent ones is too small. With the variance S^2 of the
    J differences between two pairs, the standard error of their mean is taken as

        sqrt((1/J + n_test / n_train) S^2)

    (Nadeau & Bengio 2003), and the intervals are those of Student's t with J - 1
    degrees of freedom. The best pair is chosen on the same folds: where many pairs
    are close, it owes part of its lead to luck, and the intervals do not know that.

    References
    ----------
    Nadeau & Bengio (2003), "Inference for the generalization error", Machine
    Learning 52, 239-281.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skce import PairedMLPClassifier, compare_pairings
    >>> X, y = load_iris(return_X_y=True)
    >>> classifier = PairedMLPClassifier(hidden_layer_sizes=5, alpha=1, random_state=0)
    >>> comparison = compare_pairings(
    ...     make_pipeline(StandardScaler(), classifier), X, y,
    ...     pairings=[("softmax", "cross_entropy"), ("logistic", "least_squares")],
    ...     scoring="neg_log_loss",
    ... )
    >>> comparison.best()
    ('softmax', 'cross_entropy')
    >>> frame = comparison.to_frame().set_index("pairing")
    >>> bool(frame.loc["logistic x least_squares", "difference"] < 0)
    True
    """
    path = _path_of_classifier(estimator)
    X, y, groups = indexable(X, y, groups)
    multilabel = kind_of_labels(y) == "multilabel-indicator"
    pairs = _pairs(
        pairing_grid(multilabel=multilabel) if pairings is None else pairings
    )
    scoring = _checked_scoring(scoring, estimator, multilabel)
    folds = list(check_cv(cv, y, classifier=True).split(X, y, groups))
    if len(folds) < 2:
        raise ValueError(f"cv makes {len(folds)} fold; intervals need two or more.")
    candidates = [
        clone(estimator).set_params(
            **{f"{path}activation": activation, f"{path}penalty": penalty}
        )
        for activation, penalty in pairs.values()
    ]
    results = Parallel(n_jobs=n_jobs, verbose=verbose)(
        delayed(_evaluate)(name, candidate, X, y, fold, scoring, params)
        for name, candidate in zip(pairs, candidates, strict=True)
        for fold in folds
    )

    def table(values):
        return np.reshape(list(values), (len(pairs), len(folds)))

    searched = all(result["best_params"] is not None for result in results)
    chosen = [result["best_params"] for result in results]
    _warn_once(pairs, results, len(folds))
    return PairingComparison(
        pairings=list(pairs.values()),
        names=list(pairs),
        scores={
            name: table(result["scores"][name] for result in results)
            for name in results[0]["scores"]
        },
        fit_times=table(result["fit_time"] for result in results),
        converged=table(result["converged"] for result in results),
        test_to_train=float(np.mean([len(test) / len(train) for train, test in folds])),
        best_params=[
            chosen[i * len(folds) : (i + 1) * len(folds)] for i in range(len(pairs))
        ]
        if searched
        else None,
    )


def _path_of_classifier(estimator):
    """What stands before "activation" and "penalty" in `estimator`'s parameters."""
    if not isinstance(estimator, BaseEstimator):
        raise ValueError(
            f"estimator={estimator!r} must be a PairedMLPClassifier() or contain one, "
            "as a step of a pipeline does."
        )
    parameters = estimator.get_params()
    paths = [
        name.removesuffix("activation")
        for name in parameters
        if name.split("__")[-1] == "activation"
        and name.removesuffix("activation") + "penalty" in parameters
    ]
    if len(paths) != 1:
        found = "no PairedMLPClassifier" if not paths else f"several, at {paths}"
        raise ValueError(
            f"estimator={estimator!r} must contain one PairedMLPClassifier, whose "
            f"activation and penalty are to be varied; it contains {found}."
        )
    for name, value in parameters.items():
        if name.split("__")[-1] in ("param_grid", "param_distributions"):
            grids = value if isinstance(value, list | tuple) else [value]
            keys = {key.split("__")[-1] for grid in grids for key in grid}
            if keys & {"activation", "penalty"}:
                raise ValueError(
                    f"{name} of estimator searches activation or penalty, which "
                    "compare_pairings sets itself: leave them out of the grid, so that "
                    "every pair is searched over the other parameters alone."
                )
    return paths[0]


def _pairs(pairings):
    """Name of each pair: (activation, penalty)."""
    one = isinstance(pairings, str | dict) or not isinstance(pairings, Iterable)
    if one or any(isinstance(given, str) for given in pairings):
        raise ValueError(
            f"pairings={pairings!r} must be a list of pairs (activation, penalty), "
            'such as [("softmax", "cross_entropy")].'
        )
    pairs = {}
    for given in pairings:
        for names in _of_grid(given):
            if not isinstance(names, list | tuple) or len(names) != 2:
                raise ValueError(
                    f"{given!r} in pairings is not a pair (activation, penalty), such "
                    'as ("softmax", "cross_entropy").'
                )
            name = str(pair(*names))
            if name in pairs:
                raise ValueError(
                    f"pairings has {name} twice: leave one out, or give penalties of "
                    "your own names that differ."
                )
            pairs[name] = tuple(names)
    if not pairs:
        raise ValueError("pairings is empty: give at least one (activation, penalty).")
    return pairs


def _of_grid(given):
    """The pairs of one dict of `pairing_grid()`; anything else as it is."""
    if not isinstance(given, dict):
        return [given]
    if set(given) != {"activation", "penalty"}:
        raise ValueError(
            f"{given!r} in pairings must have the keys 'activation' and 'penalty' "
            "alone, as those of pairing_grid() without a prefix."
        )
    lists = (
        values if isinstance(values, list | tuple) else [values]
        for values in (given["activation"], given["penalty"])
    )
    return list(product(*lists))


def _checked_scoring(scoring, estimator, multilabel):
    """Scorers as `cross_validate` names them."""
    check_scoring(estimator, scoring)  # unknown names, before any fit
    if isinstance(scoring, str):
        scoring = [scoring]
    scorers = scoring.values() if isinstance(scoring, dict) else scoring
    undefined = (
        set()
        if callable(scoring) or scoring is None
        else {
            scorer
            for scorer in scorers
            if scorer in ("neg_log_loss", "neg_brier_score")
        }
    )
    if multilabel and undefined:
        raise ValueError(
            f"scoring has {sorted(undefined)}, which scikit-learn defines for classes "
            "that exclude each other, but y is multilabel: take scoring=('accuracy', "
            "'f1_macro', 'average_precision'), for instance."
        )
    return scoring


def _evaluate(name, estimator, X, y, fold, scoring, params):
    """Scores, seconds, choice and warnings of one pair on one fold."""
    with warnings.catch_warnings(record=True) as caught:
        try:
            result = cross_validate(
                estimator,
                X,
                y,
                cv=[fold],
                scoring=scoring,
                params=params,
                error_score="raise",
                return_estimator=True,
            )
        except Exception as error:
            error.add_note(f"compare_pairings: raised by {name}.")
            raise
    fitted = result["estimator"][0]
    record = getattr(innermost(fitted), "solver_result_", None)
    if record is None:  # several fits, as in CalibratedClassifierCV
        converged = not any(
            issubclass(warning.category, ConvergenceWarning) for warning in caught
        )
    else:
        converged = record["success"] or record.get("reason") == "stopped"
    return {
        "name": name,
        "scores": {
            key.removeprefix("test_"): float(values[0])
            for key, values in result.items()
            if key.startswith("test_")
        },
        "fit_time": float(result["fit_time"][0]),
        "best_params": getattr(fitted, "best_params_", None),
        "converged": converged,
        "warnings": {warning.category: str(warning.message) for warning in caught},
    }


def _warn_once(names, results, n_folds):
    """One warning of each category, with its numbers of folds for each pair."""
    categories = {
        category: None for result in results for category in result["warnings"]
    }
    for category in categories:
        having = [result for result in results if category in result["warnings"]]
        counts = Counter(result["name"] for result in having)
        of_each = ", ".join(
            f"{name} {counts[name]} of {n_folds}" for name in names if counts[name]
        )
        text = (
            f"On some folds ({of_each}). The first: {having[0]['warnings'][category]}"
        )
        try:
            warning = category(text)
        except TypeError:  # a category that is not made from a text
            warning = UserWarning(f"{category.__name__}: {text}")
        warnings.warn(warning, stacklevel=3)
