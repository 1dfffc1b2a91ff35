"""A math renderer that needs no network and no JavaScript: MathML, by docutils."""

import re

from docutils.nodes import SkipNode
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util.logging import getLogger

logger = getLogger(__name__)


def _markup(node, block):
    try:
        return re.sub(r"\n+", " ", tex2mathml(node.astext(), as_block=block))
    except MathError as error:
        logger.warning("%s in %r", error, node.astext(), location=node)
        return ""


def _inline(translator, node):
    translator.body.append(_markup(node, block=False))
    raise SkipNode


def _block(translator, node):
    translator.body.append(translator.starttag(node, "div", CLASS="formula"))
    translator.body.append(_markup(node, block=True) + "</div>\n")
    raise SkipNode


def setup(app):
    """Enter the renderer under the name that conf.py gives."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
