"""What dispatches turns: the protocol `Dispatcher`, and the place that a turn takes among those that run at once."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncConnection


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

The slot that it is given is taken. It frees the slot while it sends, so that a platform that hangs holds up no other
conversation's turns.
"""


class Dispatcher(Protocol):
    """Drains the conversations in which something waits, each by one drain at a time."""

    async def defer(self, connection: AsyncConnection, conversation_ids: Iterable[int]) -> None:
        """Note the conversations that are to be drained, in the transaction that makes something wait there."""
        ...

    def wake(self, conversation_ids: Iterable[int]) -> None:
        """Have conversations drained for which such a transaction is committed."""
        ...

    @property
    def owner(self) -> int | None:
        """The id of this process among the workers; `None` where it is none, or the only one."""
        ...

    async def is_alive(self, connection: AsyncConnection, owner: int | None) -> bool:
        """Return whether another worker is alive."""
        ...

    async def count_workers(self) -> int:
        """Return how many processes that play messages are alive."""
        ...

    async def start(self, drain: Drain) -> None:
        """Begin to drain conversations in this process."""
        ...

    async def stop(self) -> None:
        """Begin nothing new, and cancel what has not ended after `Timings.shutdown_grace`."""
        ...
