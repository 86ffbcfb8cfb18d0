"""The database: transactions that nothing tears, and clear words for one that cannot be had."""

import asyncio
import os
import random
import sqlite3
import traceback
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from peers.postgres import PostgresServer
from sqlalchemy import delete, func, insert, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection
from stage import stage

from gateway.settings import GatewaySettings
from gateway.storage.connect import connect
from gateway.storage.database import Database
from gateway.storage.postgres import PostgresDatabase
from gateway.storage.tables import pauses
from oauth import SettingError


async def change(database: Database) -> None:
    async with database.write() as connection:
        await connection.execute(select(pauses))
        await connection.execute(insert(pauses).values(channel="c", tenant="t", until=datetime.now(UTC)))
        await connection.execute(delete(pauses))


async def test_a_cancelled_task_leaves_no_transaction_open(tmp_path: Path, database_url: str) -> None:
    database = connect(database_url)
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
    database = connect("postgresql://someone:hunter2@127.0.0.1:9/nothing")
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
    await asyncio.gather(*(connect(url).upgrade() for _ in range(3)))
    async with scene.open():
        assert await scene.ask("alice", "hello") == "heard: hello"


async def test_a_transaction_that_hangs_ends_before_a_worker_that_hangs_is_taken_for_dead(
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


async def test_the_files_of_a_database_are_their_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "stage.db"
    old = os.umask(0)
    try:
        with closing(sqlite3.connect(path)) as connection:  # an older version's, which everybody can read
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("CREATE TABLE another (id)")
            for each in (path, Path(f"{path}-wal"), Path(f"{path}-shm")):
                each.chmod(0o644)
            Path(f"{path}.lock").touch(0o666)
            assert {mode(each) for each in tmp_path.iterdir()} == {0o644, 0o666}
            scene = stage(tmp_path)
            async with scene.open():
                assert await scene.ask("alice", "hello") == "heard: hello"
                assert {each.name for each in tmp_path.iterdir()} >= {"stage.db", "stage.db-wal", "stage.db.lock"}
                assert {mode(each) for each in tmp_path.iterdir()} == {0o600}
        (tmp_path / "new").mkdir()
        other = stage(tmp_path / "new")
        (tmp_path / "new" / "stage.db").unlink()  # so that the gateway makes it
        async with other.open():
            await other.ask("alice", "hello")
            assert {mode(each) for each in (tmp_path / "new").iterdir()} == {0o600}
    finally:
        os.umask(old)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.mark.parametrize("kind", ["link", "dangling", "file"])
async def test_a_lock_neither_follows_a_link_nor_empties_a_file(tmp_path: Path, kind: str) -> None:
    precious, lock = tmp_path / "precious", tmp_path / "stage.db.lock"
    database = connect(f"sqlite:///{tmp_path}/stage.db")
    if kind == "file":
        lock.write_text("kept")
        await database.open()
        await database.close()
        assert lock.read_text() == "kept"
        return
    if kind == "link":
        precious.write_text("kept")
    lock.symlink_to(precious)
    with pytest.raises(SettingError, match=r"stage\.db\.lock is a symbolic link"):
        await database.open()
    assert precious.exists() == (kind == "link")
    assert kind == "dangling" or precious.read_text() == "kept"


async def test_a_database_behind_a_link_is_one_database(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "link.db").symlink_to(tmp_path / "there" / "real.db")
    first, second = (connect(f"sqlite:///{tmp_path}/{name}") for name in ("link.db", "there/real.db"))
    await first.open()
    try:
        with pytest.raises(SettingError, match="another understudy process has open"):
            await second.open()
    finally:
        await first.close()


def test_the_settings_do_not_show_the_password_of_the_database() -> None:
    settings = GatewaySettings(database_url="postgresql://someone:hunter2@db.example.com/understudy")
    assert "hunter2" not in f"{settings!r} {settings}"


async def test_an_error_of_the_database_shows_nothing_that_people_wrote(database_url: str) -> None:
    secret = "my password is hunter2"
    database = connect(database_url)
    row = {"channel": "c", "tenant": secret, "until": datetime.now(UTC)}

    async def twice(connection: AsyncConnection) -> None:
        await connection.execute(insert(pauses).values(row))
        await connection.execute(insert(pauses).values(row))

    async def many(connection: AsyncConnection) -> None:
        await connection.execute(insert(pauses), [row, row])

    async def not_there(connection: AsyncConnection) -> None:
        await connection.execute(text("INSERT INTO nothing SELECT CAST(:words AS text)"), {"words": secret})

    async def no_json(connection: AsyncConnection) -> None:
        rows = text(f"SELECT * FROM {database.json_rows}")
        await connection.execute(rows, {"rows": f'["\\u0000{secret}", ]'})

    await database.open()
    try:
        for work in (twice, many, not_there, no_json):
            with pytest.raises(DBAPIError) as raised:
                await database.run_write(work)
            with pytest.raises(DBAPIError) as again:
                async with database.write() as connection:
                    await work(connection)
            for error in (raised.value, again.value):
                assert secret not in "".join(traceback.format_exception(error))
    finally:
        await database.close()
