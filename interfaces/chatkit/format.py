"""Check markdown that ChatKit renders in the page: https://openai.github.io/chatkit-js/"""

import logging
import re
from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

from markdown_it.token import Token

from interfaces.markdown.parser import Parser, TooComplexError, is_allowed, parse
from toolkits.text import storable

_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")

# Links to all addresses are parsed, because `to_markdown` checks each address. So are footnotes, which ChatKit may show
# as links.
_parser = Parser(takes=lambda _: True, footnotes=False)

log = logging.getLogger(__name__)


def to_markdown(markdown: str) -> str:
    """Return markdown unchanged, or escaped to plain text if it is too complex or has a link that may be harmful."""
    markdown = storable(markdown)
    try:
        tokens = parse(_parser, markdown)
    except TooComplexError as error:
        log.warning("a text of %s characters is shown as plain text: %s", len(markdown), error)
    except Exception:  # otherwise the conversation would wait for a text that never renders
        log.exception("a text of %s characters could not be parsed and is shown as plain text", len(markdown))
    else:
        if all(map(_is_harmless, _addresses(tokens))):
            return markdown
    return escape(markdown)


def escape(text: str) -> str:
    """Return markdown that shows a text as it is."""
    return _PUNCTUATION.sub(r"\\\1", text)


def _addresses(tokens: Iterable[Token]) -> Iterator[str]:
    """Yield the addresses of links and images."""
    for token in tokens:
        address = token.attrGet("href") or token.attrGet("src")
        if address is not None:
            yield str(address)
        yield from _addresses(token.children or ())


def _is_harmless(address: str) -> bool:
    """Return whether an address is allowed, or has no scheme, so that it leads into the host application."""
    try:
        return is_allowed(address) or not urlsplit(address).scheme
    except ValueError:
        return False
