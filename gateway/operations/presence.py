"""Tell the database that this process runs, and which webhook each of its channels refused last."""

import asyncio
import logging
import os
import secrets
import socket
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib.metadata import version
from typing import Any

from sqlalchemy import delete
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.channels.interface import Interface
from gateway.channels.refusals import Refusal
from gateway.logs import describe
from gateway.storage.database import Database
from gateway.storage.tables import processes, refusals

FORGOTTEN_AFTER = timedelta(hours=1)  # since the last report of a process that did not say that it ends
END_TIMEOUT = 2.0  # seconds in which a process that ends should reach the database

log = logging.getLogger(__name__)


class Presence:
    """Reports that this process runs, for `understudy status`.

    The refused webhooks are read from memory, so that no webhook waits for the database, and only the last one of each
    channel is stored, without anything of the request.

    Args:
        interfaces: the channels, by name.
    """

    def __init__(self, database: Database, interfaces: Mapping[str, Interface]) -> None:
        self._database = database
        self._interfaces = interfaces
        self._process: dict[str, Any] = {}
        self._reported: dict[str, Refusal] = {}

    def begin(self, *, takes_events: bool, plays_turns: bool) -> None:
        """Begin to report, as a new process. `report` has to be called every few seconds after that."""
        self._process = {
            "id": secrets.token_hex(8),
            "takes_events": takes_events,
            "plays_turns": plays_turns,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "version": version("understudy"),
            "started_at": datetime.now(UTC),
        }

    async def report(self) -> None:
        """Write that this process runs, and what its channels refused since the last report."""
        refused = {
            channel: last
            for channel, interface in self._interfaces.items()
            if (last := interface.refusals.last) is not None and last is not self._reported.get(channel)
        }
        await self._database.run_write(partial(self._write, refused))
        self._reported |= refused

    async def end(self) -> None:
        """Write what is left to report, and that this process ends. If that fails, the report ends by its age."""
        try:
            async with asyncio.timeout(END_TIMEOUT):
                await self.report()
                await self._database.run_write(self._remove)
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            log.warning("the end of this process could not be reported: %s", describe(error))

    async def _write(self, refused: Mapping[str, Refusal], connection: AsyncConnection) -> None:
        now = datetime.now(UTC)
        seen = self._database.upsert(processes).values(**self._process, seen_at=now)
        await connection.execute(seen.on_conflict_do_update(index_elements=["id"], set_={"seen_at": now}))
        await connection.execute(delete(processes).where(processes.c.seen_at < now - FORGOTTEN_AFTER))
        for channel, refusal in sorted(refused.items()):  # a fixed order, so that two processes cannot deadlock
            values = {"refused_at": refusal.at, "status_code": refusal.status_code, "reason": refusal.reason}
            stored = self._database.upsert(refusals).values(channel=channel, **values)
            is_newer = refusals.c.refused_at < refusal.at
            await connection.execute(
                stored.on_conflict_do_update(index_elements=["channel"], set_=values, where=is_newer)
            )

    async def _remove(self, connection: AsyncConnection) -> None:
        await connection.execute(delete(processes).where(processes.c.id == self._process["id"]))
