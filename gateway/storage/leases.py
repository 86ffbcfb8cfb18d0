"""Run a function in only one of all processes at a time."""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.cancellation import cancel_and_wait
from gateway.logs import describe
from gateway.storage.database import Database
from gateway.storage.tables import leases

RENEWALS = 4  # in the time for which a lease is valid

log = logging.getLogger(__name__)


class Leases:
    """Runs functions under leases: a lease is a name that only one process at a time holds.

    A holder renews its lease in the database. A process that waits for the lease takes it once it has seen no renewal
    for the whole validity, by its own clock, so that the clocks of two hosts need not agree. The holder stops its
    function a quarter of the validity earlier, unless a renewal was committed.

    Args:
        valid_for: seconds without a renewal after which another process takes a lease.
    """

    def __init__(self, database: Database, valid_for: float) -> None:
        self._database = database
        self._valid_for = valid_for

    async def run(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Wait for a lease, and run a function while this process holds it: see `Host.exclusively`."""
        lease = _Lease(self._database, name, self._valid_for)
        is_done = False
        while not is_done:
            try:
                await lease.take()
                is_done = await lease.hold(work)
            finally:
                await lease.release()


class _Lease:
    """One lease, for one process.

    Attributes:
        interval: seconds between two renewals, and between two looks at a lease of another process.
    """

    def __init__(self, database: Database, name: str, valid_for: float) -> None:
        self._database = database
        self._name = name
        self._valid_for = valid_for
        self._holder = secrets.token_hex(8)
        self._is_own = (leases.c.name == name) & (leases.c.holder == self._holder)
        self._renewed_at = 0.0  # by the monotonic clock, before the renewal
        self.interval = valid_for / RENEWALS

    async def take(self) -> None:
        """Wait until no other process holds the lease, and take it."""
        known: Any = ()
        known_since = 0.0
        while True:
            try:
                found = await self._database.run_read(self._find)
                if found != known:
                    known, known_since = found, time.monotonic()
                # Only one process can have a SQLite file open: the holder before this one has ended.
                is_free = found is None or not self._database.shared or self._age(known_since) >= self._valid_for
                self._renewed_at = time.monotonic()
                if is_free and await self._database.run_write(partial(self._take, known)):
                    return
            except (SQLAlchemyError, OSError) as error:
                log.warning("the lease of %r could not be taken yet: %s", self._name, describe(error))
            await asyncio.sleep(self.interval)

    async def hold(self, work: Callable[[], Coroutine[Any, Any, None]]) -> bool:
        """Run a function and renew the lease meanwhile; return whether the function ended by itself.

        If the lease is lost, or could not be renewed in time, the function is cancelled.
        """
        working = asyncio.create_task(work(), name=self._name)
        renewing = asyncio.create_task(self._renew_repeatedly(), name=f"renewal of the lease of {self._name}")
        try:
            while not (working.done() or renewing.done()) and (left := self._time_left()) > 0:
                await asyncio.wait({working, renewing}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            if working.done() and not working.cancelled():  # code that is not ours may cancel the task that it runs in
                working.result()
                return True
            log.warning("this process lost the lease of %r, and waits for it again", self._name)
            return False
        finally:
            renewing.cancel()
            await cancel_and_wait(working, self.interval)
            await asyncio.gather(renewing, return_exceptions=True)

    async def release(self) -> None:
        """Give the lease to the next process, unless another one has taken it."""
        try:
            async with self._database.write() as connection:
                await connection.execute(delete(leases).where(self._is_own))
        except (SQLAlchemyError, OSError) as error:
            log.warning("the lease of %r was not released, and ends by itself: %s", self._name, describe(error))

    async def _renew_repeatedly(self) -> None:
        while True:
            await asyncio.sleep(self.interval)
            began = time.monotonic()
            try:
                if not await self._database.run_write(self._renew):
                    return
                self._renewed_at = began
            except (SQLAlchemyError, OSError) as error:
                log.warning("the lease of %r could not be renewed: %s", self._name, describe(error))

    async def _find(self, connection: AsyncConnection) -> Any:
        found = select(leases.c.holder, leases.c.renewals).where(leases.c.name == self._name)
        return (await connection.execute(found)).first()

    async def _take(self, known: Any, connection: AsyncConnection) -> bool:
        """Take the lease, unless it is not as it was known to be."""
        new = {"holder": self._holder, "renewals": 0}
        if known is None:
            added = self._database.upsert(leases).values(name=self._name, **new).on_conflict_do_nothing()
            return (await connection.execute(added.returning(leases.c.name))).first() is not None
        is_known = (leases.c.name == self._name) & (leases.c.holder == known.holder)
        taken = update(leases).where(is_known, leases.c.renewals == known.renewals).values(new)
        return (await connection.execute(taken.returning(leases.c.name))).first() is not None

    async def _renew(self, connection: AsyncConnection) -> bool:
        renewed = update(leases).where(self._is_own).values(renewals=leases.c.renewals + 1)
        return (await connection.execute(renewed.returning(leases.c.name))).first() is not None

    def _time_left(self) -> float:
        """Return the seconds after which the work has to stop, if the lease is not renewed until then."""
        return self._valid_for - self.interval - self._age(self._renewed_at)

    @staticmethod
    def _age(moment: float) -> float:
        return time.monotonic() - moment
