import json
import logging
import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Row, Select, String, bindparam, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.channels.event import Event
from gateway.inbox.dispatch import Dispatcher
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
from oauth import ConsentRequiredError, Identity
from oauth.consent.coordinator import Grant
from oauth.errors import UnderstudyError
from oauth.store.columns import Timestamp
from toolkits import Conversation

RESUMABLE_FOR = timedelta(days=1)  # a person who consents later does not expect an answer any more
MOST_JOINED = 100  # messages that one turn answers
MOST_DUE = 500  # messages that go on in one transaction
TOO_OLD = "It waited longer than UNDERSTUDY_ANSWER_WITHIN_HOURS."
CONSENTED_TOO_LATE = "Its sender connected their account more than a day later."

log = logging.getLogger(__name__)

Key = tuple[str, str, str]
"""A channel, a tenant, and something that is unique in it."""


# Of many rows at once, given as one JSON array: one statement is prepared once, whatever their number.
_INSERT_KEYS = """
    INSERT INTO dedupe_keys (channel, tenant, key, accepted_at)
    SELECT {0}, {1}, {2}, :now FROM {rows} WHERE TRUE
    ON CONFLICT DO NOTHING
    RETURNING channel, tenant, key
"""
_TAKE_NEXT_PLACES = """
    INSERT INTO conversations (channel, tenant, key, shared, last_place, last_accepted_at)
    SELECT {0}, {1}, {2}, CAST({3} AS integer) = 1, CAST({4} AS integer), :now
    FROM {rows} WHERE TRUE
    ON CONFLICT (channel, tenant, key) DO UPDATE
    SET last_place = conversations.last_place + excluded.last_place, last_accepted_at = excluded.last_accepted_at
    RETURNING id, channel, tenant, key, last_place
"""
_INSERT_MESSAGES = """
    INSERT INTO inbox (conversation_id, place, payload, reference, status, attempts, accepted_at)
    SELECT CAST({0} AS bigint), CAST({1} AS bigint), {2}, {3}, {4}, 0, :now
    FROM {rows} WHERE TRUE
"""


class LeaseLostError(UnderstudyError):
    """Another worker has taken this row over: nothing of this turn may be written."""


class ConversationBusyError(UnderstudyError):
    """A message of the conversation is being played elsewhere, or its worker is not known to be dead yet."""


