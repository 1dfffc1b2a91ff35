"""PairingComparison: scores of pairs on the same folds, and what they can tell."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student_t

from skce._support.optional import optional

__all__ = ["PairingComparison"]

CONFIDENCE = 0.95  # of the intervals


@dataclass(repr=False, eq=False)
class PairingComparison:
    """What `compare_pairings` found.

    Attributes
    ----------
    pairings : list of (activation, penalty)
        The pairs as they were given.
    names : list of str
        Their names.
    scores : dict of str to ndarray of shape (n_pairings, n_folds)
        The scores of each scorer; greater is better.
    fit_times : ndarray of shape (n_pairings, n_folds)
        Seconds of each fit; where a search was given, of the whole search.
    converged : ndarray of bool of shape (n_pairings, n_folds)
        Whether the gradient was within tol at the end, or the fit stopped early as it
        was asked to; where a search was given, of the classifier that it chose.
    test_to_train : float
        n_test / n_train, the mean over the folds.
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

    pairings: list
    names: list
    scores: dict
    fit_times: np.ndarray
    converged: np.ndarray
    test_to_train: float
    best_params: list | None = None

    def best(self, scoring=None):
        """The pair (activation, penalty) with the best mean score.

        Parameters
        ----------
        scoring : str, default=None
            Name of the scorer; the first by default.

        Returns
        -------
        pairing : (activation, penalty)
            For `PairedMLPClassifier(*comparison.best())`. That it is the best on these
            folds does not mean that it can be told from the next: see the intervals.
        """
        best = self.order(scoring)[0]
        if np.isnan(self.scores[self._scoring(scoring)][best]).any():
            raise ValueError(
                f"no pair has a finite {self._scoring(scoring)} on all folds."
            )
        return self.pairings[best]

    def order(self, scoring=None):
        """Indices of the pairs, best mean score first, undefined ones last."""
        means = self.scores[self._scoring(scoring)].mean(axis=1)
        return np.argsort(-means, kind="stable")  # NaN last

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
            interval of 95 %, lower and upper, all three NaN for the best itself. All
            standard errors are corrected for the overlap of the training sets; see
            `compare_pairings`.
        """
        scores = self.scores[self._scoring(scoring)]
        best = self.order(scoring)[0]
        with np.errstate(invalid="ignore"):  # of infinite scores
            differences = scores - scores[best]
            difference, error = differences.mean(axis=1), self._error(differences)
            error_of_mean = self._error(scores)
        difference[best], error[best] = 0, np.nan
        reach = error * student_t.ppf((1 + CONFIDENCE) / 2, scores.shape[1] - 1)
        return {
            "mean": scores.mean(axis=1),
            "standard_error": error_of_mean,
            "difference": difference,
            "difference_standard_error": error,
            "lower": difference - reach,
            "upper": difference + reach,
        }

    def to_frame(self):
        """A pandas.DataFrame with a row a scorer and pair, best first.

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

    def __str__(self):
        width = max(map(len, [*self.names, *self.scores]))
        n_folds = self.fit_times.shape[1]
        pairs = "1 pair" if len(self.names) == 1 else f"{len(self.names)} pairs"
        lines = [f"{pairs} on the same {n_folds} folds; greater scores are better"]
        for scoring in self.scores:
            lines += [
                "",
                f"{scoring:{width}}  {'mean (s.e.)':>17}  {'minus best (s.e.)':>17}"
                f"  {'95 % interval':>19}",
                *self._lines(scoring, width),
            ]
        lines += ["", f"{'':{width}}  {'seconds a fold':>17}  {'not converged':>17}"]
        chosen = [""] * len(self.names)
        if self.best_params is not None:
            lines[-1] += "  chosen (folds)"
            chosen = [f"  {_counts(of_folds)}" for of_folds in self.best_params]
        for name, times, converged, params in zip(
            self.names, self.fit_times, self.converged, chosen, strict=True
        ):
            missed = f"{(~converged).sum()} of {n_folds}"
            lines.append(f"{name:{width}}  {times.mean():17.3g}  {missed:>17}{params}")
        if len(self.names) > 1:
            lines += [
                "",
                "An interval that contains 0 does not tell the pair from the best. It "
                "allows for",
                "shared training rows, not for the luck of the best of these folds.",
            ]
        return "\n".join(lines)

    __repr__ = __str__

    def _lines(self, scoring, width):
        """A line a pair, best first."""
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
            line = f"{self.names[i]:{width}}  {mean:>17}  {minus:>17}  {interval:>19}"
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

    def _error(self, values):
        """Standard error of the means of values, (n, n_folds), over the folds."""
        share = 1 / values.shape[1] + self.test_to_train
        return np.sqrt(share * values.var(axis=1, ddof=1))


def _counts(of_folds):
    """How often each choice was made: "alpha=0.1 (3), alpha=1 (2)"."""
    texts = (
        ", ".join(f"{key.split('__')[-1]}={value}" for key, value in params.items())
        for params in of_folds
    )
    return ", ".join(f"{text} ({n})" for text, n in Counter(texts).most_common())
