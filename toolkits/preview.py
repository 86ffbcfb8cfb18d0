"""What a tool is to do, for the person who approves it: markdown that nothing in it can pass itself off as."""

import unicodedata
from collections.abc import Mapping
from typing import Any

from pydantic_core import to_json

# They join letters of some languages, and emoji, and reorder nothing.
JOINERS = "\u200c\u200d"
# Characters with no look of their own, of which some reorder others: https://www.unicode.org/reports/tr44/#GC_Values_Table
INVISIBLE = frozenset({"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"})

FENCE = "```"
BACKTICK = "\\u0060"


def line(text: str) -> str:
    """A text as one line of code."""
    shown = " ".join(_visible(text).split()).replace("`", BACKTICK)
    return f"`{shown}`" if shown else "(empty)"


def block(text: str) -> str:
    """A text as a block of code, in which every character is seen."""
    shown = _visible(text).replace(FENCE, FENCE.replace("`", BACKTICK))  # not every channel knows longer fences
    return f"{FENCE}\n{shown}\n{FENCE}"


def call(tool: str, arguments: Mapping[str, Any]) -> str:
    """A tool's name, and its arguments as they are."""
    return f"Call {line(tool)} with:\n\n{block(to_json(arguments, indent=2, fallback=str).decode())}"


def _visible(text: str) -> str:
    return "".join(_named(character) for character in text.replace("\r\n", "\n"))


def _named(character: str) -> str:
    if character in "\n\t" or character in JOINERS or unicodedata.category(character) not in INVISIBLE:
        return character
    return f"\\u{ord(character):04x}"
