"""API pages from docstrings that are written for the terminal: plain text, no markup.

Formulas with an entry in `formulas` become mathematics; any other block that stands
indented after a blank line becomes a literal block. The signs |, * and a last _, which
are markup to reStructuredText, are escaped outside of code. Classes get a list of the
methods that they inherit from scikit-learn. On the pages of the source, viewcode takes
all names of a module to be documented under one prefix; their links are put right.
"""

import inspect
import re

from formulas import BLOCKS, LINES

CODE = re.compile(r"(``.+?``|`[^`]+`)")
SIGNS = re.compile(r"[|*]|(?<=\w)_+(?!\w)")
LONGEST_FIRST = sorted(LINES, key=len, reverse=True)
BACK = re.compile(r"(generated/(?:\w+\.)*(\w+)\.html#)[\w.]*?\b\2\b")


def _escape(line):
    parts = CODE.split(line)
    for i in range(0, len(parts), 2):
        parts[i] = SIGNS.sub(lambda sign: "\\" + "\\".join(sign[0]), parts[i])
    return "".join(parts)


def _typeset(line):
    """Replace a formula by mathematics, which needs a blank or a mark around it."""
    for text in LONGEST_FIRST:
        before, found, after = line.partition(text)
        if found and "`" not in line:
            return rf"{before}:math:`{LINES[text]}`\ {after}"
    return line


def _block(block):
    """Return the markup of an indented block: mathematics, or literal text."""
    latex = BLOCKS.get(" ".join(" ".join(block).split()))
    if latex is None:
        return ["::", "", *block]
    return [f".. math:: {latex}", ""]


def _as_markup(app, what, name, obj, options, lines):
    marked, block, example, prose = [], [], False, True
    for line in list(lines):
        text, indented = line.strip(), line.startswith("    ")
        if not text:
            example = False
        elif text.startswith(">>>"):
            example = True
        if text and not indented:
            prose = True
            if block:
                marked += _block(block)
                block = []
        elif block:
            block.append(line)
            continue
        elif text and prose and marked and not marked[-1].strip() and not example:
            # under a paragraph at the margin, with a blank line between
            block = [line]
            continue
        if text and indented:
            prose = False
        if not example:
            # numpydoc looks after the names of parameters, not after their types
            parameter, colon, rest = line.partition(" : ")
            if colon:
                line = parameter + colon + _escape(rest)
            else:
                line = _escape(_typeset(line))
        marked.append(line)
    if block:
        marked += _block(block)
    lines[:] = marked


def _is_foreign(member):
    target = member.fget if isinstance(member, property) else member
    module = getattr(target, "__module__", None)
    return callable(target) and not str(module).startswith("skce")


def _skip_foreign(app, what, name, obj, skip, options):
    """Leave out members that skce does not define."""
    return True if _is_foreign(obj) else None  # None: as autodoc would have it


def _list_inherited(app, what, name, obj, options, lines):
    """List the methods that a class has from scikit-learn, with their summaries."""
    if what != "class" or not any(
        c.__module__.startswith("sklearn") for c in obj.__mro__
    ):
        return
    rows = []
    for key in sorted(dir(obj)):
        method = getattr(obj, key, None)
        if key.startswith("_") or not callable(method):
            continue
        if str(getattr(method, "__module__", "")).startswith("skce"):
            continue
        summary = (inspect.getdoc(method) or "").partition("\n")[0]
        rows.append(f"- ``{key}()``: {_escape(summary)}")
    if rows:
        lines += ["", ".. rubric:: Methods inherited from scikit-learn", "", *rows, ""]


def _link_back(app, pagename, templatename, context, doctree):
    """Give the links of a page of source the anchors that the API pages have."""
    if pagename.startswith("_modules/") and "body" in context:
        context["body"] = BACK.sub(_anchored, context["body"])


def _anchored(link):
    page = link[1].removeprefix("generated/").removesuffix(".html#")
    return link[1] + page


def setup(app):
    """Register the handlers, before and after that of numpydoc."""
    app.connect("html-page-context", _link_back)
    app.connect("autodoc-process-docstring", _as_markup, priority=400)
    app.connect("autodoc-process-docstring", _list_inherited, priority=600)
    app.connect("autodoc-skip-member", _skip_foreign)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
