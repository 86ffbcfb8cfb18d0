"""SQLite in threads: a statement goes to a connection's own thread whole, and comes back with its rows.

SQLAlchemy's own way, by aiosqlite, goes to the thread and back for each call of the driver, four times for a statement.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from sqlalchemy import Connection, CursorResult, Engine, Result
from sqlalchemy.sql.base import Executable

from gateway.storage.database import DatabaseUnavailableError
from gateway.storage.uninterrupted import finished

T = TypeVar("T")


class ThreadedConnection:
    """As much of SQLAlchemy's `AsyncConnection` as is used here, for one transaction."""

    def __init__(self, slot: "_Slot") -> None:
        self._slot = slot

    async def execute(self, statement: Executable, parameters: Any = None) -> Result[Any]:
        return await self._slot.run(lambda connection: _fetched(connection.execute(statement, parameters)))

    async def scalar(self, statement: Executable, parameters: Any = None) -> Any:
        return await self._slot.run(lambda connection: connection.scalar(statement, parameters))

    async def run_sync(self, work: Callable[..., T], *args: Any) -> T:
        return await self._slot.run(lambda connection: work(connection, *args))


class InlineConnection:
    """The same, inside the thread: nothing that it is asked for is waited for."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def execute(self, statement: Executable, parameters: Any = None) -> Result[Any]:
        return self._connection.execute(statement, parameters)


class ThreadedEngine:
    """So many connections, each with a thread of its own. Who wants one waits for it, in order.

    Args:
        timeout: seconds that somebody waits.
    """

    def __init__(self, sync_engine: Engine, connections: int, timeout: float) -> None:
        self.sync_engine = sync_engine
        self._timeout = timeout
        self._slots = [_Slot(sync_engine) for _ in range(connections)]
        self._free: asyncio.Queue[_Slot] = asyncio.Queue()
        for slot in self._slots:
            self._free.put_nowait(slot)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[ThreadedConnection]:
        """A transaction, which begins with its first statement; committed when the block ends, or else rolled back."""
        async with self._taken() as slot:
            try:
                yield ThreadedConnection(slot)
            except BaseException:
                await slot.end(lambda connection: connection.rollback())
                raise
            else:
                await slot.end(lambda connection: connection.commit())

    async def transact(self, work: Callable[[InlineConnection], Coroutine[Any, Any, T]]) -> T:
        """Runs a whole transaction in the thread.

        Args:
            work: awaits nothing but the connection's methods.
        """

        def whole(connection: Connection) -> T:
            with connection.begin():
                return _result(work(InlineConnection(connection)))

        async with self._taken() as slot:
            return await slot.run(whole, ends=True)

    async def dispose(self) -> None:
        for slot in self._slots:
            await slot.close()
        self.sync_engine.dispose()

    @asynccontextmanager
    async def _taken(self) -> "AsyncIterator[_Slot]":
        try:
            async with asyncio.timeout(self._timeout):
                slot = await self._free.get()
        except TimeoutError as error:
            raise DatabaseUnavailableError(None, None, error) from error
        try:
            yield slot
        finally:
            self._free.put_nowait(slot)


class _Slot:
    """A connection and its thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="understudy-database")
        self._connection: Connection | None = None

    async def run(self, work: Callable[[Connection], T], *, ends: bool = False) -> T:
        """Run a step of a transaction in the thread.

        Args:
            ends: whether no transaction is open after it. If one is, the connection is replaced.
        """

        def in_thread() -> T:
            if self._connection is None:
                self._connection = self._engine.connect()
            try:
                return work(self._connection)
            finally:
                if ends:
                    self._replace_unless_idle(self._connection)

        return await finished(asyncio.get_running_loop().run_in_executor(self._thread, in_thread))

    async def end(self, how: Callable[[Connection], None]) -> None:
        if self._connection is not None and self._connection.get_transaction() is not None:
            await self.run(how, ends=True)

    def _replace_unless_idle(self, connection: Connection) -> None:
        """Close a connection whose COMMIT or ROLLBACK failed, on a full disk for instance; the next step opens another.

        The transaction stays attached to such a connection, and every later statement would fail.
        """
        driver: Any = connection.connection.dbapi_connection if not connection.invalidated else None
        if connection.get_transaction() is None and driver is not None and not driver.in_transaction:
            return
        self._connection = None
        connection.invalidate()
        connection.close()

    async def close(self) -> None:
        if self._connection is not None:
            await self.run(lambda connection: connection.close())
        self._thread.shutdown()


def _fetched(result: CursorResult[Any]) -> Result[Any]:
    return result.freeze()() if result.returns_rows else result


def _result(coroutine: Coroutine[Any, Any, T]) -> T:
    try:
        coroutine.send(None)
    except StopIteration as ended:
        result: T = ended.value
        return result
    coroutine.close()
    raise RuntimeError(f"{coroutine} waits for something in a transaction")
