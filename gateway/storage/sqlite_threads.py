"""SQLite connections in threads, with one round trip to the thread for each statement.

aiosqlite, which SQLAlchemy uses by default, makes a round trip for each call of the driver: four for a statement.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from sqlalchemy import Connection, CursorResult, Engine, Result
from sqlalchemy.sql.base import Executable

from gateway.cancellation import uninterrupted
from gateway.storage.database import DatabaseUnavailableError

T = TypeVar("T")


class ThreadedConnection:
    """The part of SQLAlchemy's `AsyncConnection` that the gateway uses, for one transaction in another thread."""

    def __init__(self, thread: "ConnectionThread") -> None:
        self._thread = thread

    async def execute(self, statement: Executable, parameters: Any = None) -> Result[Any]:
        return await self._thread.run(lambda connection: _fetch_all(connection.execute(statement, parameters)))

    async def scalar(self, statement: Executable, parameters: Any = None) -> Any:
        return await self._thread.run(lambda connection: connection.scalar(statement, parameters))

    async def run_sync(self, work: Callable[..., T], *args: Any) -> T:
        return await self._thread.run(lambda connection: work(connection, *args))


class BlockingConnection:
    """The `execute` method of an `AsyncConnection`, for code in the connection's thread. It never suspends."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def execute(self, statement: Executable, parameters: Any = None) -> Result[Any]:
        return self._connection.execute(statement, parameters)


class ConnectionPool:
    """A fixed number of connections, each with its own thread. Transactions queue for them in order.

    Args:
        timeout: seconds that a transaction waits for a connection.
    """

    def __init__(self, sync_engine: Engine, connections: int, timeout: float) -> None:
        self.sync_engine = sync_engine
        self._timeout = timeout
        self._threads = [ConnectionThread(sync_engine) for _ in range(connections)]
        self._free: asyncio.Queue[ConnectionThread] = asyncio.Queue()
        for thread in self._threads:
            self._free.put_nowait(thread)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[ThreadedConnection]:
        """Yield a connection; commit when the block ends, roll back when it raises.

        The transaction begins with the first statement.
        """
        async with self._acquire() as thread:
            try:
                yield ThreadedConnection(thread)
            except BaseException:
                await thread.end_transaction(lambda connection: connection.rollback())
                raise
            else:
                await thread.end_transaction(lambda connection: connection.commit())

    async def run(self, work: Callable[[BlockingConnection], Coroutine[Any, Any, T]]) -> T:
        """Run a whole transaction in a connection's thread, and return the result of `work`.

        Args:
            work: a function that awaits only the connection's methods.
        """

        def transact(connection: Connection) -> T:
            with connection.begin():
                return _run_without_suspending(work(BlockingConnection(connection)))

        async with self._acquire() as thread:
            return await thread.run(transact, ends=True)

    async def close(self) -> None:
        for thread in self._threads:
            await thread.close()
        self.sync_engine.dispose()

    @asynccontextmanager
    async def _acquire(self) -> "AsyncIterator[ConnectionThread]":
        try:
            async with asyncio.timeout(self._timeout):
                thread = await self._free.get()
        except TimeoutError as error:
            raise DatabaseUnavailableError(None, None, error) from error
        try:
            yield thread
        finally:
            self._free.put_nowait(thread)


class ConnectionThread:
    """A connection that is opened on first use, and the only thread that uses it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="understudy-database")
        self._connection: Connection | None = None

    async def run(self, work: Callable[[Connection], T], *, ends: bool = False) -> T:
        """Run a step of a transaction in the thread.

        Args:
            ends: whether the step ends the transaction. If one is still open after it, the connection is replaced.
        """

        def in_thread() -> T:
            if self._connection is None:
                self._connection = self._engine.connect()
            try:
                return work(self._connection)
            finally:
                if ends:
                    self._replace_unless_idle(self._connection)

        return await uninterrupted(asyncio.get_running_loop().run_in_executor(self._thread, in_thread))

    async def end_transaction(self, commit_or_roll_back: Callable[[Connection], None]) -> None:
        """End the transaction, if a statement has begun one."""
        if self._connection is not None and self._connection.get_transaction() is not None:
            await self.run(commit_or_roll_back, ends=True)

    async def close(self) -> None:
        if self._connection is not None:
            await self.run(lambda connection: connection.close())
        self._thread.shutdown()

    def _replace_unless_idle(self, connection: Connection) -> None:
        """Close a connection whose COMMIT or ROLLBACK failed, for instance on a full disk. The next step opens another.

        The failed transaction would stay attached to the connection, and every later statement would fail.
        """
        driver: Any = connection.connection.dbapi_connection if not connection.invalidated else None
        if connection.get_transaction() is None and driver is not None and not driver.in_transaction:
            return
        self._connection = None
        connection.invalidate()
        connection.close()


def _fetch_all(result: CursorResult[Any]) -> Result[Any]:
    """Read all rows of a result, so that it no longer needs the connection's thread."""
    return result.freeze()() if result.returns_rows else result


def _run_without_suspending(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end without an event loop.

    Raises:
        RuntimeError: if the coroutine waits for something.
    """
    try:
        coroutine.send(None)
    except StopIteration as ended:
        result: T = ended.value
        return result
    coroutine.close()
    raise RuntimeError(f"{coroutine} awaits something other than the connection in a transaction")
