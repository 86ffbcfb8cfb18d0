import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Select, insert, select, tuple_, update
from sqlalchemy.dialects import sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.database import Database
from gateway.dispatch import Dispatcher
from gateway.interface import Event
from gateway.tables import InboxStatus, OutboxStatus, conversations, dedupe_keys, inbox, outbox
from oauth import ConsentRequired, Identity
from oauth.coordinator import Grant
from toolkits import Conversation

RESUMABLE_FOR = timedelta(days=1)  # a person who consents later does not expect an answer any more


class LeaseLost(Exception):  # noqa: N818
    """Another worker has taken this row over: nothing of this turn may be written."""


@dataclass(frozen=True, slots=True)
class Row:
    """An accepted message, claimed to be played. `attempts` fences: a later claim has a higher number."""

    id: int
    conversation_id: int
    conversation: Conversation
    payload: str
    attempts: int
    reference: str


class Inbox:
    """The transactional inbox: what platforms were told "200" for."""

    def __init__(self, database: Database, dispatcher: Dispatcher) -> None:
        self._database = database
        self._dispatcher = dispatcher

    async def accept(self, event: Event) -> bool:
        """Commits an event, unless it or its message was accepted before; returns whether it is new."""
        async with self._database.write() as connection:
            if not await self._is_new(connection, event):
                return False
            conversation_id, place = await self._take_place(connection, event.conversation)
            await connection.execute(
                insert(inbox).values(
                    conversation_id=conversation_id,
                    place=place,
                    payload=event.payload,
                    status=InboxStatus.WAITING,
                    attempts=0,
                    reference=secrets.token_hex(4),
                    accepted_at=datetime.now(UTC),
                )
            )
            await self._dispatcher.defer(connection, [conversation_id])
        self._dispatcher.wake([conversation_id])
        return True

    async def knows(self, conversation: Conversation) -> bool:
        async with self._database.read() as connection:
            return (await connection.execute(_conversation(conversation))).first() is not None

    async def claim(self, conversation_id: int) -> Row | None:
        """Takes the next message of a conversation, if one waits and none is being played."""
        running = (
            select(inbox.c.id)
            .where(inbox.c.conversation_id == conversation_id, inbox.c.status == InboxStatus.RUNNING)
            .exists()
        )
        following = (
            select(inbox.c.id)
            .where(inbox.c.conversation_id == conversation_id, inbox.c.status == InboxStatus.WAITING, ~running)
            .order_by(inbox.c.place)
            .limit(1)
            .scalar_subquery()
        )
        async with self._database.write() as connection:
            claimed = await connection.execute(
                update(inbox)
                .where(inbox.c.id == following, inbox.c.status == InboxStatus.WAITING)
                .values(status=InboxStatus.RUNNING, attempts=inbox.c.attempts + 1)
                .returning(inbox.c.id, inbox.c.payload, inbox.c.attempts, inbox.c.reference)
            )
            row = claimed.first()
            if row is None:
                return None
            conversation = await load_conversation(connection, conversation_id)
        return Row(row.id, conversation_id, conversation, row.payload, row.attempts, row.reference)

    async def end(self, connection: AsyncConnection, row: Row, status: InboxStatus) -> None:
        """Ends a turn in the caller's transaction.

        Raises:
            LeaseLost: if the row is no longer this worker's; the transaction must not be committed.
        """
        await self._leave(connection, row, status=status)

    async def park(self, connection: AsyncConnection, row: Row, sender: Identity, needed: ConsentRequired) -> None:
        """Lets a message wait for its sender's consent, and its conversation go on."""
        await self._leave(
            connection,
            row,
            status=InboxStatus.PARKED,
            sender_tenant=sender.tenant,
            sender_user_id=sender.user_id,
            provider=needed.provider,
            scopes=" ".join(sorted(needed.scopes)),
        )

    async def release(self, row: Row, *, counted: bool) -> None:
        """Gives back a message whose turn was stopped from outside: it will be played again.

        Args:
            counted: whether this was one of the attempts that a message has.
        """
        attempts = row.attempts if counted else row.attempts - 1
        async with self._database.write() as connection:
            await self._leave(connection, row, status=InboxStatus.WAITING, attempts=attempts)

    async def unpark(self, connection: AsyncConnection, grant: Grant) -> Callable[[], None]:
        """Lets what waited for a grant go on, in the transaction that stores it. Each takes a new place."""
        parked = await connection.execute(
            select(inbox.c.id, inbox.c.conversation_id, inbox.c.scopes, inbox.c.accepted_at)
            .join(conversations, conversations.c.id == inbox.c.conversation_id)
            .where(
                inbox.c.status == InboxStatus.PARKED,
                inbox.c.provider == grant.provider,
                inbox.c.sender_tenant == grant.identity.tenant,
                inbox.c.sender_user_id == grant.identity.user_id,
                conversations.c.channel == grant.identity.channel,
            )
            .order_by(inbox.c.id)
        )
        resumed = []
        for row in parked.all():
            if not set(row.scopes.split()) <= grant.scopes:
                continue
            if row.accepted_at < datetime.now(UTC) - RESUMABLE_FOR:
                await connection.execute(update(inbox).where(inbox.c.id == row.id).values(status=InboxStatus.EXPIRED))
                continue
            place = await self._next_place(connection, row.conversation_id)
            await connection.execute(
                update(inbox).where(inbox.c.id == row.id).values(status=InboxStatus.WAITING, attempts=0, place=place)
            )
            resumed.append(row.conversation_id)
        return await self.resume(connection, resumed)

    async def resume(self, connection: AsyncConnection, conversation_ids: Sequence[int]) -> Callable[[], None]:
        """Lets conversations in which something waits go on; what it returns is called when that is committed."""
        await self._dispatcher.defer(connection, conversation_ids)
        return lambda: self._dispatcher.wake(conversation_ids)

    async def recover(self) -> list[int]:
        """Takes back what a dead process was playing; returns the conversations in which something waits.

        Only for the process that has the database to itself.
        """
        async with self._database.write() as connection:
            await connection.execute(
                update(inbox).where(inbox.c.status == InboxStatus.RUNNING).values(status=InboxStatus.WAITING)
            )
            unplayed = select(inbox.c.conversation_id).where(inbox.c.status == InboxStatus.WAITING)
            unsent = select(outbox.c.conversation_id).where(
                outbox.c.status.in_([OutboxStatus.WAITING, OutboxStatus.SENDING])
            )
            found = await connection.execute(unplayed.union(unsent))
            return list(found.scalars())

    async def _is_new(self, connection: AsyncConnection, event: Event) -> bool:
        keys = [f"event:{event.id}"] + ([f"message:{event.message_key}"] if event.message_key else [])
        conversation, now = event.conversation, datetime.now(UTC)
        rows = [
            {"channel": conversation.channel, "tenant": conversation.tenant, "key": key, "accepted_at": now}
            for key in keys
        ]
        added = await connection.execute(
            sqlite.insert(dedupe_keys).on_conflict_do_nothing().values(rows).returning(dedupe_keys.c.key)
        )
        return len(added.all()) == len(keys)

    async def _take_place(self, connection: AsyncConnection, conversation: Conversation) -> tuple[int, int]:
        taken = await connection.execute(
            sqlite.insert(conversations)
            .values(
                channel=conversation.channel,
                tenant=conversation.tenant,
                key=conversation.id,
                shared=conversation.shared,
                last_place=1,
            )
            .on_conflict_do_update(
                index_elements=["channel", "tenant", "key"],
                set_={"last_place": conversations.c.last_place + 1},
            )
            .returning(conversations.c.id, conversations.c.last_place)
        )
        identifier, place = taken.one()
        return identifier, place

    async def _next_place(self, connection: AsyncConnection, conversation_id: int) -> int:
        taken = await connection.execute(
            update(conversations)
            .where(conversations.c.id == conversation_id)
            .values(last_place=conversations.c.last_place + 1)
            .returning(conversations.c.last_place)
        )
        return int(taken.scalar_one())

    async def _leave(self, connection: AsyncConnection, row: Row, **values: object) -> None:
        left = await connection.execute(
            update(inbox)
            .where(inbox.c.id == row.id, inbox.c.status == InboxStatus.RUNNING, inbox.c.attempts == row.attempts)
            .values(**values)
            .returning(inbox.c.id)
        )
        if left.first() is None:
            raise LeaseLost


def _conversation(conversation: Conversation) -> Select[int]:
    return select(conversations.c.id).where(
        tuple_(conversations.c.channel, conversations.c.tenant, conversations.c.key)
        == (conversation.channel, conversation.tenant, conversation.id)
    )


async def load_conversation(connection: AsyncConnection, conversation_id: int) -> Conversation:
    found = await connection.execute(select(conversations).where(conversations.c.id == conversation_id))
    row = found.one()
    return Conversation(row.channel, row.tenant, row.key, row.shared)
