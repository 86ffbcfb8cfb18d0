"""Claim messages: only one worker at a time plays a message, and a worker that lost its lease can write nothing."""

import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Row, String, bindparam, exists, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.history.moving import gather, gather_leftovers, has_leftovers
from gateway.inbox.dispatch import Dispatcher
from gateway.inbox.pieces import payloads_of
from gateway.storage.database import Database
from gateway.storage.tables import (
    InboxStatus,
    QuestionStatus,
    conversations,
    inbox,
    is_any,
    is_unsent,
    outbox,
    questions,
)
from oauth import Identity
from oauth.errors import UnderstudyError
from oauth.store.columns import Timestamp
from toolkits import Conversation

TOO_OLD = "It waited longer than UNDERSTUDY_ANSWER_WITHIN_HOURS."

log = logging.getLogger(__name__)

_in_conversation = inbox.c.conversation_id == bindparam("conversation_id")
_running = select(inbox.c.id).where(_in_conversation, is_any(inbox.c.status, InboxStatus.RUNNING))
_first_waiting, _first_gathering = (
    select(inbox.c.id).where(_in_conversation, is_any(inbox.c.status, status)).order_by(inbox.c.place).limit(1)
    for status in (InboxStatus.WAITING, InboxStatus.GATHERING)
)
_is_claimed = (
    (inbox.c.id == bindparam("row_id"))
    & is_any(inbox.c.status, InboxStatus.RUNNING)
    & (inbox.c.lease == bindparam("known_lease"))
)
_is_joined = (inbox.c.turn_id == bindparam("row_id")) & is_any(inbox.c.status, InboxStatus.JOINED)

# There are almost never open questions. The claim reads this too, which saves the turn another query.
_are_asked = (
    exists()
    .where(questions.c.channel == conversations.c.channel, is_any(questions.c.status, QuestionStatus.ASKED))
    .label("are_asked")
)
_NEXT = (
    select(
        inbox,
        conversations.c.channel,
        conversations.c.tenant,
        conversations.c.key,
        conversations.c.shared,
        _are_asked,
        has_leftovers,
    )
    .join(conversations, conversations.c.id == inbox.c.conversation_id)
    .where(inbox.c.id.in_([each.scalar_subquery() for each in (_running, _first_waiting, _first_gathering)]))
    .order_by(inbox.c.place)
)
_HERE = select(
    conversations.c.moved_to,
    exists().where(outbox.c.conversation_id == conversations.c.id, is_unsent).label("unsent"),
).where(conversations.c.id == bindparam("conversation_id"))
_CLAIM = (
    update(inbox)
    .where(
        inbox.c.id == bindparam("row_id"),
        inbox.c.status == bindparam("known_status"),  # the message may have ended since, with the same lease
        inbox.c.lease == bindparam("known_lease"),
    )
    .values(
        status=InboxStatus.RUNNING,
        attempts=bindparam("new_attempts"),
        lease=inbox.c.lease + 1,
        owner=bindparam("new_owner"),
        began_at=bindparam("now", type_=Timestamp),
    )
    # The message may have been edited or stopped since it was read.
    .returning(inbox.c.id, inbox.c.payload, inbox.c.group_key, inbox.c.piece, inbox.c.stopped_at)
)
_CLAIMED = select(inbox.c.stopped_at).where(_is_claimed)
_UPDATE_CLAIMED = update(inbox).where(_is_claimed).returning(inbox.c.id)
_END_CLAIMED = (
    update(inbox)
    .where(_is_claimed | _is_joined)
    .values(
        status=bindparam("new_status"),
        error=bindparam("new_error"),
        ended_at=bindparam("now", type_=Timestamp),
        sender_tenant=func.coalesce(bindparam("new_sender_tenant", type_=String), inbox.c.sender_tenant),
        sender_user_id=func.coalesce(bindparam("new_sender_user_id", type_=String), inbox.c.sender_user_id),
    )
    .returning(inbox.c.id)
)
_EXPIRE = (
    update(inbox)
    .where(inbox.c.id == bindparam("row_id"), is_any(inbox.c.status, InboxStatus.WAITING, InboxStatus.PARKED))
    .values(status=InboxStatus.EXPIRED, error=bindparam("new_error"), ended_at=bindparam("now", type_=Timestamp))
    .returning(inbox.c.id)
)
_END_JOINED = (
    update(inbox)
    .where(_is_joined)
    .values(status=bindparam("new_status"), error=bindparam("new_error"), ended_at=bindparam("now", type_=Timestamp))
)


