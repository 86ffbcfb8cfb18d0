"""SQLAlchemy's asyncio engine, with transactions that survive the cancellation of a task.

A statement that is cancelled half-way leaves its connection in an unknown state, and SQLAlchemy discards the
connection. So a cancellation takes effect only between two statements.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gateway.cancellation import uninterrupted
from gateway.storage.database import DatabaseUnavailableError


class UninterruptedConnection(AsyncConnection):
    """A connection whose statements finish before a cancellation is raised."""

    async def execute(self, *args: Any, **options: Any) -> Any:
        return await uninterrupted(super().execute(*args, **options))

    async def run_sync(self, *args: Any, **options: Any) -> Any:
        return await uninterrupted(super().run_sync(*args, **options))


class UninterruptedEngine(AsyncEngine):
    """An engine whose transactions finish each step before a cancellation is raised."""

    _connection_cls = UninterruptedConnection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """Yield a connection; commit when the block ends, roll back when it raises."""
        connection = self.connect()
        try:
            try:
                await uninterrupted(connection.start())
            except PoolTimeoutError as error:
                raise DatabaseUnavailableError(None, None, error) from error
            transaction = connection.begin()
            try:
                await uninterrupted(transaction.start())
                yield connection
            except BaseException:
                if transaction.is_valid:
                    await uninterrupted(transaction.rollback())
                raise
            else:
                await uninterrupted(transaction.commit())
        finally:
            if connection.sync_connection is not None:
                await uninterrupted(connection.close())
