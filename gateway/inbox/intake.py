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

MOST_TOGETHER = 500  # events in one transaction
QUIET_PASSES = 20  # of the loop, in which no event came, after which a group waits for no more
LONGEST_GATHERING = 0.012  # seconds
COUNT_EVERY = 1.0  # seconds between two counts of what waits, while there is room
RETRY_FULL = 30  # seconds after which a platform may try again when the inbox is full

log = logging.getLogger(__name__)

Coming = tuple[Event, "asyncio.Future[bool]"]
"""An event, and whether it is new: done when it is committed or refused, cancelled when its time is over."""


class Intake:
    """Commits events in groups: while one transaction is written, those that come wait for the next.

    Args:
        bound: how many messages may wait in the inbox. It is counted once a second, so several processes that share an
            inbox may exceed it by what they accept in that time.
        timeout: seconds after which an event that is not committed is refused, whatever the database does.
    """

    def __init__(self, inbox: Inbox, bound: int, timeout: float = DEFAULT_TIMINGS.accept) -> None:
        self._inbox = inbox
        self._bound = bound
        self.timeout = timeout
        self._coming: list[Coming] = []
        self._came = asyncio.Event()
        self._committer: asyncio.Task[None] | None = None
        self._stopping = False
        self._late = 0  # how many events were refused because their time was over, and are not logged yet
        self._together = 0  # how many events the last group had
        self._waiting = 0  # as last counted, and what was accepted since
        self._counted = -COUNT_EVERY

    async def start(self) -> None:
        self._came.clear()
        self._stopping = False
        self._committer = asyncio.create_task(self._commit_groups(), name="intake")

    async def stop(self) -> None:
        """Commits what has come, and ends."""
        if self._committer is None:
            return
        self._stopping = True
        self._came.set()
        await self._committer
        self._committer = None

    async def accept(self, event: Event) -> bool:
        """Return whether an event is new, once it is committed.

        An event that is refused because the time is over may still be committed, if its transaction has begun. The
        platform delivers it again, and its keys are known by then.

        Raises:
            EventNotAcceptedError: if it could not be committed in time.
        """
        if self._committer is None or self._stopping:
            raise EventNotAcceptedError()
        committed: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._coming.append((event, committed))
        self._came.set()
        try:
            async with asyncio.timeout(self.timeout):
                return await committed
        except TimeoutError:
            self._late += 1
            raise EventNotAcceptedError() from None

    async def _commit_groups(self) -> None:
        while not self._stopping:
            await self._came.wait()
            self._came.clear()
            while self._coming:
                await self._gather()
                await self._commit_group()
                if self._late:
                    log.error("%s events were refused: the database took longer than %s s", self._late, self.timeout)
                    self._late = 0

    async def _gather(self) -> None:
        """Waits while more keep coming, where some came together last time: a transaction costs what many rows do."""
        deadline, known, quiet = time.monotonic() + LONGEST_GATHERING, len(self._coming), 0
        while self._together > 1 and quiet < QUIET_PASSES and known < MOST_TOGETHER and time.monotonic() < deadline:
            await asyncio.sleep(0)  # a pass of the loop, which reads what has come over the network
            quiet = quiet + 1 if len(self._coming) == known else 0
            known = len(self._coming)
        self._together = known

    async def _commit_group(self) -> None:
        waiting = _undecided(self._coming)
        group, self._coming = waiting[:MOST_TOGETHER], waiting[MOST_TOGETHER:]
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
        except BaseException as error:  # a mistake of ours: told to who waits, and the next group goes on
            _fail(group, error)
            if not isinstance(error, Exception):
                raise
            log.exception("a group of events could not be committed")

    async def _commit(self, group: Sequence[Coming]) -> None:
        """Commit a group in one transaction; in halves, if that fails because of one of its events.

        Raises:
            DatabaseUnavailableError, OSError: if the database cannot be used: then halves would fail, too.
        """
        try:
            accepted = await self._inbox.accept([event for event, _ in group])
        except (DatabaseUnavailableError, OSError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever a driver raises for a value that it does not take
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
        """How many of those that come may wait."""
        now = time.monotonic()
        if self._waiting + coming > self._bound or now - self._counted >= COUNT_EVERY:
            self._waiting = await self._inbox.count_waiting()
            self._counted = now
        room = min(max(self._bound - self._waiting, 0), coming)
        if room < coming:
            log.warning(
                "the inbox is full: %s messages wait, and %s more are turned away", self._waiting, coming - room
            )
        return room


def _undecided(coming: Sequence[Coming]) -> list[Coming]:
    """Return the events whose senders still wait."""
    return [each for each in coming if not each[1].done()]


def _fail(group: Sequence[Coming], error: BaseException) -> None:
    for _, committed in group:
        if not committed.done():
            committed.set_exception(error)
