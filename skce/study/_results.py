"""What the results of a study say: ranks, critical differences, intervals."""

import json
from pathlib import Path

import numpy as np
from scipy.stats import f, rankdata, studentized_range

from skce._support.folds import CONFIDENCE, standard_error_of_folds, t_quantile
from skce._support.optional import optional

__all__ = [
    "REFERENCE",
    "SCORES",
    "critical_difference",
    "differences",
    "friedman_test",
    "mean_ranks",
    "read_results",
    "summary_table",
]

REFERENCE = "softmax x cross_entropy"
# By name: the sign that makes less better, and the label in figures
SCORES = {
    "log_loss": (1, "log loss"),
    "brier_score": (1, "Brier score"),
    "accuracy": (-1, "accuracy"),
    "calibration_error": (1, "calibration error"),
}

# Below it a log loss counts as this in a ratio: sparse outputs may have none
LEAST_LOSS = 1e-3
PURPOSE = "skce.study"


def read_results(path):
    """Read the results of `python -m skce.study`.

    Parameters
    ----------
    path : str or Path
        The file results.csv, which has the settings in its first line.

    Returns
    -------
    results : pandas.DataFrame
        One row per table, outer fold and pair: rows, features, classes; the alpha that
        the inner folds chose; log_loss (nats), brier_score (0 to 2), accuracy and
        calibration_error (squared, debiased) of the test rows; seconds of the search;
        trouble, the warnings or the error of the search, or "". Tables that lack a
        fold are left out.

    Raises
    ------
    ValueError
        If it is not such a file, or no table is complete.

    Examples
    --------
    >>> from skce.study import read_results
    >>> results = read_results("study.csv")
    >>> results["fold"].unique().tolist()
    [0, 1, 2, 3, 4]
    """
    path = Path(path)
    with path.open(encoding="utf-8") as file:
        try:
            wanted = json.loads(file.readline().removeprefix("# "))["folds"]
            # tables may have the names 007 and NA
            results = optional("pandas", PURPOSE).read_csv(
                file,
                dtype={"table": str, "trouble": str},
                keep_default_na=False,
                na_values=dict.fromkeys(["alpha", *SCORES], ""),
            )
            n_folds = results.groupby("table")["fold"].transform("nunique")
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(
                f"{path} is not the results of a study, of which the first line has "
                "the settings, as python -m skce.study writes them."
            ) from error
    results = results[n_folds == wanted]
    if results.empty:
        raise ValueError(f"{path} has no table with all of its folds yet.")
    return results.reset_index(drop=True)


def _check(score):
    if score not in SCORES:
        raise ValueError(f"score={score!r} must be one of {', '.join(SCORES)}.")


def _by_pair(results, score):
    """Return the means over folds by table and pair, NaN where a fold failed."""
    _check(score)
    mean = results.groupby(["table", "pair"], sort=False)[score].agg(
        lambda values: values.mean(skipna=False)
    )
    return mean.unstack("pair")[list(dict.fromkeys(results["pair"]))]


def mean_ranks(results, score="log_loss"):
    """Rank the pairs on each table, 1 for the best, and average over the tables.

    Parameters
    ----------
    results : pandas.DataFrame
        Returned by `read_results`, or some of its tables.
    score : {"log_loss", "brier_score", "accuracy", "calibration_error"}
        Its mean over the folds is ranked. Ties share their mean rank; a pair that
        failed on a fold is last on the table.

    Returns
    -------
    ranks : pandas.Series
        By pair, best first.

    Examples
    --------
    >>> from pandas import DataFrame
    >>> from skce.study import mean_ranks
    >>> results = DataFrame({
    ...     "table": ["iris"] * 4, "fold": [0, 0, 1, 1], "pair": ["A", "B"] * 2,
    ...     "log_loss": [0.3, 0.5, 0.4, 0.5],
    ... })
    >>> mean_ranks(results).to_dict()
    {'A': 1.0, 'B': 2.0}
    """
    means = _by_pair(results, score) * SCORES[score][0]
    ranks = rankdata(means.fillna(np.inf).to_numpy(), axis=1)
    series = optional("pandas", PURPOSE).Series
    found = series(ranks.mean(axis=0), index=means.columns, name=score)
    return found.sort_values(kind="stable")


