"""Replies: the ways in which a message may be answered, which are tried one after the other."""

from typing import Protocol

from gateway.turns.turn import Turn, TurnOutcome


class Reply(Protocol):
    """One way in which a message may be answered."""

    async def reply(self, turn: Turn) -> TurnOutcome | None:
        """Return what the turn comes to; `None` leaves the message to the next reply.

        Raises:
            LeaseLostError: if another worker has taken the turn over.
            DatabaseUnavailableError: if the database failed, which says nothing against the message.
        """
        ...