class LeaseLostError(UnderstudyError):
    """Another worker has taken over this message: this turn must not write anything."""


class TurnStoppedError(UnderstudyError):
    """The turn was stopped, by its person or by an operator.

    Attributes:
        text: the text that was written so far, in markdown.
        private: whether only the sender may read the text.
    """

    def __init__(self) -> None:
        super().__init__("the turn was stopped")
        self.text = ""
        self.private = False


class ConversationBusyError(UnderstudyError):
    """Another worker plays a message of the conversation, or is not yet known to be dead."""


@dataclass(frozen=True, slots=True)
class ClaimedMessage:
    """An accepted message that this process has claimed in order to play it.

    Args:
        id: the id of the row.
        conversation_id: the id of the conversation's row.
        payloads: the payload of the event; for a message in pieces, the payload of each piece, in order.
        attempts: how often the message was claimed, including this time. Turns that were interrupted without a failure
            do not count.
        lease: the number of this claim. A later claim has a higher number and ends this one.
        reference: the id that people and the log get if something goes wrong.
        is_stopped: whether the turn was stopped before this claim.
        may_be_asked: whether anybody in the channel has an open question. If not, this message is not an answer to one.
    """

    id: int
    conversation_id: int
    conversation: Conversation
    payloads: tuple[str, ...]
    attempts: int
    lease: int
    reference: str
    accepted_at: datetime
    is_stopped: bool = False
    may_be_asked: bool = True


@dataclass(frozen=True, slots=True)
class Claim:
    """The work to do in a conversation.

    Args:
        message: the message to play; `None` if none waits.
        unsent: whether the outbox has something to send.
        moved_to: the id of the row that has the messages of the conversation from now on, if it was moved.
    """

    message: ClaimedMessage | None
    unsent: bool
    moved_to: int | None = None


class Claims:
    """Claims messages for this process, and keeps track of the messages that it plays.

    Args:
        oldest: the age up to which a message is still answered.
    """

    def __init__(self, database: Database, dispatcher: Dispatcher, oldest: timedelta) -> None:
        self._database = database
        self._dispatcher = dispatcher
        self._oldest = oldest
        self._playing: set[int] = set()  # the ids of the rows that this process plays
        # The ids of the rows whose last claim does not count as an attempt, and for which this is not stored yet.
        self._uncounted: set[int] = set()

    async def claim(self, conversation_id: int) -> Claim:
        """See `Inbox.claim`."""
        claim = await self._database.run_write(lambda connection: self._claim(connection, conversation_id))
        if claim.message is not None:
            self._playing.add(claim.message.id)
            self._uncounted.discard(claim.message.id)
        if claim.moved_to is not None:
            self._dispatcher.wake([claim.moved_to])
        return claim

    def let_go(self, row: ClaimedMessage) -> None:
        """See `Inbox.let_go`."""
        self._playing.discard(row.id)

    async def release(self, row: ClaimedMessage, *, counted: bool) -> None:
        """See `Inbox.release`."""
        attempts = row.attempts if counted else row.attempts - 1
        if not counted:
            self._uncounted.add(row.id)
        with suppress(LeaseLostError):
            async with self._database.write() as connection:
                await update_claimed(connection, row, status=InboxStatus.WAITING, attempts=attempts)
        self._uncounted.discard(row.id)

    async def _claim(self, connection: AsyncConnection, conversation_id: int) -> Claim:
        here = {"conversation_id": conversation_id}
        place = (await connection.execute(_HERE, here)).first()
        if place is None:
            return Claim(None, unsent=False)
        found = await self._next(connection, here)
        is_taken_over = found is not None and found.status == InboxStatus.RUNNING
        if place.moved_to is not None and not is_taken_over:
            await gather(connection, conversation_id, place.moved_to)
            await self._dispatcher.defer(connection, [place.moved_to])
            return Claim(None, unsent=False, moved_to=place.moved_to)
        if found is not None and found.has_leftovers and not is_taken_over:
            if not await gather_leftovers(connection, conversation_id):
                return Claim(None, place.unsent)  # the drain of the leftovers wakes this conversation
            found = await self._next(connection, here)
        while found is not None and self._is_too_old(found):
            await expire(connection, found.id, TOO_OLD)
            log.warning(
                "message %s waited longer than %s (UNDERSTUDY_ANSWER_WITHIN_HOURS) and will not be answered",
                found.reference,
                self._oldest,
            )
            found = await self._next(connection, here)
        if found is None:
            return Claim(None, place.unsent)
        known = {"row_id": found.id, "known_status": found.status, "known_lease": found.lease}
        attempts = found.attempts if found.id in self._uncounted else found.attempts + 1
        new = {"new_owner": self._dispatcher.owner, "new_attempts": attempts, "now": datetime.now(UTC)}
        claimed = (await connection.execute(_CLAIM, known | new)).all()
        if not claimed:
            raise ConversationBusyError
        (payloads,) = await payloads_of(connection, claimed)
        message = ClaimedMessage(
            id=found.id,
            conversation_id=conversation_id,
            conversation=Conversation(found.channel, found.tenant, found.key, found.shared),
            payloads=payloads,
            attempts=attempts,
            lease=found.lease + 1,
            reference=found.reference,
            accepted_at=found.accepted_at,
            is_stopped=claimed[0].stopped_at is not None,
            may_be_asked=found.are_asked,
        )
        return Claim(message, place.unsent)

    async def _next(self, connection: AsyncConnection, here: Mapping[str, int]) -> Row[Any] | None:
        """Return the message that a dead worker left running, or the first that waits; `None` if there is neither.

        A message that may get more pieces blocks the messages after it.
        """
        rows = (await connection.execute(_NEXT, here)).all()
        running = next((row for row in rows if row.status == InboxStatus.RUNNING), None)
        if running is not None and await self._is_played(connection, running):
            raise ConversationBusyError
        first = running or next(iter(rows), None)
        return None if first is not None and first.status == InboxStatus.GATHERING else first

    async def _is_played(self, connection: AsyncConnection, row: Row[Any]) -> bool:
        if row.owner == self._dispatcher.owner:
            return row.id in self._playing
        return await self._dispatcher.is_alive(connection, row.owner)

    def _is_too_old(self, row: Row[Any]) -> bool:
        since: datetime = row.renewed_at or row.accepted_at
        return row.status == InboxStatus.WAITING and datetime.now(UTC) - since > self._oldest