@np.errstate(divide="ignore", invalid="ignore")
def friedman_test(ranks, n_tables):
    """Test whether mean ranks differ by more than chance (Friedman; Iman & Davenport).

    Parameters
    ----------
    ranks : array-like of shape (n_pairs,)
        Mean ranks over the tables.
    n_tables : int

    Returns
    -------
    chi_square, F, p : float
        Friedman's statistic, its correction by Iman and Davenport, and the probability
        of so large an F if all pairs are alike; F is inf if all tables agree. Ties,
        which the mean ranks do not show, are not corrected for: with them p is too
        large.

    References
    ----------
    Demsar (2006), "Statistical comparisons of classifiers over multiple data sets",
    Journal of Machine Learning Research 7, section 3.2.2.

    Examples
    --------
    >>> from skce.study import friedman_test
    >>> chi_square, F, p = friedman_test([3.143, 2.0, 2.893, 1.964], 14)
    >>> round(chi_square, 2), round(F, 2), round(p, 3)
    (9.28, 3.69, 0.02)
    """
    k, n = len(ranks), n_tables
    squares = np.square(ranks).sum()
    statistic = 12 * n / (k * (k + 1)) * (squares - k * (k + 1) ** 2 / 4)
    F = np.divide((n - 1) * statistic, n * (k - 1) - statistic)
    return float(statistic), float(F), float(f.sf(F, k - 1, (k - 1) * (n - 1)))


def critical_difference(n_pairs, n_tables, level=0.05):
    """Compute the difference of mean ranks that is significant (Nemenyi).

    q sqrt(k (k + 1) / (6 N)), where q is the upper quantile of the range of k normal
    variables, over sqrt(2). It holds for all differences between k pairs at once.

    Parameters
    ----------
    n_pairs, n_tables : int
        k and N.
    level : float, default=0.05
        Probability that it is exceeded anywhere if all pairs are alike.

    Returns
    -------
    difference : float

    References
    ----------
    Demsar (2006), "Statistical comparisons of classifiers over multiple data sets",
    Journal of Machine Learning Research 7, section 3.2.2.

    Examples
    --------
    >>> from skce.study import critical_difference
    >>> round(critical_difference(4, 14), 2)
    1.25
    """
    q = studentized_range.isf(level, n_pairs, np.inf) / np.sqrt(2)
    return float(q * np.sqrt(n_pairs * (n_pairs + 1) / (6 * n_tables)))


