"""Store what platforms report about messages that they took, and give up or repeat messages that failed after that."""

import logging
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.channels.errors import RecipientUnreachableError
from gateway.channels.event import DeliveryReport
from gateway.inbox.inbox import Inbox
from gateway.logs import describe
from gateway.outbox.delivery import Deliverer
from gateway.outbox.outbox import Outbox
from gateway.storage.database import Database
from gateway.storage.tables import DeliveryStatus, OutboxStatus, conversations, is_any, outbox

_REPORTED = (
    select(outbox)
    .join(conversations, conversations.c.id == outbox.c.conversation_id)
    .where(
        outbox.c.delivery_key == bindparam("key"),
        conversations.c.channel == bindparam("channel"),
        conversations.c.tenant == bindparam("tenant"),
    )
    .with_for_update(of=outbox)
)
# A row that waits without an error waits only for a time. If a pause is not over, it waits again.
_WAKE_NEXT = (
    update(outbox)
    .where(
        outbox.c.conversation_id == bindparam("of_conversation"),
        is_any(outbox.c.status, OutboxStatus.RETRYING),
        outbox.c.error.is_(None),
    )
    .values(status=OutboxStatus.WAITING)
    .returning(outbox.c.id)
)
_TAKEN = (OutboxStatus.SENDING, OutboxStatus.RETRYING, OutboxStatus.SENT)

log = logging.getLogger(__name__)


class DeliveryReports:
    """Stores the reports of platforms.

    A report may arrive in any process. It names the key of a try: reports on earlier tries than the last one of a row,
    and on messages of other programs, do nothing.
    """

    def __init__(self, database: Database, inbox: Inbox, outbox: Outbox, deliverer: Deliverer) -> None:
        self._database = database
        self._inbox = inbox
        self._outbox = outbox
        self._deliverer = deliverer

    async def report(self, report: DeliveryReport) -> bool:
        """See `Host.report_delivery`."""
        named = {"key": report.key, "channel": report.channel, "tenant": report.tenant}
        async with self._database.write() as connection:
            row = (await connection.execute(_REPORTED, named)).first()
            if row is None or not report.status.replaces(row.delivery_status):
                return False
            changed = await self._change(connection, row, report)
            if report.status is not DeliveryStatus.QUEUED:
                woken = await connection.execute(_WAKE_NEXT, {"of_conversation": row.conversation_id})
                changed = woken.first() is not None or changed
            committed = await self._inbox.resume(connection, [row.conversation_id] if changed else [])
        committed()
        return True

    async def _change(self, connection: AsyncConnection, row: Row[Any], report: DeliveryReport) -> bool:
        """Store the report in its row. Return whether the next rows of the conversation may be sent because of it."""
        status, values = OutboxStatus(row.status), dict[str, Any](delivery_status=report.status)
        if report.error is not None and status in _TAKEN:
            await self._fail(connection, row, report.channel, report.error)
            return True
        if report.error is None and status in (OutboxStatus.RETRYING, OutboxStatus.DEAD):
            # The answer of the platform was lost, or it reported a failure: it has the message after all.
            status = OutboxStatus.SENT
            values |= {"sent_at": datetime.now(UTC), "error": None}
        await self._outbox.mark_in(connection, row, status, **values)
        return status is not OutboxStatus(row.status)

    async def _fail(self, connection: AsyncConnection, row: Row[Any], channel: str, error: Exception) -> None:
        reason = f"{channel} took it, and reports that it failed: {describe(error)}"
        log.warning("delivery d%s (reference %s) failed: %s", row.id, row.reference, reason)
        failed = {"delivery_status": DeliveryStatus.FAILED, "ambiguous": False}
        due_at = self._deliverer.retry_at(row, error)
        if due_at is not None:
            await self._outbox.mark_in(connection, row, OutboxStatus.RETRYING, due_at=due_at, error=reason, **failed)
            return
        unreachable = isinstance(error, RecipientUnreachableError)
        notice = () if unreachable else self._deliverer.notice(row, channel)
        await self._outbox.give_up_in(connection, row, reason, notice, **failed)
