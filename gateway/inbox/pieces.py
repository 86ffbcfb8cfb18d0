"""Gather the pieces of a message that a platform delivers as several events, like the photos of an album."""

import logging
from collections import defaultdict
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Row, bindparam, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.channels.event import Event, Piece
from gateway.storage.database import Database
from gateway.storage.tables import InboxStatus, conversations, dedupe_keys, inbox, is_any, pieces
from gateway.timings import Timings
from oauth.store.columns import Timestamp

MAX_COMPLETE = 500  # messages that are completed in one transaction

log = logging.getLogger(__name__)

_of_tenant = (conversations.c.channel == bindparam("channel")) & (conversations.c.tenant == bindparam("tenant"))
_WHOLE = (
    select(inbox.c.id, inbox.c.status, inbox.c.lease, inbox.c.piece, inbox.c.accepted_at)
    .join(conversations, conversations.c.id == inbox.c.conversation_id)
    .where(inbox.c.group_key == bindparam("group"), _of_tenant)
    .with_for_update(of=inbox)  # keeps the turn from beginning
)
_IS_TAKEN = select(dedupe_keys.c.key).where(
    dedupe_keys.c.channel == bindparam("channel"),
    dedupe_keys.c.tenant == bindparam("tenant"),
    dedupe_keys.c.key == bindparam("key"),
)
_COMPLETE = (
    select(inbox.c.id, inbox.c.conversation_id, inbox.c.status)
    .where(
        is_any(inbox.c.status, InboxStatus.HELD, InboxStatus.GATHERING),
        inbox.c.due_at <= bindparam("now", type_=Timestamp()),
    )
    .order_by(inbox.c.due_at)
    .limit(MAX_COMPLETE)
    .with_for_update(skip_locked=True)
)

NewRow = tuple[int, int, str, str]
"""The id of a conversation, a place in it, a payload, and a reference."""

Admit = Callable[[Event], Coroutine[Any, Any, bool]]
"""A function that counts a turn for the author of an event, and returns whether the author may begin it."""


class Pieces:
    """Gathers the pieces of messages.

    A message in pieces is one row of the inbox, with the payload and the place of the piece that arrived first. The
    other pieces are in the table `pieces`. All pieces belong to one conversation. The caller's transaction holds the
    lock of the conversation's row, so pieces that two processes accept at the same time are added one after the other.
    """

    def __init__(self, database: Database, timings: Timings) -> None:
        self._database = database
        self._silence = timedelta(seconds=timings.piece_silence)
        self._longest = timedelta(seconds=timings.longest_pieces)

    async def add(self, connection: AsyncConnection, event: Event, row: NewRow, admit: Admit) -> bool:
        """Add a piece to its message. Drop a piece that arrives after the turn of the message has begun.

        Args:
            row: the row to store for the message if this is its first piece.

        Returns:
            Whether its author may begin the turn of the message.
        """
        assert event.piece is not None
        where = {"channel": event.conversation.channel, "tenant": event.conversation.tenant}
        whole: Any = (await connection.execute(_WHOLE, {"group": event.piece.group, **where})).first()
        if whole is not None and _is_open(whole):
            return await self._add_to(connection, whole, event, event.piece, admit)
        if whole is None and await self._is_first(connection, event, event.piece):
            if event.addressed and not await admit(event):
                return False
            status = InboxStatus.GATHERING if event.addressed else InboxStatus.HELD
            wait = self._silence if event.addressed else self._longest
            of_piece = {"group_key": event.piece.group, "piece": event.piece.number}
            await insert_message(connection, event, row, status, wait, **of_piece)
        else:
            log.warning("piece %s of a message was dropped: its message is refused, or its turn has begun", event.id)
        return True

    async def wait_again(self, connection: AsyncConnection) -> None:
        """Extend the wait for pieces at a start: platforms could not deliver them while no process was running."""
        due_at = datetime.now(UTC) + self._silence
        gathering = update(inbox).where(is_any(inbox.c.status, InboxStatus.GATHERING), inbox.c.due_at < due_at)
        await connection.execute(gathering.values(due_at=due_at))

    async def show_addressed(
        self, connection: AsyncConnection, event: Event, row_id: int, due_at: datetime, admit: Admit
    ) -> bool:
        """Note that a held message is for the bot, and wait for its other pieces.

        Args:
            event: the piece that shows that the message is for the bot.
            row_id: the id of the message.
            due_at: when the message is complete, unless more pieces arrive.

        Returns:
            Whether its author may begin the turn of the message; if not, the message is removed.
        """
        assert event.piece is not None
        await self._take_key(connection, event, event.piece)
        if not await admit(event):
            await remove(connection, [row_id])
            return False
        await _gather(connection, row_id, due_at)
        return True

    async def _add_to(self, connection: AsyncConnection, whole: Any, event: Event, piece: Piece, admit: Admit) -> bool:
        if piece.number != whole.piece:
            added = self._database.upsert(pieces).values(
                inbox_id=whole.id, number=piece.number, payload=event.payload, **version_of(event)
            )
            await connection.execute(added.on_conflict_do_nothing())
        due_at = min(datetime.now(UTC) + self._silence, whole.accepted_at + self._longest)
        if whole.status == InboxStatus.GATHERING:
            await _gather(connection, whole.id, due_at)
        elif whole.status == InboxStatus.HELD and event.addressed:
            return await self.show_addressed(connection, event, whole.id, due_at, admit)
        return True

    async def _is_first(self, connection: AsyncConnection, event: Event, piece: Piece) -> bool:
        """Return whether no piece for the bot arrived before. The key tells it even if that message was removed."""
        if event.addressed:
            return await self._take_key(connection, event, piece)
        return (await connection.execute(_IS_TAKEN, _key(event, piece))).first() is None

    async def _take_key(self, connection: AsyncConnection, event: Event, piece: Piece) -> bool:
        """Store the dedupe key of a message for the bot; return whether it was free."""
        taken = self._database.upsert(dedupe_keys).values(**_key(event, piece), accepted_at=datetime.now(UTC))
        added = await connection.execute(taken.on_conflict_do_nothing().returning(dedupe_keys.c.key))
        return added.first() is not None


