"""Tables, figures, errata and simulations of the paper of Dunne & Campbell."""

from skce.paper._errata import errata, figure_1_minimum, table_1
from skce.paper._tables import (
    class_rates,
    figure_1,
    figure_2,
    mean_diagonals,
    outputs_of_logistic,
    paired_differences,
    report,
    table_2,
    table_3,
    table_4,
    table_5,
    table_6,
    tutorial_figure,
)
from skce.paper.simulation import quantity_4, section_3

__all__ = [
    "class_rates",
    "errata",
    "figure_1",
    "figure_1_minimum",
    "figure_2",
    "mean_diagonals",
    "outputs_of_logistic",
    "paired_differences",
    "quantity_4",
    "report",
    "section_3",
    "table_1",
    "table_2",
    "table_3",
    "table_4",
    "table_5",
    "table_6",
    "tutorial_figure",
]
