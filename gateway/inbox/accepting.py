"""Write events to the inbox: their dedupe keys, their places in conversations, and their messages."""

import json
import secrets
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from sqlalchemy import Row, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.channels.event import Change, Event
from gateway.inbox.changes import Changes
from gateway.inbox.pieces import Admit, NewRow, Pieces
from gateway.inbox.stopping import Stops
from gateway.storage.database import Database
from gateway.storage.tables import InboxStatus
from oauth.store.columns import Timestamp
from toolkits import Conversation

Key = tuple[str, str, str]
"""A channel, a tenant, and a key that is unique within the tenant."""

# Each statement takes its rows as one JSON array, so that it is prepared once for any number of rows.
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
    RETURNING id, channel, tenant, key, last_place, moved_to
"""
_TAKE_NEXT_PLACES_OF = """
    UPDATE conversations SET last_place = last_place + :count, last_accepted_at = :now
    WHERE id = :id
    RETURNING id, last_place
"""
_INSERT_MESSAGES = """
    INSERT INTO inbox (
        conversation_id, place, payload, reference, status, message_key, author, content, attempts, accepted_at
    )
    SELECT CAST({0} AS bigint), CAST({1} AS bigint), {2}, {3}, {4}, {5}, {6}, {7}, 0, :now
    FROM {rows} WHERE TRUE
