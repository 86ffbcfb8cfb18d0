"""Render markdown as HTML that is safe to show in the page."""

import logging
from html import escape

from interfaces.markdown.parser import Parser, TooComplexError, is_allowed, parse
from toolkits.text import storable

# A model's text is not trusted: its HTML is shown as text, and so are links to addresses that are not allowed.
_parser = Parser(takes=is_allowed, images=False)

log = logging.getLogger(__name__)


def to_html(markdown: str) -> str:
    """Return markdown as HTML, or as plain text in HTML if it is too complex or fails to render."""
    markdown = storable(markdown)
    try:
        return str(_parser.renderer.render(parse(_parser, markdown), _parser.options, {}))
    except TooComplexError as error:
        log.warning("a text of %s characters is shown as plain text: %s", len(markdown), error)
    except Exception:  # otherwise the conversation would wait for a text that never renders
        log.exception("a text of %s characters could not be rendered and is shown as plain text", len(markdown))
    lines = escape(markdown).replace("\n", "<br />")
    return f"<p>{lines}</p>"
