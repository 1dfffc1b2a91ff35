"""The table of what each pair estimates, computed by skce when the page is built.

The content of the directive is one pair per line, `activation x penalty`, each a name
or an expression such as Focal(2).
"""

import re

from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList

from skce import losses, pairing_properties

COLUMNS = (
    "pair",
    "estimates",
    "calibrated",
    "convex",
    "loss of a wrong row",
    "flat where wrong",
    "small P count",
)
ANSWERS = {True: "yes", False: "no", None: "-"}


def _named(text):
    """Return an instance from an expression, or the name itself."""
    return eval(text, vars(losses)) if "(" in text else text


def _literal(text):
    return re.sub(r"([_*|])", r"\\\1", text)


def _cell(finding, text):
    return f"*{text}*" if finding.by == "computation" else text


def row(pair):
    """Return the cells of a pair; what was computed is in italics."""
    properties = pairing_properties(*map(_named, pair.split(" x ")))
    assert not properties.contradictions, str(properties)
    proper, flat = properties.proper, properties.flat_when_wrong
    estimate = "P" if proper else _literal(proper.reason)
    margin = flat.reason.rpartition("from ")[2].removesuffix(" on") if flat else "no"
    return [
        _literal(str(properties.pairing)),
        _cell(proper, estimate),
        *(
            _cell(f, ANSWERS[f.value])
            for f in (properties.calibrated, properties.convex)
        ),
        _cell(
            properties.bounded,
            properties.bounded.reason if properties.bounded else "no bound",
        ),
        _cell(flat, f"from {margin}" if flat else margin),
        _cell(f := properties.sensitive_to_small_probabilities, ANSWERS[f.value]),
    ]


class PairingTable(Directive):
    """The directive `pairing-properties`."""

    has_content = True

    def run(self):
        """Parse the table as Markdown."""
        rows = [COLUMNS, ["---"] * len(COLUMNS), *map(row, self.content)]
        lines = [f"| {' | '.join(cells)} |" for cells in rows]
        node = nodes.Element()
        self.state.nested_parse(StringList(lines, source=""), 0, node)
        return node.children


def setup(app):
    """Enter the directive."""
    app.add_directive("pairing-properties", PairingTable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
