"""Resume messages and deliveries that are due, close questions that have expired, and remove abandoned previews."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime

from sqlalchemy import bindparam, exists, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.inbox.inbox import Inbox
from gateway.outbox.outbox import Outbox
from gateway.outbox.previews import LeftPreviews, are_left
from gateway.storage.database import Database
from gateway.storage.tables import InboxStatus, OutboxStatus, QuestionStatus, inbox, is_any, outbox, questions
from gateway.turns.questions.deciding import Deciding
from oauth.store.columns import Timestamp

_now = bindparam("now", type_=Timestamp())
_IS_DUE = select(
    exists().where(is_any(inbox.c.status, InboxStatus.RETRYING), inbox.c.due_at <= _now)
    | exists().where(is_any(inbox.c.status, InboxStatus.HELD, InboxStatus.GATHERING), inbox.c.due_at <= _now),
    exists().where(is_any(outbox.c.status, OutboxStatus.RETRYING, OutboxStatus.SCHEDULED), outbox.c.due_at <= _now),
    exists().where(is_any(questions.c.status, QuestionStatus.QUEUED, QuestionStatus.ASKED), questions.c.until <= _now),
    are_left,
)


class DueWork:
    """Resumes messages and deliveries that are due, closes expired questions, and removes abandoned previews.

    It runs in every process that plays turns.
    """

    def __init__(self, database: Database, inbox: Inbox, outbox: Outbox, deciding: Deciding) -> None:
        self._database = database
        self._inbox = inbox
        self._outbox = outbox
        self._deciding = deciding
        self._previews = LeftPreviews(database, inbox, outbox)

    async def resume(self) -> None:
        """Do the work that is due. A single query finds out whether there is any, so it can run every second."""
        messages, deliveries, questions_late, previews_left = await self._database.run_read(_is_due)
        async with AsyncExitStack() as stack:  # if one of these fails, the others still run
            if previews_left:
                stack.push_async_callback(self._previews.remove)
            if questions_late:
                stack.push_async_callback(self._deciding.expire)
            if deliveries:
                stack.push_async_callback(self._outbox.resume_due)
            if messages:
                stack.push_async_callback(self._inbox.resume_due)


async def _is_due(connection: AsyncConnection) -> Sequence[bool]:
    return (await connection.execute(_IS_DUE, {"now": datetime.now(UTC)})).one()
