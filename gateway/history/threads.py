"""Threads: conversations that people begin and name, in channels where one person may have several."""

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, Row, and_, delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.storage.database import Database
from gateway.storage.tables import (
    conversations,
    find_conversation,
    inbox,
    outbox,
    questions,
    session_items,
    threads,
    tool_calls,
    turn_responses,
)
from oauth import Identity
from oauth.store.tables import is_of
from toolkits import Conversation


@dataclass(frozen=True, slots=True)
class Thread:
    """A conversation that a person began.

    Args:
        id: the conversation's id, unique in the tenant.
        title: the name that the person gave it.
    """

    id: str
    title: str
    created_at: datetime


class ThreadStore:
    """Stores the threads of each person. A person cannot access the threads of another."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, identity: Identity, thread_id: str, title: str) -> Thread:
        thread = Thread(thread_id, title, datetime.now(UTC))
        row = {
            "channel": identity.channel,
            "tenant": identity.tenant,
            "user_id": identity.user_id,
            "key": thread_id,
            "title": title,
            "created_at": thread.created_at,
        }
        async with self._database.write() as connection:
            await connection.execute(threads.insert().values(row))
        return thread

    async def rename(self, identity: Identity, thread_id: str, title: str) -> None:
        async with self._database.write() as connection:
            await connection.execute(threads.update().where(_is(identity, thread_id)).values(title=title))

    async def load(self, identity: Identity, thread_id: str) -> Thread | None:
        async with self._database.read() as connection:
            row = (await connection.execute(select(threads).where(_is(identity, thread_id)))).first()
        return None if row is None else _thread(row)

    async def page(
        self, identity: Identity, *, after: str | None, limit: int, newest_first: bool
    ) -> tuple[list[Thread], bool]:
        """Return a page of a person's threads, ordered by their beginning, and whether more threads follow.

        Args:
            after: the id of the last thread of the previous page; `None` for the first page.
            limit: the number of threads on a page.
        """
        found = select(threads).where(is_of(threads, identity))
        if after is not None:
            last = select(threads.c.id).where(_is(identity, after)).scalar_subquery()
            found = found.where(threads.c.id < last if newest_first else threads.c.id > last)
        found = found.order_by(threads.c.id.desc() if newest_first else threads.c.id).limit(limit + 1)
        async with self._database.read() as connection:
            rows = (await connection.execute(found)).all()
        return [_thread(row) for row in rows[:limit]], len(rows) > limit

    async def delete(self, identity: Identity, thread_id: str) -> None:
        """Remove a thread and its history. A turn that is running in it gets no answer."""
        async with self._database.write() as connection:
            if (await connection.execute(delete(threads).where(_is(identity, thread_id)))).rowcount:
                await _forget(connection, Conversation(identity.channel, identity.tenant, thread_id, shared=False))


async def _forget(connection: AsyncConnection, conversation: Conversation) -> None:
    """Remove a conversation and every row that belongs to it."""
    here = (await connection.execute(find_conversation(conversation))).scalar()
    messages = select(inbox.c.id).where(inbox.c.conversation_id == here)
    for table in (tool_calls, turn_responses, questions):
        await connection.execute(delete(table).where(table.c.inbox_id.in_(messages)))
    # Messages about them that were sent to other conversations, like the card of an approver.
    await connection.execute(delete(outbox).where(outbox.c.inbox_id.in_(messages)))
    for table in (session_items, outbox, inbox):
        await connection.execute(delete(table).where(table.c.conversation_id == here))
    await connection.execute(delete(conversations).where(conversations.c.id == here))


def _is(identity: Identity, thread_id: str) -> ColumnElement[bool]:
    return and_(is_of(threads, identity), threads.c.key == thread_id)


def _thread(row: Row[tuple[object, ...]]) -> Thread:
    return Thread(row.key, row.title, row.created_at)
