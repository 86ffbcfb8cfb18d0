"""The database: transactions that nothing tears, and clear words for one that cannot be had."""

import asyncio
import random
from datetime import UTC, datetime
from pathlib import Path

import pytest
from peers.postgres import PostgresServer
from sqlalchemy import delete, func, insert, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from stage import stage

from gateway.config import GatewaySettings
from gateway.database import Database, make_database
from gateway.postgres import PostgresDatabase
from gateway.tables import pauses
from oauth import SettingError


async def change(database: Database) -> None:
    async with database.write() as connection:
        await connection.execute(select(pauses))
        await connection.execute(insert(pauses).values(channel="c", tenant="t", until=datetime.now(UTC)))
        await connection.execute(delete(pauses))


async def test_a_cancelled_task_leaves_no_transaction_open(tmp_path: Path, database_url: str) -> None:
    database = make_database(database_url)
    await database.open()
    chance = random.Random(1)
    try:
        for _ in range(30):
            tasks = [asyncio.create_task(change(database)) for _ in range(10)]
            await asyncio.sleep(chance.random() * 0.01)
            for task in chance.sample(tasks, 5):
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert {type(result) for result in results} <= {type(None), asyncio.CancelledError}
        await change(database)
    finally:
        await database.close()


async def test_a_postgresql_that_is_not_there_is_named_without_its_password() -> None:
    database = make_database("postgresql://someone:hunter2@127.0.0.1:9/nothing")
    for attempt in (database.open, database.upgrade):
        with pytest.raises(SettingError, match=r"UNDERSTUDY_DATABASE_URL names postgresql://someone:\*\*\*@") as raised:
            await attempt()
        assert "hunter2" not in str(raised.value)


async def test_a_schema_of_another_version_is_upgraded_by_the_operator(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    url = postgres.make(empty=True)
    scene = stage(tmp_path, database=url)
    with pytest.raises(SettingError, match="understudy db upgrade"):
        async with scene.open():
            pytest.fail("it was opened")
    await asyncio.gather(*(make_database(url).upgrade() for _ in range(3)))
    async with scene.open():
        assert await scene.ask("alice", "hello") == "heard: hello"


async def test_a_transaction_that_hangs_ends_before_a_worker_that_hangs_is_taken_for_dead(
    postgres: PostgresServer,
) -> None:
    database = make_database(postgres.make())
    await database.open()
    try:
        async with database.write() as connection:
            statement = "SELECT extract(epoch FROM current_setting('idle_in_transaction_session_timeout')::interval)"
            limit = (await connection.execute(text(statement))).scalar_one()
    finally:
        await database.close()
    assert 0 < limit <= GatewaySettings().takeover_seconds


async def test_what_a_transaction_that_hangs_holds_is_free_when_it_is_ended(postgres: PostgresServer) -> None:
    url, lock = make_url(postgres.make()), select(func.pg_advisory_xact_lock(1))
    hanging, other = PostgresDatabase(url, idle_timeout=0.3), PostgresDatabase(url)

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


async def test_a_worker_needs_a_database_that_processes_share(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="Workers need PostgreSQL"):
        async with stage(tmp_path).gateway.worker():
            pytest.fail("it works")
