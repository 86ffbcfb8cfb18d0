"""The inbox: the messages that platforms were told "200" for, until they are answered or given up."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Select, bindparam, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.channels.event import Event
from gateway.inbox.accepting import EventWriter, Written
from gateway.inbox.changes import Changes
from gateway.inbox.claims import (
    Claim,
    ClaimedMessage,
    Claims,
    check_claimed,
    end_claimed,
    end_joined,
    expire,
    update_claimed,
)
from gateway.inbox.dispatch import Dispatcher
from gateway.inbox.pieces import Pieces, complete_due, payloads_of
from gateway.inbox.stopping import Stops
from gateway.storage.database import Database
from gateway.storage.tables import (
    InboxStatus,
    conversations,
    dedupe_keys,
    find_conversation,
    inbox,
    is_any,
    is_unsent,
    outbox,
)
from gateway.timings import DEFAULT_TIMINGS, Timings
from oauth import ConsentRequiredError, Grant, Identity
from oauth.store.columns import Timestamp
from toolkits import Conversation

RESUMABLE_FOR = timedelta(days=1)  # a person who consents later does not expect an answer any more
MAX_JOINED = 100  # messages that one turn answers
MAX_DUE = 500  # messages that go on in one transaction
CONSENTED_TOO_LATE = "Its sender connected their account more than a day later."

_message = select(inbox.c.id, inbox.c.payload, inbox.c.lease, inbox.c.group_key, inbox.c.piece).order_by(inbox.c.place)
_in_conversation = inbox.c.conversation_id == bindparam("conversation_id")
_first_gathering = (
    select(func.min(inbox.c.place)).where(_in_conversation, is_any(inbox.c.status, InboxStatus.GATHERING))
).scalar_subquery()
_WAITING_IN_CONVERSATION = _message.where(
    _in_conversation,
    is_any(inbox.c.status, InboxStatus.WAITING),
    inbox.c.place < func.coalesce(_first_gathering, inbox.c.place + 1),
).limit(MAX_JOINED)
_JOINED_TO = _message.where(inbox.c.turn_id == bindparam("row_id"), is_any(inbox.c.status, InboxStatus.JOINED))
_OF_TURNS = (
    select(inbox.c.id, inbox.c.turn_id, inbox.c.payload, inbox.c.group_key, inbox.c.piece)
    .where(
        inbox.c.id.in_(bindparam("turn_ids", expanding=True))
        | inbox.c.turn_id.in_(bindparam("turn_ids", expanding=True))
    )
    .order_by(inbox.c.place)
)
_COUNT_WAITING = select(func.count()).select_from(inbox).where(is_any(inbox.c.status, InboxStatus.WAITING))
_DUE = (
    select(inbox.c.id, inbox.c.conversation_id)
    .where(is_any(inbox.c.status, InboxStatus.RETRYING), inbox.c.due_at <= bindparam("now", type_=Timestamp()))
    .order_by(inbox.c.due_at)
    .limit(MAX_DUE)
    .with_for_update(skip_locked=True)
)
_PARKED = (
    select(inbox.c.id, inbox.c.conversation_id, inbox.c.scopes, inbox.c.accepted_at)
    .join(conversations, conversations.c.id == inbox.c.conversation_id)
    .where(
        is_any(inbox.c.status, InboxStatus.PARKED),
        inbox.c.provider == bindparam("of_provider"),
        inbox.c.sender_tenant == bindparam("of_tenant"),
        inbox.c.sender_user_id == bindparam("of_user_id"),
        conversations.c.channel == bindparam("of_channel"),
    )
    .order_by(conversations.c.channel, conversations.c.tenant, conversations.c.key, inbox.c.id)
    .with_for_update(of=inbox)  # of two grants at once, one finds the message
)
_UNFINISHED = (
    select(inbox.c.conversation_id)
    .where(is_any(inbox.c.status, InboxStatus.WAITING) | is_any(inbox.c.status, InboxStatus.RUNNING))
    .union(select(outbox.c.conversation_id).where(is_unsent))
)
_NEXT_PLACE = (
    update(conversations)
    .where(conversations.c.id == bindparam("conversation_id"))
    .values(last_place=conversations.c.last_place + 1)
    .returning(conversations.c.last_place)
)


@dataclass(frozen=True, slots=True)
class WaitingMessage:
    """A message that waits, or that is joined to a turn.

    Args:
        payloads: as those of `ClaimedMessage`.
        was_claimed: whether a turn of its own has begun before, which may have left a journal.
    """

    id: int
    payloads: tuple[str, ...]
    was_claimed: bool


class Inbox:
    """The transactional inbox.

    Each conversation has its messages in the order of their places. A message that is resumed takes a new place, behind
    what was written meanwhile.

    Attributes:
        stops: stops the turns of messages.

    Args:
        oldest: how old a message may be that is still answered.
        answer_edits: whether the edit of an answered message is a new message.
    """

    def __init__(
        self,
        database: Database,
        dispatcher: Dispatcher,
        oldest: timedelta,
        timings: Timings = DEFAULT_TIMINGS,
        *,
        answer_edits: bool = False,
    ) -> None:
        self._database = database
        self._dispatcher = dispatcher
        self.stops = Stops(database)
        self._pieces = Pieces(database, timings)
        changes = Changes(self._pieces, oldest, answer_edits=answer_edits)
        self._events = EventWriter(database, self._pieces, changes, self.stops)
        self._claims = Claims(database, dispatcher, oldest)

    async def accept(self, events: Sequence[Event]) -> list[bool]:
        """Commit events, in their order, in one transaction.

        Returns:
            For each event whether it is a new message. Of one that was accepted before, nothing is stored.
        """

        async def work(connection: AsyncConnection) -> Written:
            written = await self._events.add(connection, events)
            await self._dispatcher.defer(connection, written.going_on)
            return written

        written = await self._database.run_write(work)
        self._dispatcher.wake(written.going_on)
        self.stops.tell(written.stopped)
        return written.new

    async def count_waiting(self) -> int:
        """Return how many messages wait to be played, in all conversations."""
        async with self._database.read() as connection:
            return int((await connection.execute(_COUNT_WAITING)).scalar_one())

    async def move(self, conversation: Conversation, conversation_id: str) -> None:
        """Give a conversation another id of the platform's, unless there is a conversation with that id already."""
        old = find_conversation(conversation).correlate(None)
        new = find_conversation(replace(conversation, id=conversation_id)).correlate(None)
        moved = update(conversations).where(conversations.c.id.in_(old), ~new.exists()).values(key=conversation_id)
        async with self._database.write() as connection:
            await connection.execute(moved)

    async def knows(self, conversation: Conversation) -> bool:
        """Return whether anything was ever accepted from a conversation or sent to it."""
        async with self._database.read() as connection:
            return (await connection.execute(find_conversation(conversation))).first() is not None

    async def is_busy(self, conversation: Conversation) -> bool:
        """Return whether a message of a conversation comes in, waits, is being played, or is to be tried again."""
        is_unfinished = is_any(
            inbox.c.status, InboxStatus.GATHERING, InboxStatus.WAITING, InboxStatus.RUNNING, InboxStatus.RETRYING
        )
        here = inbox.c.conversation_id.in_(find_conversation(conversation))
        async with self._database.read() as connection:
            found = await connection.execute(select(inbox.c.id).where(here, is_unfinished).limit(1))
            return found.first() is not None

    async def claim(self, conversation_id: int) -> Claim:
        """Claim the next message of a conversation, if one waits and none is being played.

        A message that a dead worker left is taken over. Call `let_go` when the claimed message is no longer played.

        Raises:
            ConversationBusyError: if a worker that seems to be alive plays a message of the conversation.
        """
        return await self._claims.claim(conversation_id)

    def let_go(self, row: ClaimedMessage) -> None:
        """Note that this process does not play a message any more, however its turn ended."""
        self._claims.let_go(row)

    async def release(self, row: ClaimedMessage, *, counted: bool) -> None:
        """Give back a message whose turn was stopped from outside, to be played again, unless the turn has ended.

        Args:
            counted: whether this was one of the attempts that a message has.
        """
        await self._claims.release(row, counted=counted)

    async def end(
        self,
        connection: AsyncConnection,
        row: ClaimedMessage,
        sender: Identity | None,
        status: InboxStatus,
        error: str = "",
    ) -> None:
        """End a message, and those that are joined to its turn, in the caller's transaction.

        Args:
            sender: who wrote the message, if that is known.

        Raises:
            LeaseLostError: if the claim is no longer good; the transaction must not be committed.
        """
        await end_claimed(connection, row, sender, status, error)

    async def park(
        self, connection: AsyncConnection, row: ClaimedMessage, sender: Identity, needed: ConsentRequiredError
    ) -> None:
        """Have a message wait for its sender's consent, while its conversation goes on.

        Raises:
            LeaseLostError: as `end`.
            TurnStoppedError: if the turn was stopped; likewise.
        """
        await check_claimed(connection, row)
        await update_claimed(
            connection,
            row,
            status=InboxStatus.PARKED,
            sender_tenant=sender.tenant,
            sender_user_id=sender.user_id,
            provider=needed.provider,
            scopes=" ".join(sorted(needed.scopes)),
        )

    async def park_for_answer(self, connection: AsyncConnection, row: ClaimedMessage, sender: Identity) -> None:
        """Have a message wait for its sender's yes or no, while its conversation goes on.

        Raises:
            LeaseLostError: as `end`.
            TurnStoppedError: if the turn was stopped; likewise.
        """
        await check_claimed(connection, row)
        await update_claimed(
            connection, row, status=InboxStatus.ASKED, sender_tenant=sender.tenant, sender_user_id=sender.user_id
        )

    async def retry(
        self, connection: AsyncConnection, row: ClaimedMessage, sender: Identity | None, error: str, due_at: datetime
    ) -> None:
        """Have a message whose turn failed tried again later, while its conversation goes on.

        Args:
            sender: who wrote the message, if that is known.

        Raises:
            LeaseLostError: as `end`.
        """
        values: dict[str, Any] = {"status": InboxStatus.RETRYING, "error": error, "due_at": due_at}
        if sender is not None:
            values |= {"sender_tenant": sender.tenant, "sender_user_id": sender.user_id}
        await update_claimed(connection, row, **values)

    async def waiting_next(self, row: ClaimedMessage) -> list[WaitingMessage]:
        """Return the messages that wait in the conversation of a turn, in order, up to one that is not complete."""
        return await self._load(_WAITING_IN_CONVERSATION, conversation_id=row.conversation_id)

    async def joined(self, row: ClaimedMessage) -> list[WaitingMessage]:
        """Return the messages that are joined to a turn, in order."""
        return await self._load(_JOINED_TO, row_id=row.id)

    async def payloads(self, turn_ids: Sequence[int]) -> dict[int, list[str]]:
        """Return the messages that turns have answered, in order, by turn. Those that were removed are left out."""
        found: dict[int, list[str]] = defaultdict(list)
        async with self._database.read() as connection:
            rows: Any = (await connection.execute(_OF_TURNS, {"turn_ids": turn_ids})).all()
            for row, payloads in zip(rows, await payloads_of(connection, rows), strict=True):
                found[row.turn_id or row.id] += payloads
        return found

    async def join(self, row: ClaimedMessage, others: Sequence[WaitingMessage]) -> None:
        """Join messages to a turn, which answers them, and with which they end.

        Raises:
            LeaseLostError: if the claim on the turn's message is no longer good.
            TurnStoppedError: if the turn was stopped: what came since is not meant.
        """
        async with self._database.write() as connection:
            await check_claimed(connection, row)
            await connection.execute(
                update(inbox)
                .where(inbox.c.id.in_([other.id for other in others]), is_any(inbox.c.status, InboxStatus.WAITING))
                .values(status=InboxStatus.JOINED, turn_id=row.id)
            )

    async def go_on(self, connection: AsyncConnection, row_id: int, conversation_id: int) -> None:
        """Have a message that was parked wait to be played on, at a new place in its conversation."""
        now = datetime.now(UTC)
        await self._wait_again(connection, row_id, conversation_id, attempts=0, renewed_at=now)

    async def heard(self, connection: AsyncConnection, conversation_id: int) -> None:
        """Note that a person pressed a button, which lets a platform take messages to them as after a message."""
        found = update(conversations).where(conversations.c.id == conversation_id)
        await connection.execute(found.values(last_accepted_at=datetime.now(UTC)))

    async def end_parked(self, connection: AsyncConnection, row_id: int) -> None:
        """End a message that was parked, and those that are joined to it."""
        await connection.execute(update(inbox).where(inbox.c.id == row_id).values(status=InboxStatus.DONE))
        await end_joined(connection, row_id, InboxStatus.DONE)

    async def unpark(self, connection: AsyncConnection, grant: Grant) -> Callable[[], None]:
        """Resume the messages that were parked for a grant, in the transaction that stores it.

        Returns:
            What the caller calls once that transaction is committed.
        """
        parked = await connection.execute(
            _PARKED,
            {
                "of_provider": grant.provider,
                "of_tenant": grant.identity.tenant,
                "of_user_id": grant.identity.user_id,
                "of_channel": grant.identity.channel,
            },
        )
        resumed = []
        for row in parked.all():
            if not set(row.scopes.split()) <= grant.scopes:
                continue
            if row.accepted_at < datetime.now(UTC) - RESUMABLE_FOR:
                await expire(connection, row.id, CONSENTED_TOO_LATE)
                continue
            await self.go_on(connection, row.id, row.conversation_id)
            resumed.append(row.conversation_id)
        return await self.resume(connection, resumed)

    async def resume_due(self) -> None:
        """Resume the messages whose time to be tried again has come, and those that are complete now."""
        async with self._database.write() as connection:
            resumed = await complete_due(connection)
            for row in (await connection.execute(_DUE, {"now": datetime.now(UTC)})).all():
                await self._wait_again(connection, row.id, row.conversation_id)
                resumed.append(row.conversation_id)
            committed = await self.resume(connection, list(dict.fromkeys(resumed)))
        committed()

    async def resume(self, connection: AsyncConnection, conversation_ids: Sequence[int]) -> Callable[[], None]:
        """Have conversations drained in which the caller's transaction makes something wait.

        Returns:
            What the caller calls once that transaction is committed.
        """
        await self._dispatcher.defer(connection, conversation_ids)
        return lambda: self._dispatcher.wake(conversation_ids)

    async def recover(self) -> None:
        """Have what a process left that was alone and has ended go on in this one."""
        async with self._database.write() as connection:
            await self._pieces.wait_again(connection)
        self._dispatcher.wake(await self.unfinished())

    async def unfinished(self) -> list[int]:
        """Return the ids of the conversations that have something to do: see the function of this name."""
        async with self._database.read() as connection:
            return await unfinished(connection)

    async def take_key(self, connection: AsyncConnection, conversation: Conversation, key: str) -> bool:
        """Take a key in the tenant of a conversation. Return whether it was free."""
        row = self._database.upsert(dedupe_keys).values(
            channel=conversation.channel, tenant=conversation.tenant, key=key, accepted_at=datetime.now(UTC)
        )
        added = await connection.execute(row.on_conflict_do_nothing().returning(dedupe_keys.c.key))
        return added.first() is not None

    async def conversation_id(self, connection: AsyncConnection, conversation: Conversation) -> int:
        """Return the id of a conversation, which is stored if nothing is known of it yet."""
        upsert = self._database.upsert(conversations).values(
            channel=conversation.channel,
            tenant=conversation.tenant,
            key=conversation.id,
            shared=conversation.shared,
            last_place=0,
        )
        made = await connection.execute(
            upsert.on_conflict_do_update(
                index_elements=["channel", "tenant", "key"], set_={"last_place": conversations.c.last_place}
            ).returning(conversations.c.id)
        )
        return int(made.scalar_one())

    async def _load(self, statement: Select[Any], **of: int) -> list[WaitingMessage]:
        async with self._database.read() as connection:
            rows = (await connection.execute(statement, of)).all()
            payloads = await payloads_of(connection, rows)
            return [WaitingMessage(row.id, each, row.lease > 0) for row, each in zip(rows, payloads, strict=True)]

    async def _wait_again(self, connection: AsyncConnection, row_id: int, conversation_id: int, **values: Any) -> None:
        taken = await connection.execute(_NEXT_PLACE, {"conversation_id": conversation_id})
        await connection.execute(
            update(inbox)
            .where(inbox.c.id == row_id)
            .values(status=InboxStatus.WAITING, place=taken.scalar_one(), **values)
        )


async def unfinished(connection: AsyncConnection) -> list[int]:
    """Return the ids of the conversations in which something waits, or was being done when its process died."""
    return list((await connection.execute(_UNFINISHED)).scalars())
