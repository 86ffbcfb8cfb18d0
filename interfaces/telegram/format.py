"""Render markdown as Telegram's HTML: https://core.telegram.org/bots/api#html-style"""

import re
from html import escape, unescape

from gateway.channels.presenter import MARK_LENGTH
from interfaces.markdown import Renderer

LIMIT = 4096 - MARK_LENGTH  # UTF-16 code units of one message, "after entities parsing"

_LINK = re.compile(r'<a href="([^"]*)">(.*?)</a>', re.DOTALL)
_TAG = re.compile(r"<[^>]*>")


def plain(html: str) -> str:
    """Return what `HtmlRenderer` rendered as plain text, with the addresses of links."""
    return unescape(_TAG.sub("", _LINK.sub(r"\2 (\1)", html)))


class HtmlRenderer(Renderer):
    """Renders markdown as HTML."""

    def __init__(self) -> None:
        super().__init__(LIMIT)

    def size(self, text: str) -> int:
        """Return the length of the plain text, which has to fit as well, as it is sent if Telegram refuses the HTML."""
        return super().size(plain(text) if "<" in text or "&" in text else text)

    def escape(self, text: str) -> str:
        return escape(text, quote=False)

    def bold(self, text: str) -> str:
        return f"<b>{text}</b>"

    def italic(self, text: str) -> str:
        return f"<i>{text}</i>"

    def strikethrough(self, text: str) -> str:
        return f"<s>{text}</s>"

    def code(self, text: str) -> str:
        return f"<code>{self.escape(text)}</code>"

    def code_block(self, text: str, language: str) -> str:
        code = self.escape(text)
        return (
            f'<pre><code class="language-{escape(language)}">{code}</code></pre>' if language else f"<pre>{code}</pre>"
        )

    def link(self, text: str, address: str) -> str:
        return f'<a href="{escape(address)}">{text}</a>'

    def quote(self, text: str) -> str:
        return f"<blockquote>{text}</blockquote>"
