"""The database on PostgreSQL."""

import asyncio
import time
from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from typing import Any

from psycopg.errors import DeadlockDetected, LockNotAvailable
from sqlalchemy import Table, func, select, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from tenacity import AsyncRetrying, retry_if_exception, stop_after_delay, wait_random

from gateway.storage.database import (
    LEAVE_POLL,
    LEAVE_TIME,
    POOL_TIMEOUT,
    Database,
    T,
    Work,
    origin_clause,
    raise_unavailable,
)
from gateway.storage.postgres_connection import PostgresConnection
from gateway.storage.schema import SCHEMA, Schema, oldest_code
from gateway.storage.uninterrupted import UninterruptedEngine
from oauth import SettingError

CONNECTIONS = 10  # kept open by each process; under load it opens as many again
JOB_CONNECTIONS = 4  # those of procrastinate, in each worker
MOST_CONNECTIONS = 2 * CONNECTIONS + JOB_CONNECTIONS + 1  # of one process, with the one that listens
# Seconds that the server may take to answer a statement before the connection is closed: in a gateway or a worker, and
# in an operator's command.
ANSWER_TIMEOUT = 15.0
COMMAND_TIMEOUT = 60.0
# Seconds. A worker that hangs in a transaction must not block the worker that takes over its turns.
IDLE_TIMEOUT = 10.0
# Parameters of libpq, unless the database URL sets them. They close a connection whose packets are lost after about ten
# seconds: https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS
PARAMETERS = {
    "connect_timeout": 10,  # seconds
    "keepalives": 1,
    "keepalives_idle": 5,  # seconds
    "keepalives_interval": 2,  # seconds
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,  # milliseconds
}
APPLICATION = "understudy"  # connections are named so, with the newest revision that their process knows
UPGRADE_LOCK = 0x756E6465  # an advisory lock, so that only one process at a time upgrades the schema
# Seconds that an upgrade waits for the lock of a table, while the statements of running processes wait behind it. Less
# than `deadlock_timeout`, so that of two transactions that wait for each other, the upgrade gives way:
# https://www.postgresql.org/docs/current/runtime-config-locks.html#GUC-DEADLOCK-TIMEOUT
LOCK_TIMEOUT = 0.5
UPGRADE_PATIENCE = 60.0  # seconds in which an upgrade tries again to get its locks

_OTHER_CLIENTS = text(
    "SELECT application_name FROM pg_stat_activity WHERE datname = current_database() AND usename = current_user"
    " AND backend_type = 'client backend' AND pid <> pg_backend_pid() ORDER BY application_name"
)


