from contextlib import AbstractAsyncContextManager

from sqlalchemy import Table, func, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from gateway.database import POOL_TIMEOUT, SETTING, Database, T, Work, is_current, migrate
from gateway.steady import SteadyEngine, steady
from oauth import SettingError

CONNECTIONS = 10  # kept open by each process, and as many again under load
CONNECT_TIMEOUT = 10  # seconds
# Milliseconds. A worker that hangs in a transaction must not hold up those that take its turns over.
TIMEOUTS = "-c statement_timeout=60000 -c lock_timeout=20000 -c idle_in_transaction_session_timeout=10000"
UPGRADE_LOCK = 0x756E6465  # of two that bring the schema up to date at once, one waits


class PostgresDatabase(Database):
    """A PostgreSQL database, which any number of gateways and workers share.

    Its schema is brought up to date by `understudy db upgrade`, and by nothing else: an operator says when.
    """

    shared = True
    json_rows = "json_array_elements(CAST(:rows AS json))"
    json_items = tuple(f"value ->> {place}" for place in range(5))

    def __init__(self, url: URL) -> None:
        self._writer: SteadyEngine | None = None
        self._reader: SteadyEngine | None = None
        self._url = url.set(drivername="postgresql+psycopg")

    @property
    def conninfo(self) -> str:
        """The address as libpq takes it. There may be a password in it."""
        return self._url.set(drivername="postgresql").render_as_string(hide_password=False)

    async def open(self) -> None:
        await self.open_alongside()

    async def open_alongside(self) -> None:
        self._connect()
        try:
            async with self.read() as connection:
                current = await connection.run_sync(is_current)
        except DBAPIError as error:
            await self.close()
            raise self._unreachable(error) from None
        if not current:
            await self.close()
            raise SettingError(
                f"{SETTING} names {self._shown}, whose schema is not that of this version: run `understudy db upgrade`."
            )

    async def upgrade(self) -> None:
        self._connect(options="")
        try:
            async with self.write() as connection:
                await connection.execute(select(func.pg_advisory_xact_lock(UPGRADE_LOCK)))
                await connection.run_sync(migrate)
        except DBAPIError as error:
            raise self._unreachable(error) from error
        finally:
            await self.close()

    async def close(self) -> None:
        if self._writer is not None:
            await self._writer.dispose()
        self._reader = self._writer = None

    def write(self) -> AbstractAsyncContextManager[AsyncConnection]:
        assert self._writer is not None, "the database is not open"
        return steady(self._writer)

    def read(self) -> AbstractAsyncContextManager[AsyncConnection]:
        assert self._reader is not None, "the database is not open"
        return steady(self._reader)

    async def transact(self, work: Work[T]) -> T:
        async with self.write() as connection:
            return await work(connection)

    async def look(self, work: Work[T]) -> T:
        async with self.read() as connection:
            return await work(connection)

    def upsert(self, table: Table) -> postgresql.Insert:
        return postgresql.insert(table)

    def _connect(self, options: str = TIMEOUTS) -> None:
        engine = create_async_engine(
            self._url,
            pool_size=CONNECTIONS,
            max_overflow=CONNECTIONS,
            pool_timeout=POOL_TIMEOUT,
            pool_pre_ping=True,
            connect_args={"connect_timeout": CONNECT_TIMEOUT, "options": options},
        )
        reading = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        self._writer, self._reader = SteadyEngine(engine.sync_engine), SteadyEngine(reading.sync_engine)

    @property
    def _shown(self) -> str:
        return self._url.set(drivername="postgresql").render_as_string(hide_password=True)

    def _unreachable(self, error: DBAPIError) -> SettingError:
        reason = str(error.orig).strip().partition("\n")[0]
        return SettingError(f"{SETTING} names {self._shown}, which cannot be used: {reason}.")
