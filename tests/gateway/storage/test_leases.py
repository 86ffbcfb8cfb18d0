"""Only one of all processes at a time runs a function under a lease."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from peers.postgres import PostgresServer
from peers.tcp_proxy import TcpProxy
from sqlalchemy import insert, select, update
from sqlalchemy.engine import make_url

from gateway.storage.connect import connect
from gateway.storage.database import Database
from gateway.storage.leases import Leases
from gateway.storage.postgres import PostgresDatabase
from gateway.storage.tables import leases
from gateway.testing import make_migrated, wait_until

VALID = 1.0  # seconds
NAME = "test/poll"
LONG = 3600.0  # seconds


@asynccontextmanager
async def opened(url: str, answer_timeout: float | None = None) -> AsyncIterator[Database]:
    database = connect(url)
    if answer_timeout is not None:
        assert isinstance(database, PostgresDatabase)
        database.answer_timeout = answer_timeout
    await database.open()
    try:
        yield database
    finally:
        await database.close()


class Work:
    """A function that runs until it is cancelled, and records when it begins and ends."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def of(self, name: str) -> Callable[[], Coroutine[None, None, None]]:
        async def work() -> None:
            self.events.append(f"{name} begins")
            try:
                await asyncio.Event().wait()
            finally:
                self.events.append(f"{name} ends")

        return work

    async def has(self, event: str) -> None:
        await wait_until(lambda: event in self.events, what=event)


@asynccontextmanager
async def running(database: Database, name: str, work: Work, valid_for: float = VALID) -> AsyncIterator[None]:
    """Run a function of a process under the lease during the block."""
    task = asyncio.create_task(Leases(database, valid_for).run(NAME, work.of(name)))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def held_by(database: Database, holder: str) -> None:
    """Store the lease of a process that renews it no more."""
    async with database.write() as connection:
        await connection.execute(insert(leases).values(name=NAME, holder=holder, renewals=7))


async def holders(database: Database) -> list[str]:
    async with database.read() as connection:
        return list((await connection.execute(select(leases.c.holder))).scalars())


async def test_another_process_begins_at_once_when_the_holder_stops(postgres: PostgresServer) -> None:
    url, work = postgres.make(), Work()
    async with opened(url) as one, opened(url) as other, AsyncExitStack() as stack:
        async with running(one, "one", work, valid_for=LONG):
            await work.has("one begins")
            await stack.enter_async_context(running(other, "other", work))
        await work.has("other begins")
        await stack.aclose()
        assert work.events == ["one begins", "one ends", "other begins", "other ends"]
        assert await holders(one) == []


async def test_a_lease_that_its_process_no_longer_renews_is_taken_over(postgres: PostgresServer) -> None:
    work = Work()
    async with opened(postgres.make()) as database:
        await held_by(database, "dead")
        async with running(database, "other", work):
            await work.has("other begins")
            assert "dead" not in await holders(database)


async def test_a_lease_that_its_process_renews_is_not_taken_over(postgres: PostgresServer) -> None:
    url, work = postgres.make(), Work()
    async with opened(url) as one, opened(url) as other, running(one, "one", work):
        await work.has("one begins")
        async with running(other, "other", work):
            async with other.read() as connection:
                begun = (await connection.execute(select(leases.c.renewals))).scalar_one()

            async def has_been_renewed_for_long() -> bool:
                async with other.read() as connection:
                    return bool((await connection.execute(select(leases.c.renewals))).scalar_one() > begun + 8)

            await wait_until(has_been_renewed_for_long)
            assert work.events == ["one begins"]


async def test_on_sqlite_the_lease_of_the_process_before_is_taken_at_once(tmp_path: Path) -> None:
    make_migrated(tmp_path / "leases.db")
    work = Work()
    async with opened(f"sqlite:///{tmp_path}/leases.db") as database:
        await held_by(database, "dead")
        async with running(database, "one", work, valid_for=LONG):
            await work.has("one begins")
        assert await holders(database) == []


async def test_a_process_that_loses_its_lease_stops_and_waits_for_it_again(
    postgres: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    work = Work()
    async with opened(postgres.make()) as database, running(database, "one", work):
        await work.has("one begins")
        async with database.write() as connection:
            await connection.execute(update(leases).values(holder="thief"))
        await work.has("one ends")
        await wait_until(lambda: work.events == ["one begins", "one ends", "one begins"])
    assert f"lost the lease of '{NAME}'" in caplog.text


async def test_a_process_whose_database_is_silent_stops_before_another_one_begins(postgres: PostgresServer) -> None:
    direct, work = postgres.make(), Work()
    url = make_url(direct)
    directory, port = url.query.get("host"), url.port or 5432
    target = Path(f"{directory}/.s.PGSQL.{port}") if directory else (str(url.host), port)
    with TcpProxy(target) as proxy:
        there = url.set(host="127.0.0.1", port=proxy.port).difference_update_query(["host"])
        proxied = there.render_as_string(hide_password=False)
        one, other = opened(proxied, answer_timeout=2 * VALID), opened(direct)
        async with one as of_one, other as of_other, running(of_one, "one", work):
            await work.has("one begins")
            async with running(of_other, "other", work):
                proxy.silence()
                await work.has("other begins")
                assert work.events == ["one begins", "one ends", "other begins"]


async def test_a_function_that_is_cancelled_by_its_own_code_begins_again(postgres: PostgresServer) -> None:
    begun = 0

    async def stray() -> None:
        nonlocal begun
        begun += 1
        if begun == 1:
            raise asyncio.CancelledError

    async with opened(postgres.make()) as database:
        await Leases(database, VALID).run(NAME, stray)
    assert begun == 2


async def test_the_lease_is_released_when_the_function_returns_or_raises(database_url: str) -> None:
    async def done() -> None:
        return

    async def fails() -> None:
        raise ValueError("no tea")

    if database_url.startswith("sqlite"):
        make_migrated(Path(database_url.removeprefix("sqlite:///")))
    async with opened(database_url) as database:
        await Leases(database, LONG).run(NAME, done)
        with pytest.raises(ValueError, match="no tea"):
            await Leases(database, LONG).run(NAME, fails)
        assert await holders(database) == []
