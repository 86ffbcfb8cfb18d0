import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.cancellation import cancel_and_wait, exits_contained
from gateway.logs import describe
from gateway.storage.database import DatabaseUnavailableError
from gateway.timings import DEFAULT_TIMINGS, Timings


class TurnSlot:
    """One place among the turns that run at once in a process.

    Args:
        slots: a semaphore with as many places as turns may run at once.
    """

    def __init__(self, slots: asyncio.Semaphore) -> None:
        self._slots = slots
        self._is_taken = False

    async def take(self) -> None:
        """Wait for a free place and take it, unless this one is taken."""
        if not self._is_taken:
            await self._slots.acquire()
            self._is_taken = True

    def free(self) -> None:
        """Let another turn have the place."""
        if self._is_taken:
            self._is_taken = False
            self._slots.release()


Drain = Callable[[int, TurnSlot], Awaitable[bool]]
"""Plays the next message of a conversation; returns whether there was one.

The slot that it is given is taken. It frees the slot while it sends: a platform that hangs holds up no other's turns.
"""

log = logging.getLogger(__name__)


class Dispatcher(Protocol):
    """Runs the drain of every conversation in which something waits, one at a time in each."""

    async def defer(self, connection: AsyncConnection, conversation_ids: Iterable[int]) -> None:
        """Takes note of waiting messages in the transaction that makes them wait."""
        ...

    def wake(self, conversation_ids: Iterable[int]) -> None:
        """Is told that such a transaction is committed."""
        ...

    @property
    def owner(self) -> int | None:
        """Who this process is among those that play messages."""
        ...

    async def is_alive(self, connection: AsyncConnection, owner: int | None) -> bool:
        """Whether another one of them is alive."""
        ...

    async def count_workers(self) -> int:
        """How many processes that play messages are alive."""
        ...

    async def start(self, drain: Drain) -> None:
        """Begins to play."""
        ...

    async def stop(self) -> None:
        """Takes nothing new, lets what runs end, and cancels it after ten seconds."""
        ...


class EmbeddedDispatcher:
    """Runs turns in this process: one drain per conversation, so many turns at once at the most.

    Nothing needs to be noted with the messages, since a process that starts looks for those that wait.
    """

    def __init__(self, max_concurrent_turns: int, timings: Timings = DEFAULT_TIMINGS) -> None:
        self._timings = timings
        self._max_concurrent_turns = max_concurrent_turns
        self._scheduler: asyncio.Task[None] | None = None
        self._forget()

    def _forget(self) -> None:
        self._slots = asyncio.Semaphore(self._max_concurrent_turns)
        self._ready: asyncio.Queue[int] = asyncio.Queue()
        self._queued: set[int] = set()
        self._running: dict[int, asyncio.Task[None]] = {}
        self._woken: set[int] = set()  # of the running ones: those in which more has come to wait
        self._later: set[asyncio.TimerHandle] = set()

    async def defer(self, connection: AsyncConnection, conversation_ids: Iterable[int]) -> None:
        return

    def wake(self, conversation_ids: Iterable[int]) -> None:
        for conversation_id in conversation_ids:
            if conversation_id in self._running:
                self._woken.add(conversation_id)
            elif conversation_id not in self._queued:
                self._queued.add(conversation_id)
                self._ready.put_nowait(conversation_id)

    @property
    def owner(self) -> int | None:
        return None

    async def is_alive(self, connection: AsyncConnection, owner: int | None) -> bool:
        return False

    async def count_workers(self) -> int:
        return 1 if self._scheduler is not None and not self._scheduler.done() else 0

    async def start(self, drain: Drain) -> None:
        self._forget()
        self._scheduler = asyncio.create_task(self._schedule(drain), name="dispatcher")

    async def stop(self) -> None:
        if self._scheduler is None:
            return
        self._scheduler.cancel()  # what waits is played by the next process
        await asyncio.wait({self._scheduler})
        self._scheduler = None
        for handle in self._later:
            handle.cancel()
        if running := list(self._running.values()):
            _, late = await asyncio.wait(running, timeout=self._timings.shutdown_grace)
            await asyncio.gather(*(cancel_and_wait(task, 2 * self._timings.cancel_grace) for task in late))

    async def _schedule(self, drain: Drain) -> None:
        while True:
            conversation_id = await self._ready.get()
            slot = TurnSlot(self._slots)  # taken only now: a drain that sends may be waiting to take its own again
            await slot.take()
            self._queued.discard(conversation_id)
            name = f"the drain of conversation {conversation_id}"
            self._running[conversation_id] = asyncio.create_task(self._drain(drain, conversation_id, slot), name=name)

    async def _drain(self, drain: Drain, conversation_id: int, slot: TurnSlot) -> None:
        more, pause = False, 0.0
        try:
            with exits_contained("the drain"):
                more = await drain(conversation_id, slot)
        except DatabaseUnavailableError as error:
            log.warning("conversation %s waits for the database: %s", conversation_id, describe(error))
            pause = self._timings.drain_retry
        except Exception:  # a mistake of the gateway's own: what a turn raises ends in an answer
            log.exception("the drain of conversation %s failed and is tried again", conversation_id)
            pause = self._timings.drain_retry
        finally:
            slot.free()
            del self._running[conversation_id]
        woken = conversation_id in self._woken
        self._woken.discard(conversation_id)
        if pause:
            self._wake_later(conversation_id, pause)
        elif more or woken:
            self.wake([conversation_id])

    def _wake_later(self, conversation_id: int, seconds: float) -> None:
        def wake() -> None:
            self._later.discard(handle)
            self.wake([conversation_id])

        handle = asyncio.get_running_loop().call_later(seconds, wake)
        self._later.add(handle)
