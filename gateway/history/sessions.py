from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Row, Select, bindparam, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.runs.items import Role, SessionItem, read_summary
from gateway.storage.database import Database
from gateway.storage.tables import session_items
from oauth import Identity
from toolkits.text import storable


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

        rows = await self._database.run_read(work)
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

    async def add_summary(
        self, conversation_id: int, inbox_id: int, reader: Identity, name: str, summary: SessionItem, until: int
    ) -> None:
        """Puts a summary in the place of what one person reads of a conversation up to an item.

        Args:
            until: the id of that item.
        """
        async with self._database.write() as connection:
            where = (connection, conversation_id, inbox_id, reader, name)
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
