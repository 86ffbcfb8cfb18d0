"""Commit the events of webhooks in groups, and refuse events if the inbox is full or the database is too slow."""

import asyncio
import logging
import time
from collections.abc import Sequence

from sqlalchemy.exc import SQLAlchemyError

from gateway.channels.errors import EventNotAcceptedError
from gateway.channels.event import Event
from gateway.inbox.inbox import Inbox
from gateway.logs import describe
from gateway.storage.database import DatabaseUnavailableError
from gateway.timings import DEFAULT_TIMINGS

MAX_GROUP = 500  # events in one transaction
QUIET_PASSES = 20  # passes of the event loop without a new event, after which a group is committed
LONGEST_GATHERING = 0.012  # seconds that a group waits for more events
COUNT_EVERY = 1.0  # seconds between two counts of the waiting messages, while there is room
RETRY_STARTING = 1  # seconds that a platform has to wait before a retry if the gateway starts or stops
RETRY_FULL = 30  # seconds that a platform has to wait before a retry if the inbox is full

log = logging.getLogger(__name__)

PendingEvent = tuple[Event, "asyncio.Future[bool]"]
"""An event, and a future that says whether it is new. The future is cancelled if the commit takes too long."""


class Intake:
    """Commits events in groups: events that arrive during a transaction wait for the next one.

    Args:
        bound: how many messages may wait in the inbox. They are counted once a second, so several processes that share
            an inbox may exceed the bound by the messages that they accept in that second.
        timeout: seconds after which an event is refused if it is not committed.
    """

    def __init__(self, inbox: Inbox, bound: int, timeout: float = DEFAULT_TIMINGS.accept) -> None:
        self._inbox = inbox
        self._bound = bound
        self.timeout = timeout
        self._pending: list[PendingEvent] = []
        self._arrived = asyncio.Event()
        self._committer: asyncio.Task[None] | None = None
        self._stopping = False
        self._late = 0  # events that were refused because of the timeout, and are not logged yet
        self._last_group = 0  # the number of events in the last group
        self._waiting = 0  # messages that waited at the last count, and messages that were accepted since
        self._counted_at = -COUNT_EVERY  # by the monotonic clock

    async def start(self) -> None:
        self._arrived.clear()
        self._stopping = False
        self._committer = asyncio.create_task(self._commit_groups(), name="intake")

    async def stop(self) -> None:
        """Commit the events that have arrived, and refuse later ones."""
        if self._committer is None:
            return
        self._stopping = True
        self._arrived.set()
        await self._committer
        self._committer = None

    async def accept(self, event: Event) -> bool:
        """Commit an event. Return whether it is new.

        An event that is refused because of the timeout may still be committed, if its transaction has begun. When the
        platform delivers it again, its keys are known, and it is not new.

        Raises:
            EventNotAcceptedError: if it could not be committed in time, or the inbox is full.
        """
        if self._committer is None or self._stopping:
            raise EventNotAcceptedError(RETRY_STARTING)
        committed: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._pending.append((event, committed))
        self._arrived.set()
        try:
            async with asyncio.timeout(self.timeout):
                return await committed
        except TimeoutError:
            self._late += 1
            raise EventNotAcceptedError() from None

    async def _commit_groups(self) -> None:
        while not self._stopping:
            await self._arrived.wait()
            self._arrived.clear()
            while self._pending:
                await self._gather()
                await self._commit_group()
                if self._late:
                    log.error("%s events were refused: committing them took longer than %s s", self._late, self.timeout)
                    self._late = 0

    async def _gather(self) -> None:
        """Wait for more events, if the last group had several: one transaction costs as much as many rows."""
        deadline, known, quiet = time.monotonic() + LONGEST_GATHERING, len(self._pending), 0
        while self._last_group > 1 and quiet < QUIET_PASSES and known < MAX_GROUP and time.monotonic() < deadline:
            await asyncio.sleep(0)  # one pass of the event loop, which reads from the network
            quiet = quiet + 1 if len(self._pending) == known else 0
            known = len(self._pending)
        self._last_group = known

    async def _commit_group(self) -> None:
        waiting = _undecided(self._pending)
        group, self._pending = waiting[:MAX_GROUP], waiting[MAX_GROUP:]
        if not group:
            return
        try:
            room = await self._room(len(group))
            _fail(group[room:], EventNotAcceptedError(RETRY_FULL))
            if room:
                await self._commit(group[:room])
        except (SQLAlchemyError, OSError) as error:
            log.error("%s events could not be committed: %s", len(group), type(error).__name__, exc_info=error)  # noqa: TRY400
            _fail(group, EventNotAcceptedError())
        except BaseException as error:  # a bug: the webhooks of this group fail, and the next group is committed
            _fail(group, error)
            if not isinstance(error, Exception):
                raise
            log.exception("a group of events could not be committed")

    async def _commit(self, group: Sequence[PendingEvent]) -> None:
        """Commit a group in one transaction. If that fails because of one of its events, commit its halves separately.

        Raises:
            DatabaseUnavailableError, OSError: if the database cannot be used, so that the halves would also fail.
        """
        try:
            accepted = await self._inbox.accept([event for event, _ in group])
        except (DatabaseUnavailableError, OSError):
            raise
        except Exception as error:  # noqa: BLE001 - a driver may raise anything for a value that it does not take
            if len(group) > 1:
                half = len(group) // 2
                for part in (group[:half], group[half:]):
                    if waiting := _undecided(part):
                        await self._commit(waiting)
                return
            log.error("an event could not be committed: %s", describe(error))  # noqa: TRY400
            _fail(group, EventNotAcceptedError())
            return
        self._waiting += sum(accepted)
        for (_, committed), is_new in zip(group, accepted, strict=True):
            if not committed.done():
                committed.set_result(is_new)

    async def _room(self, coming: int) -> int:
        """Return how many of `coming` new events may be accepted."""
        now = time.monotonic()
        if self._waiting + coming > self._bound or now - self._counted_at >= COUNT_EVERY:
            self._waiting = await self._inbox.count_waiting()
            self._counted_at = now
        room = min(max(self._bound - self._waiting, 0), coming)
        if room < coming:
            log.warning(
                "the inbox is full: %s messages wait, and %s more events were refused", self._waiting, coming - room
            )
        return room


def _undecided(pending: Sequence[PendingEvent]) -> list[PendingEvent]:
    """Return the events whose webhooks still wait for the result."""
    return [each for each in pending if not each[1].done()]


def _fail(group: Sequence[PendingEvent], error: BaseException) -> None:
    for _, committed in group:
        if not committed.done():
            committed.set_exception(error)
