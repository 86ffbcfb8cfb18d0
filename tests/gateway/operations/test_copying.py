"""What a database that grows costs, and what becomes of what is old; and the way to another database."""

import asyncio
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from gate import Gate
from peers.postgres import PostgresServer
from sqlalchemy import event
from stage import Vault, place, stage
from typer.testing import CliRunner

from gateway.cli.main import app
from gateway.operations.copying import copy_database
from gateway.operations.retention import Retention
from gateway.storage.connect import connect
from oauth import Keyring, SettingError

OLD = "'2020-01-01 00:00:00.000000'"


async def test_no_statement_of_a_turn_reads_a_whole_table(tmp_path: Path) -> None:
    """As SQLite's planner says it, of each statement that accepting, playing and sending a message makes."""
    scene = stage(tmp_path)
    seen: dict[str, object] = {}

    def note(_: object, __: object, statement: str, parameters: Any, ___: object, many: bool) -> None:
        seen.setdefault(statement, parameters[0] if many else parameters)

    async with scene.open():
        for engine in (scene.gateway.parts.backend.database._writer, scene.gateway.parts.backend.database._readers):
            assert engine is not None
            event.listen(engine.sync_engine, "before_cursor_execute", note)
        await scene.ask("alice", "one")
        await scene.gateway.send(place("dm-alice"), "two")
        await scene.wait_for(2)
        await scene.gateway.parts.inbox.resume_due()
        await scene.gateway.parts.outbox.resume_due()
        plans = await asyncio.to_thread(_plans, tmp_path / "stage.db", seen)
    assert len(plans) > 10
    assert {statement: plan for statement, plan in plans.items() if any(_is_scan(line) for line in plan)} == {}


def _plans(path: Path, statements: dict[str, object]) -> dict[str, list[str]]:
    with closing(sqlite3.connect(path)) as database:
        return {
            statement: [row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)]  # type: ignore[arg-type]
            for statement, parameters in statements.items()
            if statement.split()[0] in ("SELECT", "UPDATE", "DELETE", "INSERT")
        }


def _is_scan(line: str) -> bool:
    # A partial index is small whatever the table grows to; so is the list of a statement's own values.
    return line.startswith("SCAN") and not any(word in line for word in ("USING INDEX", "CONSTANT", "json_each"))


async def test_what_is_old_and_done_is_removed_and_its_keys_are_kept(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.operations.retention.BATCH", 3)
    scene = stage(tmp_path, database=database_url)
    async with scene.open():
        for number in range(10):
            await scene.ask("alice", str(number), id=f"e{number}")
        await scene.change(f"UPDATE inbox SET accepted_at = {OLD} WHERE id <= (SELECT min(id) + 7 FROM inbox)")
        await scene.change("UPDATE inbox SET status = 'dead' WHERE id = (SELECT min(id) FROM inbox)")
        database = connect(database_url)
        await database.open_alongside()
        assert await Retention(database, timedelta(days=30)).remove() == 7
        assert await Retention(database, timedelta(days=30)).remove() == 0
        await database.close()
        assert not await scene.write("alice", "again", id="e1")
        assert await scene.ask("alice", "ten", id="e10") == "heard: ten"
    assert scene.rows("SELECT status FROM inbox ORDER BY id") == [("dead",), ("done",), ("done",), ("done",)]
    assert scene.rows("SELECT count(*) FROM outbox") == [(4,)]
    assert scene.rows("SELECT count(*) FROM session_items") == [(22,)]


async def test_a_gateway_goes_on_where_it_was_on_another_database(tmp_path: Path, postgres: PostgresServer) -> None:
    key, target = Keyring.generate(), postgres.make(empty=True)
    gate = Gate()
    first = stage(tmp_path, [Vault()], key=key)
    async with first.open():
        await first.write("alice", "call open_vault", id="e1")
        await first.connect((await first.wait_for(1))[0].link, "alice")
        await first.wait_for(2)
    waiting = stage(tmp_path, model=gate.model, key=key)
    async with waiting.open():  # a message that is accepted and not answered when the gateway stops
        await waiting.write("bob", "still there?", id="e2")
        await gate.holds(1)
        with pytest.raises(SettingError, match="another understudy process has open"):
            await copy_database(waiting.database, target)
        for drain in waiting.gateway.parts.backend.dispatcher._running.values():  # type: ignore[attr-defined]
            drain.cancel()
    run = CliRunner().invoke
    result = await asyncio.to_thread(run, app, ["db", "copy", first.database, target])
    assert result.exception is None, result.output
    second = stage(tmp_path, [Vault()], key=key, database=target)
    async with second.open():
        assert [sent.text for sent in await second.wait_for(1)] == ["heard: still there?"]
        assert not await second.write("alice", "again", id="e1")  # known from before
        assert await second.ask("alice", "call open_vault", id="e3") == "SECRET-alice"
    for table in ("audit", "session_items", "dedupe_keys", "conversations"):
        count = f"SELECT count(*) FROM {table}"
        assert second.rows(count)[0][0] >= first.rows(count)[0][0] > 0
    with pytest.raises(SettingError, match="name an empty one"):
        await copy_database(first.database, target)


async def test_a_database_that_does_not_exist_is_not_copied(tmp_path: Path) -> None:
    source, target = tmp_path / "mistyped.db", tmp_path / "target.db"
    arguments = ["db", "copy", f"sqlite:///{source}", f"sqlite:///{target}"]
    for found in (None, b"", b"CREATE"):
        if found is not None:
            source.touch()
        if found == b"CREATE":
            with closing(sqlite3.connect(source)) as connection:
                connection.execute("CREATE TABLE another (id)")
        result = await asyncio.to_thread(CliRunner().invoke, app, arguments)
        assert isinstance(result.exception, SettingError)
        assert str(source) in str(result.exception)
        assert "Copied" not in result.output
        assert source.exists() == (found is not None)
        assert not target.exists()
    with closing(sqlite3.connect(source)) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("another",)]


async def test_a_postgresql_that_is_in_use_is_not_copied(tmp_path: Path, postgres: PostgresServer) -> None:
    scene, target = stage(tmp_path, database=postgres.make()), f"sqlite:///{tmp_path}/target.db"
    async with scene.open():
        assert await scene.ask("alice", "hello") == "heard: hello"
        with pytest.raises(SettingError, match=r"in use: its user has other connections open \(understudy"):
            await copy_database(scene.database, target)
    assert not (tmp_path / "target.db").exists()
    assert (await copy_database(scene.database, target))["inbox"] == 1
