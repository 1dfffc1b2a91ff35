"""Recompute the tables and figures of Dunne & Campbell beside the published ones.

R. A. Dunne & N. A. Campbell, "On the pairing of the softmax activation and
cross-entropy penalty functions and the derivation of the softmax activation
function".

The protocol. The paper does not give the number of hidden units, the optimiser, when
training stops or the size of the test set. Here: 4 hidden units, as many as classes;
L-BFGS stopped after 8 iterations; no L2 term; initial weights uniform on (-1, 1); 100
test cases per class. Of all settings of the sweep (`figure_map`), this is the one where
the mean diagonals of tables 4 to 6 agree with the published ones within their standard
errors, and the pairs have the order of table 2 in mean and in variance. Elsewhere they
do not: trained to convergence without an L2 term, logistic and softmax outputs with
least squares swap places.
"""

from itertools import combinations

import numpy as np
from scipy.stats import norm

from skce._support.optional import optional
from skce.inspection._penalty_display import PenaltyDisplay
from skce.paper._errata import table_1
from skce.paper._published import (
    LOGISTIC_LS,
    PUBLISHED_RATES,
    PUBLISHED_TABLE_2,
    PUBLISHED_TABLE_3,
    SOFTMAX_CE,
    SOFTMAX_LS,
)
from skce.paper.simulation import GAUSSIAN_CLASSES, section_3
from skce.paper.sweep import map_table, rankings
from skce.paper.trials import by_pair

__all__ = [
    "class_rates",
    "figure_1",
    "figure_2",
    "mean_diagonals",
    "outputs_of_logistic",
    "paired_differences",
    "report",
    "table_2",
    "table_3",
    "table_4",
    "table_5",
    "table_6",
    "tutorial_figure",
]

PAIR_OF_TABLE = {4: LOGISTIC_LS, 5: SOFTMAX_CE, 6: SOFTMAX_LS}
RATES = [f"rate_{i}{j}" for i in range(1, 5) for j in range(1, 5)]


def table_2(trials):
    """Compute the mean and variance of (4) over the trials.

    Parameters
    ----------
    trials : pandas.DataFrame
        Returned by `run_trials` for one protocol.

    Returns
    -------
    table : pandas.DataFrame
        One row per pair: mean, its standard error, variance, its standard error, the
        mean with the 1/N of the printed formula (4), which is under the root; the
        published mean and variance, and by how many standard errors of their
        difference our mean is above the published one (NaN for the pair that the paper
        leaves out).

    Examples
    --------
    >>> from skce.paper import table_2
    >>> from skce.paper.trials import run_trials
    >>> table_2(run_trials(3))["published_mean"].round(2)
    pairing
    logistic x least_squares           4.62
    softmax x least_squares            4.00
    softmax x cross_entropy            3.94
    logistic x binary_cross_entropy     NaN
    Name: published_mean, dtype: float64
    """
    quantity = by_pair(trials, "quantity_4")
    n = len(quantity)
    if n < 2:
        raise ValueError("Variances need at least two trials: raise n_trials.")
    mean, variance = quantity.mean(), quantity.var()
    fourth = ((quantity - mean) ** 4).mean()
    table = mean.to_frame("mean")
    table["standard_error"] = np.sqrt(variance / n)
    table["variance"] = variance
    table["variance_standard_error"] = np.sqrt(
        np.maximum(fourth - (n - 3) / (n - 1) * variance**2, 0) / n
    )
    table["mean_with_1/N"] = mean / np.sqrt(400)
    for i, column in enumerate(("published_mean", "published_variance")):
        table[column] = {name: row[i] for name, row in PUBLISHED_TABLE_2.items()}
    # The published mean is that of 100 trials
    error = np.sqrt(variance / n + table["published_variance"] / 100)
    table["above_published"] = (mean - table["published_mean"]) / error
    return table


