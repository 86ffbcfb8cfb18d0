"""List accepted messages, and what became of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, and_, or_, select

from gateway.storage.database import Database
from gateway.storage.tables import conversations, inbox

_lead = inbox.alias()


@dataclass(frozen=True, slots=True)
class MessageRecord:
    """An accepted message.

    Args:
        person: the sender's user id; until it is known, the author's id in the event.
        received_at, began_at, ended_at: when the message was accepted, when its turn began for the last time, and when
            it was answered or given up; aware, in UTC.
        status: as in `InboxStatus`.
        tries: how many times its turn began.
        answered_with: the reference of the turn that answers it together with an earlier message; `None` for its own.
        provider: the provider of the account that it waits for, or has waited for.
        error: the error of the last try, or why it was given up.
    """

    reference: str
    channel: str
    tenant: str
    conversation: str
    person: str
    status: str
    tries: int
    received_at: datetime
    began_at: datetime | None
    ended_at: datetime | None
    answered_with: str | None
    provider: str | None
    error: str | None

    @property
    def seconds(self) -> float | None:
        """The seconds that the person waited for the end; `None` if it has not ended."""
        return None if self.ended_at is None else (self.ended_at - self.received_at).total_seconds()


class Messages:
    """Finds accepted messages."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(
        self, *, person: str | None, since: datetime | None, limit: int, channel: str | None, tenant: str | None
    ) -> Sequence[MessageRecord]:
        """Return the newest messages, oldest first.

        Args:
            person: the sender's user id; `None` for anybody. So for the channel and the tenant.
            since: leave out messages that were accepted earlier.
        """
        wanted = [
            column == value
            for column, value in ((conversations.c.channel, channel), (conversations.c.tenant, tenant))
            if value is not None
        ]
        if person is not None:
            unread = and_(inbox.c.sender_user_id.is_(None), inbox.c.author == person)
            wanted.append(or_(inbox.c.sender_user_id == person, unread))
        if since is not None:
            wanted.append(inbox.c.accepted_at >= since)
        newest = stored_messages().where(*wanted).order_by(inbox.c.id.desc()).limit(limit)
        async with self._database.read() as connection:
            rows = (await connection.execute(newest)).all()
        return [to_record(row) for row in reversed(rows)]


def stored_messages() -> Select[Any]:
    """Select messages with their conversations, for `to_record`."""
    where = (conversations.c.channel, conversations.c.tenant, conversations.c.key)
    return (
        select(inbox, *where, _lead.c.reference.label("answered_with"))
        .join(conversations, conversations.c.id == inbox.c.conversation_id)
        .outerjoin(_lead, _lead.c.id == inbox.c.turn_id)
    )


def to_record(row: Row[Any]) -> MessageRecord:
    """Return the record of a row of `stored_messages`."""
    return MessageRecord(
        reference=row.reference,
        channel=row.channel,
        tenant=row.tenant,
        conversation=row.key,
        person=row.sender_user_id or row.author or "",
        status=row.status,
        tries=row.attempts,
        received_at=row.accepted_at,
        began_at=row.began_at,
        ended_at=row.ended_at,
        answered_with=row.answered_with,
        provider=row.provider,
        error=row.error,
    )
