"""Messages that a platform has taken, and not yet reported as sent: the next message of their conversation waits."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.storage.tables import conversations, is_unreported, outbox

#: When the last such message of a conversation was sent, for statements that read `conversations`.
UNREPORTED_SINCE = (
    select(func.max(outbox.c.sent_at))
    .where(outbox.c.conversation_id == conversations.c.id, is_unreported)
    .correlate(conversations)
    .scalar_subquery()
)
_LAST = (
    select(outbox.c.sent_at)
    .where(outbox.c.conversation_id == bindparam("conversation_id"), is_unreported)
    .order_by(outbox.c.sent_at.desc())
    .limit(1)
    .with_for_update()  # so that a report comes either before this transaction, or after it and ends the wait
)


async def wait_until(connection: AsyncConnection, conversation_id: int, longest: timedelta) -> datetime | None:
    """Return until when the next message of a conversation waits; `None` if it may be sent now."""
    sent_at = (await connection.execute(_LAST, {"conversation_id": conversation_id})).scalar()
    until = None if sent_at is None else sent_at + longest
    return until if until is not None and until > datetime.now(UTC) else None
