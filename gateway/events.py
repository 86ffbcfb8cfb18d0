"""What happens in a turn, as a stream of events to one handler."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TextDelta:
    """More text of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolStarted:
    tool: str


@dataclass(frozen=True, slots=True)
class ToolEnded:
    tool: str


TurnEvent = TextDelta | ToolStarted | ToolEnded

EventHandler = Callable[[TurnEvent], Awaitable[None]]
