"""The table of what each pair estimates, computed by skce when the page is built.

The content of the directive is one pair per line, `activation x penalty`, each a name
or an expression such as Focal(2). Below the table stands what the pairs estimate that
are not proper.
"""

import re

from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList
from formulas import LINES

from skce import losses, pairing_properties

COLUMNS = (
    "pair",
    "proper",
    "calibrated",
    "convex",
    "largest loss",
    "flat from",
    "small P",
)
ANSWERS = {True: "yes", False: "no", None: "?"}


def _named(text):
    """Return an instance from an expression, or the name itself."""
    return eval(text, vars(losses)) if "(" in text else text


def _literal(text):
    return re.sub(r"([_*|^])", r"\\\1", text)


def _typeset(reason):
    """Return what a pair estimates, with the formula as mathematics."""
    for text in sorted(LINES, key=len, reverse=True):
        if reason.startswith(text):
            return f"${LINES[text]}$" + reason.removeprefix(text)
    return _literal(reason)


def _cell(finding, text=None):
    """Return the answer, in italics if it was computed."""
    text = ANSWERS[finding.value] if text is None else text
    return f"*{text}*" if finding.by == "computation" else text


def row(pair, properties):
    """Return the cells of a pair."""
    bounded, flat = properties.bounded, properties.flat_when_wrong
    largest = bounded.reason.removeprefix("at most ") if bounded else "none"
    since = re.search(r"from (a margin of|s =) ([\d.]+)", flat.reason)
    return [
        _literal(re.sub(r"\(.*", "", pair)),
        *map(_cell, (properties.proper, properties.calibrated, properties.convex)),
        _cell(bounded, largest),
        _cell(flat, since[2] if since else "no"),
        _cell(properties.sensitive_to_small_probabilities),
    ]


class PairingTable(Directive):
    """The directive `pairing-properties`."""

    has_content = True

    def run(self):
        """Parse the table and the list below it as Markdown."""
        every = {
            pair: pairing_properties(*map(_named, pair.split(" x ")))
            for pair in self.content
        }
        wrong = [str(found) for found in every.values() if found.contradictions]
        if wrong:
            raise self.error("\n".join(wrong))
        rows = [COLUMNS, ["---"] * len(COLUMNS)]
        rows += [row(pair, found) for pair, found in every.items()]
        lines = [f"| {' | '.join(cells)} |" for cells in rows]
        lines += [
            "",
            "The other pairs, and how P follows from the outputs y with the smallest "
            "expected loss:",
            "",
        ]
        for pair, found in every.items():
            if not found.proper:
                lines.append(f"- {_literal(pair)}: {_typeset(found.proper.reason)}")
        node = nodes.Element()
        self.state.nested_parse(StringList(lines, source=""), 0, node)
        return node.children


def setup(app):
    """Enter the directive."""
    app.add_directive("pairing-properties", PairingTable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