def paired_differences(trials, column="quantity_4"):
    """Compare all pairs with each other by their differences within each trial.

    Parameters
    ----------
    trials : pandas.DataFrame
        Returned by `run_trials` for one protocol.
    column : str, default="quantity_4"
        What to compare.

    Returns
    -------
    table : pandas.DataFrame
        One row for every two pairs: the mean difference (first minus second), its
        standard error, and the ratio of the two.

    Examples
    --------
    >>> from skce.paper import paired_differences
    >>> from skce.paper.trials import run_trials
    >>> paired_differences(run_trials(3)).shape
    (6, 3)
    """
    wide, rows = by_pair(trials, column), {}
    for first, second in combinations(wide.columns, 2):
        difference = wide[first] - wide[second]
        mean, error = difference.mean(), difference.sem()
        rows[f"{first} minus {second}"] = [mean, error, mean / error]
    columns = ["difference", "standard_error", "in_standard_errors"]
    frame = optional("pandas", "skce.paper").DataFrame
    table = frame.from_dict(rows, orient="index", columns=columns)
    return table.rename_axis("pairs")


def table_3():
    """Compute the exact class-conditional rates of the Bayes rule.

    The rule predicts the class of the quadrant, so each rate is a product of
    Phi(1) for each coordinate on the right side of 0 and 1 - Phi(1) for each on the
    wrong one.

    Returns
    -------
    table : pandas.DataFrame of shape (4, 4)
        One row per true class, one column per predicted class.

    Examples
    --------
    >>> from skce.paper import table_3
    >>> table_3().round(4).to_numpy()
    array([[0.7079, 0.1335, 0.1335, 0.0252],
           [0.1335, 0.7079, 0.0252, 0.1335],
           [0.1335, 0.0252, 0.7079, 0.1335],
           [0.0252, 0.1335, 0.1335, 0.7079]])
    """
    means = GAUSSIAN_CLASSES.theta
    wrong = (means[:, None] != means).sum(axis=2)
    return _rates(norm.cdf(1) ** (2 - wrong) * norm.sf(1) ** wrong)


def table_4(trials):
    """Compute the class-conditional rates of logistic x least_squares.

    See `class_rates`.

    Examples
    --------
    >>> from skce.paper import table_4
    >>> from skce.paper.trials import run_trials
    >>> table_4(run_trials(2)).columns[:4].tolist()
    ['as 1', 'as 2', 'as 3', 'as 4']
    """
    return class_rates(trials, PAIR_OF_TABLE[4])


def table_5(trials):
    """Compute the class-conditional rates of softmax x cross_entropy.

    See `class_rates`.

    Examples
    --------
    >>> from skce.paper import table_5
    >>> from skce.paper.trials import run_trials
    >>> table_5(run_trials(2))["as 1 published"].tolist()
    [0.7046, 0.1333, 0.1302, 0.0297]
    """
    return class_rates(trials, PAIR_OF_TABLE[5])


def table_6(trials):
    """Compute the class-conditional rates of softmax x least_squares.

    See `class_rates`.

    Examples
    --------
    >>> from skce.paper import table_6
    >>> from skce.paper.trials import run_trials
    >>> table_6(run_trials(2))["as 1 Bayes"].round(4).tolist()
    [0.7079, 0.1335, 0.1335, 0.0252]
    """
    return class_rates(trials, PAIR_OF_TABLE[6])


def class_rates(trials, name):
    """Compute the mean class-conditional rates of one pair.

    Parameters
    ----------
    trials : pandas.DataFrame
        Returned by `run_trials` for one protocol.
    name : str
        Name of the pair.

    Returns
    -------
    table : pandas.DataFrame of shape (4, 12)
        One row per true class, one column per predicted class: the means, then the
        published rates, then those of the Bayes rule.

    Examples
    --------
    >>> from skce.paper import class_rates
    >>> from skce.paper.trials import run_trials
    >>> class_rates(run_trials(2), "softmax x cross_entropy").shape
    (4, 12)
    """
    by_pair(trials, "mean_diagonal")  # raises for several protocols
    rates = trials.loc[trials["pairing"] == name, RATES].mean()
    table = _rates(rates.to_numpy().reshape(4, 4))
    return _beside(table, published=_rates(PUBLISHED_RATES[name]), Bayes=table_3())


