"""A math renderer that needs no network and no JavaScript: MathML, by docutils."""

import re

from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util.math import get_node_equation_number


def _markup(node, block):
    text = node.astext()
    if block and (r"\\" in text or "&" in text) and r"\begin" not in text:
        text = rf"\begin{{aligned}}{text}\end{{aligned}}"
    return re.sub(r"\n+", " ", tex2mathml(text, as_block=block))


def _inline(translator, node):
    translator.body.append(_markup(node, block=False))
    raise _skip()


def _block(translator, node):
    translator.body.append(translator.starttag(node, "div", CLASS="formula"))
    if node["number"]:
        number = get_node_equation_number(translator, node)
        translator.body.append(f'<span class="eqno">({number})</span>')
    translator.body.append(_markup(node, block=True) + "</div>\n")
    raise _skip()


def _skip():
    from docutils.nodes import SkipNode

    return SkipNode()


def setup(app):
    """Enter the renderer under the name that conf.py gives."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
