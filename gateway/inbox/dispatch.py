"""The protocol `Dispatcher`, and the slots that limit how many turns run at once."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncConnection


class TurnSlot:
    """A slot for one of the turns that run at once in a process.

    Args:
        slots: a semaphore with a value of as many turns as may run at once.
    """

    def __init__(self, slots: asyncio.Semaphore) -> None:
        self._slots = slots
        self._is_taken = False

    async def take(self) -> None:
        """Wait until a slot is free, and take it. Do nothing if it is taken already."""
        if not self._is_taken:
            await self._slots.acquire()
            self._is_taken = True

    def free(self) -> None:
        """Free the slot for another turn. Do nothing if it is free already."""
        if self._is_taken:
            self._is_taken = False
            self._slots.release()


Drain = Callable[[int, TurnSlot], Awaitable[bool]]
"""Plays the next message of a conversation, and returns whether there was one.

The given slot is taken. The drain frees it while it sends, so that a platform that hangs does not block the turns of
other conversations.
"""


class Dispatcher(Protocol):
    """Drains the conversations in which messages or deliveries wait, with one drain at a time for each conversation."""

    async def defer(self, connection: AsyncConnection, conversation_ids: Iterable[int]) -> None:
        """Record the conversations to drain, in the transaction that adds messages or deliveries to them."""
        ...

    def wake(self, conversation_ids: Iterable[int]) -> None:
        """Drain conversations. Call it after the transaction of `defer` is committed."""
        ...

    @property
    def owner(self) -> int | None:
        """The worker id of this process; `None` if it is not a worker, or the only process that plays turns."""
        ...

    async def is_alive(self, connection: AsyncConnection, owner: int | None) -> bool:
        """Return whether the worker with the id `owner` is alive. It is another process than this one."""
        ...

    async def count_workers(self) -> int:
        """Return how many live processes play messages."""
        ...

    async def start(self, drain: Drain) -> None:
        """Begin to drain conversations in this process."""
        ...

    async def stop(self) -> None:
        """Begin no more drains, and cancel the drains that have not ended after `Timings.shutdown_grace`."""
        ...
