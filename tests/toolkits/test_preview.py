"""A person who approves a call sees all of it."""

import pytest

from toolkits import preview

# Each of these is invisible, or reorders other characters.
HIDDEN = [
    "\u115f", "\u1160", "\u3164", "\uffa0", "\u2800", "\u034f", "\u17b4", "\u180e", "\u200b", "\u200e", "\u2060",
    "\u202e", "\u2066", "\u2069", "\u061c", "\ufeff", "\u00ad", "\ufe00", "\ufe0f", "\u200d", "\u200c", "\U000e0001",
    "\U000e0041", "\U000e0100", "\u2028", "\u0085", "\r", "\x1b", "\ud800", "\ue000",
]  # fmt: skip


@pytest.mark.parametrize("hidden", HIDDEN, ids=lambda hidden: f"{ord(hidden):04x}")
def test_what_cannot_be_seen_is_shown_as_its_number(hidden: str) -> None:
    number = f"\\u{ord(hidden):04x}"
    assert preview.line(f"bob{hidden}@example.com") == f"`bob{number}@example.com`"
    assert preview.block(f"bob{hidden}@example.com") == f"```\nbob{number}@example.com\n```"


@pytest.mark.parametrize("text", ["می‌خواهم", "क्‍ष", "👩‍💻", "❤️", "👁️‍🗨️", "שלום", "한국어", "naïve", "a\tb"])
def test_what_people_write_stays(text: str) -> None:
    assert preview.block(text) == f"```\n{text}\n```"
