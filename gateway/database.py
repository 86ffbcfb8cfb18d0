import fcntl
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import IO, Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, event, inspect
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from gateway.tables import metadata
from oauth import SettingError

MIGRATIONS = Path(__file__).parent / "migrations"
PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=5000")
POOL_TIMEOUT = 30  # seconds that a statement waits for a connection


class Database:
    """A SQLite file: one connection that writes, several that read, one process.

    Writes wait for each other in the writer's pool, so that none meets a locked file
    (https://www.sqlite.org/wal.html, https://www.sqlite.org/pragma.html#pragma_synchronous).

    Args:
        url: `sqlite:///relative/path` or `sqlite:////absolute/path`.

    Raises:
        SettingError: if the address is of another kind.
    """

    def __init__(self, url: str) -> None:
        try:
            parsed = make_url(url)
        except ArgumentError:
            raise SettingError(  # without what was found, in which a password may stand
                "UNDERSTUDY_DATABASE_URL is malformed: it is like sqlite:///understudy.db."
            ) from None
        if parsed.get_backend_name() != "sqlite":
            raise SettingError(
                f"UNDERSTUDY_DATABASE_URL names a {parsed.get_backend_name()} database, which is not supported yet: "
                "use one like sqlite:///understudy.db."
            )
        if parsed.database in (None, "", ":memory:"):
            raise SettingError("UNDERSTUDY_DATABASE_URL names no file: use one like sqlite:///understudy.db.")
        self._path = Path(str(parsed.database))
        self._url = parsed.set(drivername="sqlite+aiosqlite")
        self._lock: IO[str] | None = None
        self._writer: AsyncEngine | None = None
        self._reader: AsyncEngine | None = None

    async def open(self) -> None:
        """Opens the file, which no other process may have open, and brings its schema up to date.

        Raises:
            SettingError: if another process has it, or there is no such directory.
        """
        self._lock = self._take()
        self._writer = self._engine("BEGIN IMMEDIATE", pool_size=1, max_overflow=0)
        self._reader = self._engine("BEGIN", "query_only=ON", pool_size=4, max_overflow=0)
        async with self.write() as connection:
            await connection.run_sync(_upgrade)

    async def open_to_read(self) -> None:
        """Opens the file to read only, also while another process has it.

        Raises:
            SettingError: if there is no such file, or no gateway has ever opened it.
        """
        if not self._path.is_file():
            raise SettingError(f"UNDERSTUDY_DATABASE_URL names {self._path}, which does not exist.")
        self._reader = self._engine("BEGIN", "query_only=ON", pool_size=1, max_overflow=0)
        async with self.read() as connection:
            found = set(await connection.run_sync(lambda sync: inspect(sync).get_table_names()))
        if missing := metadata.tables.keys() - found:
            await self.close()
            raise SettingError(
                f"UNDERSTUDY_DATABASE_URL names {self._path}, which has no {' and no '.join(sorted(missing))}: "
                "start the gateway once with this version, which brings it up to date."
            )

    async def close(self) -> None:
        for engine in (self._reader, self._writer):
            if engine is not None:
                await engine.dispose()
        self._reader = self._writer = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def write(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """One writing transaction, committed when the block ends and rolled back when it raises."""
        assert self._writer is not None, "the database is not open"
        return self._writer.begin()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A connection to read with, which sees one state of the database."""
        assert self._reader is not None, "the database is not open"
        async with self._reader.connect() as connection:
            yield connection

    def _take(self) -> IO[str]:
        try:
            lock = self._path.with_name(self._path.name + ".lock").open("w")
        except OSError as error:
            raise SettingError(
                f"UNDERSTUDY_DATABASE_URL names {self._path}, which cannot be opened: {error.strerror}."
            ) from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise SettingError(
                f"UNDERSTUDY_DATABASE_URL names {self._path}, which another understudy process has open: "
                "stop that one, or name another file."
            ) from None
        return lock

    def _engine(self, begin: str, *pragmas: str, **pool: Any) -> AsyncEngine:
        engine = create_async_engine(self._url, pool_timeout=POOL_TIMEOUT, **pool)

        @event.listens_for(engine.sync_engine, "connect")
        def connect(connection: Any, _: Any) -> None:
            connection.isolation_level = None  # transactions begin where SQLAlchemy says so, not by themselves
            cursor = connection.cursor()
            for pragma in (*PRAGMAS, *pragmas):
                cursor.execute(f"PRAGMA {pragma}")
            cursor.close()

        @event.listens_for(engine.sync_engine, "begin")
        def start(connection: Connection) -> None:
            connection.exec_driver_sql(begin)

        return engine


def _upgrade(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
