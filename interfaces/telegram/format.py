"""Render markdown as Telegram's HTML: https://core.telegram.org/bots/api#html-style"""

from html import escape

from gateway.channels.presenter import MARK_LENGTH
from interfaces.markdown import Renderer

LIMIT = 4096 - MARK_LENGTH  # characters of one message


class HtmlRenderer(Renderer):
    """Renders markdown as HTML. The limit includes its tags and entities, though Telegram counts neither."""

    def __init__(self) -> None:
        super().__init__(LIMIT)

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
