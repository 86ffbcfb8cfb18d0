"""Render markdown as HTML that is safe to show in the page."""

import logging
from collections.abc import Sequence
from html import escape

from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

from interfaces.markdown.parser import Parser, TooComplexError, is_allowed, parse
from toolkits.text import storable

log = logging.getLogger(__name__)


class _Renderer(RendererHTML):
    """Renders the elements of markdown as `static/style.css` expects them. The names are those of markdown-it's tokens.

    What may be wider than the page scrolls by itself, also by keyboard.
    """

    def link_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        """Open links in a new tab, so that the chat stays where it is."""
        tokens[idx].attrSet("target", "_blank")
        tokens[idx].attrSet("rel", "noopener")
        return self.renderToken(tokens, idx, options, env)

    def code_block(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        """Add a bar with the language and a button, which `static/copy.js` listens to."""
        language = "".join(tokens[idx].info.split()[:1])
        return (
            f'<div class="code"><div class="bar"><span>{escape(language)}</span>'
            '<button type="button" class="copy">Copy</button></div>'
            f'<pre tabindex="0" role="group" aria-label="Code"><code>{escape(tokens[idx].content)}</code></pre></div>\n'
        )

    fence = code_block

    def table_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        opening = self.renderToken(tokens, idx, options, env)
        return f'<div class="table" tabindex="0" role="group" aria-label="Table">{opening}'

    def table_close(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return f"{self.renderToken(tokens, idx, options, env)}</div>\n"

    def th_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        """Make the alignment of a cell a class, because the page's policy ignores `style` attributes."""
        if style := tokens[idx].attrs.pop("style", None):
            tokens[idx].attrSet("class", str(style).removeprefix("text-align:"))
        return self.renderToken(tokens, idx, options, env)

    td_open = th_open


# A model's text is not trusted: its HTML is shown as text, and so are links to addresses that are not allowed.
_parser = Parser(takes=is_allowed, images=False)
_parser.renderer = _Renderer(_parser)


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
