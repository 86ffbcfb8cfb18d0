"""Write accepted events: their keys against duplicates, their places in conversations, and their messages."""

import json
import secrets
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.channels.event import Event
from gateway.inbox.pieces import Pieces, group_key
from gateway.storage.database import Database
from gateway.storage.tables import InboxStatus
from oauth.store.columns import Timestamp
from toolkits import Conversation

Key = tuple[str, str, str]
"""A channel, a tenant, and something that is unique within it."""

# Each statement takes its rows as one JSON array, so that it is prepared once, however many rows there are.
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


def new_reference() -> str:
    """Return a reference id, which a person is told when something goes wrong, and which the log has."""
    return secrets.token_hex(4)


class EventWriter:
    """Writes events to the inbox, many in one transaction.

    Args:
        pieces: takes the events that are pieces of a message.
    """

    def __init__(self, database: Database, pieces: Pieces) -> None:
        self._pieces = pieces
        now = bindparam("now", type_=Timestamp())
        self._insert_keys, self._take_next_places, self._insert_messages = (
            text(statement.format(*database.json_items, rows=database.json_rows)).bindparams(now)
            for statement in (_INSERT_KEYS, _TAKE_NEXT_PLACES, _INSERT_MESSAGES)
        )

    async def add(self, connection: AsyncConnection, events: Sequence[Event]) -> tuple[list[bool], list[int]]:
        """Add the messages of events, in their order, except those that were accepted before.

        Returns:
            For each event whether it is new, and the ids of the conversations that got messages to play.
        """
        taken = await self._take_keys(connection, events)
        new = [keys.issuperset(_required_keys(event)) for event, keys in zip(events, taken, strict=True)]
        added = [
            (event, _group_key(event) in keys) for event, keys, is_new in zip(events, taken, new, strict=True) if is_new
        ]
        return new, await self._add_messages(connection, added) if added else []

    async def _take_keys(self, connection: AsyncConnection, events: Sequence[Event]) -> list[set[Key]]:
        """Take the keys of events; return for each event those that were free."""
        wanted = [_keys(event) for event in events]
        # Sorted, so that two processes which add the same keys at once do not deadlock.
        rows = sorted({key for keys in wanted for key in keys})
        added = await connection.execute(self._insert_keys, {"rows": json.dumps(rows), "now": datetime.now(UTC)})
        free: set[Key] = {(channel, tenant, key) for channel, tenant, key in added}
        taken = []
        for keys in wanted:
            taken.append(free.intersection(keys))
            free.difference_update(keys)
        return taken

    async def _add_messages(self, connection: AsyncConnection, events: Sequence[tuple[Event, bool]]) -> list[int]:
        """Add the messages of new events.

        Args:
            events: each with whether it is the first of its group that is for the bot.
        """
        places = await self._take_places(connection, [event.conversation for event, _ in events])
        rows, pieces = [], []
        for event, is_first in events:
            row = (*next(places[_conversation_key(event.conversation)]), event.payload, new_reference())
            if event.piece is None:
                rows.append((*row, InboxStatus.WAITING))
            else:
                pieces.append((event, row, is_first))
        if rows:
            await connection.execute(self._insert_messages, {"rows": json.dumps(rows), "now": datetime.now(UTC)})
        for event, row, is_first in pieces:
            await self._pieces.add(connection, event, row, is_first=is_first)
        return list(dict.fromkeys(row[0] for row in rows))

    async def _take_places(
        self, connection: AsyncConnection, wanted: Sequence[Conversation]
    ) -> dict[Key, Iterator[tuple[int, int]]]:
        """Take the next place in a conversation for each time that it is in `wanted`.

        Returns:
            By conversation, the places as pairs of the conversation's id and a number.
        """
        shared = {_conversation_key(conversation): conversation.shared for conversation in wanted}
        counts = Counter(map(_conversation_key, wanted))
        rows = [(*key, int(shared[key]), counts[key]) for key in sorted(counts)]
        taken = await connection.execute(self._take_next_places, {"rows": json.dumps(rows), "now": datetime.now(UTC)})
        found = {(row.channel, row.tenant, row.key): row for row in taken}
        return {key: _last_places(found[key], count) for key, count in counts.items()}


def _required_keys(event: Event) -> list[Key]:
    """Return the keys that must all be free for an event to be new: none for one that may not be for the bot."""
    if not event.addressed:
        return []
    channel, tenant, _ = _conversation_key(event.conversation)
    keys = [f"event:{event.id}"] + ([f"message:{event.message_key}"] if event.message_key else [])
    return [(channel, tenant, key) for key in keys]


def _keys(event: Event) -> list[Key]:
    """Return the keys that an event takes."""
    group = _group_key(event)
    return _required_keys(event) + ([group] if group is not None and event.addressed else [])


def _group_key(event: Event) -> Key | None:
    if event.piece is None:
        return None
    return (event.conversation.channel, event.conversation.tenant, group_key(event.piece))


def _conversation_key(conversation: Conversation) -> Key:
    return (conversation.channel, conversation.tenant, conversation.id)


def _last_places(conversation: Row[Any], count: int) -> Iterator[tuple[int, int]]:
    last = conversation.last_place
    return iter([(conversation.id, place) for place in range(last - count + 1, last + 1)])
