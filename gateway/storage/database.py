"""The interface of a database, which SQLite and PostgreSQL implement."""

import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar

from sqlalchemy import Engine, Table, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.storage.schema import Difference, Schema
from oauth import SettingError
from oauth.errors import UnderstudyError

POOL_TIMEOUT = 30  # seconds that a transaction waits for a connection
LEAVE_TIME = 2.0  # seconds in which a server should notice that a process that used it has ended
LEAVE_POLL = 0.1  # seconds between two queries for open connections

URL_SETTING = "UNDERSTUDY_DATABASE_URL"

log = logging.getLogger(__name__)

T = TypeVar("T")

#: The body of a transaction: see `Database.run_write`.
Work = Callable[[AsyncConnection], Coroutine[Any, Any, T]]


class DatabaseUnavailableError(UnderstudyError, OperationalError):
    """The database could not be reached, or did not answer in time. The statement itself is not at fault."""


def raise_unavailable(engine: Engine) -> None:
    """Make an engine raise `DatabaseUnavailableError` when its driver reports that the database cannot be used.

    The error's type tells failures of the gateway's own database from those of a tool's database, which raise plain
    `OperationalError`s.
    """

    @event.listens_for(engine, "handle_error")
    def replace(context: ExceptionContext) -> None:
        failed = isinstance(context.sqlalchemy_exception, (OperationalError, InterfaceError))
        if failed and not context.is_pre_ping:
            original = context.original_exception
            raise DatabaseUnavailableError(context.statement, None, original, hide_parameters=True) from original


def environment_origin() -> str:
    """Return the origin of the address that the settings have: UNDERSTUDY_DATABASE_URL, or that it is not set."""
    return URL_SETTING if os.environ.get(URL_SETTING) else f"{URL_SETTING} is not set"


def origin_clause(origin: str, database: object) -> str:
    """Return the clause with which an error message begins: which database it is, and where it is configured."""
    return f"The database ({origin}) is {database}"


class Database(ABC):
    """The gateway's database: a SQLite file for one process, or a PostgreSQL database that many processes share."""

    #: Where its address is configured, for error messages.
    origin: str
    #: The schema that the code needs.
    schema: Schema
    #: Whether several gateways and workers may have it open at once.
    shared: bool
    #: The FROM item that turns the parameter `:rows`, a JSON array of arrays, into one row per inner array.
    json_rows: str
    #: SQL expressions for the first eight items of such an inner array.
    json_items: Sequence[str]

    @property
    @abstractmethod
    def address(self) -> str:
        """The address of the database without the password, for messages."""

    @abstractmethod
    async def open(self, *, create: bool = True) -> None:
        """Open the database for a gateway or a worker.

        Args:
            create: whether to create a SQLite file that does not exist.

        Raises:
            SettingError: if the database cannot be used, or the code does not run over its schema.
        """

    @abstractmethod
    async def open_alongside(self) -> None:
        """Open the database for an operator's command, which may run while a gateway has the database open.

        Raises:
            SettingError: see `open`.
        """

    @abstractmethod
    async def upgrade(self) -> None:
        """Create the tables, or upgrade the schema to the newest version. The database must not be open in this object.

        Raises:
            SettingError: if the database cannot be used, or processes are running whose code does not run over the new
                schema.
        """

    @abstractmethod
    async def close(self) -> None: ...

    @abstractmethod
    def read(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """Begin a read-only transaction on a snapshot of the database, and yield its connection."""

    @abstractmethod
    def write(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """Begin a writing transaction and yield its connection.

        The transaction commits when the block ends, and rolls back when the block raises.
        """

    @abstractmethod
    async def run_read(self, work: Work[T]) -> T:
        """Run a function in a read-only transaction and return its result.

        It differs from `read()` as `run_write` differs from `write()`.
        """

    @abstractmethod
    async def run_write(self, work: Work[T]) -> T:
        """Run a function in a writing transaction, commit, and return the function's result.

        The block of `write()` runs in the event loop and may await anything; on SQLite each of its statements is sent
        to the connection's thread separately. `run_write` runs the whole function in that thread, which takes a
        fraction of the time. On PostgreSQL both do the same.

        Args:
            work: a function that awaits only the connection's `execute`, and uses nothing that belongs to the event
                loop.
        """

    @abstractmethod
    def upsert(self, table: Table) -> Any:
        """Return an INSERT with the dialect's `on_conflict_do_nothing()` and `on_conflict_do_update()`."""

    @abstractmethod
    async def lock(self, connection: AsyncConnection, table: Table) -> None:
        """Let no other transaction change a table until this one ends. Call it before anything else is locked."""

    @abstractmethod
    async def other_clients(self) -> list[str]:
        """Return the application names of the other connections that this user has to the database."""

    @abstractmethod
    async def continue_numbering(self, connection: AsyncConnection, tables: Iterable[Table]) -> None:
        """Make each table's ids continue after the highest one, after rows were inserted with explicit ids."""

    async def migrate(self, connection: AsyncConnection) -> bool:
        """Upgrade the schema if it is older, and return whether it was.

        Raises:
            SettingError: see `check_schema`.
        """
        difference = await connection.run_sync(self.schema.compare)
        if difference is Difference.OLDER:
            await connection.run_sync(self.schema.migrate)
            return True
        self.check_schema(difference)
        return False

    def check_schema(self, difference: Difference, remedy: str = "run `understudy db upgrade`") -> None:
        """Check that this code runs over a schema.

        Args:
            remedy: what an operator does about an older schema.

        Raises:
            SettingError: if it does not.
        """
        clause = origin_clause(self.origin, self.address)
        if difference is Difference.OLDER:
            raise SettingError(f"{clause}, whose schema is missing or older than this version of understudy: {remedy}.")
        if difference is Difference.TOO_NEW:
            raise SettingError(
                f"{clause}, whose schema belongs to a newer version of understudy, and this version no longer runs "
                "over it: start the newer version."
            )
        if difference is Difference.NEWER:
            log.info(
                "%s, whose schema belongs to a newer version of understudy: this version still runs over it", clause
            )
