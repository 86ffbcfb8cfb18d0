"""Keep the calls to a platform within its rate limits, so that it does not refuse them."""

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.channels.errors import RetryLaterError

LONGEST_WAIT = 5.0  # seconds that an answer waits for the rate limit; after that the outbox retries it
MOST_KEYS = 1000  # places in memory; when there are more, places without a recent call are removed

Key = tuple[str, str]
"""The name of a limit, and the place to which it applies, like a chat."""


@dataclass(frozen=True, slots=True)
class Limit:
    """A platform's rate limit.

    Args:
        most: the number of calls in any period of `seconds`.
        seconds: the length of the period.
        previews: how many of these calls may be previews, so that there is room for answers; `None` for all.
    """

    most: int
    seconds: float
    previews: int | None = None


@dataclass(slots=True)
class _Place:
    calls: deque[float] = field(default_factory=deque)
    previews: deque[float] = field(default_factory=deque)
    held_until: float = 0.0

    def delay(self, limit: Limit, now: float, *, preview: bool) -> float:
        """Return the seconds until the limit allows the next call; 0 if it allows it now."""
        self._forget(limit, now)
        delay = self.held_until - now if preview else 0.0
        if len(self.calls) >= limit.most:
            delay = max(delay, self.calls[-limit.most] + limit.seconds - now)
        if preview and limit.previews is not None and len(self.previews) >= limit.previews:
            delay = max(delay, self.previews[-limit.previews] + limit.seconds - now)
        return max(delay, 0.0)

    def count(self, limit: Limit, now: float, *, preview: bool) -> None:
        self._forget(limit, now)
        self.calls.append(now)
        if preview:
            self.previews.append(now)

    def _forget(self, limit: Limit, now: float) -> None:
        for calls in (self.calls, self.previews):
            while calls and calls[0] <= now - limit.seconds:
                calls.popleft()


class Pacer:
    """Delays the calls of this process to a platform. Answers go before previews, and previews stay in order.

    Several processes share the platform's limits, but do not know of each other's calls. If the platform refuses a call
    nevertheless, the outbox retries an answer, and a preview is left out.

    Args:
        limits: the limits by name.
    """

    def __init__(self, limits: Mapping[str, Limit]) -> None:
        self._limits = limits
        self._places: dict[Key, _Place] = {}
        self._queues: defaultdict[Key, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def preview(self, *keys: Key) -> None:
        """Wait until a preview may be shown, and count it. The first key is the chat's: each chat has one queue."""
        async with self._queues[keys[0]]:
            while delay := self._delay(keys, preview=True):  # noqa: ASYNC110 - it waits for a time
                await asyncio.sleep(delay)
            self._count(keys, preview=True)

    async def answer(self, *keys: Key) -> None:
        """Wait until an answer may be sent, and count it.

        Raises:
            RetryLaterError: if that would take longer than `LONGEST_WAIT`.
        """
        waited_until = time.monotonic() + LONGEST_WAIT
        while delay := self._delay(keys, preview=False):
            if time.monotonic() + delay > waited_until:
                raise RetryLaterError(delay)
            await asyncio.sleep(delay)
        self._count(keys, preview=False)

    def count(self, *keys: Key) -> None:
        """Count an answer that does not wait for the limits, so that later calls do."""
        self._count(keys, preview=False)

    def hold(self, key: Key, seconds: float) -> None:
        """Show no previews in a place for `seconds`, because the platform asked for a pause."""
        self._place(key).held_until = time.monotonic() + seconds

    def _delay(self, keys: tuple[Key, ...], *, preview: bool) -> float:
        now = time.monotonic()
        return max(self._place(key).delay(self._limits[key[0]], now, preview=preview) for key in keys)

    def _count(self, keys: tuple[Key, ...], *, preview: bool) -> None:
        now = time.monotonic()
        for key in keys:
            self._place(key).count(self._limits[key[0]], now, preview=preview)

    def _place(self, key: Key) -> _Place:
        if key not in self._places:
            if len(self._places) >= MOST_KEYS:
                self._forget()
            self._places[key] = _Place()
        return self._places[key]

    def _forget(self) -> None:
        """Forget the places whose last call is too old to count for their limits."""
        now = time.monotonic()
        for key, place in list(self._places.items()):
            last = max((*place.calls, place.held_until), default=0.0)
            if last <= now - self._limits[key[0]].seconds and not (key in self._queues and self._queues[key].locked()):
                del self._places[key]
                self._queues.pop(key, None)
