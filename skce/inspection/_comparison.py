"""Compare pairs on the same folds, with Nadeau-Bengio corrected intervals."""

import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from textwrap import wrap
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import check_scoring, get_scorer_names
from sklearn.model_selection import check_cv, cross_validate
from sklearn.utils import indexable
from sklearn.utils.parallel import Parallel, delayed

from skce._inputs.labels import (
    kind_of_labels,
    labels_with_order,
    ordered_categories,
)
from skce._support.fitted import innermost
from skce._support.folds import standard_error_of_folds, t_quantile
from skce._support.html import NUMBER, TEXT, html_page, html_table
from skce._support.optional import optional
from skce._support.scoring import NEED_ALL_CLASSES, check_multilabel_scoring
from skce._support.warn import warn
from skce.inspection._candidates import Candidate, Pair, make_candidates

__all__ = ["PairingComparison", "compare_pairings"]

NOTE = (
    "Where an interval contains 0, the difference to the best is not significant. The "
    "intervals account for shared training rows, but not for having chosen the best "
    "pair on these same folds."
)


@dataclass(repr=False, eq=False)
class PairingComparison:
    """Scores of pairs on the same folds, as `compare_pairings` returns them.

    Attributes
    ----------
    pairings : list of (activation, penalty)
        The pairs as they were given.
    names : list of str
        Their names.
    scores : dict of str to ndarray of shape (n_pairings, n_folds)
        The scores of each scorer; greater is better.
    fit_times : ndarray of shape (n_pairings, n_folds)
        Seconds per fit; where a search was given, of the whole search.
    converged : ndarray of bool of shape (n_pairings, n_folds)
        Whether the fit ended with its gradient within tol or by early stopping; where
        a search was given, the fit of the classifier that it chose.
    test_to_train : float
        n_test / n_train, averaged over the folds.
    best_params : list of list of dict or None
        Where a search was given, what it chose for each pair and fold.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skce import PairedMLPClassifier, compare_pairings
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = PairedMLPClassifier(hidden_layer_sizes=3, alpha=1, random_state=0)
    >>> pairs = [("softmax", "cross_entropy"), ("softmax", "least_squares")]
    >>> comparison = compare_pairings(clf, X, y, pairings=pairs, cv=3)
    >>> comparison.scores["neg_log_loss"].shape
    (2, 3)
    >>> comparison.best("neg_log_loss")
    ('softmax', 'cross_entropy')
    >>> sorted(comparison.summary("neg_log_loss"))[:3]
    ['difference', 'difference_standard_error', 'lower']
    """

    pairings: list[Pair]
    names: list[str]
    scores: dict[str, NDArray[np.float64]]
    fit_times: NDArray[np.float64]
    converged: NDArray[np.bool_]
    test_to_train: float
    best_params: list[list[dict[str, Any]]] | None = None

    def best(self, scoring: str | None = None) -> Pair:
        """Return the pair with the best mean score.

        Parameters
        ----------
        scoring : str, default=None
            Name of the scorer; the first by default.

        Returns
        -------
        pairing : (activation, penalty)
            For `PairedMLPClassifier(*comparison.best())`. It is the best on these
            folds; the intervals show whether it is significantly better than the next.

        Raises
        ------
        ValueError
            If every pair has an undefined score on some fold.
        """
        best = self.order(scoring)[0]
        scoring = self._scorer_name(scoring)
        if np.isnan(self.scores[scoring][best]).any():
            raise ValueError(f"no pair has a finite {scoring} on all folds.")
        return self.pairings[best]

    def order(self, scoring: str | None = None) -> NDArray[np.intp]:
        """Return the indices of the pairs, best mean score first, undefined last."""
        means = self.scores[self._scorer_name(scoring)].mean(axis=1)
        return np.argsort(-means, kind="stable")  # NaN last

    def summary(self, scoring: str | None = None) -> dict[str, NDArray[np.float64]]:
        """Return the mean scores and their paired differences to the best.

        Parameters
        ----------
        scoring : str, default=None
            Name of the scorer; the first by default.

        Returns
        -------
        summary : dict of str to ndarray of shape (n_pairings,)
            mean and standard_error of each pair; difference, its mean minus that of
            the best pair, with difference_standard_error and the ends of its 95 %
            interval, lower and upper, all three NaN for the best itself. All
            standard errors are corrected for the overlap of the training sets; see
            `compare_pairings`.
        """
        scores = self.scores[self._scorer_name(scoring)]
        best = self.order(scoring)[0]
        with np.errstate(invalid="ignore"):  # of infinite scores
            differences = scores - scores[best]
            difference = differences.mean(axis=1)
            error = standard_error_of_folds(differences, self.test_to_train)
            error_of_mean = standard_error_of_folds(scores, self.test_to_train)
        difference[best], error[best] = 0, np.nan
        reach = error * t_quantile(scores.shape[1])
        return {
            "mean": scores.mean(axis=1),
            "standard_error": error_of_mean,
            "difference": difference,
            "difference_standard_error": error,
            "lower": difference - reach,
            "upper": difference + reach,
        }

    def to_frame(self) -> Any:
        """Return a pandas.DataFrame with one row per scorer and pair, best first.

        Columns: scoring, pairing (its name), those of `summary`, fit_time (mean
        seconds) and not_converged (number of folds).
        """
        pandas = optional("pandas", "to_frame")
        frames = []
        for scoring in self.scores:
            columns = {
                "scoring": scoring,
                "pairing": self.names,
                **self.summary(scoring),
                "fit_time": self.fit_times.mean(axis=1),
                "not_converged": (~self.converged).sum(axis=1),
            }
            frames.append(pandas.DataFrame(columns).iloc[self.order(scoring)])
        return pandas.concat(frames, ignore_index=True)

    def __str__(self) -> str:
        width = max(map(len, [*self.names, *self.scores]))
        lines = [self._title()]
        for scoring in self.scores:
            lines.append("")
            for name, mean, minus, interval in self._score_cells(scoring):
                line = f"{name:{width}}  {mean:>17}  {minus:>17}  {interval:>19}"
                lines.append(line.rstrip())
        lines.append("")
        for name, seconds, missed, *chosen in self._fit_cells():
            line = f"{name:{width}}  {seconds:>17}  {missed:>17}"
            lines.append("  ".join([line, *chosen]))
        if len(self.names) > 1:
            lines += ["", *wrap(NOTE, 78)]
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        parts = [f"<p>{self._title()}</p>"]
        for scoring in self.scores:
            head, *rows = self._score_cells(scoring)
            parts.append(html_table(rows, head=head, align=[TEXT] + [NUMBER] * 3))
        head, *rows = self._fit_cells()
        align = [TEXT, NUMBER, NUMBER, TEXT][: len(head)]
        parts.append(html_table(rows, head=head, align=align))
        if len(self.names) > 1:
            parts.append(f"<p>{NOTE}</p>")
        return html_page(*parts)

    def _title(self) -> str:
        n_folds = self.fit_times.shape[1]
        pairs = "1 pair" if len(self.names) == 1 else f"{len(self.names)} pairs"
        return f"{pairs} on the same {n_folds} folds; greater scores are better"

    def _score_cells(self, scoring: str) -> Iterator[list[str]]:
        """Yield a heading and a row per pair, best first."""
        yield [scoring, "mean (s.e.)", "minus best (s.e.)", "95 % interval"]
        table, order = self.summary(scoring), self.order(scoring)
        for i in order:
            row = {key: column[i] for key, column in table.items()}
            mean = f"{row['mean']:.4f} ({row['standard_error']:.4f})"
            minus = f"{row['difference']:.4f} ({row['difference_standard_error']:.4f})"
            interval = f"{row['lower']:.4f} to {row['upper']:.4f}"
            undefined = np.isnan(self.scores[scoring][i]).sum()
            if undefined:
                mean, interval = f"undefined on {undefined}", ""
                minus = f"of {self.scores[scoring].shape[1]} folds"
            elif i == order[0]:
                minus, interval = "best", ""
            yield [self.names[i], mean, minus, interval]

    def _fit_cells(self) -> Iterator[list[str]]:
        """Yield a heading and a row per pair: times, convergence, searched choices."""
        chosen = [] if self.best_params is None else ["chosen (folds)"]
        yield ["", "seconds per fold", "not converged", *chosen]
        n_folds = self.fit_times.shape[1]
        for i, name in enumerate(self.names):
            missed = f"{(~self.converged[i]).sum()} of {n_folds}"
            chosen = [] if self.best_params is None else [_counts(self.best_params[i])]
            yield [name, f"{self.fit_times[i].mean():.3g}", missed, *chosen]

    def _scorer_name(self, scoring: str | None) -> str:
        """Return the name of a scorer that was computed, the first by default."""
        if scoring is None:
            return next(iter(self.scores))
        if scoring not in self.scores:
            raise ValueError(
                f"scoring={scoring!r} was not computed; there are "
                f"{', '.join(map(repr, self.scores))}."
            )
        return scoring


