"""Limit how many turns a person begins in a minute and in a day, exactly across processes."""

import json
import logging
import math
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Row, bindparam, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.channels.event import Event
from gateway.channels.presenter import Presenter
from gateway.inbox.pieces import Admit
from gateway.outbox.notices import add_notice
from gateway.storage.database import Database
from gateway.storage.tables import find_conversation, turn_counts
from oauth.store.columns import Timestamp
from oauth.store.pending import code_in

LENGTHS = {"minute": timedelta(minutes=1), "day": timedelta(days=1)}

REACHED = "I answer up to {limit} a {name} from each person, and these were more. Please write again in {wait}."

log = logging.getLogger(__name__)

IsAnswer = Callable[[AsyncConnection, Event], Coroutine[Any, Any, bool]]
"""A function that returns whether a message answers a question that its author was asked."""

Person = tuple[str, str, str]
"""The channel, the tenant and the id of an author."""

# The update changes nothing, but locks the rows, so that two processes count one after the other.
_LOCK = """
    INSERT INTO turn_counts (channel, tenant, user_id)
    SELECT {0}, {1}, {2} FROM {rows} WHERE TRUE
    ON CONFLICT (channel, tenant, user_id) DO UPDATE SET day_turns = turn_counts.day_turns
    RETURNING channel, tenant, user_id, minute_turns, minute_until, day_turns, day_until, told_until,
        EXISTS (
            SELECT 1 FROM questions WHERE questions.channel = turn_counts.channel
            AND questions.tenant = turn_counts.tenant AND questions.user_id = turn_counts.user_id
            AND questions.status = 'asked'
        ) AS has_question,
        EXISTS (
            SELECT 1 FROM oauth_pending WHERE oauth_pending.channel = turn_counts.channel
            AND oauth_pending.tenant = turn_counts.tenant AND oauth_pending.user_id = turn_counts.user_id
        ) AS has_code
"""
_TIMES = ("minute_until", "day_until", "told_until")


@dataclass(slots=True)
class Window:
    """A minute or a day, which begins with a turn of a person, and the turns that the person began in it.

    Args:
        name: minute or day.
        limit: how many turns may begin.
        turns: how many have begun.
        until: when it ends; `None` before the first turn.
    """

    name: str
    limit: int
    turns: int
    until: datetime | None

    def is_full(self, now: datetime) -> bool:
        """Return whether no more turns may begin. If the window has ended, empty it."""
        if self.until is not None and self.until <= now:
            self.turns, self.until = 0, None
        return self.turns >= self.limit

    def add(self, now: datetime) -> None:
        """Count a turn."""
        self.turns += 1
        self.until = self.until or now + LENGTHS[self.name]


class _Count:
    """The windows of one person, whose row is locked.

    Args:
        limits: the limits that are set, by the name of the window.
    """

    def __init__(self, row: Row[Any], limits: Mapping[str, int]) -> None:
        self._person = {"of_channel": row.channel, "of_tenant": row.tenant, "of_user_id": row.user_id}
        self._windows = [
            Window(name, limit, getattr(row, f"{name}_turns"), getattr(row, f"{name}_until"))
            for name, limit in limits.items()
        ]
        self._told_until: datetime | None = row.told_until
        self.has_question, self.has_code = bool(row.has_question), bool(row.has_code)

    def begin(self, now: datetime) -> Window | None:
        """Count a turn, or return the window that is full, the one that ends last if several are."""
        full = [window for window in self._windows if window.is_full(now)]
        if not full:
            for window in self._windows:
                window.add(now)
        return max(full, key=lambda window: window.until or now, default=None)

    def tell(self, full: Window) -> bool:
        """Return whether the person does not know yet that they have to wait until a window ends."""
        if self._told_until is not None and full.until is not None and self._told_until >= full.until:
            return False
        self._told_until = full.until
        return True

    def values(self) -> dict[str, Any]:
        """Return the parameters of the statement that saves the windows."""
        saved = {"told_until": self._told_until, **self._person}
        for window in self._windows:
            saved |= {f"{window.name}_turns": window.turns, f"{window.name}_until": window.until}
        return saved