def differences(results, score="log_loss", reference=REFERENCE, confidence=CONFIDENCE):
    """Compare each pair with a reference on each table, with corrected intervals.

    The variance of the mean of J differences is estimated by (1/J + 1/(J - 1)) times
    their variance, as the training rows of J folds overlap (Nadeau & Bengio 2003); the
    quantile is that of Student's t with J - 1 degrees of freedom.

    Parameters
    ----------
    results : pandas.DataFrame
        Returned by `read_results`.
    score : {"log_loss", "brier_score", "accuracy", "calibration_error"}
    reference : str, default="softmax x cross_entropy"
        A pair of the results.
    confidence : float, default=0.95
        Of each interval by itself.

    Returns
    -------
    differences : pandas.DataFrame
        One row per table and pair but the reference: mean, lower and upper of score
        minus that of the reference, NaN where either failed on a fold, and outcome:
        "better" or "worse" where the interval does not contain 0, else "".

    Raises
    ------
    ValueError
        If the results have no such score or pair, or a single fold.

    References
    ----------
    Nadeau & Bengio (2003), "Inference for the generalization error", Machine Learning
    52.

    Examples
    --------
    >>> from pandas import DataFrame
    >>> from skce.study import differences
    >>> results = DataFrame({
    ...     "table": ["iris"] * 4, "fold": [0, 0, 1, 1], "pair": ["A", "B"] * 2,
    ...     "log_loss": [0.3, 0.5, 0.4, 0.5],
    ... })
    >>> differences(results, reference="A").round(2).to_dict("records")
    [{'table': 'iris', 'pair': 'B', 'mean': 0.15, 'lower': -0.95, 'upper': 1.25,
      'outcome': ''}]
    """
    _check(score)
    if results["fold"].nunique() < 2:
        raise ValueError("The results have a single fold: intervals need two.")
    pairs = list(dict.fromkeys(results["pair"]))
    if reference not in pairs:
        raise ValueError(
            f"reference={reference!r} is not in the results, which have "
            f"{', '.join(pairs)}."
        )
    sign, rows = SCORES[score][0], []
    for table, group in results.groupby("table", sort=False):
        by_fold = group.pivot(index="fold", columns="pair", values=score)
        for pair in pairs:
            if pair != reference:
                interval = _interval(by_fold[pair] - by_fold[reference], confidence)
                low, high = sorted(sign * end for end in interval[1:])
                outcome = "better" if high < 0 else "worse" if low > 0 else ""
                rows.append((table, pair, *interval, outcome))
    columns = ["table", "pair", "mean", "lower", "upper", "outcome"]
    return optional("pandas", PURPOSE).DataFrame(rows, columns=columns)


def _interval(values, confidence):
    """Return the mean of differences on J folds, and the ends of its interval."""
    values = np.asarray(values)
    J = len(values)
    error = standard_error_of_folds(values, test_to_train=1 / (J - 1))
    half = t_quantile(J, confidence) * error
    return values.mean(), values.mean() - half, values.mean() + half


def summary_table(results, reference=REFERENCE):
    """Summarize a study: one row per pair, by mean rank of the log loss.

    Parameters
    ----------
    results : pandas.DataFrame
        Returned by `read_results`.
    reference : str, default="softmax x cross_entropy"

    Returns
    -------
    table : pandas.DataFrame
        By pair: the mean rank by each score; loss_ratio, the geometric mean of its log
        loss (of 0.001 at least) over that of the reference, on tables where neither
        failed; better and worse, the numbers of tables on which the interval of
        `differences` in log loss is below and above 0; time_ratio, of the sums of
        seconds; failed and warned, numbers of folds.

    Examples
    --------
    >>> from skce.study import read_results, summary_table
    >>> table = summary_table(read_results("study.csv"))
    >>> table.loc["softmax x cross_entropy", ["loss_ratio", "time_ratio"]].tolist()
    [1.0, 1.0]
    """
    found = differences(results, reference=reference)
    ranks = [mean_ranks(results, score) for score in SCORES]
    table = optional("pandas", PURPOSE).concat(ranks, axis=1)
    losses = _by_pair(results, "log_loss").clip(lower=LEAST_LOSS)
    ratio = losses.div(losses[reference], axis=0)
    seconds = results.groupby("pair")["seconds"].sum()
    failed = results["log_loss"].isna()
    by_pair = results["pair"]
    table["loss_ratio"] = np.exp(np.log(ratio).mean())
    for outcome in ("better", "worse"):
        table[outcome] = (found["outcome"] == outcome).groupby(found["pair"]).sum()
    table["time_ratio"] = seconds / seconds[reference]
    table["failed"] = failed.groupby(by_pair).sum()
    table["warned"] = ((results["trouble"] != "") & ~failed).groupby(by_pair).sum()
    counts = ["better", "worse"]
    table[counts] = table[counts].fillna(0).astype(int)
    return table.sort_values("log_loss", kind="stable")