def _counts(choices: list[dict[str, Any]]) -> str:
    """Count how often each choice was made: "alpha=0.1 (3), alpha=1 (2)".

    Without the pair, which names the row.
    """
    texts = []
    for params in choices:
        names = {key: key.split("__")[-1] for key in params}
        texts.append(
            ", ".join(
                f"{name}={params[key]:.3g}"
                if isinstance(params[key], float)
                else f"{name}={params[key]}"
                for key, name in names.items()
                if name not in ("activation", "penalty")
            )
        )
    return ", ".join(f"{text} ({n})" for text, n in Counter(texts).most_common())


def compare_pairings(
    estimator: Any,
    X: Any,
    y: ArrayLike,
    *,
    pairings: Iterable[Pair | Mapping[str, Any]] | None = None,
    cv: Any = 5,
    scoring: Any = ("accuracy", "neg_log_loss", "neg_brier_score"),
    groups: ArrayLike | None = None,
    params: Mapping[str, Any] | None = None,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> PairingComparison:
    """Cross-validate all pairs of activation and penalty on the same folds.

    Parameters
    ----------
    estimator : estimator
        A PairedMLPClassifier, or an estimator that contains one: a pipeline, or a
        search over alpha, which is then repeated for every pair and fold. It is cloned
        and not changed. With an integer `random_state` all folds start from the same
        weights (and all pairs, if their networks have the same layers). A lucky start
        then affects all differences, which the intervals do not show. With None every
        fit draws its own start.
    X : {array-like, sparse matrix, dataframe} of shape (n_samples, n_features)
    y : array-like of shape (n_samples,) or (n_samples, n_labels)
    pairings : list of (activation, penalty), default=None
        The pairs, each by names or instances, or `pairing_grid()`. None: all pairs
        that can be fitted to y and are not degenerate, those of ordinal if y is an
        ordered pandas Categorical or ordinal is `estimator`'s own activation. An
        instance that `estimator` has, such as `Entmax(1.2)`, takes the place of the
        registered one of its class.
    cv : int, cross-validation generator or iterable, default=5
        Folds as in `cross_validate`; an int gives stratified folds.
        Repeated folds give narrower intervals.
    scoring : str, callable, sequence of str or dict, default=("accuracy", \
            "neg_log_loss", "neg_brier_score")
        Scorers of scikit-learn; greater is better. A multilabel y needs other scorers
        than the default; for imbalanced classes "balanced_accuracy" is more informative
        than "accuracy".
    groups : array-like of shape (n_samples,), default=None
        Groups that `cv` keeps together.
    params : dict, default=None
        Passed to `fit`, such as `{"clf__sample_weight": weights}`, restricted to the
        rows of each fold. The scores are unweighted.
    n_jobs : int or None, default=None
        Number of parallel jobs, as in joblib.
    verbose : int, default=0
        Verbosity of joblib's progress messages.

    Returns
    -------
    comparison : PairingComparison
        Prints as a table; `comparison.to_frame()` is a pandas.DataFrame.

    Raises
    ------
    ValueError
        If `estimator` contains no PairedMLPClassifier or more than one, if it
        searches the pair itself, if a pair is undefined or given twice, if a scorer
        does not suit y, or if there are fewer than two folds or a part of one lacks a
        class that log loss and Brier score need. An error raised by a fit
        is passed on, with a note that names its pair.

    Warns
    -----
    ConvergenceWarning and others
        Each category of warning issued by the fits, once, with the number of folds per
        pair. A ConvergenceWarning counts the folds that the table shows as not
        converged; another one counts those on which only fits within a search did not
        converge, or where the fit converged without having learned anything.

    Notes
    -----
    The same alpha regularises one penalty more than another. If alpha matters, compare
    each pair at its own best alpha by passing a PairedMLPClassifierCV (or a
    GridSearchCV, for other parameters as well) as `estimator`.

    The J folds share training rows, so their scores are correlated, and the standard
    error of J independent scores would be too small. With the variance S^2 of the J
    differences between two pairs, the standard error of their mean is taken as

        sqrt((1/J + n_test / n_train) S^2)

    (Nadeau & Bengio 2003), and the intervals are those of Student's t with J - 1
    degrees of freedom. The best pair is chosen on the same folds: if many pairs are
    close, it owes part of its lead to luck, which the intervals do not include.

    References
    ----------
    Nadeau & Bengio (2003), "Inference for the generalization error", Machine
    Learning 52, 239-281.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skce import PairedMLPClassifier, compare_pairings
    >>> X, y = load_iris(return_X_y=True)
    >>> classifier = PairedMLPClassifier(hidden_layer_sizes=5, alpha=1, random_state=0)
    >>> comparison = compare_pairings(
    ...     classifier, X, y,
    ...     pairings=[("softmax", "cross_entropy"), ("logistic", "least_squares")],
    ...     scoring="neg_log_loss",
    ... )
    >>> comparison.best()
    ('softmax', 'cross_entropy')
    >>> frame = comparison.to_frame().set_index("pairing")
    >>> bool(frame.loc["logistic x least_squares", "difference"] < 0)
    True
    """
    X, y, groups = indexable(X, labels_with_order(y), groups)
    multilabel = kind_of_labels(y) == "multilabel-indicator"
    ordered = ordered_categories(y) is not None
    candidates = make_candidates(
        estimator, pairings, multilabel=multilabel, ordered=ordered
    )
    scoring = _checked_scoring(scoring, estimator, multilabel)
    folds = list(check_cv(cv, y, classifier=True).split(X, y, groups))
    if len(folds) < 2:
        raise ValueError(f"cv gives {len(folds)} fold; intervals need at least two.")
    if not multilabel and _need_all_classes(scoring):
        _check_classes(np.ravel(y), folds)
    results = Parallel(n_jobs=n_jobs, verbose=verbose)(
        delayed(_fit_and_score)(candidate, X, y, fold, scoring, params)
        for candidate in candidates
        for fold in folds
    )
    _warn_once([candidate.name for candidate in candidates], results, len(folds))
    starts = range(0, len(results), len(folds))
    return _arranged(
        candidates,
        [results[start : start + len(folds)] for start in starts],
        float(np.mean([len(test) / len(train) for train, test in folds])),
    )


@dataclass(frozen=True)
class _FoldResult:
    """What the fit of one pair on one fold gave."""

    name: str
    scores: dict[str, float]
    fit_time: float
    best_params: dict[str, Any] | None
    converged: bool
    warnings: dict[type[Warning], str]


def _fit_and_score(
    candidate: Candidate, X: Any, y: Any, fold: Any, scoring: Any, params: Any
) -> _FoldResult:
    """Fit a candidate on one fold, keeping its warnings for `_warn_once`."""
    with warnings.catch_warnings(record=True) as caught:
        try:
            result = cross_validate(
                candidate.estimator,
                X,
                y,
                cv=[fold],
                scoring=scoring,
                params=params,
                error_score="raise",
                return_estimator=True,
            )
        except Exception as error:
            error.add_note(f"compare_pairings: raised by {candidate.name}.")
            raise
    fitted = result["estimator"][0]
    return _FoldResult(
        name=candidate.name,
        scores={
            key.removeprefix("test_"): float(values[0])
            for key, values in result.items()
            if key.startswith("test_")
        },
        fit_time=float(result["fit_time"][0]),
        best_params=getattr(fitted, "best_params_", None),
        converged=_has_converged(fitted, [warning.category for warning in caught]),
        warnings={warning.category: str(warning.message) for warning in caught},
    )


def _has_converged(fitted: Any, categories: list[type[Warning]]) -> bool:
    """Return whether the classifier in `fitted` converged or was stopped early."""
    record = getattr(innermost(fitted), "solver_result_", None)
    if record is None:  # a classifier of another kind, which can only warn
        return not any(issubclass(one, ConvergenceWarning) for one in categories)
    return record["success"] or record.get("reason") == "stopped"


def _checked_scoring(scoring: Any, estimator: Any, multilabel: bool) -> Any:
    """Return `scoring` as `cross_validate` takes it, if all scorers suit y."""
    unknown = _names_of(scoring) - set(get_scorer_names())
    if unknown:  # before any fit
        raise ValueError(
            f"scoring has {sorted(unknown)}, which scikit-learn does not know: take "
            "'accuracy', 'neg_log_loss', 'neg_brier_score' or another name of "
            "sklearn.metrics.get_scorer_names()."
        )
    check_scoring(estimator, scoring)
    if multilabel:
        check_multilabel_scoring(_names_of(scoring))
    return [scoring] if isinstance(scoring, str) else scoring


def _names_of(scoring: Any) -> set[str]:
    """Return the scorers that are given by name."""
    if isinstance(scoring, str):
        return {scoring}
    if scoring is None or callable(scoring):
        return set()
    scorers = scoring.values() if isinstance(scoring, dict) else scoring
    return {scorer for scorer in scorers if isinstance(scorer, str)}


def _need_all_classes(scoring: Any) -> frozenset[str]:
    """Return the scorers that are defined for rows of all classes alone."""
    return NEED_ALL_CLASSES & _names_of(scoring)


def _check_classes(y: NDArray[Any], folds: list[Any]) -> None:
    """Raise a ValueError if a part of a fold lacks a class."""
    classes, counts = np.unique(y, return_counts=True)
    for number, parts in enumerate(folds, start=1):
        for part, rows in zip(("training", "test"), parts, strict=True):
            lacks = np.setdiff1d(classes, y[rows])
            if len(lacks):
                n = counts[np.searchsorted(classes, lacks[0])]
                raise ValueError(
                    f"The {part} rows of fold {number} of {len(folds)} lack the class "
                    f"{lacks.tolist()[0]!r}, which has {n} of {len(y)} rows: log loss "
                    "and Brier score need all classes in each fold. Give fewer folds "
                    "(cv), leave out or merge the class, or take scoring='accuracy'."
                )


def _warn_once(names: list[str], results: Iterable[_FoldResult], n_folds: int) -> None:
    """Issue one warning per category, with the number of folds for each pair.

    Of ConvergenceWarning two: one for the folds that the table counts, and one for
    those on which only fits within a search, or other reasons, gave it.
    """
    by_kind: dict[tuple[type[Warning], str], list[_FoldResult]] = {}
    for result in results:
        for category in result.warnings:
            # a table that counts the fits that are scored must not seem to contradict
            within = result.converged and issubclass(category, ConvergenceWarning)
            note = ", though the fit that is scored converged" if within else ""
            by_kind.setdefault((category, note), []).append(result)
    for (category, note), having in by_kind.items():
        counts = Counter(result.name for result in having)
        per_pair = ", ".join(
            f"{name} {counts[name]} of {n_folds}" for name in names if counts[name]
        )
        first = having[0].warnings[category]
        text = f"On some folds ({per_pair}){note}. The first: {first}"
        try:
            warn(text, category)
        except TypeError:  # a category that cannot be made from a text
            warn(f"{category.__name__}: {text}", UserWarning)


def _arranged(
    candidates: list[Candidate],
    results: list[list[_FoldResult]],
    test_to_train: float,
) -> PairingComparison:
    """Arrange results, one list per candidate and one entry per fold, as tables."""
    choices: list[list[Any]] = [
        [result.best_params for result in row] for row in results
    ]
    return PairingComparison(
        pairings=[candidate.pairing for candidate in candidates],
        names=[candidate.name for candidate in candidates],
        scores={
            scorer: np.array(
                [[result.scores[scorer] for result in row] for row in results]
            )
            for scorer in results[0][0].scores
        },
        fit_times=np.array([[result.fit_time for result in row] for row in results]),
        converged=np.array([[result.converged for result in row] for row in results]),
        test_to_train=test_to_train,
        best_params=None if any(None in row for row in choices) else choices,
    )
