"""Transactions that a cancelled task does not tear.

A statement that is cancelled half-way leaves its connection in an unknown state, and SQLAlchemy gives it up: on SQLite
with the lock that it holds. So a cancellation takes effect between two statements.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gateway.storage.database import DatabaseUnavailableError

T = TypeVar("T")


class UninterruptedConnection(AsyncConnection):
    async def execute(self, *args: Any, **options: Any) -> Any:
        return await finished(super().execute(*args, **options))

    async def run_sync(self, *args: Any, **options: Any) -> Any:
        return await finished(super().run_sync(*args, **options))


class UninterruptedEngine(AsyncEngine):
    _connection_cls = UninterruptedConnection


@asynccontextmanager
async def steady(engine: UninterruptedEngine) -> AsyncIterator[AsyncConnection]:
    """One transaction, committed when the block ends and rolled back when it raises."""
    connection = engine.connect()
    try:
        try:
            await finished(connection.start())
        except PoolTimeoutError as error:
            raise DatabaseUnavailableError(None, None, error) from error
        transaction = connection.begin()
        try:
            await finished(transaction.start())
            yield connection
        except BaseException:
            if transaction.is_valid:
                await finished(transaction.rollback())
            raise
        else:
            await finished(transaction.commit())
    finally:
        if connection.sync_connection is not None:
            await finished(connection.close())


async def finished(step: Awaitable[T]) -> T:
    """Runs a step to its end, and is cancelled only then."""
    task, cancelled = asyncio.ensure_future(step), False
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():
                raise
            cancelled = True
        except BaseException:  # noqa: BLE001 - raised below, from the task
            break
    if cancelled:
        if task.exception() is not None:
            raise asyncio.CancelledError from task.exception()
        raise asyncio.CancelledError
    return task.result()
