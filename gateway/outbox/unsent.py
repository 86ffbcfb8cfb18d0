"""Unsent rows, and what decides whether they may be sent."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, bindparam, exists, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.outbox.unreported import UNREPORTED_SINCE
from gateway.storage.tables import conversations, is_unsent, known_people, opt_outs, outbox, pauses
from toolkits import Conversation

paused_until = (
    select(func.max(pauses.c.until))
    .where(
        pauses.c.channel == conversations.c.channel,
        pauses.c.tenant == conversations.c.tenant,
        pauses.c.key.in_(("", conversations.c.key))
        | (func.substr(conversations.c.key, 1, func.length(pauses.c.key) + 1) == pauses.c.key + "/"),
    )
    .scalar_subquery()
)
"""The end of the longest pause of a conversation, its chat or its tenant, for a query of `conversations`."""
_OPTED_OUT = exists().where(
    opt_outs.c.channel == conversations.c.channel,
    opt_outs.c.tenant == conversations.c.tenant,
    opt_outs.c.user_id == conversations.c.key,
    ~conversations.c.shared,
)
_TAKEN_OVER = exists().where(
    known_people.c.channel == conversations.c.channel,
    known_people.c.tenant == conversations.c.tenant,
    known_people.c.address == conversations.c.key,
    known_people.c.user_id != conversations.c.key,
)
_UNSENT = (
    select(
        outbox,
        conversations.c.channel,
        conversations.c.tenant,
        conversations.c.key,
        conversations.c.shared,
        conversations.c.last_accepted_at,
        paused_until.label("paused_until"),
        UNREPORTED_SINCE.label("unreported_since"),
        _OPTED_OUT.label("opted_out"),
        _TAKEN_OVER.label("taken_over"),
    )
    .join(conversations, conversations.c.id == outbox.c.conversation_id)
    .where(outbox.c.conversation_id == bindparam("conversation_id"), is_unsent)
    .order_by(outbox.c.id)
)


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a row is sent.

    Args:
        last_accepted_at: when somebody last wrote there; `None` if nobody has.
        paused_until: the end of the pause that the platform asked for, which may be over; `None` if it never did.
        unreported_since: when the last message was sent there that the platform has not reported as sent; `None` if
            there is none.
        opted_out: whether its person has opted out.
        taken_over: whether its address belongs to another person by now.
    """

    conversation: Conversation
    last_accepted_at: datetime | None
    paused_until: datetime | None
    unreported_since: datetime | None
    opted_out: bool
    taken_over: bool

    @property
    def pause(self) -> datetime | None:
        """The end of a pause that is not over yet; `None` if messages may be sent now."""
        until = self.paused_until
        return until if until is not None and until > datetime.now(UTC) else None


@dataclass(frozen=True, slots=True)
class PendingDelivery:
    """A row that waits to be sent.

    Args:
        begun: whether the row is already marked as `sending` for this delivery, and not sent yet.
        reserved: the `time.monotonic()` for which the call is reserved within the platform's rate limits; `None` if it
            is not reserved yet.
    """

    row: Row[Any]
    destination: Destination
    begun: bool = False
    reserved: float | None = None


async def unsent_in(connection: AsyncConnection, conversation_id: int) -> list[PendingDelivery]:
    """Return the unsent rows of a conversation, in order."""
    rows = (await connection.execute(_UNSENT, {"conversation_id": conversation_id})).all()
    if not rows:
        return []
    first = rows[0]
    conversation = Conversation(first.channel, first.tenant, first.key, first.shared)
    times = (first.last_accepted_at, first.paused_until, first.unreported_since)
    destination = Destination(conversation, *times, bool(first.opted_out), bool(first.taken_over))
    return [PendingDelivery(row, destination) for row in rows]
