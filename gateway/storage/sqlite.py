import errno
import fcntl
import logging
import os
import stat
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, cast

from sqlalchemy import Connection, NullPool, Table, create_engine, event
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.storage.database import POOL_TIMEOUT, SETTING, Database, T, Work, name_failures, named
from gateway.storage.schema import has_schema, is_current, migrate
from gateway.storage.sqlite_threads import InlineConnection, ThreadedEngine
from oauth import SettingError

READERS = 4  # connections
PRIVATE = 0o600  # the mode of all files: their owner's alone
EVERYBODY = 0o077
PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=5000")

log = logging.getLogger(__name__)


class SQLiteDatabase(Database):
    """A SQLite file: one connection that writes, several that read, one process.

    Writes wait for each other in the writer's pool, so that none meets a locked file
    (https://www.sqlite.org/wal.html, https://www.sqlite.org/pragma.html#pragma_synchronous).

    Raises:
        SettingError: if the address names no file.
    """

    shared = False
    json_rows = "json_each(:rows)"
    json_items = tuple(f"json_extract(value, '$[{place}]')" for place in range(5))

    def __init__(self, url: URL) -> None:
        if url.database in (None, "", ":memory:"):
            raise SettingError(f"{SETTING} names no file: use one like sqlite:///understudy.db.")
        self._path = Path(str(url.database))
        self._url = url.set(drivername="sqlite")
        self._lock: int | None = None
        self._writer: ThreadedEngine | None = None
        self._reader: ThreadedEngine | None = None

    async def open(self, *, create: bool = True) -> None:
        """Open the file, which no other process may have open, and bring its schema up to date."""
        if not create:
            self._check_exists()
        self._lock = self._take()
        try:
            self._make_private()
            self._connect()
            if not create:
                await self._check_has_tables()
            async with self.write() as connection:
                await connection.run_sync(migrate)
        except BaseException:
            await self.close()
            raise

    async def open_alongside(self) -> None:
        self._check_exists()
        self._connect()
        async with self.read() as connection:
            current = await connection.run_sync(is_current)
        if not current:
            await self.close()
            raise SettingError(
                f"{named(self._path)}, whose schema is another version's: start the gateway once with this "
                "version, or run `understudy db upgrade`."
            )

    async def upgrade(self) -> None:
        await self.open()
        await self.close()

    def write(self) -> AbstractAsyncContextManager[AsyncConnection]:
        assert self._writer is not None, "the database is not open"
        return cast("AbstractAsyncContextManager[AsyncConnection]", self._writer.transaction())

    def read(self) -> AbstractAsyncContextManager[AsyncConnection]:
        assert self._reader is not None, "the database is not open"
        return cast("AbstractAsyncContextManager[AsyncConnection]", self._reader.transaction())

    async def run_write(self, work: Work[T]) -> T:
        assert self._writer is not None, "the database is not open"
        return await self._writer.transact(cast("Callable[[InlineConnection], Coroutine[Any, Any, T]]", work))

    async def run_read(self, work: Work[T]) -> T:
        assert self._reader is not None, "the database is not open"
        return await self._reader.transact(cast("Callable[[InlineConnection], Coroutine[Any, Any, T]]", work))

    async def close(self) -> None:
        for engine in (self._reader, self._writer):
            if engine is not None:
                await engine.dispose()
        self._reader = self._writer = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def upsert(self, table: Table) -> sqlite.Insert:
        return sqlite.insert(table)

    def _connect(self) -> None:
        self._writer = self._engine("BEGIN IMMEDIATE", 1)
        self._reader = self._engine("BEGIN", READERS, "query_only=ON")

    def _check_exists(self) -> None:
        if not self._path.is_file():
            raise SettingError(f"{named(self._path)}, which does not exist.")

    async def _check_has_tables(self) -> None:
        async with self.read() as connection:
            if not await connection.run_sync(has_schema):
                raise SettingError(f"{named(self._path)}, which holds nothing of understudy's.")

    def _take(self) -> int:
        """Lock the file for this process, by a file beside it; return that file's descriptor."""
        path = self._beside(".lock")
        try:
            lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, PRIVATE)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise SettingError(f"{path} is a symbolic link, which is not followed: remove it.") from None
            raise SettingError(f"{named(self._path)}, which cannot be opened: {error.strerror}.") from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise SettingError(
                f"{named(self._path)}, which another understudy process has open: stop that one, or name another file."
            ) from None
        return lock

    def _make_private(self) -> None:
        """Let no other user read what is stored: SQLite gives its other files the mode of the database."""
        try:
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE))
        except OSError as error:
            raise SettingError(f"{named(self._path)}, which cannot be opened: {error.strerror}.") from None
        for path in map(self._beside, ("", "-wal", "-shm", ".lock")):
            try:
                mode = path.lstat().st_mode
                if stat.S_ISREG(mode) and mode & EVERYBODY:
                    path.chmod(PRIVATE)
            except FileNotFoundError:
                continue
            except PermissionError:
                log.warning("%s can be read by others, and belongs to another user: set its mode to 600", path)

    def _beside(self, suffix: str) -> Path:
        """Return the path of one of the database's files. SQLite puts them beside what a symbolic link points to."""
        path = self._path.resolve()
        return path.with_name(path.name + suffix)

    def _engine(self, begin: str, connections: int, *pragmas: str) -> ThreadedEngine:
        engine = create_engine(
            self._url, poolclass=NullPool, hide_parameters=True, connect_args={"check_same_thread": False}
        )

        @event.listens_for(engine, "connect")
        def connect(connection: Any, _: Any) -> None:
            connection.isolation_level = None  # transactions begin where SQLAlchemy says so, not by themselves
            cursor = connection.cursor()
            for pragma in (*PRAGMAS, *pragmas):
                cursor.execute(f"PRAGMA {pragma}")
            cursor.close()

        @event.listens_for(engine, "begin")
        def start(connection: Connection) -> None:
            connection.exec_driver_sql(begin)

        name_failures(engine)
        return ThreadedEngine(engine, connections, POOL_TIMEOUT)