class TurnLimits:
    """Counts turns in the transactions that accept messages.

    Args:
        presenters: by channel.
        is_answer: tells the answers to questions, which begin no turn.
        limits: how many turns a person may begin, by the name of the window: see `LENGTHS`.
    """

    def __init__(
        self, database: Database, presenters: Mapping[str, Presenter], is_answer: IsAnswer, limits: Mapping[str, int]
    ) -> None:
        self._presenters = presenters
        self._is_answer = is_answer
        self._limits = limits
        lock = text(_LOCK.format(*database.json_items, rows=database.json_rows))
        self._lock = lock.columns(**dict.fromkeys(_TIMES, Timestamp()))
        saved = [f"{name}_{part}" for name in limits for part in ("turns", "until")] + ["told_until"]
        is_person = [column == bindparam(f"of_{column.name}") for column in turn_counts.primary_key]
        self._save = update(turn_counts).where(*is_person).values({name: bindparam(name) for name in saved})

    @asynccontextmanager
    async def counting(self, connection: AsyncConnection, events: Sequence[Event]) -> AsyncIterator[Admit]:
        """Yield the function that counts the turns of events, in the caller's transaction.

        Args:
            events: the events for which the function may be called, so that their authors are locked in one order.
        """
        people = sorted({person for event in events if (person := _author(event)) is not None})
        found = await connection.execute(self._lock, {"rows": json.dumps(people)}) if people else ()
        counts = {(row.channel, row.tenant, row.user_id): _Count(row, self._limits) for row in found}
        changed: dict[Person, _Count] = {}
        now = datetime.now(UTC)

        async def admit(event: Event) -> bool:
            person = _author(event)
            if person is None or await self._begins_no_turn(connection, event, counts[person]):
                return True
            count = changed[person] = counts[person]
            full = count.begin(now)
            if full is not None and count.tell(full):
                log.info("%s has reached the limit of %s turns a %s", "/".join(person), full.limit, full.name)
                await self._tell(connection, event, full, now)
            return full is None

        yield admit
        if changed:
            await connection.execute(self._save, [count.values() for count in changed.values()])

    async def _begins_no_turn(self, connection: AsyncConnection, event: Event, count: _Count) -> bool:
        """Return whether the gateway takes a message itself, as a code or as an answer."""
        if count.has_code and code_in(event.text) is not None:
            return True
        return count.has_question and await self._is_answer(connection, event)

    async def _tell(self, connection: AsyncConnection, event: Event, full: Window, now: datetime) -> None:
        """Tell a person until when they have to wait, where only they read it."""
        assert full.until is not None
        presenter = self._presenters.get(event.conversation.channel)
        if event.sender is None or presenter is None:
            return
        limit, wait = _counted(full.limit, "message"), _duration(full.until - now)
        parts = presenter.parts(REACHED.format(limit=limit, name=full.name, wait=wait))
        conversation_id = (await connection.execute(find_conversation(event.conversation))).scalar_one()
        await add_notice(connection, conversation_id, parts, event.sender if event.conversation.shared else None)


def _author(event: Event) -> Person | None:
    """Return the author whose turn an event may begin; `None` for a command, and if the author is not known.

    People who share an id share their turns.
    """
    if event.author is None or event.command is not None:
        return None
    return (event.conversation.channel, event.author_tenant or event.conversation.tenant, event.author)


def _duration(wait: timedelta) -> str:
    """Return a time in words, rounded up, like `5 hours and 12 minutes`."""
    seconds = math.ceil(wait.total_seconds())
    if seconds <= 60:
        return _counted(seconds, "second")
    hours, minutes = divmod(math.ceil(seconds / 60), 60)
    return " and ".join(_counted(number, unit) for number, unit in ((hours, "hour"), (minutes, "minute")) if number)


def _counted(number: int, unit: str) -> str:
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"
