"""Tables for notebooks, in the colours of the page that shows them."""

from collections.abc import Iterable, Sequence
from html import escape

__all__ = ["NUMBER", "TEXT", "html_page", "html_table"]

# A notebook has a light or a dark ground and a colour of text that goes with it: both
# are inherited
TEXT, NUMBER = "left", "right"


def html_table(
    rows: Iterable[Sequence[str]],
    *,
    align: Sequence[str],
    head: Sequence[str] = (),
) -> str:
    """Return a table whose first cell in each row is the row's heading.

    Parameters
    ----------
    rows : iterable of sequence of str
        Plain text, which is escaped.
    align : sequence of {TEXT, NUMBER}
        Of each column.
    head : sequence of str, default=()
        The headings of the columns.

    Returns
    -------
    html : str
    """

    def line(cells: Sequence[str], scopes: Sequence[str]) -> str:
        parts = []
        for text, side, scope in zip(cells, align, scopes, strict=True):
            name, scoped = ("th", f' scope="{scope}"') if scope else ("td", "")
            style = f"text-align: {side}; white-space: pre-wrap"
            parts.append(f'<{name}{scoped} style="{style}">{escape(text)}</{name}>')
        return f"<tr>{''.join(parts)}</tr>"

    scopes = ["row"] + [""] * (len(align) - 1)
    parts = ['<table style="color: inherit">']
    if head:
        parts.append(f"<thead>{line(head, ['col'] * len(head))}</thead>")
    body = "".join(line(row, scopes) for row in rows)
    return "".join([*parts, f"<tbody>{body}</tbody></table>"])


def html_page(*parts: str) -> str:
    """Return tables one below the other; wide ones scroll."""
    return f'<div style="overflow-x: auto; color: inherit">{"".join(parts)}</div>'
