"""A study of all pairs on many tables: `python -m skce.study --help`."""

from skce.study._figures import difference_figure, rank_figure
from skce.study._results import (
    critical_difference,
    differences,
    friedman_test,
    mean_ranks,
    read_results,
    summary_table,
)

__all__ = [
    "critical_difference",
    "difference_figure",
    "differences",
    "friedman_test",
    "mean_ranks",
    "rank_figure",
    "read_results",
    "summary_table",
]