class PostgresDatabase(Database):
    """A PostgreSQL database, which any number of gateways and workers can share.

    Only `understudy db upgrade` upgrades its schema, so that an operator decides when.

    Args:
        answer_timeout: seconds that a statement may take in a gateway or a worker.
        idle_timeout: seconds after which the server ends a transaction that is idle.
        schema: the schema that the code needs.
    """

    shared = True
    json_rows = "json_array_elements(CAST(:rows AS json))"
    json_items = tuple(f"value ->> {index}" for index in range(8))

    def __init__(
        self,
        url: URL,
        origin: str,
        answer_timeout: float = ANSWER_TIMEOUT,
        idle_timeout: float = IDLE_TIMEOUT,
        schema: Schema = SCHEMA,
    ) -> None:
        self.origin = origin
        self.schema = schema
        self.answer_timeout = answer_timeout
        self._idle_timeout = idle_timeout
        self._writer: UninterruptedEngine | None = None
        self._reader: UninterruptedEngine | None = None
        self._url = url.set(drivername="postgresql+psycopg")

    @property
    def conninfo(self) -> str:
        """The database URL for libpq, with the password."""
        return self._url.set(drivername="postgresql").render_as_string(hide_password=False)

    @property
    def connection_options(self) -> dict[str, Any]:
        """The keyword arguments for `PostgresConnection.connect` in a gateway or a worker."""
        return self._options(self.answer_timeout)

    async def open(self, *, create: bool = True) -> None:
        await self._open(self.answer_timeout)

    async def open_alongside(self) -> None:
        await self._open(COMMAND_TIMEOUT)

    async def upgrade(self) -> None:
        self._connect(None)
        attempts = AsyncRetrying(
            retry=retry_if_exception(_is_lock_conflict),
            stop=stop_after_delay(UPGRADE_PATIENCE),
            wait=wait_random(0, LOCK_TIMEOUT),
            reraise=True,
        )
        try:
            await attempts(self._upgrade)
        except DBAPIError as error:
            raise self._unusable(error) from error
        finally:
            await self.close()

    async def close(self) -> None:
        if self._writer is not None:
            await self._writer.dispose()
        self._reader = self._writer = None

    def read(self) -> AbstractAsyncContextManager[AsyncConnection]:
        assert self._reader is not None, "the database is not open"
        return self._reader.transaction()

    def write(self) -> AbstractAsyncContextManager[AsyncConnection]:
        assert self._writer is not None, "the database is not open"
        return self._writer.transaction()

    async def run_read(self, work: Work[T]) -> T:
        async with self.read() as connection:
            return await work(connection)

    async def run_write(self, work: Work[T]) -> T:
        async with self.write() as connection:
            return await work(connection)

    def upsert(self, table: Table) -> postgresql.Insert:
        return postgresql.insert(table)

    async def lock(self, connection: AsyncConnection, table: Table) -> None:
        # Rows that refer to the table can still be added: https://www.postgresql.org/docs/current/explicit-locking.html
        await connection.execute(text(f"LOCK TABLE {table.name} IN SHARE ROW EXCLUSIVE MODE"))

    async def other_clients(self) -> list[str]:
        async with self.read() as connection:
            return await _other_clients(connection)

    async def continue_numbering(self, connection: AsyncConnection, tables: Iterable[Table]) -> None:
        for table in tables:
            if "id" in table.c and table.c.id.autoincrement is not False and table.c.id.type.python_type is int:
                highest = await connection.scalar(select(func.max(table.c.id)))
                if highest is not None:
                    sequence = func.pg_get_serial_sequence(table.name, "id")
                    await connection.execute(select(func.setval(sequence, highest)))

    async def _open(self, answer_timeout: float) -> None:
        self._connect(answer_timeout)
        try:
            async with self.read() as connection:
                self.check_schema(await connection.run_sync(self.schema.compare))
        except DBAPIError as error:
            await self.close()
            raise self._unusable(error) from None
        except SettingError:
            await self.close()
            raise

    async def _upgrade(self) -> None:
        async with self.write() as connection:
            await connection.execute(select(func.pg_advisory_xact_lock(UPGRADE_LOCK)))
            await connection.execute(select(func.set_config("lock_timeout", f"{LOCK_TIMEOUT}s", True)))
            if await self.migrate(connection):
                await self._check_others(connection)

    async def _check_others(self, connection: AsyncConnection) -> None:
        """Check that the code of all running processes runs over the new schema."""
        oldest = f"{APPLICATION} {await connection.run_sync(oldest_code)}"
        deadline = time.monotonic() + LEAVE_TIME
        while any(name.startswith(APPLICATION) and name < oldest for name in await _other_clients(connection)):
            if time.monotonic() >= deadline:
                raise SettingError(
                    f"{origin_clause(self.origin, self.address)}. Processes of an older version of understudy use it, "
                    "and would not run over the new schema: stop them, and run the command again."
                )
            await asyncio.sleep(LEAVE_POLL)
            await connection.execute(select(func.pg_stat_clear_snapshot()))

    def _connect(self, answer_timeout: float | None) -> None:
        engine = create_async_engine(
            self._url,
            pool_size=CONNECTIONS,
            max_overflow=CONNECTIONS,
            pool_timeout=POOL_TIMEOUT,
            pool_pre_ping=True,
            hide_parameters=True,
            connect_args={"async_creator_fn": PostgresConnection.connect, **self._options(answer_timeout)},
        )
        raise_unavailable(engine.sync_engine)
        reading = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        self._writer, self._reader = UninterruptedEngine(engine.sync_engine), UninterruptedEngine(reading.sync_engine)

    def _options(self, answer_timeout: float | None) -> dict[str, Any]:
        """Return the keyword arguments for a connection. Without an answer timeout it has no time limits."""
        parameters = PARAMETERS | {"application_name": f"{APPLICATION} {self.schema.newest}"}
        given = {name: value for name, value in parameters.items() if name not in self._url.query}
        if answer_timeout is None:
            return given
        # The server's limits are shorter than the client's, so that the server's error says what took too long.
        limits = {
            "statement_timeout": 0.9 * answer_timeout,
            "lock_timeout": 0.8 * answer_timeout,
            "idle_in_transaction_session_timeout": self._idle_timeout,
        }
        options = [f"-c {name}={round(seconds * 1000)}" for name, seconds in limits.items()]
        options += [value for value in [self._url.query.get("options")] if isinstance(value, str)]
        return given | {"options": " ".join(options), "answer_timeout": answer_timeout}

    @property
    def address(self) -> str:
        """The database URL without the password, for messages."""
        return self._url.set(drivername="postgresql").render_as_string(hide_password=True)

    def _unusable(self, error: DBAPIError) -> SettingError:
        reason = str(error.orig).strip().partition("\n")[0]
        return SettingError(f"{origin_clause(self.origin, self.address)}, which cannot be used: {reason}.")


async def _other_clients(connection: AsyncConnection) -> list[str]:
    return [str(name) for name in (await connection.execute(_OTHER_CLIENTS)).scalars()]


def _is_lock_conflict(error: BaseException) -> bool:
    return isinstance(error, DBAPIError) and isinstance(error.orig, (LockNotAvailable, DeadlockDetected))
