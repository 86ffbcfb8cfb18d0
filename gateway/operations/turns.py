"""The turns that have not ended: what they do, and how an operator stops them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, func, select, union_all, update

from gateway.storage.database import Database
from gateway.storage.tables import InboxStatus, QuestionStatus, conversations, inbox, is_any, questions
from oauth import SettingError

_GOING_ON = (InboxStatus.RUNNING, InboxStatus.WAITING)
_PUT_OFF = (InboxStatus.RETRYING, InboxStatus.PARKED, InboxStatus.ASKED)

_OPEN = union_all(  # one for each status, as each has an index of its own
    *(select(inbox.c.id).where(is_any(inbox.c.status, status)) for status in (*_GOING_ON, *_PUT_OFF))
)
_ASKED_FOR = (
    select(func.max(func.coalesce(func.nullif(questions.c.tool, ""), questions.c.kind)))
    .where(questions.c.inbox_id == inbox.c.id, is_any(questions.c.status, QuestionStatus.QUEUED, QuestionStatus.ASKED))
    .scalar_subquery()
)


@dataclass(frozen=True, slots=True)
class OpenTurn:
    """A turn that has not ended.

    Args:
        person: the sender, or before they are known the platform's id of the author.
        since: when the message came; aware, in UTC.
        status: as in `InboxStatus`.
        waits_for: what it waits for, empty if it does not: the provider of the account that is to be connected, the
            tool that is to be approved, the kind of the question, or the error after which it is tried again.
        is_stopping: whether it was asked to stop.
    """

    reference: str
    channel: str
    tenant: str
    conversation: str
    person: str
    since: datetime
    status: str
    waits_for: str
    is_stopping: bool
    tries: int


class OpenTurns:
    """Lists and stops turns, also beside a running gateway, which sees a stop within a second."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, limit: int) -> Sequence[OpenTurn]:
        """Return the newest turns, oldest first."""
        found = (
            select(
                inbox, conversations.c.channel, conversations.c.tenant, conversations.c.key, _ASKED_FOR.label("asks")
            )
            .join(conversations, conversations.c.id == inbox.c.conversation_id)
            .where(inbox.c.id.in_(_OPEN))
            .order_by(inbox.c.id.desc())
            .limit(limit)
        )
        async with self._database.read() as connection:
            rows = (await connection.execute(found)).all()
        return [_turn(row) for row in reversed(rows)]

    async def stop(self, reference: str) -> None:
        """Stop a turn. One that waits for something goes on at once, to end as stopped.

        Raises:
            SettingError: if no turn of that reference is open.
        """
        now, of_turn = datetime.now(UTC), inbox.c.reference == reference
        marked = {"stopped_at": func.coalesce(inbox.c.stopped_at, now)}
        going_on = update(inbox).where(of_turn, is_any(inbox.c.status, *_GOING_ON)).values(marked)
        put_off = update(inbox).where(of_turn, is_any(inbox.c.status, *_PUT_OFF))
        put_off = put_off.values(marked | {"status": InboxStatus.RETRYING, "due_at": now, "renewed_at": now})
        async with self._database.write() as connection:
            for statement in (going_on, put_off):
                if (await connection.execute(statement.returning(inbox.c.id))).first() is not None:
                    return
        raise SettingError(f"No turn {reference} is open: `understudy turns list` shows those that are.")


def _turn(row: Row[Any]) -> OpenTurn:
    waits_for = {InboxStatus.PARKED: row.provider, InboxStatus.ASKED: row.asks, InboxStatus.RETRYING: row.error}
    return OpenTurn(
        reference=row.reference,
        channel=row.channel,
        tenant=row.tenant,
        conversation=row.key,
        person=row.sender_user_id or row.author or "",
        since=row.accepted_at,
        status=row.status,
        waits_for=waits_for.get(row.status) or "",
        is_stopping=row.stopped_at is not None,
        tries=row.attempts,
    )
