"""The database in PostgreSQL: its address, its schema, and transactions that hang."""

import asyncio
from pathlib import Path

import pytest
from peers.postgres import PostgresServer
from sqlalchemy import func, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from support.stage import stage

from gateway.settings import GatewaySettings
from gateway.storage.connect import connect
from gateway.storage.postgres import PostgresDatabase
from oauth import SettingError


async def test_an_unreachable_server_is_named_without_the_password() -> None:
    database = connect("postgresql://someone:hunter2@127.0.0.1:9/nothing")
    for attempt in (database.open, database.upgrade):
        with pytest.raises(
            SettingError, match=r"The database \(UNDERSTUDY_DATABASE_URL[^)]*\) is postgresql://someone:\*\*\*@"
        ) as raised:
            await attempt()
        assert "hunter2" not in str(raised.value)


async def test_an_old_schema_is_refused_until_the_operator_upgrades_it(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    url = postgres.make(empty=True)
    scene = stage(tmp_path, database=url)
    with pytest.raises(SettingError, match="understudy db upgrade"):
        async with scene.open():
            pytest.fail("it was opened")
    await asyncio.gather(*(connect(url).upgrade() for _ in range(3)))
    async with scene.open():
        assert await scene.ask("alice", "hello") == "heard: hello"


async def test_a_hanging_transaction_ends_before_its_worker_counts_as_dead(
    postgres: PostgresServer,
) -> None:
    database = connect(postgres.make())
    await database.open()
    try:
        async with database.write() as connection:
            statement = "SELECT extract(epoch FROM current_setting('idle_in_transaction_session_timeout')::interval)"
            limit = (await connection.execute(text(statement))).scalar_one()
    finally:
        await database.close()
    assert 0 < limit <= GatewaySettings().takeover_seconds


async def test_the_end_of_a_hanging_transaction_releases_its_locks(postgres: PostgresServer) -> None:
    url, lock = make_url(postgres.make()), select(func.pg_advisory_xact_lock(1))
    hanging, other = PostgresDatabase(url, "a test", idle_timeout=0.3), PostgresDatabase(url, "a test")

    async def hang() -> None:
        async with hanging.write() as hung:
            await hung.execute(lock)
            async with other.write() as connection:
                await connection.execute(lock)
            await hung.execute(lock)

    await hanging.open()
    await other.open()
    try:
        with pytest.raises(DBAPIError, match="idle-in-transaction timeout"):
            await hang()
    finally:
        await hanging.close()
        await other.close()
