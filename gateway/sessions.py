from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Row, Select, bindparam, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.database import Database
from gateway.tables import session_items
from oauth import Identity

TURNS_REMEMBERED = 20


class Role(StrEnum):
    USER = "user"
    ASSISTANT = "assistant"
    #: A tool call or its result.
    TOOL = "tool"
    #: A new session begins: nothing before it is read.
    NEW = "new"


@dataclass(frozen=True, slots=True)
class SessionItem:
    """One item of a conversation's history: its text, and the form in which one engine made it.

    Args:
        speaker: who said it, where it is somebody else's than the reader's.
        engine: the engine that wrote `data`, empty for an item that is read as text.
        data: what only that engine reads.
        private: whether it is for its owner alone. An answer that such an item was read for is so, too.
    """

    role: Role
    text: str
    engine: str = ""
    data: str = ""
    speaker: str | None = None
    private: bool = False


def _history() -> Select[Any]:
    table = session_items
    here = table.c.conversation_id == bindparam("conversation_id")
    began = select(func.coalesce(func.max(table.c.id), 0)).where(here, table.c.role == Role.NEW).scalar_subquery()
    current = (here, table.c.id > began)
    turns = select(table.c.inbox_id).where(*current).group_by(table.c.inbox_id)
    recent = turns.order_by(func.max(table.c.id).desc()).limit(TURNS_REMEMBERED)
    return select(table).where(*current, table.c.inbox_id.in_(recent)).order_by(table.c.id)


_HISTORY = _history()
_ADD = insert(session_items)


class Sessions:
    """The history of each conversation, item by item, each with its owner."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def history(self, conversation_id: int, reader: Identity) -> list[SessionItem]:
        """What a turn of `reader` may read of a conversation: the last twenty turns.

        The reader's own items are as their turns left them. Of other people's, what was said is read as text,
        and what their tools returned, and an answer built on their private data, is left out.
        """
        here = {"conversation_id": conversation_id}

        async def work(connection: AsyncConnection) -> Sequence[Row[Any]]:
            rows: Sequence[Row[Any]] = (await connection.execute(_HISTORY, here)).all()
            return rows

        rows = await self._database.look(work)
        items = []
        for row in rows:
            if (row.owner_tenant, row.owner_user_id) == (reader.tenant, reader.user_id):
                items.append(SessionItem(Role(row.role), row.text, row.engine, row.data, private=row.private))
            elif row.role == Role.USER:
                items.append(SessionItem(Role.USER, row.text, speaker=row.owner_name))
            elif row.role == Role.ASSISTANT and not row.private:
                items.append(SessionItem(Role.ASSISTANT, row.text))
        return items

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
    ) -> None:
        """Adds the items of a turn in the transaction that ends it.

        Args:
            private: whether what the turn's tools returned, and the answer, is for its owner alone.
        """
        rows = [
            {
                "conversation_id": conversation_id,
                "inbox_id": inbox_id,
                "owner_tenant": owner.tenant,
                "owner_user_id": owner.user_id,
                "owner_name": _clean(owner_name),
                "role": item.role,
                "text": _clean(item.text),
                "private": private and item.role is not Role.USER,
                "engine": item.engine,
                "data": item.data,
                "created_at": datetime.now(UTC),
            }
            for item in items
        ]
        if rows:
            await connection.execute(_ADD, rows)


def _clean(text: str) -> str:
    """Text as every database takes it: PostgreSQL's holds no NUL."""
    return text.replace("\0", "")
