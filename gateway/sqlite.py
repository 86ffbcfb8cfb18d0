import fcntl
from pathlib import Path
from typing import IO, Any

from sqlalchemy import Connection, Table, event
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import create_async_engine

from gateway.database import POOL_TIMEOUT, SETTING, Database, is_current, migrate
from gateway.steady import SteadyEngine
from oauth import SettingError

PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=5000")


class SQLiteDatabase(Database):
    """A SQLite file: one connection that writes, several that read, one process.

    Writes wait for each other in the writer's pool, so that none meets a locked file
    (https://www.sqlite.org/wal.html, https://www.sqlite.org/pragma.html#pragma_synchronous).

    Raises:
        SettingError: if the address names no file.
    """

    shared = False

    def __init__(self, url: URL) -> None:
        super().__init__()
        if url.database in (None, "", ":memory:"):
            raise SettingError(f"{SETTING} names no file: use one like sqlite:///understudy.db.")
        self._path = Path(str(url.database))
        self._url = url.set(drivername="sqlite+aiosqlite")
        self._lock: IO[str] | None = None

    async def open(self) -> None:
        """Opens the file, which no other process may have open, and brings its schema up to date."""
        self._lock = self._take()
        self._connect()
        async with self.write() as connection:
            await connection.run_sync(migrate)

    async def open_alongside(self) -> None:
        if not self._path.is_file():
            raise SettingError(f"{SETTING} names {self._path}, which does not exist.")
        self._connect()
        async with self.read() as connection:
            current = await connection.run_sync(is_current)
        if not current:
            await self.close()
            raise SettingError(
                f"{SETTING} names {self._path}, whose schema is another version's: start the gateway once with this "
                "version, or run `understudy db upgrade`."
            )

    async def upgrade(self) -> None:
        await self.open()
        await self.close()

    async def close(self) -> None:
        await super().close()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def upsert(self, table: Table) -> sqlite.Insert:
        return sqlite.insert(table)

    def _connect(self) -> None:
        self._writer = self._engine("BEGIN IMMEDIATE", pool_size=1, max_overflow=0)
        self._reader = self._engine("BEGIN", "query_only=ON", pool_size=4, max_overflow=0)

    def _take(self) -> IO[str]:
        try:
            lock = self._path.with_name(self._path.name + ".lock").open("w")
        except OSError as error:
            raise SettingError(f"{SETTING} names {self._path}, which cannot be opened: {error.strerror}.") from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise SettingError(
                f"{SETTING} names {self._path}, which another understudy process has open: "
                "stop that one, or name another file."
            ) from None
        return lock

    def _engine(self, begin: str, *pragmas: str, **pool: Any) -> SteadyEngine:
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

        return SteadyEngine(engine.sync_engine)