def version_of(event: Event) -> dict[str, Any]:
    """Return the columns that a later edit needs to find this version and to compare itself with it."""
    revision = event.revision if event.change is not None else None
    return {"message_key": event.message_key, "author": event.author, "content": event.content, "revision": revision}


async def insert_message(
    connection: AsyncConnection,
    event: Event,
    row: NewRow,
    status: InboxStatus,
    wait: timedelta | None = None,
    **values: Any,
) -> None:
    """Insert a message into the inbox.

    Args:
        wait: the time until the message is due, if it has to wait.
        values: the values of other columns.
    """
    conversation_id, place, payload, reference = row
    now = datetime.now(UTC)
    message = insert(inbox).values(
        conversation_id=conversation_id, place=place, payload=payload, reference=reference, status=status, attempts=0
    )
    due_at = now + wait if wait is not None else None
    await connection.execute(message.values(accepted_at=now, due_at=due_at, **version_of(event), **values))


async def complete_due(connection: AsyncConnection) -> list[int]:
    """Make complete messages wait for their turns, and remove held rows that are due.

    These are pieces that turned out not to be for the bot, and edits whose message did not arrive.

    Returns:
        The ids of the conversations to drain.
    """
    due = (await connection.execute(_COMPLETE, {"now": datetime.now(UTC)})).all()
    complete = [row for row in due if row.status == InboxStatus.GATHERING]
    if complete:
        ready = update(inbox).where(inbox.c.id.in_([row.id for row in complete]))
        await connection.execute(ready.values(status=InboxStatus.WAITING, due_at=None))
    await remove(connection, [row.id for row in due if row.status == InboxStatus.HELD])
    return [row.conversation_id for row in complete]


async def remove(connection: AsyncConnection, row_ids: Sequence[int]) -> None:
    """Remove messages with all their pieces."""
    if row_ids:
        await connection.execute(delete(pieces).where(pieces.c.inbox_id.in_(row_ids)))
        await connection.execute(delete(inbox).where(inbox.c.id.in_(row_ids)))


async def payloads_of(connection: AsyncConnection, rows: Sequence[Row[Any]]) -> list[tuple[str, ...]]:
    """Return the payloads of each message, one for each piece, in the order of their numbers."""
    numbered = defaultdict(list, {row.id: [(row.piece, row.payload)] for row in rows})
    if in_pieces := [row.id for row in rows if row.group_key is not None]:
        for piece in await connection.execute(select(pieces).where(pieces.c.inbox_id.in_(in_pieces))):
            numbered[piece.inbox_id].append((piece.number, piece.payload))
    return [tuple(payload for _, payload in sorted(numbered[row.id])) for row in rows]


def _is_open(whole: Any) -> bool:
    """Return whether pieces may be added to a message, because its turn has not begun."""
    return whole.status in (InboxStatus.HELD, InboxStatus.GATHERING, InboxStatus.WAITING) and whole.lease == 0


async def _gather(connection: AsyncConnection, row_id: int, due_at: datetime) -> None:
    gathering = update(inbox).where(inbox.c.id == row_id)
    await connection.execute(gathering.values(status=InboxStatus.GATHERING, due_at=due_at))


def _key(event: Event, piece: Piece) -> dict[str, str]:
    """Return the dedupe key of a whole message."""
    conversation = event.conversation
    return {"channel": conversation.channel, "tenant": conversation.tenant, "key": f"pieces:{piece.group}"}
