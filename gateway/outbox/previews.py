"""Record the previews of turns, so that the process that ends a turn can complete or remove them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Select, bindparam, delete, exists, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.channels.errors import RetryLaterError
from gateway.channels.live import Preview, PreviewKind
from gateway.inbox.claims import ClaimedMessage, LeaseLostError, update_claimed
from gateway.inbox.inbox import Inbox
from gateway.outbox.outbox import Outbox
from gateway.outbox.unsent import paused_until
from gateway.storage.database import Database
from gateway.storage.tables import InboxStatus, conversations, inbox, is_any, is_unsent, outbox, previews

WAIT = 1.0  # seconds until the next check whether earlier answers are sent

_is_left = inbox.c.id.is_(None) | ~is_any(inbox.c.status, InboxStatus.WAITING, InboxStatus.RUNNING)
_LEFT = (
    select(previews.c.inbox_id.label("turn_id"), inbox.c.id, inbox.c.conversation_id, inbox.c.reference)
    .distinct()
    .select_from(previews)
    .outerjoin(inbox, inbox.c.id == previews.c.inbox_id)
    .where(_is_left)
)
are_left = exists(_LEFT)
"""The condition that there are previews of turns that nothing will end any more."""

_UNSENT = select(outbox.c.id).where(outbox.c.conversation_id == bindparam("conversation_id"), is_unsent).limit(1)
_PAUSED = select(paused_until).select_from(conversations).where(conversations.c.id == bindparam("conversation_id"))


class TurnPreviews:
    """The record of one turn's previews. It is written while this process holds the turn's lease.

    Attributes:
        is_resumed: whether the turn was claimed before.
        may_exist: whether there may be previews, from this run of the turn or an earlier one.
    """

    def __init__(self, database: Database, row: ClaimedMessage) -> None:
        self._database = database
        self._row = row
        self.is_resumed = self.may_exist = row.lease > 1

    async def load(self) -> list[Preview]:
        """Return the previews that earlier runs of the turn have left, in the order in which they were posted."""
        if not self.may_exist:
            return []
        async with self._database.read() as connection:
            found = await connection.execute(_of(self._row.id))
        return [Preview(row.id, PreviewKind(row.kind), row.platform_id, row.began_at) for row in found]

    async def begin(self, kind: PreviewKind) -> int:
        """Record that a preview is about to be posted, and return its id in the record.

        Raises:
            LeaseLostError: if another worker has taken the turn over.
            RetryLaterError: if an earlier answer is not sent yet, because the preview would appear above it, or if the
                platform has asked another process for a pause.
        """
        now, place = datetime.now(UTC), {"conversation_id": self._row.conversation_id}
        values = {"inbox_id": self._row.id, "kind": kind, "began_at": now}
        self.may_exist = True
        async with self._database.write() as connection:
            await update_claimed(connection, self._row, status=InboxStatus.RUNNING)
            if (await connection.execute(_UNSENT, place)).first() is not None:
                raise RetryLaterError(WAIT)
            until = (await connection.execute(_PAUSED, place)).scalar()
            if until is not None and until > now:
                raise RetryLaterError((until - now).total_seconds())
            added = await connection.execute(insert(previews).values(values).returning(previews.c.id))
            return int(added.scalar_one())

    async def posted(self, preview_id: int, platform_id: str) -> None:
        """Record the platform's id of a posted preview.

        Raises:
            LeaseLostError: if another worker has ended the turn, without knowing this id.
        """
        async with self._database.write() as connection:
            known = await connection.execute(
                update(previews)
                .where(previews.c.id == preview_id)
                .values(platform_id=platform_id)
                .returning(previews.c.id)
            )
            if known.first() is None:
                raise LeaseLostError

    async def forget(self, preview_id: int) -> None:
        """Delete a preview from the record: it was not posted, or is deleted."""
        async with self._database.write() as connection:
            await connection.execute(delete(previews).where(previews.c.id == preview_id))


class LeftPreviews:
    """Removes the previews of turns that no process plays or is going to play."""

    def __init__(self, database: Database, inbox: Inbox, outbox: Outbox) -> None:
        self._database = database
        self._inbox = inbox
        self._outbox = outbox

    async def remove(self) -> None:
        """Queue the removal of all left previews."""
        async with self._database.write() as connection:
            left = (await connection.execute(_LEFT)).all()
            conversation_ids = set[int]()
            for row in left:
                shown = await take_previews(connection, row.turn_id)
                if row.id is not None:  # without its inbox row, nothing says in which conversation a preview is
                    await self._outbox.add_removals(connection, row, shown)
                    conversation_ids.add(row.conversation_id)
            committed = await self._inbox.resume(connection, list(conversation_ids))
        committed()


async def take_previews(connection: AsyncConnection, inbox_id: int) -> Sequence[Preview]:
    """Delete the record of a turn's previews, in the transaction that ends it, and return the previews in order."""
    found = (await connection.execute(_of(inbox_id))).all()
    if found:
        await connection.execute(delete(previews).where(previews.c.inbox_id == inbox_id))
    return [Preview(row.id, PreviewKind(row.kind), row.platform_id, row.began_at) for row in found]


def _of(inbox_id: int) -> Select[Any]:
    return select(previews).where(previews.c.inbox_id == inbox_id).order_by(previews.c.id)
