"""Markdown as WhatsApp's text."""

from support.channels.renderers import EVERYTHING

from interfaces.whatsapp.format import WhatsAppRenderer


def test_every_kind_of_markup_is_rendered() -> None:
    assert WhatsAppRenderer().render(EVERYTHING) == [
        "*Title*\n\n"
        "A _slanted_, *strong*, ~gone~ `code <b>` link (https://a.test/?x=1&y=2) word <script>.\n\n"
        "• one\n• two\n    1. nested\n    2. again\n\n"
        "> quoted\n> twice\n\n"
        "```if a < b: pass```\n\n"
        "• *a:* 1\n    *b:* 22\n\n"
        "———"
    ]
