from datetime import UTC, datetime

from toolkits.context import TurnContext
from toolkits.function import ToolError, tool
from toolkits.toolkit import Toolkit


class Reminders(Toolkit):
    """Lets an agent write later to the conversation that it is in."""

    @tool
    async def remind(self, context: TurnContext, text: str, at: datetime) -> str:
        """Sends a text to this conversation at a later time.

        Args:
            text: what is sent, in markdown.
            at: when, with its offset from UTC, like 2026-11-21T09:00:00+01:00.
        """
        if at.tzinfo is None:
            raise ToolError("Say the time with its offset from UTC. If you do not know the person's time zone, ask.")
        if at <= datetime.now(UTC):
            raise ToolError(f"That time is over: it is {datetime.now(UTC):%Y-%m-%dT%H:%M:%S%z} now.")
        await context.send(text, at=at, key=f"{context.reference}:{at.isoformat()}:{text}")
        return f"It is sent at {at.isoformat()}."
