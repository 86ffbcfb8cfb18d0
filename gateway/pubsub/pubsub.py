"""What happens in turns that run, told to whoever listens. Nothing is kept: who does not listen has missed it."""

import asyncio
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Generic, TypeVar

MOST_PENDING = 1000  # updates that a listener which does not read may fall behind

Key = TypeVar("Key")
Update = TypeVar("Update")


class Listeners(Generic[Key, Update]):
    """Who listens in this process. One who falls behind loses the oldest."""

    def __init__(self) -> None:
        self._queues: dict[Key, set[asyncio.Queue[Update | None]]] = {}

    @contextmanager
    def listening(self, key: Key) -> Iterator[asyncio.Queue[Update | None]]:
        """The updates that are told in the block; `None` when there will be no more."""
        queue: asyncio.Queue[Update | None] = asyncio.Queue(MOST_PENDING)
        queues = self._queues.setdefault(key, set())
        queues.add(queue)
        try:
            yield queue
        finally:
            queues.discard(queue)
            if not queues and self._queues.get(key) is queues:
                del self._queues[key]

    def tell(self, key: Key, update: Update) -> None:
        for queue in self._queues.get(key, ()):
            _put(queue, update)

    def close(self) -> None:
        for queues in self._queues.values():
            for queue in queues:
                _put(queue, None)


class PubSub:
    """Tells what is published to who has subscribed, in this process."""

    def __init__(self) -> None:
        self.listeners = Listeners[str, str]()

    async def publish(self, topic: str, message: str) -> None:
        self.listeners.tell(topic, message)

    async def subscribe(self, topic: str) -> AbstractContextManager[asyncio.Queue[str | None]]:
        """What is published from now on, in a block; `None` when there will be no more."""
        return self.listeners.listening(topic)

    async def stop(self) -> None:
        self.listeners.close()


def _put(queue: asyncio.Queue[Update | None], update: Update | None) -> None:
    if queue.full():
        queue.get_nowait()
    queue.put_nowait(update)
