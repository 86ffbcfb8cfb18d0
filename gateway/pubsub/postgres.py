"""Publish and subscribe among processes, with LISTEN and NOTIFY of PostgreSQL.

https://www.postgresql.org/docs/current/sql-notify.html
"""

import asyncio
import json
import logging
from collections import deque
from contextlib import AbstractContextManager, suppress
from itertools import count

import psycopg
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from gateway.logs import describe
from gateway.pubsub.pubsub import PubSub
from gateway.storage.postgres import PostgresDatabase
from gateway.storage.postgres_connection import PostgresConnection
from gateway.timings import DEFAULT_TIMINGS, Timings

MAX_UNSENT = 10_000  # messages; beyond that, the oldest ones are dropped
CHANNEL = "understudy_live"
MAX_PAYLOAD = 7999  # bytes
BATCH_INTERVAL = 0.05  # seconds in which messages are collected for one transaction
LISTEN_TIMEOUT = 2.0  # seconds that a subscriber waits for the LISTEN connection

_NOTIFY = text("SELECT pg_notify(:channel, message) FROM unnest(CAST(:messages AS text[])) AS message")

log = logging.getLogger(__name__)


class PostgresPubSub(PubSub):
    """The topics of all processes that share a database: a message reaches the subscribers in every process."""

    def __init__(self, database: PostgresDatabase, timings: Timings = DEFAULT_TIMINGS) -> None:
        super().__init__()
        self._database = database
        self._timings = timings
        self._unsent: deque[str] = deque(maxlen=MAX_UNSENT)
        self._numbers = count()
        self._has_unsent = asyncio.Event()
        self._is_listening = asyncio.Event()
        self._sender: asyncio.Task[None] | None = None
        self._listener: asyncio.Task[None] | None = None

    async def publish(self, topic: str, message: str) -> None:
        """Send a message soon, together with others.

        Delivery is not guaranteed: the message is lost if it is too long or the database cannot be reached.
        """
        # The number makes each payload unique: PostgreSQL delivers equal payloads of one transaction only once.
        payload = json.dumps([next(self._numbers), topic, message], ensure_ascii=False)
        if (size := len(payload.encode())) > MAX_PAYLOAD:
            log.info("a live message was not published: it is too long (%d bytes, the limit is %d)", size, MAX_PAYLOAD)
            return
        self._unsent.append(payload)
        self._has_unsent.set()
        if self._sender is None:
            self._sender = asyncio.create_task(self._send(), name="live messages out")

    async def subscribe(self, topic: str) -> AbstractContextManager[asyncio.Queue[str | None]]:
        """Do the same as `PubSub.subscribe`, once this process listens, or after `LISTEN_TIMEOUT` if it does not."""
        if self._listener is None:
            self._listener = asyncio.create_task(self._listen(), name="live messages in")
        with suppress(TimeoutError):
            async with asyncio.timeout(LISTEN_TIMEOUT):
                await self._is_listening.wait()
        return self.listeners.listening(topic)

    async def stop(self) -> None:
        await super().stop()
        tasks = [task for task in (self._sender, self._listener) if task is not None]
        self._sender = self._listener = None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._is_listening.clear()

    async def _send(self) -> None:
        while await self._has_unsent.wait():
            await asyncio.sleep(BATCH_INTERVAL)
            self._has_unsent.clear()
            messages = list(self._unsent)
            self._unsent.clear()
            try:
                async with self._database.write() as connection:
                    await connection.execute(_NOTIFY, {"channel": CHANNEL, "messages": messages})
            except (SQLAlchemyError, OSError) as error:
                log.warning("live messages were lost, because the database did not take them: %s", describe(error))
            except Exception:
                log.exception("live messages were lost, because publishing them failed")

    async def _listen(self) -> None:
        while True:
            try:
                await self._listen_once()
            except (psycopg.Error, OSError) as error:
                log.warning("live messages are lost until this process listens again: %s", describe(error))
            except Exception:
                log.exception("live messages are lost until this process listens again")
            self._is_listening.clear()
            await asyncio.sleep(self._timings.reconnect)

    async def _listen_once(self) -> None:
        connection = await PostgresConnection.connect(
            self._database.conninfo, autocommit=True, **self._database.connection_options
        )
        async with connection:
            await connection.execute(f"LISTEN {CHANNEL}")
            self._is_listening.set()
            while True:
                async for notify in connection.notifies(timeout=self._timings.listen_check):
                    _, topic, message = json.loads(notify.payload)
                    self.listeners.tell(topic, message)
                await connection.execute("SELECT 1")
