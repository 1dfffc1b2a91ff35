"""compare_pairings: every pair on the same folds, with honest intervals."""

import warnings
from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy.stats import t as student_t
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import check_cv, cross_validate
from sklearn.utils import indexable
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.parallel import Parallel, delayed

from skce.optional import optional
from skce.pairings import pair, pairing_grid

__all__ = ["PairingComparison", "compare_pairings"]

CONFIDENCE = 0.95  # of the intervals


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
        and stays as it was. With an integer `random_state` all pairs begin with the
        same weights.
    X : {array-like, sparse matrix, dataframe} of shape (n_samples, n_features)
    y : array-like of shape (n_samples,) or (n_samples, n_labels)
    pairings : list of (activation, penalty), default=None
        The pairs, each by names or instances; `pairing_grid()` is understood as
        well. None: all pairs that can be fitted to y and are not degenerate.
    cv : int, cross-validation generator or iterable, default=5
        Folds as in `cross_validate`; for classes an int stands for stratified ones.
        Repeated folds give narrower intervals.
    scoring : str, callable, or sequence of str, default=("accuracy", \
            "neg_log_loss", "neg_brier_score")
        Scorers of scikit-learn; greater is better.
    groups : array-like of shape (n_samples,), default=None
        Groups that `cv` keeps together.
    params : dict, default=None
        Passed to fit, such as `{"clf__sample_weight": weights}`, cut to each fold.
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
        If no PairedMLPClassifier or more than one is found in `estimator`, if a
        pair is undefined or given twice, or if there are fewer than two folds. An
        error of a fit is passed on, with a note that names its pair.

    Warns
    -----
    ConvergenceWarning
        Once, with the numbers of fits that did not converge for each pair.

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
    'softmax x cross_entropy'
    >>> frame = comparison.to_frame().set_index("pairing")
    >>> frame.loc["logistic x least_squares", "difference"] < 0
    True
    """
    path = _path_of_classifier(estimator)
    X, y, groups = indexable(X, y, groups)
    pairs = _pairs(pairings, y)
    folds = list(check_cv(cv, y, classifier=True).split(X, y, groups))
    if len(folds) < 2:
        raise ValueError(f"cv={cv!r} makes {len(folds)} fold; intervals need two.")
    candidates = [
        clone(estimator).set_params(
            **{f"{path}activation": activation, f"{path}penalty": penalty}
        )
        for activation, penalty in pairs.values()
    ]
    results = Parallel(n_jobs=n_jobs, verbose=verbose)(
        delayed(_evaluate)(label, candidate, X, y, fold, _named(scoring), params)
        for label, candidate in zip(pairs, candidates, strict=True)
        for fold in folds
    )

    def table(values):
        return np.reshape(list(values), (len(pairs), len(folds)))

    comparison = PairingComparison(
        pairings=list(pairs),
        scores={
            name: table(result["scores"][name] for result in results)
            for name in results[0]["scores"]
        },
        fit_times=table(result["fit_time"] for result in results),
        converged=table(not result["unfinished"] for result in results),
        test_to_train=float(np.mean([len(test) / len(train) for train, test in folds])),
    )
    _warn_once(comparison, results)
    return comparison


@dataclass(repr=False)
class PairingComparison:
    """What `compare_pairings` found.

    Attributes
    ----------
    pairings : list of str
        Names of the pairs, in the order in which they were given.
    scores : dict of str to ndarray of shape (n_pairings, n_folds)
        The scores of each scorer; greater is better.
    fit_times : ndarray of shape (n_pairings, n_folds)
        Seconds of each fit.
    converged : ndarray of bool of shape (n_pairings, n_folds)
        False where a fit gave a ConvergenceWarning.
    test_to_train : float
        n_test / n_train, the mean over the folds.
    """

    pairings: list
    scores: dict
    fit_times: np.ndarray
    converged: np.ndarray
    test_to_train: float

    def best(self, scoring=None):
        """Name of the pair with the best mean score (default: the first scorer)."""
        return self.pairings[self._best(self._scoring(scoring))]

    def summary(self, scoring=None):
        """The means of one scorer and the paired differences to the best.

        Parameters
        ----------
        scoring : str, default=None
            Name of the scorer; the first by default.

        Returns
        -------
        summary : dict of str to ndarray of shape (n_pairings,)
            mean and standard_error of each pair; difference, its mean less that of
            the best pair, with difference_standard_error and the ends of its
            interval of 95 %, lower and upper. All standard errors are corrected for
            the overlap of the training sets; see `compare_pairings`.
        """
        scoring = self._scoring(scoring)
        scores = self.scores[scoring]
        differences = scores - scores[self._best(scoring)]
        difference, error = differences.mean(axis=1), self._error(differences)
        reach = error * student_t.ppf((1 + CONFIDENCE) / 2, scores.shape[1] - 1)
        return {
            "mean": scores.mean(axis=1),
            "standard_error": self._error(scores),
            "difference": difference,
            "difference_standard_error": error,
            "lower": difference - reach,
            "upper": difference + reach,
        }

    def to_frame(self):
        """A pandas.DataFrame with a row a scorer and pair, best first.

        Columns: scoring, pairing, those of `summary`, fit_time (mean seconds) and
        not_converged (number of fits).
        """
        pandas = optional("pandas", "to_frame")
        frames = []
        for scoring in self.scores:
            frame = pandas.DataFrame(
                {"scoring": scoring, "pairing": self.pairings}
                | self.summary(scoring)
                | {
                    "fit_time": self.fit_times.mean(axis=1),
                    "not_converged": (~self.converged).sum(axis=1),
                }
            )
            frames.append(frame.sort_values("mean", ascending=False, kind="stable"))
        return pandas.concat(frames, ignore_index=True)

    def __str__(self):
        width = max(map(len, [*self.pairings, *self.scores]))
        n_folds = self.fit_times.shape[1]
        lines = [f"{len(self.pairings)} pairs on the same {n_folds} folds"]
        for scoring in self.scores:
            lines += [
                "",
                f"{scoring:{width}}  {'mean (s.e.)':>17}  {'less the best (s.e.)':>20}"
                f"  {'95 % interval':>18}",
                *self._lines(scoring, width),
            ]
        lines += ["", f"{'':{width}}  {'seconds a fit':>17}  {'not converged':>20}"]
        for name, times, converged in zip(
            self.pairings, self.fit_times, self.converged, strict=True
        ):
            missed = f"{(~converged).sum()} of {n_folds}"
            lines.append(f"{name:{width}}  {times.mean():17.3g}  {missed:>20}")
        return "\n".join(lines)

    __repr__ = __str__

    def _lines(self, scoring, width):
        """A line a pair, best first."""
        table, best = self.summary(scoring), self._best(scoring)
        for i in np.argsort(-table["mean"], kind="stable"):
            row = {key: column[i] for key, column in table.items()}
            mean = f"{row['mean']:.4f} ({row['standard_error']:.4f})"
            less = f"{row['difference']:.4f} ({row['difference_standard_error']:.4f})"
            interval = f"{row['lower']:.4f} to {row['upper']:.4f}"
            if i == best:
                less, interval = "best", ""
            line = f"{self.pairings[i]:{width}}  {mean:>17}  {less:>20}  {interval:>18}"
            yield line.rstrip()

    def _scoring(self, scoring):
        if scoring is None:
            return next(iter(self.scores))
        if scoring not in self.scores:
            raise ValueError(
                f"scoring={scoring!r} was not computed; there are "
                f"{', '.join(map(repr, self.scores))}."
            )
        return scoring

    def _best(self, scoring):
        means = self.scores[scoring].mean(axis=1)
        return int(np.argmax(np.where(np.isnan(means), -np.inf, means)))

    def _error(self, values):
        """Standard error of the means of values, (n, n_folds), over the folds."""
        share = 1 / values.shape[1] + self.test_to_train
        return np.sqrt(share * values.var(axis=1, ddof=1))


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
    if len(paths) == 1:
        return paths[0]
    found = "no PairedMLPClassifier" if not paths else f"several, at {paths}"
    raise ValueError(
        f"estimator={estimator!r} must contain one PairedMLPClassifier, whose "
        f"activation and penalty are to be varied; it contains {found}."
    )


def _pairs(pairings, y):
    """Name of each pair: (activation, penalty)."""
    if pairings is None:
        pairings = pairing_grid(multilabel=type_of_target(y) == "multilabel-indicator")
    pairs = {}
    for given in pairings:
        for names in _of_grid(given):
            if isinstance(names, str) or not hasattr(names, "__len__"):
                names = (names,)
            if len(names) != 2:
                raise ValueError(
                    f"{given!r} in pairings is not a pair (activation, penalty), such "
                    'as ("softmax", "cross_entropy").'
                )
            label = str(pair(*names))
            if label in pairs:
                raise ValueError(f"pairings has {label} twice.")
            pairs[label] = tuple(names)
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
    return list(product(given["activation"], given["penalty"]))


def _named(scoring):
    """Scorers as `cross_validate` names them."""
    if isinstance(scoring, str):
        return [scoring]
    return {"score": scoring} if callable(scoring) else scoring


def _evaluate(label, estimator, X, y, fold, scoring, params):
    """Scores, seconds and warnings of one pair on one fold."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = cross_validate(
                estimator,
                X,
                y,
                cv=[fold],
                scoring=scoring,
                params=params,
                error_score="raise",
            )
        except Exception as error:
            error.add_note(f"compare_pairings: raised by {label}.")
            raise
    unfinished = [w for w in caught if issubclass(w.category, ConvergenceWarning)]
    return {
        "label": label,
        "scores": {
            name.removeprefix("test_"): float(values[0])
            for name, values in result.items()
            if name.startswith("test_")
        },
        "fit_time": float(result["fit_time"][0]),
        "unfinished": [str(warning.message) for warning in unfinished],
        "warnings": [
            (w.category, str(w.message)) for w in caught if w not in unfinished
        ],
    }


def _warn_once(comparison, results):
    """One warning of all fits that did not converge, and each other one once."""
    counts = dict(
        zip(comparison.pairings, (~comparison.converged).sum(axis=1), strict=True)
    )
    if any(counts.values()):
        n_folds = comparison.converged.shape[1]
        of_each = ", ".join(
            f"{label} {count} of {n_folds}" for label, count in counts.items() if count
        )
        example = next(text for result in results for text in result["unfinished"])
        warnings.warn(
            f"Fits that did not converge: {of_each}. The first of them: {example}",
            ConvergenceWarning,
            stacklevel=3,
        )
    for (category, text), label in {
        warning: result["label"]
        for result in reversed(results)
        for warning in result["warnings"]
    }.items():
        warnings.warn(f"{label}: {text}", category, stacklevel=3)
