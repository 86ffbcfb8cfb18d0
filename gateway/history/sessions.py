"""Sessions: the history of conversations, as turns read and write it."""

from collections.abc import Collection, Sequence
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


def _select_history() -> Select[Any]:
    """Select the items that a person reads: the person's last summary, and the items after it and the last NEW."""
    table = session_items
    here = table.c.conversation_id == bindparam("conversation_id")
    own = (table.c.owner_tenant == bindparam("tenant")) & (table.c.owner_user_id == bindparam("user_id"))
    began = select(func.coalesce(func.max(table.c.id), 0)).where(here, table.c.role == Role.NEW).scalar_subquery()
    until = select(func.coalesce(func.max(table.c.summary_until), 0)).where(here, own).scalar_subquery()
    is_item = (table.c.role != Role.SUMMARY) & (table.c.id > until)
    is_summary = own & (table.c.summary_until == until)
    return select(table).where(here, table.c.id > began, is_item | is_summary).order_by(table.c.id)


_SEEN_BY_ALL = (Role.USER, Role.QUOTED)  # everybody in the conversation sees these, even if the answer is private
_HISTORY = _select_history()
_ADD = insert(session_items)


class Sessions:
    """The history of each conversation, as a list of items. Each item has an owner.

    Args:
        idle: the silence after which a conversation begins with an empty history; `None` for never.
    """

    def __init__(self, database: Database, idle: timedelta | None = None) -> None:
        self._database = database
        self._idle = idle

    async def history(self, conversation_id: int, reader: Identity) -> list[SessionItem]:
        """Return the items that a turn of `reader` may read, oldest first, after the summary if there is one.

        The reader's own items are complete. Other people's messages and answers are text, without the results of their
        tools. Their private answers are left out, and also the files of their messages that got a private answer.
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
        summary_first = sorted(rows, key=lambda row: row.role != Role.SUMMARY)
        private = {row.inbox_id for row in rows if row.private}
        items = (_item_for(reader, row, private) for row in summary_first)
        return [item for item in items if item is not None]

    async def add_summary(
        self, conversation_id: int, inbox_id: int, reader: Identity, name: str, summary: SessionItem, until: int
    ) -> None:
        """Add a summary, which replaces the older items of a conversation for one person.

        Args:
            reader: the person.
            name: the person's name.
            until: the id of the last item that the summary replaces.
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
        """Add the items of a turn in the transaction that ends the turn.

        Args:
            private: whether only the owner may read the answer and the results of the turn's tools.
            summary_until: the id of the last item that a summary replaces.
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
                "private": private and item.role not in _SEEN_BY_ALL,
                "engine": item.engine,
                "data": item.data,
                "has_files": item.has_files,
                "created_at": datetime.now(UTC),
                "summary_until": summary_until,
            }
            for item in items
        ]
        if rows:
            await connection.execute(_ADD, rows)


def _item_for(reader: Identity, row: Row[Any], private: Collection[int]) -> SessionItem | None:
    """Return an item in the form that `reader` may read; `None` if `reader` may not read it.

    Args:
        private: the ids of the turns that have private items.
    """
    where = {"id": row.id, "turn_id": row.inbox_id}
    if row.role == Role.SUMMARY:
        return replace(read_summary(row.text, private=row.private), id=row.summary_until) if row.text else None
    if (row.owner_tenant, row.owner_user_id) == (reader.tenant, reader.user_id):
        return SessionItem(
            Role(row.role), row.text, row.engine, row.data, private=row.private, has_files=row.has_files, **where
        )
    if row.role == Role.QUOTED:
        return SessionItem(Role.QUOTED, row.text, data=row.data, **where)
    if row.role == Role.USER:
        has_files = row.has_files and row.inbox_id not in private
        return SessionItem(Role.USER, row.text, speaker=row.owner_name, has_files=has_files, **where)
    if row.role == Role.ASSISTANT and not row.private:
        return SessionItem(Role.ASSISTANT, row.text, **where)
    return None
