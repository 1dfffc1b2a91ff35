"""What the displays share: styles of lines, and axes.

Displays follow scikit-learn's protocol: `__init__` takes the data to draw; `plot` draws
them and sets `ax_` and `figure_`. Lines differ in style and markers, so that the plots
are readable without colour.
"""

from typing import Any

from skce._support.optional import optional

__all__ = ["axes_or_new", "line_style", "with_defaults"]

STYLES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1)))
MARKERS = ("o", "s", "^", "D", "v", "P")


def line_style(i: int) -> dict[str, Any]:
    """Return the style and marker of the i-th line; the first 30 differ."""
    return {"linestyle": STYLES[i % 5], "marker": MARKERS[i % 6]}


def with_defaults(defaults: dict[str, Any], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Merge keywords of a line, `kwargs` overriding `defaults` under any alias."""
    normalize = optional("matplotlib.cbook", "A display").normalize_kwargs
    line = optional("matplotlib.lines", "A display").Line2D
    return normalize(defaults, line) | normalize(kwargs, line)


def axes_or_new(ax: Any) -> Any:
    """Return `ax`, or by default new axes in a figure with constrained layout."""
    pyplot = optional("matplotlib.pyplot", "A display")
    return pyplot.subplots(layout="constrained")[1] if ax is None else ax
