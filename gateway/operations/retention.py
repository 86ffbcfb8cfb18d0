"""Remove old messages, with their answers, feedback and files, and old counts of turns."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta

from sqlalchemy import and_, delete, func, or_, select

from gateway.inbox.pieces import remove
from gateway.storage.database import Database
from gateway.storage.files import remove_files
from gateway.storage.tables import (
    InboxStatus,
    OutboxStatus,
    feedback,
    files,
    inbox,
    is_any,
    outbox,
    questions,
    turn_counts,
)

BATCH = 500  # messages that one transaction removes
PAUSE = 0.05  # seconds between two transactions, so that others can write

# The states of deliveries that may be removed. Dead letters stay until an operator drops them.
_FINISHED = (OutboxStatus.SENT, OutboxStatus.DROPPED, OutboxStatus.LATE)

log = logging.getLogger(__name__)


class Retention:
    """Removes finished messages, their answers, feedback and files once they are older than `keep`.

    Dedupe keys stay, so that an old webhook is still recognized when it is repeated. The histories of conversations
    and the audit stay as well.

    Args:
        keep: how long messages are kept.
        batch: how many messages one transaction removes.
    """

    def __init__(self, database: Database, keep: timedelta, *, batch: int = BATCH) -> None:
        self._database = database
        self._keep = keep
        self._batch = batch

    async def remove(self) -> int:
        """Remove everything that is too old, in batches, and return the number of removed messages."""
        removed = 0
        while batch := await self._remove_batch():
            removed += batch
            await asyncio.sleep(PAUSE)
        if removed:
            log.info("removed %s messages that were older than %s", removed, self._keep)
        await self._remove_feedback()
        await self._remove_turn_counts()
        await self._remove_files()
        return removed

    async def _remove_feedback(self) -> None:
        old = feedback.c.rated_at < datetime.now(UTC) - self._keep
        async with self._database.read() as connection:
            if (await connection.execute(select(feedback.c.id).where(old).limit(1))).first() is None:
                return
        async with self._database.write() as connection:
            removed = await connection.execute(delete(feedback).where(old))
        log.info("removed %s ratings that were older than %s", removed.rowcount, self._keep)

    async def _remove_turn_counts(self) -> None:
        """Remove what counts the turns of people who have begun none for long."""
        before = datetime.now(UTC) - self._keep
        windows = (turn_counts.c.minute_until, turn_counts.c.day_until)  # without a limit, there is no window
        has_window = func.coalesce(*windows).is_not(None)
        old = and_(has_window, *(or_(until.is_(None), until < before) for until in windows))
        async with self._database.read() as connection:
            if (await connection.execute(select(turn_counts.c.user_id).where(old).limit(1))).first() is None:
                return
        async with self._database.write() as connection:
            await connection.execute(delete(turn_counts).where(old))

    async def _remove_files(self) -> None:
        """Remove old files, except those that are still to be delivered."""
        unfinished = select(outbox.c.id).where(outbox.c.id == files.c.outbox_id, ~is_any(outbox.c.status, *_FINISHED))
        old = (files.c.created_at < datetime.now(UTC) - self._keep) & ~unfinished.exists()
        async with self._database.read() as connection:
            if (await connection.execute(select(files.c.id).where(old).limit(1))).first() is None:
                return
        async with self._database.write() as connection:
            removed = await remove_files(connection, old)
        log.info("removed %s files that were older than %s", removed, self._keep)

    async def _remove_batch(self) -> int:
        before = datetime.now(UTC) - self._keep
        unfinished = select(outbox.c.id).where(outbox.c.inbox_id == inbox.c.id, ~is_any(outbox.c.status, *_FINISHED))
        old = (
            select(inbox.c.id)
            .where(
                is_any(inbox.c.status, InboxStatus.DONE, InboxStatus.DROPPED),
                inbox.c.accepted_at < before,
                ~unfinished.exists(),
            )
            .order_by(inbox.c.accepted_at)
            .limit(self._batch)
        )
        async with self._database.read() as connection:
            if (await connection.execute(old.limit(1))).first() is None:
                return 0
        async with self._database.write() as connection:
            ids = list((await connection.execute(old.with_for_update(skip_locked=True))).scalars())
            await connection.execute(delete(outbox).where(outbox.c.inbox_id.in_(ids)))
            await connection.execute(delete(questions).where(questions.c.inbox_id.in_(ids)))
            await remove(connection, ids)
        return len(ids)
