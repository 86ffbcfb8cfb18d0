import logging
from html import escape

from interfaces.markdown_parser import Parser, TooComplexError, is_allowed, parse
from toolkits.text import storable

# What a model writes is not trusted: HTML in it is shown as text, and so is a link that leads to no web page.
_parser = Parser(takes=is_allowed, images=False)

log = logging.getLogger(__name__)


def to_html(markdown: str) -> str:
    """Return markdown as HTML; as plain text in HTML, if it is too complex or fails to render."""
    markdown = storable(markdown)
    try:
        return str(_parser.renderer.render(parse(_parser, markdown), _parser.options, {}))
    except TooComplexError as error:
        log.warning("a text of %s characters is shown as plain text: %s", len(markdown), error)
    except Exception:  # a text that cannot be rendered must not keep its conversation waiting
        log.exception("a text of %s characters could not be rendered and is shown as plain text", len(markdown))
    lines = escape(markdown).replace("\n", "<br />")
    return f"<p>{lines}</p>"
