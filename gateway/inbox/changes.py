"""Apply edits and deletions of messages, as long as the turn of the message has not begun."""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Table, bindparam, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.channels.event import Event
from gateway.inbox.pieces import Admit, NewRow, Pieces, insert_message, remove
from gateway.storage.tables import (
    InboxStatus,
    conversations,
    inbox,
    is_any,
    pieces,
    questions,
    tool_calls,
    turn_responses,
)

DELETED = "It was deleted before its turn."

log = logging.getLogger(__name__)

_NOT_RUNNING = (
    InboxStatus.HELD,
    InboxStatus.GATHERING,
    InboxStatus.WAITING,
    InboxStatus.RETRYING,
    InboxStatus.PARKED,
)
_ENDED = (InboxStatus.DONE, InboxStatus.DEAD, InboxStatus.EXPIRED)

_of_tenant = (conversations.c.channel == bindparam("channel")) & (conversations.c.tenant == bindparam("tenant"))
_MESSAGE = (
    select(inbox)
    .join(conversations, conversations.c.id == inbox.c.conversation_id)
    .where(inbox.c.message_key == bindparam("key"), _of_tenant)
    .order_by(inbox.c.id.desc())
    .limit(1)
)
_PIECE = (
    select(pieces, inbox.c.id, inbox.c.status, inbox.c.turn_id)
    .join(inbox, inbox.c.id == pieces.c.inbox_id)
    .join(conversations, conversations.c.id == inbox.c.conversation_id)
    .where(pieces.c.message_key == bindparam("key"), _of_tenant)
)
_TURN = select(inbox).where(inbox.c.id == bindparam("turn_id")).with_for_update()  # keeps the turn from beginning
_HAS_JOURNAL = select(
    *(
        select(table.c.inbox_id).where(table.c.inbox_id == bindparam("turn_id")).exists()
        for table in (tool_calls, turn_responses, questions)
    )
)


@dataclass(frozen=True, slots=True)
class _Version:
    """The stored version of a message or of a piece.

    Args:
        table: `inbox` or `pieces`.
        row: the row of this table, with the `id` of the message.
        turn: the row of the message whose turn answers this one; usually the same message.
        is_open: whether this turn does not run and has not done anything yet.
    """

    table: Table
    row: Any
    turn: Any
    is_open: bool


class Changes:
    """Applies edits and deletions of messages.

    Args:
        pieces: gathers the pieces of messages.
        oldest: the age up to which a message is still answered.
        answer_edits: whether the edit of a message whose turn has ended is a new message.
    """

    def __init__(self, pieces: Pieces, oldest: timedelta, *, answer_edits: bool) -> None:
        self._pieces = pieces
        self._oldest = oldest
        self.answer_edits = answer_edits

    async def edit(
        self, connection: AsyncConnection, event: Event, row: NewRow | None, admit: Admit, *, is_first: bool
    ) -> list[int]:
        """Apply an edit. If the message still waits, replace its content; it keeps its place.

        An edit that arrives before its message is held until the message arrives, and is then played instead of it.

        Args:
            row: the row to store if the edit is a new message; `None` if it cannot be one.
            admit: called if the edit begins a turn.
            is_first: whether neither the message nor another change of it arrived before.

        Returns:
            The ids of the conversations that got messages to play.
        """
        version = await _find(connection, event)
        if version is None:
            if is_first and row is not None:
                await insert_message(connection, event, row, InboxStatus.HELD, self._oldest)
            return []
        stored = version.row
        if stored.author != event.author:
            log.warning("an edit was ignored: its author did not write message %s", event.message_key)
        elif _is_unchanged(stored, event):
            pass
        elif version.is_open:
            await _replace(connection, version, event)
            if version.turn.status == InboxStatus.HELD and event.addressed and event.piece is not None:
                await self._pieces.show_addressed(connection, event, version.turn.id, version.turn.due_at, admit)
        elif row is not None and self.answer_edits and version.turn.status in _ENDED:
            if not await admit(event):
                return []
            await insert_message(connection, event, row, InboxStatus.WAITING)
            return [row[0]]
        else:
            log.info("an edit was ignored: the turn of message %s has begun", event.message_key)
        return []

    async def delete(self, connection: AsyncConnection, event: Event) -> list[int]:
        """Apply a deletion. If the message still waits, drop it with all its pieces.

        Returns:
            The ids of the conversations to drain.
        """
        version = await _find(connection, event)
        if version is None or not version.is_open:
            return []
        dropped = update(inbox).where(inbox.c.id == version.row.id)
        await connection.execute(dropped.values(status=InboxStatus.DROPPED, error=DELETED))
        if version.turn.id == version.row.id:  # play the messages that had joined it without it
            joined = update(inbox).where(inbox.c.turn_id == version.turn.id, is_any(inbox.c.status, InboxStatus.JOINED))
            await connection.execute(joined.values(status=InboxStatus.WAITING, turn_id=None))
        return [version.turn.conversation_id]

    async def release(self, connection: AsyncConnection, event: Event, admit: Admit) -> list[int]:
        """Release a held edit, which arrived before its message, now that the message has arrived.

        Args:
            admit: called if there is such an edit, whose turn begins now.

        Returns:
            The ids of the conversations that got messages to play.
        """
        found: Any = (await connection.execute(_MESSAGE, _where(event))).first()
        if found is None or found.status != InboxStatus.HELD or found.author != event.author:
            return []
        if not await admit(event):
            await remove(connection, [found.id])
            return []
        released = update(inbox).where(inbox.c.id == found.id, is_any(inbox.c.status, InboxStatus.HELD))
        released = released.values(status=InboxStatus.WAITING, due_at=None, renewed_at=datetime.now(UTC))
        return list((await connection.execute(released.returning(inbox.c.conversation_id))).scalars())


async def _find(connection: AsyncConnection, event: Event) -> _Version | None:
    """Return the stored version of the message that an event changes, and lock it so that its turn cannot begin."""
    row: Any = (await connection.execute(_MESSAGE, _where(event))).first()
    table = pieces if row is None else inbox
    if row is None:
        row = (await connection.execute(_PIECE, _where(event))).first()
    if row is None:
        return None
    turn_id = {"turn_id": row.turn_id if row.status == InboxStatus.JOINED else row.id}
    turn: Any = (await connection.execute(_TURN, turn_id)).first()
    if turn is None:
        return None
    is_open = turn.status in _NOT_RUNNING
    if is_open and turn.lease > 0:
        is_open = not any((await connection.execute(_HAS_JOURNAL, turn_id)).one())
    return _Version(table, row, turn, is_open)


def _is_unchanged(stored: Any, event: Event) -> bool:
    """Return whether an edit leaves the content as it is, or is older than the stored version."""
    is_same = event.content is not None and event.content == stored.content
    return is_same or (stored.revision is not None and event.revision <= stored.revision)


async def _replace(connection: AsyncConnection, version: _Version, event: Event) -> None:
    table, row = version.table, version.row
    is_row = inbox.c.id == row.id
    if table is pieces:
        is_row = (pieces.c.inbox_id == row.inbox_id) & (pieces.c.number == row.number)
    edited = update(table).where(is_row, func.coalesce(table.c.revision, -1) < event.revision)
    await connection.execute(edited.values(payload=event.payload, content=event.content, revision=event.revision))


def _where(event: Event) -> dict[str, str | None]:
    return {
        "key": event.message_key,
        "channel": event.conversation.channel,
        "tenant": event.conversation.tenant,
    }
