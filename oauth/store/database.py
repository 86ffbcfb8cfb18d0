"""The contract between `oauth` and the database that the gateway opens."""

from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from sqlalchemy import Table
from sqlalchemy.ext.asyncio import AsyncConnection


class Database(Protocol):
    """A database with transactions. The gateway implements it, for SQLite and for PostgreSQL."""

    def read(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """Open a connection for reading."""
        ...

    def write(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """Open a transaction for writing. It is committed when the block ends, and rolled back when it raises."""
        ...

    def upsert(self, table: Table) -> Any:
        """Return an INSERT that has `on_conflict_do_update(…)`, for a row that exists already."""
        ...
