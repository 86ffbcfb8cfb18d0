"""Replies: the ways to answer a message, which are tried in order."""

from typing import Protocol

from gateway.turns.turn import Turn, TurnOutcome


class Reply(Protocol):
    """One way to answer a message."""

    async def reply(self, turn: Turn) -> TurnOutcome | None:
        """Return the outcome of the turn; `None` if this reply does not fit, so that the next one is tried.

        Raises:
            LeaseLostError: if another worker has taken the turn over.
            DatabaseUnavailableError: if the database failed. The message is not at fault.
        """
        ...
