"""Dispatch turns in this process, which is the only one that uses the database."""

import asyncio
import logging
from collections.abc import Iterable

from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.cancellation import cancel_and_wait, exits_contained
from gateway.inbox.dispatch import Drain, TurnSlot
from gateway.logs import describe
from gateway.storage.database import DatabaseUnavailableError
from gateway.timings import DEFAULT_TIMINGS, Timings

log = logging.getLogger(__name__)


class EmbeddedDispatcher:
    """Runs the turns of all conversations in this process.

    `defer` records nothing, because a process that starts looks for waiting messages.

    Args:
        max_concurrent_turns: how many turns run at once.
    """

    def __init__(self, max_concurrent_turns: int, timings: Timings = DEFAULT_TIMINGS) -> None:
        self._timings = timings
        self._max_concurrent_turns = max_concurrent_turns
        self._scheduler: asyncio.Task[None] | None = None
        self._reset()

    def _reset(self) -> None:
        self._slots = asyncio.Semaphore(self._max_concurrent_turns)
        self._ready: asyncio.Queue[int] = asyncio.Queue()
        self._queued: set[int] = set()
        self._running: dict[int, asyncio.Task[None]] = {}
        self._woken: set[int] = set()  # the conversations that were woken while their drain was running
        self._timers: set[asyncio.TimerHandle] = set()  # for the conversations whose drain failed

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
        self._reset()
        self._scheduler = asyncio.create_task(self._schedule(drain), name="dispatcher")

    async def stop(self) -> None:
        if self._scheduler is None:
            return
        self._scheduler.cancel()  # the next process plays the waiting messages
        await asyncio.wait({self._scheduler})
        self._scheduler = None
        for timer in self._timers:
            timer.cancel()
        if running := list(self._running.values()):
            _, late = await asyncio.wait(running, timeout=self._timings.shutdown_grace)
            await asyncio.gather(*(cancel_and_wait(task, 2 * self._timings.cancel_grace) for task in late))

    async def _schedule(self, drain: Drain) -> None:
        while True:
            conversation_id = await self._ready.get()
            # Take a slot only when a conversation is ready, because drains that freed theirs may wait for it.
            slot = TurnSlot(self._slots)
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
        except Exception:  # a bug in the gateway: exceptions of a turn are handled in the turn
            log.exception("the drain of conversation %s failed and will be retried", conversation_id)
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
            self._timers.discard(timer)
            self.wake([conversation_id])

        timer = asyncio.get_running_loop().call_later(seconds, wake)
        self._timers.add(timer)
