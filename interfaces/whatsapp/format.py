"""Render markdown as WhatsApp's text: https://faq.whatsapp.com/539178204879377"""

from gateway.channels.presenter import MARK_LENGTH
from interfaces.markdown import MarkRenderer

LIMIT = 1600 - MARK_LENGTH  # characters of one message: https://www.twilio.com/docs/api/errors/21617


class WhatsAppRenderer(MarkRenderer):
    """Renders markdown with the marks of WhatsApp, which has no escapes and no links with a text.

    Tables become lists, because lines of monospaced text wrap on a phone.
    """

    table_width = 0

    def __init__(self) -> None:
        super().__init__(LIMIT)

    def escape(self, text: str) -> str:
        return text

    def code_block(self, text: str, language: str) -> str:
        return f"```\n{text}\n```" if "`" in (text[:1], text[-1:]) else f"```{text}```"

    def link(self, text: str, address: str) -> str:
        return address if text in (address, address.removeprefix("mailto:")) else f"{text} ({address})"
