"""Show what a tool is about to do, as markdown in which no argument can pose as something else."""

from collections.abc import Mapping
from typing import Any

from oauth.visible import visible
from toolkits.text import storable_json

FENCE = "```"
BACKTICK = "\\u0060"


def line(text: str) -> str:
    """Return a text as one line of code."""
    shown = " ".join(visible(text).split()).replace("`", BACKTICK)
    return f"`{shown}`" if shown else "(empty)"


def block(text: str) -> str:
    """Return a text as a block of code, with every character visible."""
    shown = visible(text).replace(FENCE, FENCE.replace("`", BACKTICK))  # not every channel knows longer fences
    return f"{FENCE}\n{shown}\n{FENCE}"


def call(tool: str, arguments: Mapping[str, Any]) -> str:
    """Return a tool's name and arguments, for a tool without its own preview."""
    return f"Call {line(tool)} with:\n\n{block(storable_json(arguments, indent=2))}"
