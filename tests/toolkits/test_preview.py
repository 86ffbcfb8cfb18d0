"""A preview of a call hides nothing from the person who approves it."""

import pytest

from toolkits import preview

# Each of these is invisible, or reorders other characters.
HIDDEN = [
    "\u115f", "\u1160", "\u3164", "\uffa0", "\u2800", "\u034f", "\u17b4", "\u180e", "\u200b", "\u200e", "\u2060",
    "\u202e", "\u2066", "\u2069", "\u061c", "\ufeff", "\u00ad", "\ufe00", "\ufe0f", "\u200d", "\u200c", "\U000e0001",
    "\U000e0041", "\U000e0100", "\u2028", "\u0085", "\r", "\x1b", "\ud800", "\ue000",
]  # fmt: skip


@pytest.mark.parametrize("hidden", HIDDEN, ids=lambda hidden: f"{ord(hidden):04x}")
def test_invisible_characters_are_shown_by_their_numbers(hidden: str) -> None:
    number = f"\\u{ord(hidden):04x}"
    assert preview.line(f"bob{hidden}@example.com") == f"`bob{number}@example.com`"
    assert preview.block(f"bob{hidden}@example.com") == f"```\nbob{number}@example.com\n```"


@pytest.mark.parametrize("text", ["می‌خواهم", "क्‍ष", "👩‍💻", "❤️", "👁️‍🗨️", "שלום", "한국어", "naïve", "a\tb"])
def test_ordinary_characters_are_not_changed(text: str) -> None:
    assert preview.block(text) == f"```\n{text}\n```"
