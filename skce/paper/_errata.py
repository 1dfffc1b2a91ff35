"""Errata of the paper: table 1 against numerical derivatives, and other errors."""

import numpy as np
from scipy.optimize import minimize

from skce._support.optional import optional
from skce.losses.pairings import pair
from skce.losses.penalties import get_penalty
from skce.paper._published import DERIVED_DELTA, LOGISTIC_CE, PRINTED_DELTA, SOFTMAX_LS
from skce.paper.trials import by_pair

__all__ = ["errata", "figure_1_minimum", "table_1"]


def table_1(seed=0):
    """Compare the delta of each pair, printed and derived, with central differences.

    Parameters
    ----------
    seed : int, default=0
        Seed of 20 random cases with 4 classes.

    Returns
    -------
    table : pandas.DataFrame
        One row per pair: the printed and the derived formula; the largest absolute
        errors of the printed formula, the derived one and the delta that skce computes,
        against central differences of the loss; and whether the printed formula is an
        erratum.

    Examples
    --------
    >>> from skce.paper import table_1
    >>> table_1()["erratum"]
    pair
    logistic x least_squares    False
    logistic x cross_entropy     True
    softmax x least_squares      True
    softmax x cross_entropy     False
    Name: erratum, dtype: bool
    """
    frame = optional("pandas", "table_1").DataFrame
    rows = []
    for name, (printed, printed_delta) in PRINTED_DELTA.items():
        derived, derived_delta = DERIVED_DELTA[name]
        z, t, y, differences = _differences(name, seed)
        package = pair(*name.split(" x ")).loss_and_delta(z, t)[1]
        errors = [
            np.abs(delta - differences).max()
            for delta in (printed_delta(t, y), derived_delta(t, y), package)
        ]
        rows.append([name, printed, derived, *errors, errors[0] > 1e-8])
    columns = ["pair", "printed", "derived", "printed_error", "derived_error"]
    columns += ["package_error", "erratum"]
    return frame(rows, columns=columns).set_index("pair")


def _differences(name, seed, n_cases=20, step=1e-5):
    """Return z, t, y, and d loss / d z by central differences, (4, n_cases) each."""
    rng = np.random.default_rng(seed)
    z, pairing = rng.normal(size=(4, n_cases)), pair(*name.split(" x "))
    t = np.eye(4)[:, rng.integers(4, size=n_cases)]
    differences = np.empty_like(z)
    for k in range(4):
        shift = np.zeros_like(z)
        shift[k] = step
        above, below = (pairing.loss_and_delta(z + s, t)[0] for s in (shift, -shift))
        differences[k] = (above - below) / (2 * step)
    return z, t, pairing.activation.value(z), differences


def errata(trials):
    """List the errors of the paper, each with the numbers that show it.

    Parameters
    ----------
    trials : pandas.DataFrame
        Returned by `run_trials` for one protocol; the third erratum needs it.

    Returns
    -------
    errata : list of str

    Examples
    --------
    >>> from skce.paper import errata
    >>> from skce.paper.trials import run_trials
    >>> for erratum in errata(run_trials(2)):
    ...     print(erratum[:40])
    Table 1, logistic x cross-entropy, print
    Table 1, softmax x least squares, prints
    Quantity (4), printed with 1/N, is at mo
    The protocol does not state the number o
    """
    first = _one_case(LOGISTIC_CE)
    second = _one_case(SOFTMAX_LS)
    means = by_pair(trials, "quantity_4").mean().iloc[:3]
    without = ", ".join(f"{mean:.3f}" for mean in means)
    with_1_over_n = ", ".join(f"{mean / 20:.3f}" for mean in means)
    return [
        "Table 1, logistic x cross-entropy, prints y - t. The factor t is lost at the "
        f"end of the derivation: it is t (y - 1). {first}",
        "Table 1, softmax x least squares, prints a minus before y sum(t y - y^2); it "
        f"is a plus. {second}",
        "Quantity (4), printed with 1/N, is at most 2 for four classes, yet table 2 "
        f"has 3.9 to 4.6. Here, over 400 test cases, the means are {without} without "
        f"the 1/N, which is of that order, and {with_1_over_n} with it.",
        "The protocol does not state the number of hidden units, the optimiser, when "
        "training stops or the size of the test set. All results depend on them, as "
        "--map shows.",
    ]


def figure_1_minimum():
    """Describe the minimum of t log(t / y) over [0, 1]^2, found numerically.

    Examples
    --------
    >>> from skce.paper import figure_1_minimum
    >>> print(figure_1_minimum())
    Right as printed: the minimum of figure 1, -0.367879 = -1/e at
    t = 0.367879 = 1/e, y = 1.
    """
    rho = get_penalty("cross_entropy").value
    lowest = minimize(
        lambda ty: float(rho(*ty)), (0.5, 0.5), bounds=[(1e-9, 1)] * 2, tol=1e-12
    )
    return (
        f"Right as printed: the minimum of figure 1, {lowest.fun:.6f} = -1/e at "
        f"t = {lowest.x[0]:.6f} = 1/e, y = {lowest.x[1]:g}."
    )


def _one_case(name):
    """Describe the printed delta and central differences of a case with 4 classes."""
    _, t, y, differences = _differences(name, seed=0)
    printed = PRINTED_DELTA[name][1](t, y)
    texts = (
        "(" + ", ".join(f"{value + 0:.4f}" for value in delta[:, 0].round(6)) + ")"
        for delta in (printed, differences)
    )
    return "A random case: printed {}, central differences {}.".format(*texts)