def mean_diagonals(trials):
    """Compute the mean diagonals of tables 4 to 6 beside the published and exact ones.

    Parameters
    ----------
    trials : pandas.DataFrame
        Returned by `run_trials` for one protocol.

    Returns
    -------
    table : pandas.DataFrame
        One row per pair: mean_diagonal, standard_error, published, and bayes, that of
        table 3.

    Examples
    --------
    >>> from skce.paper import mean_diagonals
    >>> from skce.paper.trials import run_trials
    >>> mean_diagonals(run_trials(2))["bayes"].round(4)
    pairing
    logistic x least_squares           0.7079
    softmax x least_squares            0.7079
    softmax x cross_entropy            0.7079
    logistic x binary_cross_entropy    0.7079
    Name: bayes, dtype: float64
    """
    diagonals = by_pair(trials, "mean_diagonal")
    table = diagonals.mean().to_frame("mean_diagonal")
    table["standard_error"] = diagonals.sem()
    table["published"] = {
        name: np.trace(rates) / 4 for name, rates in PUBLISHED_RATES.items()
    }
    table["bayes"] = norm.cdf(1) ** 2
    return table


def outputs_of_logistic(trials):
    """Compute (4) of logistic outputs as they are, normalised, and projected.

    Parameters
    ----------
    trials : pandas.DataFrame
        Returned by `run_trials` for one protocol.

    Returns
    -------
    table : pandas.DataFrame
        One row per pair with logistic outputs: the means of (4) of the outputs as they
        are, divided by their sum, and projected on the simplex; and by how much either
        treatment lowers it on average, with a standard error.

    Examples
    --------
    >>> from skce.paper import outputs_of_logistic
    >>> from skce.paper.trials import run_trials
    >>> outputs_of_logistic(run_trials(2)).index.tolist()
    ['logistic x least_squares', 'logistic x binary_cross_entropy']
    """
    logistic = trials[trials["pairing"].str.startswith("logistic")]
    raw = by_pair(logistic, "quantity_4")
    table = raw.mean().to_frame("as_they_are")
    for how in ("normalised", "projected"):
        treated = by_pair(logistic, f"quantity_4_{how}")
        table[how] = treated.mean()
        table[f"{how}_gain"] = (raw - treated).mean()
        table[f"{how}_gain_standard_error"] = (raw - treated).sem()
    return table


def figure_1(ax=None):
    """Draw the cross-entropy penalty t log(t / y) over [0, 1]^2.

    Examples
    --------
    >>> from skce.paper import figure_1
    >>> figure_1().minimum
    (0.368, 1.0, -0.36787942141925983)
    """
    return PenaltyDisplay.from_penalty("cross_entropy", ax=ax)


def figure_2(ax=None):
    """Draw the least squares penalty over [0, 1]^2.

    Examples
    --------
    >>> from skce.paper import figure_2
    >>> figure_2().ax_.get_xlabel()
    'output y'
    """
    return PenaltyDisplay.from_penalty("least_squares", ax=ax)


def tutorial_figure(ax=None):
    """Draw the two curves -log y and -log(1 - y) of the two-class cross-entropy.

    Examples
    --------
    >>> from skce.paper import tutorial_figure
    >>> tutorial_figure().ax_.get_ylabel()
    'rho(t, y) (nats)'
    """
    return PenaltyDisplay.from_penalty(
        "binary_cross_entropy",
        kind="curves",
        targets=(1, 0),
        ax=ax,
        name="binary cross-entropy: -log y for t = 1, -log(1 - y) for t = 0",
    )


def _rates(rates):
    """Label rates, (4, 4), with the numbers of the classes."""
    frame = optional("pandas", "skce.paper").DataFrame(rates)
    frame.index = frame.index.rename("true class") + 1
    frame.columns = [f"as {k}" for k in range(1, 5)]
    return frame


