"""Count the tools and the tokens of a turn, for the log."""

from collections import Counter
from dataclasses import dataclass, field

from gateway.runs.events import TokensUsed, ToolStarted, TurnEvent


@dataclass
class TurnUsage:
    """The tool calls of a run, and the tokens of its models.

    Attributes:
        tools: how often each tool was called, in the order of the first calls.
        tokens: the tokens that were read and written; `None` if no model has told.
    """

    tools: Counter[str] = field(default_factory=Counter)
    tokens: int | None = None

    def note(self, event: TurnEvent) -> None:
        """Add an event."""
        if isinstance(event, ToolStarted):
            self.tools[event.tool] += 1
        elif isinstance(event, TokensUsed) and event.count:
            self.tokens = (self.tokens or 0) + event.count

    def __str__(self) -> str:
        tools = ", ".join(f"{tool} x{count}" if count > 1 else tool for tool, count in self.tools.items())
        tokens = f"{self.tokens} tokens" if self.tokens is not None else ""
        return "; ".join(filter(None, (tools and f"tools: {tools}", tokens)))
