"""Keep the calls to a platform within its rate limits, so that it does not refuse them."""

import asyncio
import threading
import time
from bisect import insort
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from gateway.channels.errors import RetryLaterError

LONGEST_WAIT = 5.0  # seconds for which an answer gets a time; after that the outbox retries it
MOST_KEYS = 1000  # places in memory; when there are so many, places without a recent call are removed
MANY_PLACES = 5  # refusals in so many places, one after the other, are a limit of the whole
IN_A_ROW = 10.0  # seconds in which they come
ROUNDING = 1e-6  # seconds by which a sum of times may be wrong

Key = tuple[str, ...]
"""The name of a limit, then the place to which it applies. The last item is the id of the place, like a chat's."""


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
    """The calls in a place that count for its limit, in order. Those of waiting answers are in the future."""

    calls: list[float] = field(default_factory=list)
    previews: list[float] = field(default_factory=list)
    paused_until: float = 0.0
    previews_paused_until: float = 0.0

    def next_time(self, limit: Limit, at: float) -> float:
        """Return the first time from `at` on when the limit allows another call."""
        at = max(at, self.paused_until)
        while len(near := _near(self.calls, at, limit)) >= limit.most:
            at = near[0] + limit.seconds
        return at

    def next_preview(self, limit: Limit, at: float) -> float:
        at = self.next_time(limit, max(at, self.previews_paused_until))
        if limit.previews is not None and len(near := _near(self.previews, at, limit)) >= limit.previews:
            at = near[0] + limit.seconds
        return at

    def forget(self, before: float) -> None:
        self.calls = [at for at in self.calls if at > before]
        self.previews = [at for at in self.previews if at > before]

    @property
    def busy_until(self) -> float:
        """The end of the pause, or the time of the last call; it is over if nothing waits."""
        return max((self.paused_until, *self.calls[-1:]))


