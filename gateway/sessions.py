from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Row, Select, bindparam, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.database import Database
from gateway.inbox import Claimed
from gateway.tables import session_items
from oauth import Identity
from toolkits.text import storable

SUMMARY = "What was said before, in short: {text}"


class Role(StrEnum):
    USER = "user"
    ASSISTANT = "assistant"
    #: A tool call or its result.
    TOOL = "tool"
    #: A new session begins: nothing before it is read.
    NEW = "new"
    #: What was said before in short, for its owner alone.
    SUMMARY = "summary"


@dataclass(frozen=True, slots=True)
class SessionItem:
    """One item of a conversation's history: its text, and the form in which one engine made it.

    Args:
        speaker: who said it, where it is somebody else's than the reader's.
        engine: the engine that wrote `data`, empty for an item that is read as text.
        data: what only that engine reads.
        private: whether it is for its owner alone. An answer that such an item was read for is so, too.
        id, turn_id: where it is stored, if it is.
    """

    role: Role
    text: str
    engine: str = ""
    data: str = ""
    speaker: str | None = None
    private: bool = False
    id: int = 0
    turn_id: int = 0


def _history() -> Select[Any]:
    table = session_items
    here = table.c.conversation_id == bindparam("conversation_id")
    own = (table.c.owner_tenant == bindparam("tenant")) & (table.c.owner_user_id == bindparam("user_id"))
    began = select(func.coalesce(func.max(table.c.id), 0)).where(here, table.c.role == Role.NEW).scalar_subquery()
    until = select(func.coalesce(func.max(table.c.summary_until), 0)).where(here, own).scalar_subquery()
    is_item = (table.c.role != Role.SUMMARY) & (table.c.id > until)
    is_summary = own & (table.c.summary_until == until)
    return select(table).where(here, table.c.id > began, is_item | is_summary).order_by(table.c.id)


_HISTORY = _history()
_ADD = insert(session_items)


class Sessions:
    """The history of each conversation, item by item, each with its owner.

    Args:
        idle: after how long a silence a conversation begins afresh; never, unless given.
    """

    def __init__(self, database: Database, idle: timedelta | None = None) -> None:
        self._database = database
        self._idle = idle

    async def history(self, conversation_id: int, reader: Identity) -> list[SessionItem]:
        """What a turn of `reader` may read of a conversation.

        The reader's own items are as their turns left them. Of other people's, what was said is read as text,
        and what their tools returned, and an answer built on their private data, is left out.
        """
        here = {"conversation_id": conversation_id, "tenant": reader.tenant, "user_id": reader.user_id}

        async def work(connection: AsyncConnection) -> Sequence[Row[Any]]:
            rows: Sequence[Row[Any]] = (await connection.execute(_HISTORY, here)).all()
            return rows

        rows = await self._database.look(work)
        if rows and self._idle is not None and datetime.now(UTC) - rows[-1].created_at > self._idle:
            new = [SessionItem(Role.NEW, "")]
            async with self._database.write() as connection:
                await self.add(connection, conversation_id, rows[-1].inbox_id, reader, "", new, private=False)
            return []
        items = []
        for row in sorted(rows, key=lambda row: row.role != Role.SUMMARY):
            where = {"id": row.id, "turn_id": row.inbox_id}
            if row.role == Role.SUMMARY:
                if row.text:
                    items.append(replace(read_summary(row.text, private=row.private), id=row.summary_until))
            elif (row.owner_tenant, row.owner_user_id) == (reader.tenant, reader.user_id):
                items.append(SessionItem(Role(row.role), row.text, row.engine, row.data, private=row.private, **where))
            elif row.role == Role.USER:
                items.append(SessionItem(Role.USER, row.text, speaker=row.owner_name, **where))
            elif row.role == Role.ASSISTANT and not row.private:
                items.append(SessionItem(Role.ASSISTANT, row.text, **where))
        return items

    async def add_summary(self, row: Claimed, reader: Identity, name: str, summary: SessionItem, until: int) -> None:
        """Puts a summary in the place of what one person reads of a conversation up to an item.

        Args:
            until: the id of that item.
        """
        async with self._database.write() as connection:
            where = (connection, row.conversation_id, row.id, reader, name)
            await self.add(*where, [summary], private=summary.private, summary_until=until)

    async def add(
        self,
        connection: AsyncConnection,
        conversation_id: int,
        inbox_id: int,
        owner: Identity,
        owner_name: str,
        items: Sequence[SessionItem],
        *,
        private: bool,
        summary_until: int | None = None,
    ) -> None:
        """Adds the items of a turn in the transaction that ends it.

        Args:
            private: whether what the turn's tools returned, and the answer, is for its owner alone.
            summary_until: of a summary, the id of the last item that it is of.
        """
        rows = [
            {
                "conversation_id": conversation_id,
                "inbox_id": inbox_id,
                "owner_tenant": owner.tenant,
                "owner_user_id": owner.user_id,
                "owner_name": storable(owner_name),
                "role": item.role,
                "text": storable(item.text),
                "private": private and item.role is not Role.USER,
                "engine": item.engine,
                "data": item.data,
                "created_at": datetime.now(UTC),
                "summary_until": summary_until,
            }
            for item in items
        ]
        if rows:
            await connection.execute(_ADD, rows)


def read_summary(text: str, *, private: bool) -> SessionItem:
    """A summary as the model reads it."""
    return SessionItem(Role.ASSISTANT, SUMMARY.format(text=text), private=private)
