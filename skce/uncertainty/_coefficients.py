"""A table of coefficients, their standard errors and intervals."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from skce._support.html import NUMBER, TEXT, html_page, html_table
from skce._support.optional import optional

__all__ = ["CoefficientTable", "check_confidence_level"]


@dataclass(frozen=True)
class CoefficientTable:
    """Coefficients and their standard errors.

    Attributes
    ----------
    names : list of str, of length n_features + 1
        Features, then "intercept"; of ordered classes the thresholds, as "low|mid".
    outputs : list
        The labels that the columns are for; "higher" for the one of ordered classes,
        whose coefficients are positive where higher classes are likelier.
    estimates, errors : ndarray of shape (n_features + 1, n_columns)
        Coefficients, the last row the intercepts; standard errors.
    covariance : ndarray
        Of `estimates.ravel()`.
    title : str
    confidence_level : float, default=0.95
        Of the intervals; `dataclasses.replace(table, confidence_level=0.9)` is the
        table with others.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skce import PairedMLPClassifier, standard_errors
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = PairedMLPClassifier(hidden_layer_sizes=(), alpha=0, max_iter=5000)
    >>> table = standard_errors(clf.fit(X[50:, 2:], y[50:]), X[50:, 2:], y[50:])
    >>> table.names
    ['x0', 'x1', 'intercept']
    >>> table.z.shape
    (3, 2)
    >>> table.to_frame().columns.tolist()
    ['estimate', 'error', 'z', 'p', 'lower', 'upper']
    """

    names: list[str]
    outputs: list[Any]
    estimates: NDArray[np.float64]
    errors: NDArray[np.float64]
    covariance: NDArray[np.float64] = field(repr=False)
    title: str
    confidence_level: float = 0.95

    def __post_init__(self) -> None:
        check_confidence_level(self.confidence_level)

    @property
    def z(self) -> NDArray[np.float64]:
        """Estimates over their standard errors."""
        return self.estimates / self.errors

    @property
    def p(self) -> NDArray[np.float64]:
        """Two-sided p-values of the hypothesis that a coefficient is 0."""
        return 2 * ndtr(-np.abs(self.z))

    @property
    def lower(self) -> NDArray[np.float64]:
        """Lower ends of the normal confidence intervals."""
        return self.estimates - self._reach

    @property
    def upper(self) -> NDArray[np.float64]:
        """Upper ends of the normal confidence intervals."""
        return self.estimates + self._reach

    @property
    def _reach(self) -> NDArray[np.float64]:
        return self.errors * ndtri((1 + self.confidence_level) / 2)

    def rows(self) -> list[dict[str, Any]]:
        """Return one dict per output and feature."""
        columns = ("estimate", "error", "z", "p", "lower", "upper")
        tables = (
            *(self.estimates, self.errors, self.z, self.p),
            *(self.lower, self.upper),
        )
        return [
            {"class": output, "feature": name}
            | {c: float(t[i, k]) for c, t in zip(columns, tables, strict=True)}
            for k, output in enumerate(self.outputs)
            for i, name in enumerate(self.names)
        ]

    def to_frame(self) -> Any:
        """A pandas DataFrame, indexed by class and feature."""
        pandas = optional("pandas", "CoefficientTable.to_frame")
        return pandas.DataFrame(self.rows()).set_index(["class", "feature"])

    def _cells(self) -> Iterator[list[list[str]]]:
        """Yield a heading and a row per feature, for each output."""
        interval = f"{100 * self.confidence_level:.6g} % interval"
        rows = iter(self.rows())
        for output in self.outputs:
            head = [f"class {output}", "estimate", "std. error", "z", "p", interval]
            yield [head, *(_cells_of(row) for row in islice(rows, len(self.names)))]

    def __str__(self) -> str:
        width = 2 + max(len(str(name)) for name in self.names)
        lines = [self.title]
        for head, *rows in self._cells():
            rows = [[f"  {name}", *values] for name, *values in rows]
            lines += ["", *(_line(cells, width) for cells in (head, *rows))]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        parts = [
            html_table(rows, head=head, align=[TEXT] + [NUMBER] * 5)
            for head, *rows in self._cells()
        ]
        return html_page(f"<p>{escape(self.title)}</p>", *parts)


def _cells_of(row: dict[str, Any]) -> list[str]:
    return [
        str(row["feature"]),
        *(f"{row['estimate']:.4g}", f"{row['error']:.4g}"),
        *(f"{row['z']:.2f}", f"{row['p']:.3g}"),
        f"{row['lower']:.4g} to {row['upper']:.4g}",
    ]


def _line(cells: list[str], width: int) -> str:
    name, estimate, error, z, p, interval = cells
    return f"{name:<{width}}{estimate:>12}{error:>12}{z:>8}{p:>10}{interval:>22}"


def check_confidence_level(confidence_level: float) -> None:
    """Raise a ValueError if it is no probability between 0 and 1."""
    if not 0 < confidence_level < 1:
        raise ValueError(
            f"confidence_level={confidence_level!r} must lie between 0 and 1, such as "
            "0.95."
        )
