"""Names in tables may be broken between their words, so that tables fit a phone."""

import re

TABLE = re.compile(r"<table.*?</table>", re.DOTALL)
TEXT = re.compile(r"(?<=>)[^<>]+(?=<)")
# only words that would widen a column
LONG = re.compile(r"\S{12,}")
# after a sign of code, or before a capital letter, within a name; entities stay whole
BREAK = re.compile(
    r"""(&\w+;)
    | (?<=[A-Za-z][_=(./])(?=[\w"'(\[])
    | (?<=[a-z])(?=[A-Z])
    | (?<=[A-Z])(?=[A-Z][a-z])""",
    re.VERBOSE,
)


def with_breaks(body):
    """Return the HTML of a page with the places where names in tables may be broken."""

    def broken(word):
        return BREAK.sub(lambda found: found[1] or "<wbr>", word[0])

    def broken_words(text):
        return LONG.sub(broken, text[0])

    return TABLE.sub(lambda table: TEXT.sub(broken_words, table[0]), body)


def _break_names(app, pagename, templatename, context, doctree):
    if "body" in context:
        context["body"] = with_breaks(context["body"])


def setup(app):
    """Ask for the body of every page once it is HTML."""
    app.connect("html-page-context", _break_names)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
