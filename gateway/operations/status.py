"""The state of a gateway, as its database has it: it can be read while the processes run, and when they do not."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from sqlalchemy import ColumnElement, Table, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.operations.dead_letters import DeadLetters
from gateway.storage.database import Database
from gateway.storage.tables import (
    InboxStatus,
    OutboxStatus,
    QuestionStatus,
    conversations,
    inbox,
    is_any,
    is_unsent,
    outbox,
    processes,
    questions,
    refusals,
)

ALIVE_FOR = timedelta(seconds=20)  # after its last report, a process counts as alive: see `Timings.presence`


class Queue(StrEnum):
    """The kinds of messages and deliveries that wait or run."""

    #: Messages whose turn has not begun.
    WAITING = "waiting"
    #: Messages that are being answered.
    RUNNING = "running"
    #: Messages that are tried again.
    RETRYING = "retrying"
    #: Messages that wait for their sender's sign-in.
    SIGN_IN = "sign_in"
    #: Messages that wait for the answer to a question.
    QUESTION = "question"
    #: Deliveries that are to be sent.
    DELIVERIES = "deliveries"
    #: Deliveries that are to be sent at a time of their own.
    SCHEDULED = "scheduled"
    #: Private deliveries that are sent when the person writes to the bot directly.
    HELD = "held"
    #: Deliveries that the platform takes no more until the person writes.
    LATE = "late"


# Each condition contains that of a partial index.
_is_late = is_any(outbox.c.status, OutboxStatus.LATE)
_is_due_later = is_any(outbox.c.status, OutboxStatus.RETRYING, OutboxStatus.SCHEDULED)
_asking = select(questions.c.inbox_id).where(is_any(questions.c.status, QuestionStatus.QUEUED, QuestionStatus.ASKED))
_QUEUES = {
    Queue.WAITING: (inbox, is_any(inbox.c.status, InboxStatus.WAITING)),
    Queue.RUNNING: (inbox, is_any(inbox.c.status, InboxStatus.RUNNING)),
    Queue.RETRYING: (inbox, is_any(inbox.c.status, InboxStatus.RETRYING)),
    Queue.SIGN_IN: (inbox, is_any(inbox.c.status, InboxStatus.PARKED)),
    Queue.QUESTION: (inbox, is_any(inbox.c.status, InboxStatus.ASKED) & inbox.c.id.in_(_asking)),
    Queue.DELIVERIES: (outbox, is_unsent & ~_is_late),
    Queue.SCHEDULED: (outbox, _is_due_later & is_any(outbox.c.status, OutboxStatus.SCHEDULED)),
    Queue.HELD: (outbox, is_any(outbox.c.status, OutboxStatus.HELD)),
    Queue.LATE: (outbox, is_unsent & _is_late),
}
_PLAYED = (Queue.WAITING, Queue.RUNNING, Queue.RETRYING, Queue.DELIVERIES)  # what a process that plays turns works on


@dataclass(frozen=True, slots=True)
class ChannelState:
    """The last webhooks of a channel.

    Args:
        accepted_at: when the last message or press of a button was accepted; aware, in UTC; `None` if none was.
        refused_at, status_code, reason: when the last webhook was refused, how it was answered, and why.
    """

    channel: str
    accepted_at: datetime | None
    refused_at: datetime | None
    status_code: int | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class ProcessState:
    """A process that runs.

    Args:
        takes_events: whether it accepts messages, as `understudy serve` does.
        plays_turns: whether it answers them: `understudy worker`, and on SQLite `understudy serve`.
        started_at, seen_at: when it started and when it last said that it runs; aware, in UTC.
    """

    takes_events: bool
    plays_turns: bool
    host: str
    pid: int
    version: str
    started_at: datetime
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class QueueState:
    """The number of messages or deliveries in a queue.

    Args:
        oldest_at: when the oldest of them was accepted or stored; aware, in UTC; `None` if there are none.
        oldest_reference: the reference of that one.
    """

    queue: Queue
    number: int
    oldest_at: datetime | None
    oldest_reference: str | None


@dataclass(frozen=True, slots=True)
class Status:
    """The state of a gateway."""

    channels: Sequence[ChannelState]
    processes: Sequence[ProcessState]
    queues: Sequence[QueueState]
    dead_letters: int
    is_stuck: bool


async def read_status(database: Database, channels: Iterable[str] = ()) -> Status:
    """Return the state of a gateway. It is stuck if something waits that no living process works on.

    Args:
        channels: the channels of the gateway; those that the database knows are added.
    """
    async with database.read() as connection:
        found_channels = await _channels(connection, channels)
        alive = await _alive(connection)
        queues = [await _queue(connection, queue, *of_queue) for queue, of_queue in _QUEUES.items()]
    has_work = any(each.number for each in queues if each.queue in _PLAYED)
    is_stuck = has_work and not any(process.plays_turns for process in alive)
    return Status(found_channels, alive, queues, await DeadLetters(database).count(), is_stuck)


async def _channels(connection: AsyncConnection, channels: Iterable[str]) -> list[ChannelState]:
    accepted_at = func.max(conversations.c.last_accepted_at).label("accepted_at")
    accepted = await connection.execute(select(conversations.c.channel, accepted_at).group_by(conversations.c.channel))
    refused = await connection.execute(select(refusals))
    accepted_by = {row.channel: row.accepted_at for row in accepted}
    refused_by = {row.channel: row for row in refused}
    states = []
    for channel in sorted({*channels, *accepted_by, *refused_by}):
        row = refused_by.get(channel)
        why = (None, None, None) if row is None else (row.refused_at, row.status_code, row.reason)
        states.append(ChannelState(channel, accepted_by.get(channel), *why))
    return states


async def _alive(connection: AsyncConnection) -> list[ProcessState]:
    columns = [processes.c[name] for name in ProcessState.__slots__]
    is_alive = processes.c.seen_at >= datetime.now(UTC) - ALIVE_FOR
    found = await connection.execute(select(*columns).where(is_alive).order_by(processes.c.started_at))
    return [ProcessState(*row) for row in found]


async def _queue(connection: AsyncConnection, queue: Queue, table: Table, condition: ColumnElement[bool]) -> QueueState:
    found = select(func.count().label("number"), func.min(table.c.id).label("oldest")).where(condition).subquery()
    at = inbox.c.accepted_at if table is inbox else outbox.c.created_at
    with_oldest = select(found.c.number, at, table.c.reference).select_from(
        found.outerjoin(table, table.c.id == found.c.oldest)
    )
    return QueueState(queue, *(await connection.execute(with_oldest)).one())
