"""What a tool is to do, for the person who approves it: markdown that nothing in it can pass itself off as."""

from collections.abc import Mapping
from typing import Any

from oauth.visible import visible
from toolkits.text import storable_json

FENCE = "```"
BACKTICK = "\\u0060"


def line(text: str) -> str:
    """A text as one line of code."""
    shown = " ".join(visible(text).split()).replace("`", BACKTICK)
    return f"`{shown}`" if shown else "(empty)"


def block(text: str) -> str:
    """A text as a block of code, in which every character is seen."""
    shown = visible(text).replace(FENCE, FENCE.replace("`", BACKTICK))  # not every channel knows longer fences
    return f"{FENCE}\n{shown}\n{FENCE}"


def call(tool: str, arguments: Mapping[str, Any]) -> str:
    """A tool's name, and its arguments as they are."""
    return f"Call {line(tool)} with:\n\n{block(storable_json(arguments, indent=2))}"
