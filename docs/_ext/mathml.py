"""A math renderer that needs no network and no JavaScript: MathML, by docutils."""

import re

from docutils.nodes import SkipNode
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util.logging import getLogger

logger = getLogger(__name__)

FUNCTION = r"(\\(?:arg|exp|log|max|sup|tanh)\b)"
BEFORE = re.compile(rf"(?<=[\w)}}])\s*(?:\\,)?\s*{FUNCTION}")
AFTER = re.compile(rf"{FUNCTION}\s*(?:\\,)?\s*(?=[A-Za-z0-9\\])(?!\\left)")
BAR = re.compile("<mo[^>]*>([|‖])</mo>")
ACCENT = re.compile(
    r"<munderover>\s*(<mi>.</mi>)\s*(<mi>.</mi>)\s*(<mo stretchy=\"false\">.</mo>)"
    r"\s*</munderover>"
)


def _spaced(latex):
    """Set the names of functions apart from letters beside them, as LaTeX does."""
    return AFTER.sub(r"\1 \\, ", BEFORE.sub(r" \\, \1", latex))


def _mended(mathml):
    """Keep bars as high as a letter, and the index beside a letter with an accent."""
    mathml = BAR.sub(r'<mo stretchy="false" lspace="0" rspace="0">\1</mo>', mathml)
    return ACCENT.sub(r"<msub><mover>\1\3</mover>\2</msub>", mathml)


def _markup(node, block):
    try:
        mathml = tex2mathml(_spaced(node.astext()), as_block=block)
        return _mended(re.sub(r"\n+", " ", mathml))
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