@dataclass(frozen=True, slots=True)
class ClaimedMessage:
    """An accepted message, claimed to be played. `lease` fences: a later claim has a higher number."""

    id: int
    conversation_id: int
    conversation: Conversation
    payload: str
    attempts: int
    lease: int
    reference: str
    accepted_at: datetime


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message that waits, or is joined to a turn.

    Args:
        was_claimed: whether a turn of its own has begun before: it may have a journal.
    """

    id: int
    payload: str
    was_claimed: bool


@dataclass(frozen=True, slots=True)
class Claim:
    """What there is to do in a conversation: a message that was claimed, and whether something waits to be sent."""

    message: ClaimedMessage | None
    unsent: bool


_of_conversation = inbox.c.conversation_id == bindparam("conversation_id")
_running = select(inbox.c.id).where(_of_conversation, is_any(inbox.c.status, InboxStatus.RUNNING))
_first_waiting = (
    select(inbox.c.id)
    .where(_of_conversation, is_any(inbox.c.status, InboxStatus.WAITING))
    .order_by(inbox.c.place)
    .limit(1)
)
_NEXT = (
    select(inbox, conversations.c.channel, conversations.c.tenant, conversations.c.key, conversations.c.shared)
    .join(conversations, conversations.c.id == inbox.c.conversation_id)
    .where(inbox.c.id.in_([_running.scalar_subquery(), _first_waiting.scalar_subquery()]))
)
_FIRST_UNSENT = select(outbox.c.id).where(outbox.c.conversation_id == bindparam("conversation_id"), is_unsent).limit(1)
_LEAVE = (
    update(inbox)
    .where(
        inbox.c.id == bindparam("row_id"),
        is_any(inbox.c.status, InboxStatus.RUNNING),
        inbox.c.lease == bindparam("known_lease"),
    )
    .returning(inbox.c.id)
)
_END = (
    update(inbox)
    .where(
        (
            (inbox.c.id == bindparam("row_id"))
            & is_any(inbox.c.status, InboxStatus.RUNNING)
            & (inbox.c.lease == bindparam("known_lease"))
        )
        | ((inbox.c.turn_id == bindparam("row_id")) & is_any(inbox.c.status, InboxStatus.JOINED))
    )
    .values(
        status=bindparam("new_status"),
        error=bindparam("new_error"),
        sender_tenant=func.coalesce(bindparam("new_sender_tenant", type_=String), inbox.c.sender_tenant),
        sender_user_id=func.coalesce(bindparam("new_sender_user_id", type_=String), inbox.c.sender_user_id),
    )
    .returning(inbox.c.id)
)
_CLAIM = (
    update(inbox)
    .where(
        inbox.c.id == bindparam("row_id"),
        inbox.c.status == bindparam("known_status"),  # it may have ended since it was read, with the same lease
        inbox.c.lease == bindparam("known_lease"),
    )
    .values(
        status=InboxStatus.RUNNING,
        attempts=bindparam("new_attempts"),
        lease=inbox.c.lease + 1,
        owner=bindparam("new_owner"),
    )
    .returning(inbox.c.id)
)


class Inbox:
    """The transactional inbox: what platforms were told "200" for.

    Args:
        oldest: how old a message may be that is still answered.
    """

    def __init__(self, database: Database, dispatcher: Dispatcher, oldest: timedelta) -> None:
        self._database = database
        self._dispatcher = dispatcher
        self._oldest = oldest
        self._playing: set[int] = set()  # the rows that this process plays
        # The rows whose last claim is not one of their attempts, where that could not be stored.
        self._uncounted: set[int] = set()
        now = bindparam("now", type_=Timestamp())
        self._insert_keys, self._take_next_places, self._insert_messages = (
            text(statement.format(*database.json_items, rows=database.json_rows)).bindparams(now)
            for statement in (_INSERT_KEYS, _TAKE_NEXT_PLACES, _INSERT_MESSAGES)
        )

    async def accept(self, events: Sequence[Event]) -> list[bool]:
        """Commits events, in their order, in one transaction, but for those whose message was accepted before.

        Returns:
            For each whether it is new.
        """

        async def work(connection: AsyncConnection) -> tuple[list[bool], list[int]]:
            new = await self._add_keys(connection, events)
            added = [event for event, is_new in zip(events, new, strict=True) if is_new]
            conversation_ids = await self._add_rows(connection, added) if added else []
            await self._dispatcher.defer(connection, conversation_ids)
            return new, conversation_ids

        new, conversation_ids = await self._database.run_write(work)
        self._dispatcher.wake(conversation_ids)
        return new

    async def count_waiting(self) -> int:
        waiting = select(func.count()).select_from(inbox).where(is_any(inbox.c.status, InboxStatus.WAITING))
        async with self._database.read() as connection:
            return int((await connection.execute(waiting)).scalar_one())

    async def move(self, conversation: Conversation, conversation_id: str) -> None:
        """Give a conversation another id, unless one has it already."""
        old = find_conversation(conversation).correlate(None)
        new = find_conversation(replace(conversation, id=conversation_id)).correlate(None)
        moved = update(conversations).where(conversations.c.id.in_(old), ~new.exists()).values(key=conversation_id)
        async with self._database.write() as connection:
            await connection.execute(moved)

    async def knows(self, conversation: Conversation) -> bool:
        async with self._database.read() as connection:
            return (await connection.execute(find_conversation(conversation))).first() is not None

    async def is_busy(self, conversation: Conversation) -> bool:
        """Whether a message of this conversation is being played, or is going to be."""
        goes_on = is_any(inbox.c.status, InboxStatus.WAITING, InboxStatus.RUNNING, InboxStatus.RETRYING)
        here = inbox.c.conversation_id.in_(find_conversation(conversation))
        async with self._database.read() as connection:
            return (await connection.execute(select(inbox.c.id).where(here, goes_on).limit(1))).first() is not None

    async def claim(self, conversation_id: int) -> Claim:
        """Takes the next message of a conversation, if one waits and none is being played.

        One that is being played by a worker that died is taken over. Who claims a row says `let_go` when it is done.

        Raises:
            ConversationBusyError: if a worker that seems to be alive plays one.
        """
        here = {"conversation_id": conversation_id}

        async def work(connection: AsyncConnection) -> Claim:
            unsent = (await connection.execute(_FIRST_UNSENT, here)).first() is not None
            found = await self._next(connection, here)
            while found is not None and self._is_too_old(found):
                await self._expire(connection, found.id, TOO_OLD)
                log.warning("message %s is older than %s and is not answered", found.reference, self._oldest)
                found = await self._next(connection, here)
            if found is None:
                return Claim(None, unsent)
            fence = {"row_id": found.id, "known_status": found.status, "known_lease": found.lease}
            attempts = found.attempts if found.id in self._uncounted else found.attempts + 1
            claim = fence | {"new_owner": self._dispatcher.owner, "new_attempts": attempts}
            if (await connection.execute(_CLAIM, claim)).first() is None:
                raise ConversationBusyError
            conversation = Conversation(found.channel, found.tenant, found.key, found.shared)
            claimed = ClaimedMessage(
                id=found.id,
                conversation_id=conversation_id,
                conversation=conversation,
                payload=found.payload,
                attempts=attempts,
                lease=found.lease + 1,
                reference=found.reference,
                accepted_at=found.accepted_at,
            )
            return Claim(claimed, unsent)

        taken = await self._database.run_write(work)
        if taken.message is not None:
            self._playing.add(taken.message.id)
            self._uncounted.discard(taken.message.id)
        return taken

    async def _next(self, connection: AsyncConnection, here: Mapping[str, int]) -> Row[Any] | None:
        rows = (await connection.execute(_NEXT, here)).all()
        running = next((row for row in rows if row.status == InboxStatus.RUNNING), None)
        if running is not None and await self._is_played(connection, running):
            raise ConversationBusyError
        return running or next(iter(rows), None)

    def let_go(self, row: ClaimedMessage) -> None:
        """This process does not play a message any more, however that came."""
        self._playing.discard(row.id)

    async def end(
        self,
        connection: AsyncConnection,
        row: ClaimedMessage,
        sender: Identity | None,
        status: InboxStatus,
        error: str = "",
    ) -> None:
        """Ends a turn, and what is joined to it, in the caller's transaction.

        Args:
            sender: who wrote the message, if that is known.

        Raises:
            LeaseLostError: if the row is no longer this worker's; the transaction must not be committed.
        """
        fence = {"row_id": row.id, "known_lease": row.lease}
        of_sender = {
            "new_sender_tenant": sender.tenant if sender is not None else None,
            "new_sender_user_id": sender.user_id if sender is not None else None,
        }
        result = {"new_status": status, "new_error": error or None}
        ended = await connection.execute(_END, fence | of_sender | result)
        if row.id not in ended.scalars():
            raise LeaseLostError

    async def park(
        self, connection: AsyncConnection, row: ClaimedMessage, sender: Identity, needed: ConsentRequiredError
    ) -> None:
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

    async def park_for_answer(self, connection: AsyncConnection, row: ClaimedMessage, sender: Identity) -> None:
        """Lets a message wait for its sender's yes or no, and its conversation go on."""
        await self._leave(
            connection,
            row,
            status=InboxStatus.ASKED,
            sender_tenant=sender.tenant,
            sender_user_id=sender.user_id,
        )

    async def go_on(self, connection: AsyncConnection, row_id: int, conversation_id: int) -> None:
        """Lets a message that waited for its sender be played on. It takes a new place."""
        now = datetime.now(UTC)
        await self._wait_again(connection, row_id, conversation_id, attempts=0, renewed_at=now)

    async def end_parked(self, connection: AsyncConnection, row_id: int) -> None:
        """Ends a message that waits for its sender, and what is joined to it."""
        await connection.execute(update(inbox).where(inbox.c.id == row_id).values(status=InboxStatus.DONE))
        await self._end_joined(connection, row_id, InboxStatus.DONE, "")

    async def waiting_next(self, row: ClaimedMessage) -> list[Waiting]:
        """What waits in the conversation of a turn, in order."""
        waiting = (
            select(inbox.c.id, inbox.c.payload, inbox.c.lease)
            .where(inbox.c.conversation_id == row.conversation_id, is_any(inbox.c.status, InboxStatus.WAITING))
            .order_by(inbox.c.place)
            .limit(MOST_JOINED)
        )
        return await self._load(waiting)

    async def joined(self, row: ClaimedMessage) -> list[Waiting]:
        """What is joined to a turn, in order."""
        mine = (inbox.c.turn_id == row.id, is_any(inbox.c.status, InboxStatus.JOINED))
        return await self._load(select(inbox.c.id, inbox.c.payload, inbox.c.lease).where(*mine).order_by(inbox.c.place))

    async def join(self, row: ClaimedMessage, others: Sequence[Waiting]) -> None:
        """Has messages answered in a turn, with which they end.

        Raises:
            LeaseLostError: if the turn is no longer this worker's.
        """
        async with self._database.write() as connection:
            await self._leave(connection, row, status=InboxStatus.RUNNING)
            await connection.execute(
                update(inbox)
                .where(inbox.c.id.in_([other.id for other in others]), is_any(inbox.c.status, InboxStatus.WAITING))
                .values(status=InboxStatus.JOINED, turn_id=row.id)
            )

    async def retry(self, row: ClaimedMessage, sender: Identity | None, error: str, due_at: datetime) -> None:
        """Lets a message whose turn failed be tried again later, and its conversation go on.

        Args:
            sender: who wrote the message, if that is known.
        """
        values: dict[str, Any] = {"status": InboxStatus.RETRYING, "error": error, "due_at": due_at}
        if sender is not None:
            values |= {"sender_tenant": sender.tenant, "sender_user_id": sender.user_id}
        async with self._database.write() as connection:
            await self._leave(connection, row, **values)

    async def resume_due(self) -> None:
        """Lets messages go on whose time to be tried again has come. Each takes a new place in its conversation."""
        due = (
            select(inbox.c.id, inbox.c.conversation_id)
            .where(is_any(inbox.c.status, InboxStatus.RETRYING), inbox.c.due_at <= datetime.now(UTC))
            .order_by(inbox.c.due_at)
            .limit(MOST_DUE)
        )
        async with self._database.write() as connection:
            resumed = []
            for row in (await connection.execute(due.with_for_update(skip_locked=True))).all():
                await self._wait_again(connection, row.id, row.conversation_id)
                resumed.append(row.conversation_id)
            committed = await self.resume(connection, list(dict.fromkeys(resumed)))
        committed()

    async def release(self, row: ClaimedMessage, *, counted: bool) -> None:
        """Gives back a message whose turn was stopped from outside: it will be played again, unless it has just ended.

        Args:
            counted: whether this was one of the attempts that a message has.
        """
        attempts = row.attempts if counted else row.attempts - 1
        if not counted:
            self._uncounted.add(row.id)
        with suppress(LeaseLostError):
            async with self._database.write() as connection:
                await self._leave(connection, row, status=InboxStatus.WAITING, attempts=attempts)
        self._uncounted.discard(row.id)

    async def unpark(self, connection: AsyncConnection, grant: Grant) -> Callable[[], None]:
        """Lets what waited for a grant go on, in the transaction that stores it. Each takes a new place."""
        parked = await connection.execute(
            select(inbox.c.id, inbox.c.conversation_id, inbox.c.scopes, inbox.c.accepted_at)
            .join(conversations, conversations.c.id == inbox.c.conversation_id)
            .where(
                is_any(inbox.c.status, InboxStatus.PARKED),
                inbox.c.provider == grant.provider,
                inbox.c.sender_tenant == grant.identity.tenant,
                inbox.c.sender_user_id == grant.identity.user_id,
                conversations.c.channel == grant.identity.channel,
            )
            .order_by(conversations.c.channel, conversations.c.tenant, conversations.c.key, inbox.c.id)
            .with_for_update(of=inbox)  # of two grants at once, one finds it
        )
        resumed = []
        for row in parked.all():
            if not set(row.scopes.split()) <= grant.scopes:
                continue
            if row.accepted_at < datetime.now(UTC) - RESUMABLE_FOR:
                await self._expire(connection, row.id, CONSENTED_TOO_LATE)
                continue
            await self.go_on(connection, row.id, row.conversation_id)
            resumed.append(row.conversation_id)
        return await self.resume(connection, resumed)

    async def resume(self, connection: AsyncConnection, conversation_ids: Sequence[int]) -> Callable[[], None]:
        """Lets conversations in which something waits go on; what it returns is called when that is committed."""
        await self._dispatcher.defer(connection, conversation_ids)
        return lambda: self._dispatcher.wake(conversation_ids)

    async def unfinished(self) -> list[int]:
        """The conversations in which something waits, or was being done when its process died."""
        async with self._database.read() as connection:
            return await unfinished(connection)

    async def _add_keys(self, connection: AsyncConnection, events: Sequence[Event]) -> list[bool]:
        keys = [_keys(event) for event in events]
        claims = [_claims(event) for event in events]
        # In one order, so that two processes which add the same keys wait for each other and not for ever.
        rows = sorted({key for each in (*keys, *claims) for key in each})
        added = await connection.execute(self._insert_keys, {"rows": json.dumps(rows), "now": datetime.now(UTC)})
        free: set[Key] = {(channel, tenant, key) for channel, tenant, key in added}
        new = []
        for each, claimed in zip(keys, claims, strict=True):
            new.append(free.issuperset(each))
            free.difference_update(each, claimed)
        return new

    async def _add_rows(self, connection: AsyncConnection, events: Sequence[Event]) -> list[int]:
        places = await self._take_places(connection, [event.conversation for event in events])
        rows = [
            (*next(places[_key(event.conversation)]), event.payload, new_reference(), InboxStatus.WAITING)
            for event in events
        ]
        await connection.execute(self._insert_messages, {"rows": json.dumps(rows), "now": datetime.now(UTC)})
        return list(dict.fromkeys(row[0] for row in rows))

    async def _take_places(
        self, connection: AsyncConnection, wanted: Sequence[Conversation]
    ) -> dict[Key, Iterator[tuple[int, int]]]:
        """The next places in conversations, as many in each as it is named: its id and the place."""
        shared = {_key(conversation): conversation.shared for conversation in wanted}
        counts = Counter(map(_key, wanted))
        rows = [(*key, int(shared[key]), counts[key]) for key in sorted(counts)]
        taken = await connection.execute(self._take_next_places, {"rows": json.dumps(rows), "now": datetime.now(UTC)})
        found = {(row.channel, row.tenant, row.key): row for row in taken}
        return {key: _places(found[key], count) for key, count in counts.items()}

    async def take_key(self, connection: AsyncConnection, conversation: Conversation, key: str) -> bool:
        """Whether a key is taken for the first time in a conversation's tenant."""
        channel, tenant, _ = _key(conversation)
        row = self._database.upsert(dedupe_keys).values(
            channel=channel, tenant=tenant, key=key, accepted_at=datetime.now(UTC)
        )
        added = await connection.execute(row.on_conflict_do_nothing().returning(dedupe_keys.c.key))
        return added.first() is not None

    async def conversation_id(self, connection: AsyncConnection, conversation: Conversation) -> int:
        """The id of a conversation, which need not have been heard of."""
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

    async def _wait_again(self, connection: AsyncConnection, row_id: int, conversation_id: int, **values: Any) -> None:
        place = await self._next_place(connection, conversation_id)
        await connection.execute(
            update(inbox).where(inbox.c.id == row_id).values(status=InboxStatus.WAITING, place=place, **values)
        )

    def _is_too_old(self, row: Row[Any]) -> bool:
        waits = row.status == InboxStatus.WAITING
        since: datetime = row.renewed_at or row.accepted_at
        return waits and datetime.now(UTC) - since > self._oldest

    async def _next_place(self, connection: AsyncConnection, conversation_id: int) -> int:
        taken = await connection.execute(
            update(conversations)
            .where(conversations.c.id == conversation_id)
            .values(last_place=conversations.c.last_place + 1)
            .returning(conversations.c.last_place)
        )
        return int(taken.scalar_one())

    async def _load(self, statement: Select[Any]) -> list[Waiting]:
        async with self._database.read() as connection:
            return [Waiting(row.id, row.payload, row.lease > 0) for row in await connection.execute(statement)]

    async def _expire(self, connection: AsyncConnection, row_id: int, reason: str) -> None:
        unplayed = (inbox.c.id == row_id, is_any(inbox.c.status, InboxStatus.WAITING, InboxStatus.PARKED))
        expired = update(inbox).where(*unplayed).values(status=InboxStatus.EXPIRED, error=reason)
        if (await connection.execute(expired.returning(inbox.c.id))).first() is None:
            return  # somebody has taken it since it was read
        await self._end_joined(connection, row_id, InboxStatus.EXPIRED, reason)

    async def _end_joined(self, connection: AsyncConnection, row_id: int, status: InboxStatus, error: str) -> None:
        joined = (inbox.c.turn_id == row_id, is_any(inbox.c.status, InboxStatus.JOINED))
        await connection.execute(update(inbox).where(*joined).values(status=status, error=error or None))

    async def _is_played(self, connection: AsyncConnection, row: Row[Any]) -> bool:
        if row.owner == self._dispatcher.owner:
            return row.id in self._playing
        return await self._dispatcher.is_alive(connection, row.owner)

    async def _leave(self, connection: AsyncConnection, row: ClaimedMessage, **values: object) -> None:
        fence = {"row_id": row.id, "known_lease": row.lease}
        left = await connection.execute(_LEAVE.values(**values), fence)
        if left.first() is None:
            raise LeaseLostError


