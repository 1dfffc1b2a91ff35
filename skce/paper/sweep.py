"""Sweep the paper's comparison over hidden units, training length and alpha.

The result is called the map: a table, rankings and figures with all settings.
"""

from itertools import pairwise

from skce._support.optional import optional
from skce.inspection._plotting import line_style
from skce.losses.pairings import pair
from skce.paper.trials import PAIRINGS, Protocol, by_pair

__all__ = ["figure_map", "map_protocols", "map_table", "rankings"]


def map_protocols(
    hidden=(2, 4, 8, 16),
    max_iter=(4, 8, 16, 32, 64, 128, 256, 512, 1024),
    alpha=(0.0, 0.1, 1.0),
):
    """Return the settings of the sweep: hidden units x training length x alpha.

    Parameters
    ----------
    hidden : sequence of int
        Numbers of hidden units.
    max_iter : sequence of int
        Numbers of iterations of L-BFGS.
    alpha : sequence of float
        Strengths of the L2 term.

    Returns
    -------
    protocols : list of Protocol

    Examples
    --------
    >>> from skce.paper.sweep import map_protocols
    >>> len(map_protocols())
    108
    >>> map_protocols(hidden=(4,), max_iter=(8,), alpha=(0.1,))
    [Protocol(hidden=4, max_iter=8, alpha=0.1)]
    """
    return [Protocol(h, k, a) for a in alpha for h in hidden for k in max_iter]


def map_table(trials):
    """Compute the mean of (4) and the mean diagonal at each setting.

    Parameters
    ----------
    trials : pandas.DataFrame
        Returned by `run_trials` for the protocols of `map_protocols`.

    Returns
    -------
    table : pandas.DataFrame
        One row per setting and pair, with standard errors.

    Examples
    --------
    >>> from skce.paper.sweep import map_protocols, map_table
    >>> from skce.paper.trials import run_trials
    >>> trials = run_trials(2, map_protocols(hidden=(2,), max_iter=(4, 8), alpha=(0,)))
    >>> map_table(trials).shape
    (8, 8)
    """
    keys = ["alpha", "hidden", "max_iter", "pairing"]
    table = trials.groupby(keys, sort=False)[["quantity_4", "mean_diagonal"]]
    table = table.agg(["mean", "sem"])
    table.columns = [
        "quantity_4",
        "quantity_4_error",
        "mean_diagonal",
        "diagonal_error",
    ]
    return table.reset_index()


# One letter per pair in `rankings`
LETTERS = {str(pair(*names)): s for names, s in zip(PAIRINGS, "LSCB", strict=True)}


def rankings(trials):
    """Rank the pairs at each setting, from worst to best by mean (4).

    Parameters
    ----------
    trials : pandas.DataFrame
        Returned by `run_trials` for the protocols of `map_protocols`.

    Returns
    -------
    table : pandas.DataFrame
        Indexed by alpha and hidden units, with one column per training length. L is
        logistic x least_squares, S softmax x least_squares, C softmax x cross_entropy,
        B logistic x binary_cross_entropy; ">" separates neighbours that differ by more
        than two standard errors of their paired difference, "~" the others. The
        paper's order is L > S > C.

    Examples
    --------
    >>> from skce.paper.sweep import map_protocols, rankings
    >>> from skce.paper.trials import run_trials
    >>> trials = run_trials(3, map_protocols(hidden=(2,), max_iter=(4, 8), alpha=(0,)))
    >>> rankings(trials).columns.tolist()
    [4, 8]
    """
    frame = optional("pandas", "rankings").DataFrame
    rows = []
    for (alpha, hidden, max_iter), group in trials.groupby(
        ["alpha", "hidden", "max_iter"]
    ):
        quantity = by_pair(group, "quantity_4")
        order = quantity.mean().sort_values(ascending=False).index
        text = LETTERS[order[0]]
        for worse, better in pairwise(order):
            difference = quantity[worse] - quantity[better]
            text += ">" if difference.mean() > 2 * difference.sem() else "~"
            text += LETTERS[better]
        rows.append([alpha, hidden, max_iter, text])
    table = frame(rows, columns=["alpha", "hidden", "max_iter", "order"])
    return table.pivot(index=["alpha", "hidden"], columns="max_iter", values="order")


def figure_map(table, column="quantity_4"):
    """Draw the map, with a panel for each alpha and number of hidden units.

    Parameters
    ----------
    table : pandas.DataFrame
        Returned by `map_table`.
    column : {"quantity_4", "mean_diagonal"}, default="quantity_4"
        What to draw.

    Returns
    -------
    figure : matplotlib.figure.Figure

    Examples
    --------
    >>> from skce.paper.sweep import figure_map, map_protocols, map_table
    >>> from skce.paper.trials import run_trials
    >>> settings = map_protocols(hidden=(2, 4), max_iter=(4, 8), alpha=(0,))
    >>> trials = run_trials(2, settings)
    >>> figure = figure_map(map_table(trials))
    """
    pyplot = optional("matplotlib.pyplot", "figure_map")
    ticker = optional("matplotlib.ticker", "figure_map")
    alphas, sizes = table["alpha"].unique(), table["hidden"].unique()
    figure, axes = pyplot.subplots(
        len(alphas),
        len(sizes),
        figsize=(2.6 * len(sizes) + 0.6, 2.3 * len(alphas) + 0.9),
        sharex=True,
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for ax, (alpha, hidden) in zip(
        axes.flat, ((a, h) for a in alphas for h in sizes), strict=True
    ):
        panel = table[(table["alpha"] == alpha) & (table["hidden"] == hidden)]
        for i, (name, line) in enumerate(panel.groupby("pairing", sort=False)):
            ax.plot(line["max_iter"], line[column], **line_style(i), label=name)
        ax.set(title=f"h = {hidden}, alpha = {alpha:g}", xscale="log")
        ax.xaxis.set_minor_formatter(ticker.NullFormatter())
        if column == "quantity_4":
            ax.set_yscale("log")
            ax.yaxis.set_major_locator(ticker.FixedLocator((1, 1.5, 2, 3, 4, 6, 8)))
            ax.yaxis.set_major_formatter("{x:g}")
            ax.yaxis.set_minor_locator(ticker.NullLocator())
        ax.grid(alpha=0.4)
    names = {
        "quantity_4": "mean of (4), without the 1/N",
        "mean_diagonal": "mean diagonal",
    }
    figure.supxlabel("iterations of L-BFGS")
    figure.supylabel(names[column])
    figure.legend(
        *axes.flat[0].get_legend_handles_labels(), loc="outside upper center", ncols=2
    )
    return figure
