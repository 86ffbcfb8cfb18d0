"""The database on SQLite."""

from collections.abc import Callable, Coroutine, Iterable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, cast

from sqlalchemy import Connection, NullPool, Table, create_engine, event
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.storage.database import (
    POOL_TIMEOUT,
    Database,
    T,
    Work,
    origin_clause,
    raise_unavailable,
)
from gateway.storage.schema import SCHEMA, Schema, has_schema
from gateway.storage.sqlite_file import SQLiteFile
from gateway.storage.sqlite_threads import BlockingConnection, ConnectionPool
from oauth import SettingError

READERS = 4  # connections
PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=5000")  # timeout in milliseconds


class SQLiteDatabase(Database):
    """A SQLite file with one connection that writes and several that read, used by one process.

    Writing transactions queue for the one connection, so that none finds the file locked
    (https://www.sqlite.org/wal.html, https://www.sqlite.org/pragma.html#pragma_synchronous).

    Args:
        schema: the schema that the code needs.

    Raises:
        SettingError: if the URL names no file.
    """

    shared = False
    json_rows = "json_each(:rows)"
    json_items = tuple(f"json_extract(value, '$[{index}]')" for index in range(8))

    def __init__(self, url: URL, origin: str, schema: Schema = SCHEMA) -> None:
        if url.database in (None, "", ":memory:"):
            raise SettingError(
                f"The URL of the database ({origin}) names no file: use one like sqlite:///understudy.db."
            )
        self._file = SQLiteFile(Path(str(url.database)), origin)
        self.origin = origin
        self.schema = schema
        self._url = url.set(drivername="sqlite")
        self._writer: ConnectionPool | None = None
        self._readers: ConnectionPool | None = None

    async def open(self, *, create: bool = True) -> None:
        """Lock and open the file for this process, and upgrade its schema."""
        if not create:
            self._file.check_exists()
        self._file.lock()
        try:
            self._file.make_private()
            self._connect()
            if not create:
                await self._check_has_tables()
            async with self.write() as connection:
                await self.migrate(connection)
        except BaseException:
            await self.close()
            raise

    async def open_alongside(self) -> None:
        self._file.check_exists()
        self._connect()
        try:
            async with self.read() as connection:
                difference = await connection.run_sync(self.schema.compare)
            self.check_schema(difference, "start the gateway once with this version, or run `understudy db upgrade`")
        except BaseException:
            await self.close()
            raise

    async def upgrade(self) -> None:
        await self.open()
        await self.close()

    async def close(self) -> None:
        for pool in (self._readers, self._writer):
            if pool is not None:
                await pool.close()
        self._readers = self._writer = None
        self._file.unlock()

    def read(self) -> AbstractAsyncContextManager[AsyncConnection]:
        assert self._readers is not None, "the database is not open"
        return cast("AbstractAsyncContextManager[AsyncConnection]", self._readers.transaction())

    def write(self) -> AbstractAsyncContextManager[AsyncConnection]:
        assert self._writer is not None, "the database is not open"
        return cast("AbstractAsyncContextManager[AsyncConnection]", self._writer.transaction())

    async def run_read(self, work: Work[T]) -> T:
        assert self._readers is not None, "the database is not open"
        return await self._readers.run(cast("Callable[[BlockingConnection], Coroutine[Any, Any, T]]", work))

    async def run_write(self, work: Work[T]) -> T:
        assert self._writer is not None, "the database is not open"
        return await self._writer.run(cast("Callable[[BlockingConnection], Coroutine[Any, Any, T]]", work))

    def upsert(self, table: Table) -> sqlite.Insert:
        return sqlite.insert(table)

    async def lock(self, connection: AsyncConnection, table: Table) -> None:
        """Do nothing: only one transaction at a time writes."""

    async def other_clients(self) -> list[str]:
        """Return no names: `open` allows only one process."""
        return []

    async def continue_numbering(self, connection: AsyncConnection, tables: Iterable[Table]) -> None:
        """Do nothing: SQLite continues after the highest id anyway."""

    @property
    def address(self) -> str:
        """The path of the file, for messages."""
        return str(self._file.path)

    def _connect(self) -> None:
        self._writer = self._pool("BEGIN IMMEDIATE", 1)
        self._readers = self._pool("BEGIN", READERS, "query_only=ON")

    async def _check_has_tables(self) -> None:
        async with self.read() as connection:
            if not await connection.run_sync(has_schema):
                raise SettingError(f"{origin_clause(self.origin, self.address)}, which has no tables of understudy.")

    def _pool(self, begin: str, connections: int, *pragmas: str) -> ConnectionPool:
        engine = create_engine(
            self._url, poolclass=NullPool, hide_parameters=True, connect_args={"check_same_thread": False}
        )

        @event.listens_for(engine, "connect")
        def connect(connection: Any, _: Any) -> None:
            connection.isolation_level = None  # SQLAlchemy begins the transactions, not the driver
            cursor = connection.cursor()
            for pragma in (*PRAGMAS, *pragmas):
                cursor.execute(f"PRAGMA {pragma}")
            cursor.close()

        @event.listens_for(engine, "begin")
        def start(connection: Connection) -> None:
            connection.exec_driver_sql(begin)

        raise_unavailable(engine)
        return ConnectionPool(engine, connections, POOL_TIMEOUT)