class Pacer:
    """Spaces the calls of this process to a platform. Answers go before previews, and each keep their order.

    Several processes share the platform's limits, but do not know of each other's calls. If the platform refuses a call
    nevertheless, the outbox retries an answer, and a preview is left out.

    Args:
        limits: the limits by name.
        clock: returns the time in seconds.
    """

    def __init__(self, limits: Mapping[str, Limit], clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._clock = clock
        self._lock = threading.Lock()  # the transaction that ends a turn reserves in another thread
        self._places: dict[Key, _Place] = {}
        self._most_places = MOST_KEYS
        self._queues: defaultdict[Key, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._refusals: defaultdict[Key, dict[Key, tuple[float, float]]] = defaultdict(dict)

    def reserve(self, *keys: Key) -> float:
        """Reserve the next call of an answer, and return the seconds until then. Previews are not shown before it.

        Raises:
            RetryLaterError: if that is longer than `LONGEST_WAIT`. Then nothing is reserved.
        """
        with self._lock:
            now = self._clock()
            at = self._next(keys, now)
            if at - now > LONGEST_WAIT:
                raise RetryLaterError(at - now)
            for key in keys:
                insort(self._place(key, now).calls, at)
        return at - now

    async def preview(self, *keys: Key) -> None:
        """Wait until a preview may be shown, and count it. The first key is the chat's: each chat has one queue."""
        async with self._queues[keys[0]]:
            while wait := self._count_preview(keys):  # noqa: ASYNC110 - it waits for a time
                await asyncio.sleep(wait)

    def gives_way(self, *keys: Key) -> bool:
        """Return whether a live update is to be left out: there is a pause in a place, or an answer waits."""
        with self._lock:
            now = self._clock()
            return any(self._place(key, now).busy_until > now for key in keys)

    def pause(self, key: Key, seconds: float) -> None:
        """Send and show nothing in a place for `seconds`, because the platform asked for a pause."""
        with self._lock:
            now = self._clock()
            self._place(key, now).paused_until = now + seconds

    def pause_previews(self, key: Key, seconds: float) -> None:
        """Show no previews in a place for `seconds`."""
        with self._lock:
            now = self._clock()
            self._place(key, now).previews_paused_until = now + seconds

    @contextmanager
    def refusals_noted(self, key: Key, whole: Key | None = None) -> Iterator[None]:
        """Pause a place if the platform refuses the call in this block because of a rate limit. Make none in a pause.

        Platforms do not say whether a limit is that of a chat or that of everything that the bot sends. If they refuse
        calls in `MANY_PLACES` places one after the other, and accept none in between, it is the limit of the whole.

        Args:
            key: the place of the call.
            whole: the place that contains all of these places, if it has a limit.

        Raises:
            RetryLaterError: if the call is refused, or a pause lasts. The error names the place.
        """
        self._check_pauses(key, whole)
        try:
            yield
        except RetryLaterError as error:
            self.pause(key, error.seconds)
            if whole is not None and (seconds := self._refused(key, whole, error.seconds)) is not None:
                self.pause(whole, seconds)
                raise RetryLaterError(seconds, is_for_tenant=True) from error
            raise RetryLaterError(error.seconds, is_for_tenant=error.is_for_tenant, place=key[-1]) from error
        if whole is not None:
            self._refusals.pop(whole, None)

    def _check_pauses(self, key: Key, whole: Key | None) -> None:
        """Raise the error of a pause that other calls got while this one was waiting for its time."""
        with self._lock:
            now = self._clock()
            if whole is not None and (left := self._place(whole, now).paused_until - now) > 0:
                raise RetryLaterError(left, is_for_tenant=True)
            if (left := self._place(key, now).paused_until - now) > 0:
                raise RetryLaterError(left, place=key[-1])

    def _refused(self, key: Key, whole: Key, seconds: float) -> float | None:
        """Note a refusal. If the limit of the whole is reached, return the shortest of the pauses asked for."""
        now, refusals = self._clock(), self._refusals[whole]
        refusals[key] = (now, seconds)
        for old in [place for place, (at, _) in refusals.items() if at <= now - IN_A_ROW]:
            del refusals[old]
        if len(refusals) < MANY_PLACES:
            return None
        return min(each for _, each in self._refusals.pop(whole).values())

    def _count_preview(self, keys: tuple[Key, ...]) -> float:
        """Count a preview, if the limits allow it now; return the seconds until they do."""
        with self._lock:
            now = self._clock()
            if (at := self._next(keys, now, preview=True)) > now:
                return at - now
            for key in keys:
                place = self._place(key, now)
                insort(place.calls, now)
                place.previews.append(now)
        return 0.0

    def _next(self, keys: tuple[Key, ...], now: float, *, preview: bool = False) -> float:
        """Return the first time when all limits allow the next call."""
        found, at = now, -1.0
        while found > at:
            at = found
            for key in keys:
                place, limit = self._place(key, now), self._limits[key[0]]
                found = (place.next_preview if preview else place.next_time)(limit, found)
        return at

    def _place(self, key: Key, now: float) -> _Place:
        if key not in self._places:
            if len(self._places) >= self._most_places:
                self._forget(now)
                self._most_places = max(MOST_KEYS, 2 * len(self._places))  # so that this is done seldom
            self._places[key] = _Place()
        place = self._places[key]
        place.forget(now - self._limits[key[0]].seconds)
        return place

    def _forget(self, now: float) -> None:
        """Forget the places whose last call is too old to count for their limits."""
        for key, place in list(self._places.items()):
            is_queued = key in self._queues and self._queues[key].locked()
            last = max(place.busy_until, place.previews_paused_until)
            if last <= now - self._limits[key[0]].seconds and not is_queued:
                del self._places[key]
                self._queues.pop(key, None)


def _near(calls: list[float], at: float, limit: Limit) -> list[float]:
    """Return the calls that share a period of the limit with a call at a time, or that a later one may share."""
    return [call for call in calls if abs(call - at) < limit.seconds - ROUNDING]