def _beside(table, **others):
    """Append the columns of other tables, with the name of the table."""
    columns = {
        f"{column} {name}": other[column]
        for name, other in others.items()
        for column in other
    }
    return table.assign(**columns)


def report(trials, map_trials=None, seed=0):
    """Compute every table, in the order of the paper, with a title.

    Parameters
    ----------
    trials : pandas.DataFrame
        Returned by `run_trials` for one protocol.
    map_trials : pandas.DataFrame, default=None
        Returned by `run_trials` for the protocols of `map_protocols`.
    seed : int, default=0
        Seed of `section_3`.

    Returns
    -------
    tables : dict of str to (str, pandas.DataFrame)
        The name of each table, which is also that of its file; its title and the table.

    Examples
    --------
    >>> from skce.paper import report
    >>> from skce.paper.trials import run_trials
    >>> sorted(report(run_trials(2)))[:3]
    ['diagonals', 'diagonals_differences', 'section_3']
    """
    n_repeats = max(2, trials["trial"].nunique() // 4)
    tables = {
        "table_1": (
            "delta as printed and as derived; largest absolute errors against central "
            "differences of the loss, on 20 random cases (package: what skce computes)",
            table_1(),
        ),
        **_distance_tables(trials),
        **_rate_tables(trials),
        "section_3": (
            f"no hidden units, {n_repeats} samples of each size: error of the fitted "
            "coefficients against those of the exact posterior, and the error of "
            "maximum likelihood in theory; slope of log error against log n (-1/2 in "
            "theory)",
            section_3(n_repeats=n_repeats, seed=seed),
        ),
    }
    return tables if map_trials is None else tables | _map_tables(map_trials)


def _distance_tables(trials):
    """Compute table 2 and the other tables of quantity (4)."""
    return {
        "table_2": (
            "quantity (4), sqrt(sum over 400 test cases and 4 classes of (output - "
            "exact posterior)^2), without the 1/N under the root; above_published in "
            "standard errors",
            table_2(trials),
        ),
        "table_2_differences": (
            "differences of quantity (4) between pairs, paired by trial",
            paired_differences(trials),
        ),
        "table_2_outputs": (
            "quantity (4) of logistic outputs as they are, divided by their sum, and "
            "projected on the simplex; a gain is the decrease of (4)",
            outputs_of_logistic(trials),
        ),
    }


def _rate_tables(trials):
    """Compute tables 3 to 6 and their diagonals: class-conditional rates."""
    error = trials.groupby("pairing")[RATES].sem().to_numpy().max()
    details = (
        f"true class down, mean of {trials['trial'].nunique()} trials (s.e. up to "
        f"{error:.4f})"
    )
    of_pairs = {
        f"table_{number}": (
            f"class-conditional rates of {name}, {details}",
            class_rates(trials, name),
        )
        for number, name in PAIR_OF_TABLE.items()
    }
    return {
        "table_3": (
            "class-conditional rates of the Bayes rule, exact, true class down",
            _beside(table_3(), published=_rates(PUBLISHED_TABLE_3)),
        ),
        **of_pairs,
        "diagonals": (
            "mean diagonals of tables 4 to 6, and of the pair that the paper leaves "
            "out",
            mean_diagonals(trials),
        ),
        "diagonals_differences": (
            "differences of the mean diagonal between pairs, paired by trial",
            paired_differences(trials, "mean_diagonal"),
        ),
    }


def _map_tables(map_trials):
    """Compute the means and the order of the pairs at each setting of the sweep."""
    return {
        "map": ("means at each setting", map_table(map_trials)),
        "map_rankings": (
            "order of the pairs by mean (4), worst first: L logistic x least_squares, "
            "S softmax x least_squares, C softmax x cross_entropy, B logistic x "
            "binary_cross_entropy; > beyond 2 standard errors, ~ within",
            rankings(map_trials),
        ),
    }
