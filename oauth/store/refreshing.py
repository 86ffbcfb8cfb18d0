"""Refresh a token that expires once, however many tasks and processes need it at the same time.

A server that issues a new refresh token at every refresh treats a second use of the old one as theft (RFC 9700, section
4.14.2).
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Hashable
from datetime import timedelta
from typing import Any, Generic, TypeVar
from weakref import WeakValueDictionary

from oauth.errors import GrantRevokedError
from oauth.timings import OAuthTimings

S = TypeVar("S")
T = TypeVar("T")


class RefreshedRow(ABC, Generic[S, T]):
    """The row of a token in the database. `S` is the row as it was read, and `T` the token in it."""

    @abstractmethod
    def token(self, stored: S) -> T:
        """Return the token of a row."""

    @abstractmethod
    async def load(self) -> S | None:
        """Read the row; return `None` if there is none any more."""

    @abstractmethod
    async def begin_refresh(self, known: S, lease: timedelta) -> bool:
        """Take the lease to refresh a token; return whether this process has got it.

        It gets no lease while another process has it, or if the row has changed since it was read.
        """

    @abstractmethod
    async def refresh(self, token: T) -> T:
        """Return the token that the server issues instead.

        Raises:
            GrantRevokedError: if it issues none any more.
        """

    @abstractmethod
    async def replace(self, known: S, renewed: T) -> bool:
        """Store a refreshed token, unless the row has changed since it was read; return whether it was stored."""

    @abstractmethod
    async def give_up_refresh(self, known: S) -> None:
        """Release the lease after a refresh that failed, and may succeed later."""

    @abstractmethod
    async def end(self, known: S, reason: GrantRevokedError) -> None:
        """Note that the server issues no token any more, unless the row has changed since it was read."""


class SingleRefresh:
    """Refreshes a token once for all who wait for it, in this process and in others."""

    def __init__(self, timings: OAuthTimings) -> None:
        self._timings = timings
        self._locks: WeakValueDictionary[Hashable, asyncio.Lock] = WeakValueDictionary()

    async def run(self, key: Hashable, row: RefreshedRow[S, T], is_renewed: Callable[[T], bool]) -> T:
        """Return a renewed token: refreshed here, or by another task or process.

        Args:
            key: identifies the row in this process.
            is_renewed: whether a token is newer than the one that has to be refreshed.

        Raises:
            GrantRevokedError: if the server issues no token any more, or there is no row any more.
            TimeoutError: if nobody refreshed the token in time (`OAuthTimings.refresh_wait`).
        """
        lock = self._locks.setdefault(key, asyncio.Lock())
        lease = timedelta(seconds=self._timings.refresh_lease)
        async with asyncio.timeout(self._timings.refresh_wait), lock:
            while True:
                current = await row.load()
                if current is None:
                    raise GrantRevokedError("the grant was removed")
                if is_renewed(row.token(current)):
                    return row.token(current)
                if await row.begin_refresh(current, lease):
                    return await _completed(self._refresh(row, current))
                await asyncio.sleep(self._timings.refresh_poll)

    async def _refresh(self, row: RefreshedRow[S, T], current: S) -> T:
        try:
            renewed = await row.refresh(row.token(current))
        except GrantRevokedError as reason:
            await row.end(current, reason)
            raise
        except Exception:
            await row.give_up_refresh(current)
            raise
        while not await row.replace(current, renewed):
            stored = await row.load()
            if stored is None:
                raise GrantRevokedError("the grant was removed")
            if row.token(stored) != row.token(current):  # granted anew meanwhile
                return row.token(stored)
            current = stored  # encrypted with another key meanwhile
        return renewed


async def _completed(refresh: Coroutine[Any, Any, T]) -> T:
    """Complete a refresh even if the caller is cancelled: a new refresh token that is not stored would be lost."""
    task, cancelled = asyncio.ensure_future(refresh), False
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            cancelled = True
    if cancelled:
        task.exception()  # retrieved, since nobody gets it
        raise asyncio.CancelledError
    return task.result()
