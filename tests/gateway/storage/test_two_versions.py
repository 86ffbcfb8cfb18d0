"""Two versions of the code over one schema, while an operator replaces one by the other."""

import asyncio
import logging
from pathlib import Path

import psycopg
import pytest
from peers.postgres import PostgresServer
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models.function import AgentInfo
from support.schemas.later import EXPANDING, later_schema
from support.stage import obey, stage, stage_timings

from gateway.storage.connect import connect
from gateway.storage.schema import Schema
from oauth import SettingError

PREPARED = 6  # times after which the driver has prepared a statement, for one table as it was


def contract_later(directory: Path) -> tuple[Schema, Schema]:
    """Return the schema of the next release, and of the one after it, over which only the next one's code runs."""
    next_one = later_schema(directory / "next", *EXPANDING)
    declaration = f'op.execute(require_code("{next_one.newest}"))'
    return next_one, later_schema(directory / "contracted", declaration, 'op.drop_table("feedback")', after=next_one)


async def test_a_running_gateway_answers_while_an_upgrade_expands_the_schema_beneath_it(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    scene = stage(tmp_path, database=postgres.make())
    async with scene.open():
        for number in range(PREPARED):
            assert await scene.ask("alice", f"{number}") == f"heard: {number}"
        upgrade = asyncio.create_task(
            connect(scene.database, schema=later_schema(tmp_path / "l", *EXPANDING)).upgrade()
        )
        written = 0
        while not upgrade.done() or written < PREPARED:
            assert await scene.ask("alice", f"during {written}") == f"heard: during {written}"
            written += 1
        await upgrade


async def test_code_starts_over_a_newer_schema_says_so_and_answers_what_waited(
    tmp_path: Path, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    replaced = asyncio.Event()

    async def model(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        await replaced.wait()
        return await obey(messages, info)

    scene = stage(tmp_path, model=model, database=database_url, timings=stage_timings(shutdown_grace=0.0))
    async with scene.open():
        await scene.write("alice", "hello")
        await scene.wait_until_rows("SELECT count(*) FROM inbox WHERE status = 'running'", 1)
    await connect(database_url, schema=later_schema(tmp_path / "later", *EXPANDING)).upgrade()
    replaced.set()
    with caplog.at_level(logging.INFO):
        async with scene.open():
            assert [sent.text for sent in await scene.wait_for(1)] == ["heard: hello"]
    assert "whose schema belongs to a newer version of understudy: this version still runs over it" in caplog.text
    await connect(database_url).upgrade()  # does nothing, and is no mistake
    command = connect(database_url)
    await command.open_alongside()
    await command.close()


async def test_code_refuses_a_schema_that_no_longer_has_what_it_needs(tmp_path: Path, database_url: str) -> None:
    between, contracted = contract_later(tmp_path)
    await connect(database_url, schema=contracted).upgrade()
    database = connect(database_url)
    for attempt in (database.open, database.open_alongside, database.upgrade):
        with pytest.raises(SettingError, match=r"no longer runs over it: start the newer version\.$"):
            await attempt()
    release_before = connect(database_url, schema=between)
    await release_before.open()
    await release_before.close()


async def test_an_upgrade_is_refused_while_code_runs_that_would_not_survive_it(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    url = postgres.make()
    scene = stage(tmp_path, database=url)
    between, contracted = contract_later(tmp_path)
    async with scene.open():
        with pytest.raises(SettingError, match="Processes of an older version of understudy use it"):
            await connect(url, schema=contracted).upgrade()
        assert await scene.ask("alice", "hello") == "heard: hello"
        await connect(url, schema=between).upgrade()
        assert await scene.ask("alice", "hello again") == "heard: hello again"
    await connect(url, schema=contracted).upgrade()


async def test_an_upgrade_that_waits_for_a_lock_lets_running_processes_through(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    scene = stage(tmp_path, database=postgres.make())
    later = connect(scene.database, schema=later_schema(tmp_path / "later", *EXPANDING))
    waiting = "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND NOT granted"
    async with scene.open(), await psycopg.AsyncConnection.connect(scene.database) as backup:
        await backup.execute("LOCK TABLE inbox, outbox, session_items IN ACCESS SHARE MODE")
        upgrade = asyncio.create_task(later.upgrade())
        await scene.wait_until(lambda: scene.rows(waiting)[0][0] > 0)
        assert await scene.ask("alice", "hello") == "heard: hello"
        assert not upgrade.done()
        await backup.rollback()
        await upgrade
        assert await scene.ask("alice", "hello again") == "heard: hello again"
