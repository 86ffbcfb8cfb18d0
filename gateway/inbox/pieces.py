"""Gather the pieces of a message that a platform delivers as several events, like the photos of an album."""

import logging
from collections import defaultdict
from collections.abc import Sequence
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
    .with_for_update(of=inbox)  # no turn begins meanwhile
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
"""A conversation's id, a place in it, a payload and a reference."""


class Pieces:
    """Gathers the pieces of messages.

    A message that comes in pieces is one row of the inbox, which has the payload of the first piece that came, and the
    place of that one. The others are in the table `pieces`. All pieces are of one conversation, whose row the caller's
    transaction holds: pieces that two processes accept at the same time are added one after the other.
    """

    def __init__(self, database: Database, timings: Timings) -> None:
        self._database = database
        self._silence = timedelta(seconds=timings.piece_silence)
        self._longest = timedelta(seconds=timings.longest_pieces)

    async def add(self, connection: AsyncConnection, event: Event, row: NewRow) -> None:
        """Add a piece to its message. One that comes after the message's turn began is dropped.

        Args:
            row: what is stored of the message if this is its first piece.
        """
        assert event.piece is not None
        where = {"channel": event.conversation.channel, "tenant": event.conversation.tenant}
        whole: Any = (await connection.execute(_WHOLE, {"group": event.piece.group, **where})).first()
        if whole is not None and _is_open(whole):
            await self._add_to(connection, whole, event, event.piece)
        elif whole is None and await self._is_first(connection, event, event.piece):
            status = InboxStatus.GATHERING if event.addressed else InboxStatus.HELD
            wait = self._silence if event.addressed else self._longest
            of_piece = {"group_key": event.piece.group, "piece": event.piece.number}
            await insert_message(connection, event, row, status, wait, **of_piece)
        else:
            log.warning("piece %s of a message came after the turn of the message began, and is dropped", event.id)

    async def wait_again(self, connection: AsyncConnection) -> None:
        """Wait for the pieces that platforms could not deliver while no process took them."""
        due_at = datetime.now(UTC) + self._silence
        gathering = update(inbox).where(is_any(inbox.c.status, InboxStatus.GATHERING), inbox.c.due_at < due_at)
        await connection.execute(gathering.values(due_at=due_at))

    async def show_addressed(self, connection: AsyncConnection, event: Event, row_id: int, due_at: datetime) -> None:
        """Note that a message is for the bot of which this was not known.

        Args:
            event: a piece that shows it.
            due_at: when the message is complete, unless more pieces come.
        """
        assert event.piece is not None
        await self._take_key(connection, event, event.piece)
        await _gather(connection, row_id, due_at)

    async def _add_to(self, connection: AsyncConnection, whole: Any, event: Event, piece: Piece) -> None:
        if piece.number != whole.piece:
            added = self._database.upsert(pieces).values(
                inbox_id=whole.id, number=piece.number, payload=event.payload, **version_of(event)
            )
            await connection.execute(added.on_conflict_do_nothing())
        due_at = min(datetime.now(UTC) + self._silence, whole.accepted_at + self._longest)
        if whole.status == InboxStatus.GATHERING:
            await _gather(connection, whole.id, due_at)
        elif whole.status == InboxStatus.HELD and event.addressed:
            await self.show_addressed(connection, event, whole.id, due_at)

    async def _is_first(self, connection: AsyncConnection, event: Event, piece: Piece) -> bool:
        """Return whether no piece that is for the bot came before. The message of one that did may be gone."""
        if event.addressed:
            return await self._take_key(connection, event, piece)
        return (await connection.execute(_IS_TAKEN, _key(event, piece))).first() is None

    async def _take_key(self, connection: AsyncConnection, event: Event, piece: Piece) -> bool:
        """Take the key of a message that is for the bot; return whether it was free."""
        taken = self._database.upsert(dedupe_keys).values(**_key(event, piece), accepted_at=datetime.now(UTC))
        added = await connection.execute(taken.on_conflict_do_nothing().returning(dedupe_keys.c.key))
        return added.first() is not None


def version_of(event: Event) -> dict[str, Any]:
    """Return the columns by which a later edit finds what it replaces."""
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
    """Insert a message.

    Args:
        wait: the time until it is due.
        values: of other columns.
    """
    conversation_id, place, payload, reference = row
    now = datetime.now(UTC)
    message = insert(inbox).values(
        conversation_id=conversation_id, place=place, payload=payload, reference=reference, status=status, attempts=0
    )
    due_at = now + wait if wait is not None else None
    await connection.execute(message.values(accepted_at=now, due_at=due_at, **version_of(event), **values))


async def complete_due(connection: AsyncConnection) -> list[int]:
    """Let the messages be played that are complete, and remove those that are for nobody.

    Returns:
        The ids of the conversations that go on.
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
    """Return whether no turn of a message has begun, so that pieces may be added to it."""
    return whole.status in (InboxStatus.HELD, InboxStatus.GATHERING, InboxStatus.WAITING) and whole.lease == 0


async def _gather(connection: AsyncConnection, row_id: int, due_at: datetime) -> None:
    gathering = update(inbox).where(inbox.c.id == row_id)
    await connection.execute(gathering.values(status=InboxStatus.GATHERING, due_at=due_at))


def _key(event: Event, piece: Piece) -> dict[str, str]:
    """Return the dedupe key of a whole message."""
    conversation = event.conversation
    return {"channel": conversation.channel, "tenant": conversation.tenant, "key": f"pieces:{piece.group}"}
