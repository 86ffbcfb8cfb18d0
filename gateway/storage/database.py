import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar

from sqlalchemy import Engine, Table, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection

from oauth.errors import UnderstudyError

POOL_TIMEOUT = 30  # seconds that a statement waits for a connection

T = TypeVar("T")

Work = Callable[[AsyncConnection], Coroutine[Any, Any, T]]

SETTING = "UNDERSTUDY_DATABASE_URL"


class DatabaseUnavailableError(UnderstudyError, OperationalError):
    """The database could not be reached, or did not answer in time. What was to be written is not at fault."""


def name_failures(engine: Engine) -> None:
    """Have an engine raise `DatabaseUnavailableError` where its driver says that the database cannot be used.

    A tool may use a database of its own, whose `OperationalError` is none of the gateway's.
    """

    @event.listens_for(engine, "handle_error")
    def replace(context: ExceptionContext) -> None:
        failed = isinstance(context.sqlalchemy_exception, (OperationalError, InterfaceError))
        if failed and not context.is_pre_ping:
            original = context.original_exception
            raise DatabaseUnavailableError(context.statement, None, original, hide_parameters=True) from original


def named(database: object) -> str:
    """Return the beginning of a sentence about a database, which tells where its name comes from."""
    if os.environ.get(SETTING):
        return f"{SETTING} names {database}"
    return f"The database ({SETTING} is not set) is {database}"


class Database(ABC):
    """Where everything is stored: a SQLite file of one process, or PostgreSQL, which many share."""

    #: Whether several gateways and workers may have it open at once.
    shared: bool
    #: What makes rows of the items of a JSON array, and what gives the items of each, which is an array, too.
    json_rows: str
    json_items: Sequence[str]

    @abstractmethod
    async def open(self, *, create: bool = True) -> None:
        """Open it for a gateway or a worker.

        Args:
            create: whether a SQLite file that does not exist is made.

        Raises:
            SettingError: if it cannot be had, or its schema is another version's.
        """

    @abstractmethod
    async def open_alongside(self) -> None:
        """Opens it for an operator's command, also while a gateway has it open.

        Raises:
            SettingError: as `open`.
        """

    @abstractmethod
    async def upgrade(self) -> None:
        """Makes it, or brings its schema up to date, while nobody has it open here.

        Raises:
            SettingError: if it cannot be had.
        """

    @abstractmethod
    def upsert(self, table: Table) -> Any:
        """An INSERT that can say what is done where a row is there already: `on_conflict_do_nothing()` and so on."""

    @abstractmethod
    async def close(self) -> None: ...

    @abstractmethod
    async def run_write(self, work: Work[T]) -> T:
        """Runs a writing transaction as a whole, which on SQLite takes a fraction of what its statements one by one do.

        Args:
            work: awaits nothing but the connection's methods. On SQLite it runs in a thread.
        """

    @abstractmethod
    async def run_read(self, work: Work[T]) -> T:
        """The same, to read only: `work` sees one state of the database."""

    @abstractmethod
    def write(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """One writing transaction, committed when the block ends and rolled back when it raises."""

    @abstractmethod
    def read(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """A connection to read with, which sees one state of the database."""
