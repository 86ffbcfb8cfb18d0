"""Answer the health checks: `/healthz` (the process is alive) and `/readyz` (it can take messages)."""

import asyncio
import logging
import secrets
import time
from collections.abc import Mapping
from datetime import UTC, datetime

from sqlalchemy import delete, insert
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

from gateway.channels.interface import Interface
from gateway.executor import LoopExecutor
from gateway.inbox.dispatch import Dispatcher
from gateway.logs import describe
from gateway.storage.database import Database
from gateway.storage.tables import pauses

PROBE_EVERY = 1.0  # seconds for which the result of a write is reused
PROBE_TIMEOUT = 2.5  # seconds that a request waits for a write

log = logging.getLogger(__name__)


class Health:
    """Answers health checks.

    Args:
        interfaces: the channels, by name.

    Attributes:
        executor: the executor of the running event loop; `None` while the gateway does not run.
    """

    def __init__(self, database: Database, dispatcher: Dispatcher, interfaces: Mapping[str, Interface]) -> None:
        self._dispatcher = dispatcher
        self._interfaces = interfaces
        self._probe = WriteProbe(database)
        self.executor: LoopExecutor | None = None

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/healthz", self._healthz, methods=["GET"]),
            Route("/readyz", self._readyz, methods=["GET"]),
        ]

    async def stop(self) -> None:
        """Wait for the end of a running write."""
        await self._probe.stop()

    async def _healthz(self, _: Request) -> JSONResponse:
        return JSONResponse({"status": "ok"})

    async def _readyz(self, _: Request) -> JSONResponse:
        if self.executor is None:
            return _not_ready("starting or stopping")
        if self.executor.is_exhausted:
            return _not_ready(
                f"{self.executor.abandoned} tools never returned and each holds a thread: restart the process"
            )
        if (failure := await self._probe.failure()) is not None:
            log.warning("the database cannot be written to: %s", describe(failure))
            return _not_ready("the database cannot be written to")
        if outages := [f"{name}: {each.outage}" for name, each in self._interfaces.items() if each.outage is not None]:
            return _not_ready("; ".join(outages))
        try:
            workers = await self._dispatcher.count_workers()
        except SQLAlchemyError as error:
            log.warning("the database cannot be read: %s", describe(error))
            return _not_ready("the database cannot be read")
        status = "ok" if workers else "no worker is alive: messages are accepted and wait"
        return JSONResponse({"status": status, "workers": workers}, status_code=200 if workers else 503)


def _not_ready(status: str) -> JSONResponse:
    return JSONResponse({"status": status}, status_code=503)


class WriteProbe:
    """Checks by a write whether the database can be written to.

    Concurrent requests share one write, and its result is reused for a second: however often anybody requests
    `/readyz`, it causes at most one transaction per second.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._attempt: asyncio.Task[Exception | None] | None = None
        self._ended = 0.0

    async def failure(self) -> Exception | None:
        """Return the error if the database cannot be written to; `None` if it can."""
        if self._attempt is None or (self._attempt.done() and time.monotonic() - self._ended >= PROBE_EVERY):
            self._attempt = asyncio.create_task(self._try(), name="write probe")
        done, _ = await asyncio.wait([self._attempt], timeout=PROBE_TIMEOUT)
        return self._attempt.result() if done else TimeoutError(f"a write takes longer than {PROBE_TIMEOUT} s")

    async def stop(self) -> None:
        """Wait for the end of a running write."""
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
    key = {"channel": "readyz", "tenant": secrets.token_hex(8)}  # a key that no other process uses
    await connection.execute(insert(pauses).values(**key, until=datetime.now(UTC)))
    await connection.execute(delete(pauses).filter_by(**key))
