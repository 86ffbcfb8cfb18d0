"""Try whether the database can be written to, for `/readyz`."""

import asyncio
import secrets
import time
from datetime import UTC, datetime

from sqlalchemy import delete, insert
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.storage.database import Database
from gateway.storage.tables import pauses

PROBE_EVERY = 1.0  # seconds for which the result of a write holds
PROBE_TIMEOUT = 2.5  # seconds that a request waits for one


class WriteProbe:
    """Write to the database and report whether that works.

    Requests that come together share one write, and its result holds for a second: a stranger who asks for `/readyz`
    all the time causes one transaction a second.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._attempt: asyncio.Task[Exception | None] | None = None
        self._ended = 0.0

    async def failure(self) -> Exception | None:
        """Return why the database cannot be written to; `None` if it can."""
        if self._attempt is None or (self._attempt.done() and time.monotonic() - self._ended >= PROBE_EVERY):
            self._attempt = asyncio.create_task(self._try(), name="write probe")
        done, _ = await asyncio.wait([self._attempt], timeout=PROBE_TIMEOUT)
        return self._attempt.result() if done else TimeoutError(f"a write takes longer than {PROBE_TIMEOUT} s")

    async def stop(self) -> None:
        """Wait for a write that has begun."""
        if self._attempt is not None:
            await self._attempt
            self._attempt = None

    async def _try(self) -> Exception | None:
        try:
            await self._database.run_write(_write)
        except (SQLAlchemyError, OSError) as error:
            return error
        finally:
            self._ended = time.monotonic()
        return None


async def _write(connection: AsyncConnection) -> None:
    key = {"channel": "readyz", "tenant": secrets.token_hex(8)}  # no other process's
    await connection.execute(insert(pauses).values(**key, until=datetime.now(UTC)))
    await connection.execute(delete(pauses).filter_by(**key))