async def unfinished(connection: AsyncConnection) -> list[int]:
    """The conversations in which something waits, or was being done when its process died."""
    unplayed = select(inbox.c.conversation_id).where(
        is_any(inbox.c.status, InboxStatus.WAITING) | is_any(inbox.c.status, InboxStatus.RUNNING)
    )
    unsent = select(outbox.c.conversation_id).where(is_unsent)
    return list((await connection.execute(unplayed.union(unsent))).scalars())


def new_reference() -> str:
    """What a person is told to name, and the log has."""
    return secrets.token_hex(4)


def _keys(event: Event) -> list[Key]:
    """What an event is known by, within its tenant."""
    channel, tenant, _ = _key(event.conversation)
    keys = [f"event:{event.id}"] + ([f"message:{event.message_key}"] if event.message_key else [])
    return [(channel, tenant, key) for key in keys]


def _claims(event: Event) -> list[Key]:
    """Return what an event takes without having to be the first to."""
    channel, tenant, _ = _key(event.conversation)
    return [(channel, tenant, f"message:{event.claims}")] if event.claims else []


def _key(conversation: Conversation) -> Key:
    return (conversation.channel, conversation.tenant, conversation.id)


def _places(row: Row[Any], count: int) -> Iterator[tuple[int, int]]:
    return iter([(row.id, place) for place in range(row.last_place - count + 1, row.last_place + 1)])
