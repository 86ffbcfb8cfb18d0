"""Publish and subscribe within one process.

Nothing is stored: a message reaches those who are subscribed when it is published.
"""

import asyncio
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Generic, TypeVar

MAX_PENDING = 1000  # updates in one listener's queue

Key = TypeVar("Key")
Update = TypeVar("Update")


class Listeners(Generic[Key, Update]):
    """The queues of the listeners in this process, by key. A full queue drops its oldest update."""

    def __init__(self) -> None:
        self._queues: dict[Key, set[asyncio.Queue[Update | None]]] = {}

    @contextmanager
    def listening(self, key: Key) -> Iterator[asyncio.Queue[Update | None]]:
        """Yield a queue that receives updates during the block. `None` in the queue means that no more will come."""
        queue: asyncio.Queue[Update | None] = asyncio.Queue(MAX_PENDING)
        queues = self._queues.setdefault(key, set())
        queues.add(queue)
        try:
            yield queue
        finally:
            queues.discard(queue)
            if not queues and self._queues.get(key) is queues:
                del self._queues[key]

    def tell(self, key: Key, update: Update) -> None:
        """Put an update into all queues of a key."""
        for queue in self._queues.get(key, ()):
            _put(queue, update)

    def close(self) -> None:
        """Tell every listener that no more updates will come."""
        for queues in self._queues.values():
            for queue in queues:
                _put(queue, None)


class PubSub:
    """The topics of one process: what is published reaches the subscribers in this process."""

    def __init__(self) -> None:
        self.listeners = Listeners[str, str]()

    async def publish(self, topic: str, message: str) -> None:
        """Deliver a message to the topic's subscribers. It may be lost."""
        self.listeners.tell(topic, message)

    async def subscribe(self, topic: str) -> AbstractContextManager[asyncio.Queue[str | None]]:
        """Return a context manager that yields a queue of the messages that are published during its block.

        `None` in the queue means that no more messages will come.
        """
        return self.listeners.listening(topic)

    async def stop(self) -> None:
        """Tell every subscriber that no more messages will come."""
        self.listeners.close()


def _put(queue: asyncio.Queue[Update | None], update: Update | None) -> None:
    if queue.full():
        queue.get_nowait()
    queue.put_nowait(update)
