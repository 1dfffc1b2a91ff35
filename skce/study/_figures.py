"""The two figures of a study: mean ranks, and differences by table."""

from itertools import pairwise

import numpy as np

from skce._support.optional import optional
from skce.study._results import (
    REFERENCE,
    SCORES,
    critical_difference,
    differences,
    mean_ranks,
)

__all__ = ["difference_figure", "rank_figure"]


def rank_figure(results, scores=("log_loss", "accuracy"), color=None):
    """Draw the critical-difference diagram of each score.

    Bars on the right join pairs whose mean ranks do not differ significantly (Nemenyi,
    at 5 %).

    Parameters
    ----------
    results : pandas.DataFrame
        Returned by `read_results`.
    scores : sequence of str
        See `mean_ranks`.
    color : color, default=None
        Of matplotlib.

    Returns
    -------
    figure : matplotlib.figure.Figure

    Examples
    --------
    >>> from skce.study import rank_figure, read_results
    >>> figure = rank_figure(read_results("study.csv"), ["log_loss"])
    >>> figure.axes[0].get_xlabel()
    'mean rank by log loss'
    """
    figure_class = optional("matplotlib.figure", "rank_figure").Figure
    n_pairs = results["pair"].nunique()
    size = (7.2, (0.26 * n_pairs + 0.9) * len(scores))
    figure = figure_class(figsize=size, layout="constrained")
    axes = figure.subplots(len(scores), squeeze=False)[:, 0]
    cd = critical_difference(n_pairs, results["table"].nunique())
    for ax, score in zip(axes, scores, strict=True):
        ranks = mean_ranks(results, score)
        ax.plot(ranks, range(n_pairs), "o", color=color)
        left, right = ax.get_xlim()
        ax.set_xlim(left, right + 0.3 * (right - left))  # for the bars
        beside = ax.get_yaxis_transform()  # x from 0 to 1, y in rows
        for i, (first, last) in enumerate(_groups(ranks.to_numpy(), cd)):
            x, ends = 0.8 + 0.0125 * i, [first - 0.3, last + 0.3]
            ax.plot([x, x], ends, color="gray", linewidth=3, transform=beside)
        ax.set_yticks(range(n_pairs), ranks.index)
        ax.invert_yaxis()
        ax.grid(axis="y", alpha=0.25)
        ax.set_xlabel(f"mean rank by {SCORES[score][1]}")
        ax.set_title(f"critical difference {cd:.2f}", loc="right", fontsize="medium")
    return figure


def _groups(ranks, cd):
    """Return the largest runs of sorted ranks that span at most `cd`, as first, last.

    A run within another one, or of a single rank, says nothing.
    """
    last = np.searchsorted(ranks, ranks + cd, side="right") - 1
    new = [True, *(after > before for before, after in pairwise(last))]
    return [(i, int(j)) for i, j in enumerate(last) if new[i] and j > i]


def difference_figure(
    results, pairs=None, score="log_loss", reference=REFERENCE, colors=None
):
    """Draw the differences of pairs to a reference on each table, with intervals.

    Parameters
    ----------
    results : pandas.DataFrame
        Returned by `read_results`.
    pairs : sequence of str, default=None
        One panel each; None: the three with the best mean rank besides the reference.
    score, reference : str
        See `differences`.
    colors : (color, color, color), default=None
        Of tables on which the pair is better, worse, and neither, as the 95 % interval
        contains 0.

    Returns
    -------
    figure : matplotlib.figure.Figure

    Examples
    --------
    >>> from skce.study import difference_figure, read_results
    >>> results = read_results("study.csv")
    >>> figure = difference_figure(results, ["softmax x least_squares"])
    >>> figure.axes[0].get_title()
    'softmax x least_squares'
    """
    figure_class = optional("matplotlib.figure", "difference_figure").Figure
    found = differences(results, score, reference)
    if pairs is None:
        pairs = mean_ranks(results, score).index.drop(reference)[:3]
    colors = colors or ("C0", "C1", "gray")
    tables = found[found["pair"] == pairs[0]].sort_values("mean")["table"]
    figure = figure_class(
        figsize=(0.8 + 2.6 * len(pairs), 0.17 * len(tables) + 1.2), layout="constrained"
    )
    axes = figure.subplots(1, len(pairs), sharey=True, squeeze=False)[0]
    places = np.arange(len(tables))
    shown = found[found["pair"].isin(pairs)]
    sizes = shown["mean"].abs()
    typical = sizes[sizes > 0].median()  # NaN if there is none
    threshold = 10.0 ** np.ceil(np.log10(typical)) if typical > 0 else 1.0
    for ax, pair in zip(axes, pairs, strict=True):
        own = found[found["pair"] == pair].set_index("table").loc[tables]
        for outcome, color in zip(("better", "worse", ""), colors, strict=True):
            kind = own["outcome"] == outcome
            low, mean, high = own.loc[kind, ["lower", "mean", "upper"]].to_numpy().T
            ends = np.array([mean - low, high - mean])
            style = {"fmt": "o", "markersize": 3, "linewidth": 1, "color": color}
            ax.errorbar(mean, places[kind], xerr=ends, **style)
        ax.axvline(0, color="gray", linewidth=1, zorder=0)
        ax.set_title(pair, fontsize="medium")
        ax.set_xscale("symlog", linthresh=threshold)
        ax.grid(axis="y", alpha=0.25)
    axes[0].set_yticks(places, tables, fontsize="x-small")
    axes[0].set_ylim(-1, len(tables))
    text = f"{SCORES[score][1]} minus that of {reference} (linear up to {threshold:g})"
    figure.supxlabel(text, fontsize="medium")
    return figure
