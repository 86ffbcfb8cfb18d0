"""Resume messages and deliveries that wait for a time."""

from datetime import UTC, datetime

from sqlalchemy import bindparam, exists, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.inbox.inbox import Inbox
from gateway.outbox.outbox import Outbox
from gateway.storage.database import Database
from gateway.storage.tables import InboxStatus, OutboxStatus, inbox, is_any, outbox
from oauth.store.columns import Timestamp

_now = bindparam("now", type_=Timestamp())
_IS_DUE = select(
    exists().where(is_any(inbox.c.status, InboxStatus.RETRYING), inbox.c.due_at <= _now)
    | exists().where(is_any(inbox.c.status, InboxStatus.HELD, InboxStatus.GATHERING), inbox.c.due_at <= _now),
    exists().where(is_any(outbox.c.status, OutboxStatus.RETRYING, OutboxStatus.SCHEDULED), outbox.c.due_at <= _now),
)


class DueWork:
    """Resumes messages and deliveries whose time has come, in every process that plays turns."""

    def __init__(self, database: Database, inbox: Inbox, outbox: Outbox) -> None:
        self._database = database
        self._inbox = inbox
        self._outbox = outbox

    async def resume(self) -> None:
        """Resume what is due. One statement tells whether anything is, which is cheap enough for every second."""
        messages, deliveries = await self._database.run_read(_is_due)
        try:
            if messages:
                await self._inbox.resume_due()
        finally:
            if deliveries:
                await self._outbox.resume_due()


async def _is_due(connection: AsyncConnection) -> tuple[bool, bool]:
    messages, deliveries = (await connection.execute(_IS_DUE, {"now": datetime.now(UTC)})).one()
    return messages, deliveries
