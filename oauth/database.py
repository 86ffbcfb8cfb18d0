from contextlib import AbstractAsyncContextManager
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncConnection


class Database(Protocol):
    """What this package needs of the database that the gateway opens."""

    def read(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """A connection to read with."""
        ...

    def write(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """One writing transaction, committed when the block ends and rolled back when it raises."""
        ...
