"""The access list: the people, chats and workspaces that may use the channels that do not answer everybody."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, exists, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.storage.database import Database
from gateway.storage.tables import access_list
from oauth import Identity
from toolkits import Conversation


class Kind(StrEnum):
    #: One person, wherever they write.
    PERSON = "person"
    #: Everybody who writes in a chat: a channel, a group or a direct conversation, with its threads and topics.
    CHAT = "chat"
    #: Everybody who belongs to a tenant, like a Slack workspace.
    WORKSPACE = "workspace"


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the access list.

    Args:
        key: the id of the person or of the chat; empty for a workspace.
    """

    channel: str
    tenant: str
    kind: Kind
    key: str

    @classmethod
    def of(cls, identity: Identity) -> "Entry":
        """Return the entry of a person."""
        return cls(identity.channel, identity.tenant, Kind.PERSON, identity.user_id)


@dataclass(frozen=True, slots=True)
class StoredEntry(Entry):
    added_at: datetime


class AccessList:
    """Stores the access list. Nothing of it is cached, so a change takes effect at once in every process."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def allow(self, entry: Entry) -> bool:
        """Add an entry; return whether it is new."""
        async with self._database.write() as connection:
            return await self.add(connection, entry)

    async def add(self, connection: AsyncConnection, entry: Entry) -> bool:
        """Do the same as `allow` in the caller's transaction."""
        row = self._database.upsert(access_list).values(**asdict(entry), added_at=datetime.now(UTC))
        added = await connection.execute(row.on_conflict_do_nothing().returning(access_list.c.key))
        return added.first() is not None

    async def remove(self, entry: Entry) -> bool:
        """Remove an entry; return whether it was there."""
        async with self._database.write() as connection:
            removed = await connection.execute(delete(access_list).where(is_entry(entry)).returning(access_list.c.key))
            return removed.first() is not None

    async def find(self, channel: str | None = None) -> list[StoredEntry]:
        """Return all entries, or those of one channel."""
        found = select(access_list).order_by(*access_list.primary_key)
        if channel is not None:
            found = found.where(access_list.c.channel == channel)
        async with self._database.read() as connection:
            rows = (await connection.execute(found)).all()
        return [StoredEntry(row.channel, row.tenant, Kind(row.kind), row.key, row.added_at) for row in rows]

    async def move(self, chat: Conversation, new_id: str) -> None:
        """Give the entry of a chat another id, because its platform did."""
        old = Entry(chat.channel, chat.tenant, Kind.CHAT, chat.id)
        new = Entry(chat.channel, chat.tenant, Kind.CHAT, new_id)
        async with self._database.write() as connection:
            removed = await connection.execute(delete(access_list).where(is_entry(old)).returning(access_list.c.key))
            if removed.first() is not None:
                await self.add(connection, new)


async def is_listed(connection: AsyncConnection, identity: Identity | None, conversation: Conversation | None) -> bool:
    """Return whether the access list has a person, their workspace, or the chat that a conversation is in.

    Args:
        identity: the person; `None` if nobody knows who it is.
        conversation: where the person writes; `None` if it is in no conversation.
    """
    ways: list[Any] = []
    if identity is not None:
        of_tenant = and_(access_list.c.channel == identity.channel, access_list.c.tenant == identity.tenant)
        person = and_(access_list.c.kind == Kind.PERSON, access_list.c.key == identity.user_id)
        ways.append(and_(of_tenant, or_(person, access_list.c.kind == Kind.WORKSPACE)))
    if conversation is not None:
        # The id of a thread or a topic begins with that of its chat.
        ids = {conversation.id, conversation.id.partition("/")[0]}
        of_tenant = and_(access_list.c.channel == conversation.channel, access_list.c.tenant == conversation.tenant)
        ways.append(and_(of_tenant, access_list.c.kind == Kind.CHAT, access_list.c.key.in_(sorted(ids))))
    if not ways:
        return False
    return bool((await connection.execute(select(exists().where(or_(*ways))))).scalar())


def is_entry(entry: Entry) -> ColumnElement[bool]:
    """Return the condition that selects the row of an entry."""
    return and_(*(access_list.c[name] == value for name, value in asdict(entry).items()))
