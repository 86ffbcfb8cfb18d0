import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

STOP_GRACE = 10.0  # seconds that running turns have to end when the process stops
RETRY_DELAY = 5.0  # seconds after a drain that failed

Drain = Callable[[int], Awaitable[bool]]
"""Plays the next message of a conversation; returns whether there was one."""

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
    """Runs turns in this process: one drain per conversation, so many at once at the most.

    Nothing needs to be noted with the messages, since a process that starts looks for those that wait.
    """

    def __init__(self, max_concurrent_turns: int) -> None:
        self._max_concurrent_turns = max_concurrent_turns
        self._workers: list[asyncio.Task[None]] = []
        self._forget()

    def _forget(self) -> None:
        self._ready: asyncio.Queue[int | None] = asyncio.Queue()
        self._queued: set[int] = set()
        self._running: set[int] = set()
        self._woken: set[int] = set()  # of the running ones: those in which more has come to wait

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
        return 1 if self._workers else 0

    async def start(self, drain: Drain) -> None:
        self._forget()
        self._workers = [
            asyncio.create_task(self._work(drain), name=f"turns-{number}")
            for number in range(self._max_concurrent_turns)
        ]

    async def stop(self) -> None:
        if not self._workers:
            return
        while not self._ready.empty():  # what waits is played by the next process
            self._ready.get_nowait()
        for _ in self._workers:
            self._ready.put_nowait(None)
        _, late = await asyncio.wait(self._workers, timeout=STOP_GRACE)
        for worker in late:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        self._workers = []

    async def _work(self, drain: Drain) -> None:
        while (conversation_id := await self._ready.get()) is not None:
            self._queued.discard(conversation_id)
            self._running.add(conversation_id)
            more = False
            try:
                more = await drain(conversation_id)
            except Exception:  # of the database, say: a turn's own end in an answer
                log.exception("the drain of conversation %s failed and is tried again", conversation_id)
                await asyncio.sleep(RETRY_DELAY)
                more = True
            finally:
                self._running.discard(conversation_id)
            if more or conversation_id in self._woken:
                self._woken.discard(conversation_id)
                self.wake([conversation_id])
