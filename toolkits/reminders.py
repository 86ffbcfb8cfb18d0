"""Reminders: texts that the agent sends later."""

from datetime import UTC, datetime

from toolkits.context import TurnContext
from toolkits.errors import ToolError
from toolkits.function import tool
from toolkits.toolkit import Toolkit


class Reminders(Toolkit):
    """A toolkit with which the agent writes to its conversation at a later time."""

    @tool(label="Setting a reminder")
    async def remind(self, context: TurnContext, text: str, at: datetime) -> str:
        """Send a text to this conversation at a later time.

        Args:
            text: the text to send, in markdown.
            at: when to send it, with its offset from UTC, like 2026-11-21T09:00:00+01:00.
        """
        if at.tzinfo is None:
            raise ToolError("Give the time with its offset from UTC. If you do not know the user's time zone, ask.")
        if at <= datetime.now(UTC):
            raise ToolError(f"That time is in the past: it is now {datetime.now(UTC):%Y-%m-%dT%H:%M:%S%z}.")
        await context.send(text, at=at, key=f"{context.reference}:{at.isoformat()}:{text}")
        return f"It will be sent at {at.isoformat()}."
