"""Who listens, in this process, to what happens in a conversation."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

MOST_PENDING = 1000  # updates that a listener which does not read may fall behind

Key = TypeVar("Key")
Update = TypeVar("Update")


class Listeners(Generic[Key, Update]):
    """Hands updates on. One who falls behind loses the oldest: what is to be known for sure is in the database."""

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


def _put(queue: asyncio.Queue[Update | None], update: Update | None) -> None:
    if queue.full():
        queue.get_nowait()
    queue.put_nowait(update)
