from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from sqlalchemy import Table
from sqlalchemy.ext.asyncio import AsyncConnection


class Database(Protocol):
    """What this package needs of the database that the gateway opens."""

    def read(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """A connection to read with."""
        ...

    def write(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """One writing transaction, committed when the block ends and rolled back when it raises."""
        ...

    def upsert(self, table: Table) -> Any:
        """An INSERT that can say what is done where a row is there already: `on_conflict_do_update(…)`."""
        ...