async def check_claimed(connection: AsyncConnection, row: ClaimedMessage, *, shared: bool = False) -> None:
    """Check that the lease is valid and the turn was not stopped. Both stay true until the transaction ends.

    Args:
        shared: whether to lock the row only for sharing: other transactions may then check it at the same time, and
            this one must not change it.

    Raises:
        LeaseLostError: if another worker has taken the turn over.
        TurnStoppedError: if the turn was stopped.
    """
    fence = {"row_id": row.id, "known_lease": row.lease}
    found = (await connection.execute(_CLAIMED.with_for_update(read=shared), fence)).first()
    if found is None:
        raise LeaseLostError
    if found.stopped_at is not None:
        raise TurnStoppedError


async def update_claimed(connection: AsyncConnection, row: ClaimedMessage, **values: object) -> None:
    """Update the row of a claimed message.

    Raises:
        LeaseLostError: if the lease is no longer valid.
    """
    fence = {"row_id": row.id, "known_lease": row.lease}
    updated = await connection.execute(_UPDATE_CLAIMED.values(**values), fence)
    if updated.first() is None:
        raise LeaseLostError


async def end_claimed(
    connection: AsyncConnection, row: ClaimedMessage, sender: Identity | None, status: InboxStatus, error: str
) -> None:
    """End a claimed message, and the messages that are joined to it: see `Inbox.end`."""
    fence = {"row_id": row.id, "known_lease": row.lease}
    new = {
        "new_status": status,
        "new_error": error or None,
        "now": datetime.now(UTC),
        "new_sender_tenant": sender.tenant if sender is not None else None,
        "new_sender_user_id": sender.user_id if sender is not None else None,
    }
    ended = await connection.execute(_END_CLAIMED, fence | new)
    if row.id not in ended.scalars():
        raise LeaseLostError


async def expire(connection: AsyncConnection, row_id: int, reason: str) -> None:
    """Mark a message that waits or is parked as expired, and also the messages that are joined to it."""
    values = {"row_id": row_id, "new_error": reason, "now": datetime.now(UTC)}
    if (await connection.execute(_EXPIRE, values)).first() is not None:
        await end_joined(connection, row_id, InboxStatus.EXPIRED, reason)


async def end_joined(connection: AsyncConnection, row_id: int, status: InboxStatus, error: str = "") -> None:
    """End the messages that are joined to a message."""
    values = {"row_id": row_id, "new_status": status, "new_error": error or None, "now": datetime.now(UTC)}
    await connection.execute(_END_JOINED, values)
