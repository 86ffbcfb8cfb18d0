"""The inbox: it stores accepted messages until they are answered or given up."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Select, bindparam, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.channels.event import Event
from gateway.history.moving import move
from gateway.inbox.accepting import EventWriter, Limits, Written
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

RESUMABLE_FOR = timedelta(days=1)  # a person who connects an account later no longer expects an answer
MAX_JOINED = 100  # messages that one turn answers
MAX_DUE = 500  # messages that are resumed in one transaction
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
    .with_for_update(of=inbox)  # if two grants come at once, only one of them finds the message
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
        payloads: as for `ClaimedMessage`.
        was_claimed: whether a separate turn for the message has begun before, which may have left a journal.
    """

    id: int
    payloads: tuple[str, ...]
    was_claimed: bool


class Inbox:
    """The transactional inbox.

    The messages of a conversation are ordered by their places. A message that is resumed takes a new place, behind the
    messages that were written meanwhile.

    Attributes:
        stops: stops turns.

    Args:
        oldest: the age up to which a message is still answered.
        answer_edits: whether the edit of an answered message is a new message.
        limits: `None` if everybody may begin any number of turns.
    """

    def __init__(
        self,
        database: Database,
        dispatcher: Dispatcher,
        oldest: timedelta,
        timings: Timings = DEFAULT_TIMINGS,
        *,
        answer_edits: bool = False,
        limits: Limits | None = None,
    ) -> None:
        self._database = database
        self._dispatcher = dispatcher
        self.stops = Stops(database)
        self._pieces = Pieces(database, timings)
        changes = Changes(self._pieces, oldest, answer_edits=answer_edits)
        self._events = EventWriter(database, self._pieces, changes, self.stops, limits)
        self._claims = Claims(database, dispatcher, oldest)

    async def accept(self, events: Sequence[Event]) -> list[bool]:
        """Commit events, in their order, in one transaction.

        Returns:
            For each event, whether it is a new message. An event that was accepted before is not stored again.
        """

        async def work(connection: AsyncConnection) -> Written:
            written = await self._events.add(connection, events)
            await self._dispatcher.defer(connection, written.to_drain)
            return written

        written = await self._database.run_write(work)
        self._dispatcher.wake(written.to_drain)
        self.stops.tell(written.stopped)
        return written.new

    async def count_waiting(self) -> int:
        """Return how many messages wait to be played, in all conversations."""
        async with self._database.read() as connection:
            return int((await connection.execute(_COUNT_WAITING)).scalar_one())

    async def move(self, conversation: Conversation, conversation_id: str) -> None:
        """Give a conversation another id: see `Host.move`."""
        async with self._database.write() as connection:
            # Accepted events lock the rows of old and new ids in any order, which could be a deadlock.
            await self._database.lock(connection, conversations)
            to_drain = await move(connection, conversation, conversation_id)
            await self._dispatcher.defer(connection, to_drain)
        self._dispatcher.wake(to_drain)

    async def knows(self, conversation: Conversation) -> bool:
        """Return whether anything was ever accepted from a conversation or sent to it."""
        async with self._database.read() as connection:
            return (await connection.execute(find_conversation(conversation))).first() is not None

    async def is_busy(self, conversation: Conversation) -> bool:
        """Return whether a conversation has a message that is incomplete, waits, is being played or will be retried."""
        is_unfinished = is_any(
            inbox.c.status, InboxStatus.GATHERING, InboxStatus.WAITING, InboxStatus.RUNNING, InboxStatus.RETRYING
        )
        here = inbox.c.conversation_id.in_(find_conversation(conversation))
        async with self._database.read() as connection:
            found = await connection.execute(select(inbox.c.id).where(here, is_unfinished).limit(1))
            return found.first() is not None

    async def claim(self, conversation_id: int) -> Claim:
        """Claim the next message of a conversation, if a message waits and none is being played.

        A message that a dead worker left is taken over. Call `let_go` when the turn of the claimed message has ended.

        Raises:
            ConversationBusyError: if a message of the conversation is being played, and its worker seems to be alive.
        """
        return await self._claims.claim(conversation_id)

    def let_go(self, row: ClaimedMessage) -> None:
        """Note that this process no longer plays a message, however its turn ended."""
        self._claims.let_go(row)

    async def release(self, row: ClaimedMessage, *, counted: bool) -> None:
        """Make an interrupted message wait again, so that it is played again. Do nothing if its turn has ended.

        Args:
            counted: whether the interrupted turn counts as one of the message's attempts.
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
        """End a message, and the messages that are joined to its turn, in the caller's transaction.

        Args:
            sender: the sender of the message, if known.
            status: the final status.
            error: the reason, if the message was not answered.

        Raises:
            LeaseLostError: if this process has lost the lease; the transaction must not be committed.
        """
        await end_claimed(connection, row, sender, status, error)

    async def park(
        self, connection: AsyncConnection, row: ClaimedMessage, sender: Identity, needed: ConsentRequiredError
    ) -> None:
        """Park a message until its sender has connected an account. The next messages of the conversation are played.

        Raises:
            LeaseLostError: as for `end`.
            TurnStoppedError: if the turn was stopped; the transaction must not be committed.
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
        """Park a message until its question is answered. The next messages of the conversation are played.

        Raises:
            LeaseLostError, TurnStoppedError: as for `park`.
        """
        await check_claimed(connection, row)
        await update_claimed(
            connection, row, status=InboxStatus.ASKED, sender_tenant=sender.tenant, sender_user_id=sender.user_id
        )

    async def retry(
        self, connection: AsyncConnection, row: ClaimedMessage, sender: Identity | None, error: str, due_at: datetime
    ) -> None:
        """Schedule a retry of a message whose turn failed. The next messages of the conversation are played.

        Args:
            sender: the sender of the message, if known.
            error: why the turn failed.
            due_at: the time of the retry.

        Raises:
            LeaseLostError: as for `end`.
        """
        values: dict[str, Any] = {"status": InboxStatus.RETRYING, "error": error, "due_at": due_at}
        if sender is not None:
            values |= {"sender_tenant": sender.tenant, "sender_user_id": sender.user_id}
        await update_claimed(connection, row, **values)

    async def waiting_next(self, row: ClaimedMessage) -> list[WaitingMessage]:
        """Return the messages that wait in the conversation of a turn, in order, up to the first incomplete one."""
        return await self._load(_WAITING_IN_CONVERSATION, conversation_id=row.conversation_id)

    async def joined(self, row: ClaimedMessage) -> list[WaitingMessage]:
        """Return the messages that are joined to a turn, in order."""
        return await self._load(_JOINED_TO, row_id=row.id)

    async def payloads(self, turn_ids: Sequence[int]) -> dict[int, list[str]]:
        """Return the payloads of the messages that turns have answered, in order, by turn, without removed messages."""
        found: dict[int, list[str]] = defaultdict(list)
        async with self._database.read() as connection:
            rows: Any = (await connection.execute(_OF_TURNS, {"turn_ids": turn_ids})).all()
            for row, payloads in zip(rows, await payloads_of(connection, rows), strict=True):
                found[row.turn_id or row.id] += payloads
        return found

    async def join(self, row: ClaimedMessage, others: Sequence[WaitingMessage]) -> None:
        """Join messages to a turn. The turn answers them, and they end with it.

        Raises:
            LeaseLostError: if this process has lost the lease of the turn's message.
            TurnStoppedError: if the turn was stopped: the stop does not apply to later messages.
        """
        async with self._database.write() as connection:
            await check_claimed(connection, row)
            await connection.execute(
                update(inbox)
                .where(inbox.c.id.in_([other.id for other in others]), is_any(inbox.c.status, InboxStatus.WAITING))
                .values(status=InboxStatus.JOINED, turn_id=row.id)
            )

    async def go_on(self, connection: AsyncConnection, row_id: int, conversation_id: int) -> None:
        """Make a parked message wait for its turn again, at a new place in its conversation."""
        now = datetime.now(UTC)
        await self._wait_again(connection, row_id, conversation_id, attempts=0, renewed_at=now)

    async def heard(self, connection: AsyncConnection, conversation_id: int) -> None:
        """Note that a person pressed a button. Like a message, it reopens the platform's reply window."""
        found = update(conversations).where(conversations.c.id == conversation_id)
        await connection.execute(found.values(last_accepted_at=datetime.now(UTC)))

    async def end_parked(self, connection: AsyncConnection, row_id: int) -> None:
        """End a parked message, and the messages that are joined to it."""
        ended = {"status": InboxStatus.DONE, "ended_at": datetime.now(UTC)}
        await connection.execute(update(inbox).where(inbox.c.id == row_id).values(ended))
        await end_joined(connection, row_id, InboxStatus.DONE)

    async def unpark(self, connection: AsyncConnection, grant: Grant) -> Callable[[], None]:
        """Resume the messages that were parked for a grant, in the transaction that stores the grant.

        Returns:
            A function to call after that transaction is committed.
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
        """Resume the messages whose retry is due, and the messages in pieces that are now complete."""
        async with self._database.write() as connection:
            resumed = await complete_due(connection)
            for row in (await connection.execute(_DUE, {"now": datetime.now(UTC)})).all():
                await self._wait_again(connection, row.id, row.conversation_id)
                resumed.append(row.conversation_id)
            committed = await self.resume(connection, list(dict.fromkeys(resumed)))
        committed()

    async def resume(self, connection: AsyncConnection, conversation_ids: Sequence[int]) -> Callable[[], None]:
        """Schedule drains of conversations to which the caller's transaction adds messages or deliveries.

        Returns:
            A function to call after that transaction is committed.
        """
        await self._dispatcher.defer(connection, conversation_ids)
        return lambda: self._dispatcher.wake(conversation_ids)

    async def recover(self) -> None:
        """Continue the work that the previous process left. Call it at the start of the only process on a database."""
        async with self._database.write() as connection:
            await self._pieces.wait_again(connection)
        self._dispatcher.wake(await self.unfinished())

    async def unfinished(self) -> list[int]:
        """Return the ids of the conversations with unfinished work: see the function `unfinished`."""
        async with self._database.read() as connection:
            return await unfinished(connection)

    async def take_key(self, connection: AsyncConnection, conversation: Conversation, key: str) -> bool:
        """Store a key that must be unique in the tenant of a conversation. Return whether it was free."""
        row = self._database.upsert(dedupe_keys).values(
            channel=conversation.channel, tenant=conversation.tenant, key=key, accepted_at=datetime.now(UTC)
        )
        added = await connection.execute(row.on_conflict_do_nothing().returning(dedupe_keys.c.key))
        return added.first() is not None

    async def conversation_id(self, connection: AsyncConnection, conversation: Conversation) -> int:
        """Return the database id of a conversation. Store the conversation if it is new."""
        return await add_conversation(self._database, connection, conversation)

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


async def add_conversation(
    database: Database, connection: AsyncConnection, conversation: Conversation, heard_at: datetime | None = None
) -> int:
    """Store a conversation if it is new, and return its database id.

    Args:
        heard_at: when somebody wrote in it, which opens the platform's reply window; `None` if nobody did.
    """
    heard: dict[str, Any] = {} if heard_at is None else {"last_accepted_at": heard_at}
    upsert = database.upsert(conversations).values(
        channel=conversation.channel,
        tenant=conversation.tenant,
        key=conversation.id,
        shared=conversation.shared,
        last_place=0,
        **heard,
    )
    made = await connection.execute(
        upsert.on_conflict_do_update(
            index_elements=["channel", "tenant", "key"], set_=heard or {"last_place": conversations.c.last_place}
        ).returning(func.coalesce(conversations.c.moved_to, conversations.c.id))
    )
    return int(made.scalar_one())


async def unfinished(connection: AsyncConnection) -> list[int]:
    """Return the ids of the conversations with waiting or running messages, or with unsent deliveries."""
    return list((await connection.execute(_UNFINISHED)).scalars())
