"""The life of one message: all that is stored under its reference, in order of time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.inbox.pieces import payloads_of
from gateway.operations.messages import MessageRecord, stored_messages, to_record
from gateway.operations.reading import reading
from gateway.storage.database import Database
from gateway.storage.tables import (
    InboxStatus,
    OutboxKind,
    OutboxStatus,
    audit,
    conversations,
    feedback,
    inbox,
    outbox,
    questions,
    tool_calls,
)
from gateway.turns.audit import Audit, AuditRecord
from oauth import Identity, SettingError

SHOWN = "show --content"  # in the audit, as the tool

_ENDS = {
    InboxStatus.DONE: "answered",
    InboxStatus.DEAD: "given up",
    InboxStatus.EXPIRED: "expired",
    InboxStatus.DROPPED: "dropped",
}


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One event in the life of a message.

    Args:
        at: aware, in UTC.
        event: what happened, in a word or two.
        detail: of what, or how it ended.
        tries: how many tries it took; `None` if it is not tried.
        seconds: how long it took; `None` if that is not known.
        content: what people wrote or read, or what a tool got and returned; empty unless it was asked for.
    """

    at: datetime
    event: str
    detail: str = ""
    tries: int | None = None
    seconds: float | None = None
    content: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Timeline:
    """The life of one message.

    Args:
        message: the message that a person wrote; `None` if the gateway sent one unasked.
    """

    reference: str
    message: MessageRecord | None
    entries: Sequence[TimelineEntry]


class Timelines:
    """Puts together what is stored under a reference."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._audit = Audit(database)

    async def of(self, reference: str, *, content: bool) -> Sequence[Timeline]:
        """Return the life of the message with a reference; of each, if several have it.

        Args:
            content: whether to include what people wrote. The audit then records that an operator has read it.

        Raises:
            SettingError: if nothing is stored under the reference.
        """
        async with self._database.read() as connection:
            rows = (await connection.execute(stored_messages().where(inbox.c.reference == reference))).all()
            found = [await _of_message(connection, row) for row in rows] or await _unasked(connection, reference)
        if not found:
            raise SettingError(
                f"Nothing is stored under the reference {reference}. `understudy messages` lists the messages; those "
                "older than UNDERSTUDY_KEEP_DAYS are removed."
            )
        if not content:
            return [replace(each, entries=[replace(entry, content="") for entry in each.entries]) for each in found]
        for each in found:
            await self._audit.add(_shown(each))
        return found


def _shown(timeline: Timeline) -> AuditRecord:
    message = timeline.message
    if message is None:
        return reading(SHOWN, Identity("", "", ""), "", timeline.reference)
    person = Identity(message.channel, message.tenant, message.person)
    return reading(SHOWN, person, message.conversation, timeline.reference)


async def _of_message(connection: AsyncConnection, row: Row[Any]) -> Timeline:
    ((payloads,), message) = await payloads_of(connection, [row]), to_record(row)
    calls = await connection.execute(select(audit).where(audit.c.trace_id == message.reference).order_by(audit.c.id))
    open_calls = await connection.execute(
        select(tool_calls).where(tool_calls.c.inbox_id == row.id, tool_calls.c.outcome.is_(None))
    )
    asked = await connection.execute(select(questions).where(questions.c.inbox_id == row.id))
    deliveries = await connection.execute(select(outbox).where(outbox.c.inbox_id == row.id).order_by(outbox.c.id))
    entries = [
        *_events_of(row, message, "\n".join(payloads)),
        *map(_call, calls),
        *(TimelineEntry(call.began_at, "tool", f"{call.tool}: has not ended") for call in open_calls),
        *(entry for question in asked for entry in _question(question)),
        *(entry for delivery in deliveries for entry in _delivery(delivery)),
        *await _ratings(connection, message.reference),
    ]
    return Timeline(message.reference, message, sorted(entries, key=lambda entry: entry.at))


async def _unasked(connection: AsyncConnection, reference: str) -> list[Timeline]:
    found = (
        select(outbox, conversations.c.channel, conversations.c.tenant, conversations.c.key)
        .join(conversations, conversations.c.id == outbox.c.conversation_id)
        .where(outbox.c.inbox_id.is_(None), outbox.c.reference == reference)
        .order_by(outbox.c.id)
    )
    rows = (await connection.execute(found)).all()
    if not rows:
        return []
    entries = [TimelineEntry(rows[0].created_at, "stored", f"for {rows[0].channel} {rows[0].tenant} {rows[0].key}")]
    entries += [entry for row in rows for entry in _delivery(row)]
    return [Timeline(reference, None, sorted(entries, key=lambda entry: entry.at))]


def _events_of(row: Row[Any], message: MessageRecord, payload: str) -> Iterator[TimelineEntry]:
    place = f"in {message.channel} {message.tenant} {message.conversation}"
    yield TimelineEntry(message.received_at, "received", place, content=payload)
    if row.renewed_at is not None:
        yield TimelineEntry(row.renewed_at, "resumed")
    if message.began_at is not None:
        yield TimelineEntry(message.began_at, "turn begun", tries=message.tries)
    if row.stopped_at is not None:
        yield TimelineEntry(row.stopped_at, "stopped")
    if message.ended_at is not None:
        end = _ENDS.get(InboxStatus(message.status), message.status)
        together = f"in the turn of {message.answered_with}" if message.answered_with is not None else ""
        yield TimelineEntry(message.ended_at, end, message.error or together, message.tries, message.seconds)


def _call(row: Row[Any]) -> TimelineEntry:
    as_account = f" as {row.account}" if row.account is not None else ""
    decided = f", decided by {row.decided_by}" if row.decided_by is not None else ""
    content = "\n".join(filter(None, (row.arguments, row.result)))
    detail = f"{row.tool}{as_account}: {row.outcome}{decided}"
    return TimelineEntry(row.started_at, "tool", detail, seconds=row.duration_ms / 1000, content=content)


def _question(row: Row[Any]) -> Iterator[TimelineEntry]:
    about = f"{row.kind} {row.tool}".rstrip()
    if row.asked_at is not None:
        yield TimelineEntry(row.asked_at, "question", f"{about}: {row.status}", content=row.prompt)
    if row.decided_at is not None:
        seconds = None if row.asked_at is None else (row.decided_at - row.asked_at).total_seconds()
        detail = f"{about}: by {row.decided_by}"
        yield TimelineEntry(row.decided_at, "answer", detail, seconds=seconds, content=row.answer or "")


def _delivery(row: Row[Any]) -> Iterator[TimelineEntry]:
    what = "sign-in link" if row.kind == OutboxKind.SIGN_IN else row.kind.replace("_", " ")
    if row.sent_at is not None:
        event, at, seconds = "sent", row.sent_at, (row.sent_at - row.created_at).total_seconds()
    else:
        event, at, seconds = row.status, row.created_at, None
        if row.status in (OutboxStatus.RETRYING, OutboxStatus.SCHEDULED) and row.due_at is not None:
            what += f", due at {row.due_at:%Y-%m-%d %H:%M:%S}"
    reported = f", reported as {row.delivery_status}" if row.delivery_status is not None else ""
    reason = f": {row.error}" if row.error is not None else ""
    yield TimelineEntry(at, event, f"{what}{reported}{reason}", row.attempts, seconds, content=row.body)


async def _ratings(connection: AsyncConnection, reference: str) -> list[TimelineEntry]:
    found = await connection.execute(select(feedback).where(feedback.c.reference == reference))
    return [TimelineEntry(row.rated_at, "rated", row.rating, content=row.comment or "") for row in found]
