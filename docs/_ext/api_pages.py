"""API pages from docstrings that are written for the terminal: plain text, no markup.

A formula that stands indented after a blank line becomes a literal block, and the signs
|, * and a last _, which are markup to reStructuredText, are escaped outside of code.
"""

import re

CODE = re.compile(r"(``.+?``|`[^`]+`)")
SIGNS = re.compile(r"[|*]|(?<=\w)_+(?!\w)")


def _escape(line):
    parts = CODE.split(line)
    for i in range(0, len(parts), 2):
        parts[i] = SIGNS.sub(lambda sign: "\\" + "\\".join(sign[0]), parts[i])
    return "".join(parts)


def _as_markup(app, what, name, obj, options, lines):
    marked, literal, example, prose = [], False, False, True
    for line in list(lines):
        text, indented = line.strip(), line.startswith("    ")
        if not text:
            example = False
        elif text.startswith(">>>"):
            example = True
        if text and not indented:
            prose, literal = True, False
        elif text and prose and not literal and marked and not marked[-1].strip():
            # under a paragraph at the margin, with a blank line between
            literal = not example
            marked += ["::", ""] if literal else []
        if text and indented and not literal:
            prose = False
        if not (literal or example):
            # numpydoc looks after the names of parameters, not after their types
            parameter, colon, rest = line.partition(" : ")
            line = parameter + colon + _escape(rest) if colon else _escape(line)
        marked.append(line)
    lines[:] = marked


def _skip_foreign(app, what, name, obj, skip, options):
    """Leave out members that skce does not define."""
    target = obj.fget if isinstance(obj, property) else obj
    module = getattr(target, "__module__", None)
    if callable(target) and not str(module).startswith("skce"):
        return True
    return None  # as autodoc would have it


def setup(app):
    """Ask to be asked of every docstring, before numpydoc, and of every member."""
    app.connect("autodoc-process-docstring", _as_markup, priority=400)
    app.connect("autodoc-skip-member", _skip_foreign)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