"""


def new_reference() -> str:
    """Return a random reference id. People are told it when something goes wrong, and the log has it."""
    return secrets.token_hex(4)


@dataclass(frozen=True, slots=True)
class _Arrival:
    """An event, and those of its keys that were free and are now taken."""

    event: Event
    taken: set[Key]

    @property
    def is_new(self) -> bool:
        """True if neither this event nor another event with the same message was accepted before."""
        return self.taken.issuperset(_required_keys(self.event))

    @property
    def is_first(self) -> bool:
        """True for a change if neither its message nor another change of the message arrived before."""
        claimed = _claimed_keys(self.event)
        return bool(claimed) and self.taken.issuperset(claimed)

    @property
    def is_whole(self) -> bool:
        """True if the event is a whole message, and not a change or a piece."""
        return self.event.change is None and self.event.piece is None

    @property
    def is_reported_again(self) -> bool:
        """True for a whole message whose event id is new. If `is_new` is false, another event had the same message."""
        return self.is_whole and _key(self.event, f"event:{self.event.id}") in self.taken


@dataclass(frozen=True, slots=True)
class Written:
    """The result of writing events.

    Args:
        new: for each event, whether it is a new message.
        to_drain: the ids of the conversations to drain.
        stopped: the ids of the messages whose turns have to stop: see `Stops.tell`.
    """

    new: list[bool]
    to_drain: list[int]
    stopped: list[int]


class Limits(Protocol):
    """Limits how many turns a person begins: see `gateway.access.limits.TurnLimits`."""

    def counting(self, connection: AsyncConnection, events: Sequence[Event]) -> AbstractAsyncContextManager[Admit]: ...


class EventWriter:
    """Writes events to the inbox, many in one transaction.

    Args:
        pieces: handles the events that are pieces of a message.
        changes: handles edits and deletions.
        stops: handles the messages that ask to stop.
        limits: `None` if everybody may begin any number of turns.
    """

    def __init__(
        self, database: Database, pieces: Pieces, changes: Changes, stops: Stops, limits: Limits | None
    ) -> None:
        self._limits = limits
        self._stops = stops
        self._pieces = pieces
        self._changes = changes
        now = bindparam("now", type_=Timestamp())
        self._insert_keys, self._take_next_places, self._insert_messages, self._take_next_places_of = (
            text(statement.format(*database.json_items, rows=database.json_rows)).bindparams(now)
            for statement in (_INSERT_KEYS, _TAKE_NEXT_PLACES, _INSERT_MESSAGES, _TAKE_NEXT_PLACES_OF)
        )

    async def add(self, connection: AsyncConnection, events: Sequence[Event]) -> Written:
        """Add the messages of events, in their order, except the messages that were accepted before."""
        arrivals = await self._take_keys(connection, events)
        rows = await self._new_rows(connection, arrivals)
        async with self._counting(connection, arrivals) as admit:
            return await self._add(connection, arrivals, rows, admit)

    def _counting(
        self, connection: AsyncConnection, arrivals: Sequence[_Arrival]
    ) -> AbstractAsyncContextManager[Admit]:
        if self._limits is None:
            return nullcontext(_admit)
        may_begin = [each.event for each in arrivals if each.is_new or each.is_reported_again]
        return self._limits.counting(connection, may_begin)

    async def _add(
        self, connection: AsyncConnection, arrivals: Sequence[_Arrival], rows: Sequence[NewRow | None], admit: Admit
    ) -> Written:
        """Add the messages of events whose keys are taken.

        Args:
            rows: see `_new_rows`.
        """
        rows = [
            row if row is None or not arrival.is_whole or await admit(arrival.event) else None
            for arrival, row in zip(arrivals, rows, strict=True)
        ]
        messages = [
            (*row, InboxStatus.WAITING, arrival.event.message_key, arrival.event.author, arrival.event.content)
            for arrival, row in zip(arrivals, rows, strict=True)
            if row is not None and arrival.is_whole
        ]
        if messages:
            await connection.execute(self._insert_messages, {"rows": json.dumps(messages), "now": datetime.now(UTC)})
        new: list[bool] = []
        to_drain: list[int] = []
        for arrival, row in zip(arrivals, rows, strict=True):
            is_new, conversation_ids = await self._take(connection, arrival, row, admit)
            new.append(is_new)
            to_drain += conversation_ids
        return Written(new, list(dict.fromkeys(to_drain)), await self._stop(connection, arrivals, rows))

    async def _take(
        self, connection: AsyncConnection, arrival: _Arrival, row: NewRow | None, admit: Admit
    ) -> tuple[bool, Sequence[int]]:
        """Handle duplicates, changes and pieces. Whole new messages are stored already.

        Returns:
            Whether the event is a new message, and the ids of the conversations to drain.
        """
        event = arrival.event
        if not arrival.is_new:
            to_drain = await self._changes.release(connection, event, admit) if arrival.is_reported_again else []
            return bool(to_drain), to_drain
        match event.change:
            case Change.EDITED:
                to_drain = await self._changes.edit(connection, event, row, admit, is_first=arrival.is_first)
                return bool(to_drain), to_drain
            case Change.DELETED:
                return False, await self._changes.delete(connection, event)
        if row is None:  # its author may begin no more turns
            return False, []
        if event.piece is None:
            return True, [row[0]]
        return await self._pieces.add(connection, event, row, admit), []

    async def _stop(
        self, connection: AsyncConnection, arrivals: Sequence[_Arrival], rows: Sequence[NewRow | None]
    ) -> list[int]:
        """Handle the stored messages that ask to stop; return the ids of the messages whose turns have to stop."""
        stopped = list[int]()
        for arrival, row in zip(arrivals, rows, strict=True):
            if row is not None and arrival.event.stops:
                assert arrival.event.author is not None
                found = await self._stops.take(connection, row[0], row[1], arrival.event.author)
                stopped += [found] if found is not None else []
        return stopped

    async def _take_keys(self, connection: AsyncConnection, events: Sequence[Event]) -> list[_Arrival]:
        """Store the dedupe keys of events, and return which of them were free."""
        wanted = [_required_keys(event) + _claimed_keys(event) for event in events]
        # Sorted, so that two processes that add the same keys at once do not deadlock.
        rows = sorted({key for keys in wanted for key in keys})
        added = await connection.execute(self._insert_keys, {"rows": json.dumps(rows), "now": datetime.now(UTC)})
        free: set[Key] = {(channel, tenant, key) for channel, tenant, key in added}
        arrivals = []
        for event, keys in zip(events, wanted, strict=True):
            arrivals.append(_Arrival(event, free.intersection(keys)))
            free.difference_update(keys)
        return arrivals

    async def _new_rows(self, connection: AsyncConnection, arrivals: Sequence[_Arrival]) -> list[NewRow | None]:
        """Return for each event the row to store if it is a new message; `None` if it cannot be one."""
        may_be_new = [self._may_be_new(arrival) for arrival in arrivals]
        if not any(may_be_new):
            return [None] * len(arrivals)
        wanted = [arrival.event.conversation for arrival, may_be in zip(arrivals, may_be_new, strict=True) if may_be]
        places = await self._take_places(connection, wanted)
        return [
            (*next(places[_conversation_key(arrival.event.conversation)]), arrival.event.payload, new_reference())
            if may_be
            else None
            for arrival, may_be in zip(arrivals, may_be_new, strict=True)
        ]

    def _may_be_new(self, arrival: _Arrival) -> bool:
        event = arrival.event
        if event.change is None or not arrival.is_new:
            return arrival.is_new
        is_edit = event.change is Change.EDITED and event.addressed
        return is_edit and (arrival.is_first or self._changes.answer_edits)

    async def _take_places(
        self, connection: AsyncConnection, wanted: Sequence[Conversation]
    ) -> dict[Key, Iterator[tuple[int, int]]]:
        """Take a place in a conversation for each time that the conversation is in `wanted`.

        Returns:
            By conversation, the places as pairs of the conversation's id and a number.
        """
        shared = {_conversation_key(conversation): conversation.shared for conversation in wanted}
        counts = Counter(map(_conversation_key, wanted))
        rows = [(*key, int(shared[key]), counts[key]) for key in sorted(counts)]
        taken = await connection.execute(self._take_next_places, {"rows": json.dumps(rows), "now": datetime.now(UTC)})
        found = {(row.channel, row.tenant, row.key): row for row in taken}
        for key, row in found.items():
            if row.moved_to is not None:  # the conversation has another id now
                of_moved = {"id": row.moved_to, "count": counts[key], "now": datetime.now(UTC)}
                found[key] = (await connection.execute(self._take_next_places_of, of_moved)).one()
        return {key: _last_places(found[key], count) for key, count in counts.items()}


async def _admit(event: Event) -> bool:
    return True


def _required_keys(event: Event) -> list[Key]:
    """Return the keys that must all be free for an event to be new. An event that is not `addressed` has none."""
    if not event.addressed:
        return []
    is_message = event.message_key is not None and event.change is None
    return [_key(event, f"event:{event.id}")] + ([_key(event, f"message:{event.message_key}")] if is_message else [])


def _claimed_keys(event: Event) -> list[Key]:
    """Return the keys that an event takes, but that need not be free for the event to be new."""
    # An edit of a piece takes no key, because it cannot replace the whole message.
    is_of_whole = event.addressed and event.change is not None and event.piece is None
    return [_key(event, f"message:{event.message_key}")] if is_of_whole else []


def _key(event: Event, key: str) -> Key:
    return (event.conversation.channel, event.conversation.tenant, key)


def _conversation_key(conversation: Conversation) -> Key:
    return (conversation.channel, conversation.tenant, conversation.id)


def _last_places(conversation: Row[Any], count: int) -> Iterator[tuple[int, int]]:
    last = conversation.last_place
    return iter([(conversation.id, place) for place in range(last - count + 1, last + 1)])
