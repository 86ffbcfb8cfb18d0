"""List and stop the turns that have not ended."""

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

_OPEN = union_all(  # one query per status, because each status has its own index
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
        person: the sender's user id; until it is known, the author's id in the event.
        since: when the message arrived; aware, in UTC.
        status: as in `InboxStatus`.
        waits_for: what the turn waits for, or an empty string: the provider of the account to connect, the tool to
            approve, the kind of the open question, or the error after which the turn is tried again.
        is_stopping: whether somebody has asked it to stop.
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
    """Lists and stops turns. A running gateway notices a stop within a second."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, limit: int) -> Sequence[OpenTurn]:
        """Return the newest `limit` open turns, oldest first."""
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
        """Stop a turn. A turn that waits for something is resumed at once, and ends as stopped.

        Raises:
            SettingError: if no turn with this reference is open.
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
        raise SettingError(f"There is no open turn {reference}. `understudy turns list` lists the open turns.")


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
