"""A gateway moves to another database with all stored data."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from peers.postgres import PostgresServer
from support.gate import Gate
from support.stage import Vault, stage
from typer.testing import CliRunner

from gateway.cli.main import app
from gateway.operations.copying import copy_database
from oauth import Keyring, SettingError


async def test_a_gateway_resumes_on_another_database(tmp_path: Path, postgres: PostgresServer) -> None:
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
    assert "Copying rows" not in result.output  # the progress bar, which is for terminals
    second = stage(tmp_path, [Vault()], key=key, database=target)
    async with second.open():
        assert [sent.text for sent in await second.wait_for(1)] == ["heard: still there?"]
        assert not await second.write("alice", "again", id="e1")  # its dedupe key was copied
        assert await second.ask("alice", "call open_vault", id="e3") == "SECRET-alice"
    for table in ("audit", "session_items", "dedupe_keys", "conversations"):
        count = f"SELECT count(*) FROM {table}"
        assert second.rows(count)[0][0] >= first.rows(count)[0][0] > 0
    with pytest.raises(SettingError, match="Give an empty database"):
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


async def test_the_progress_of_a_copy_adds_up(tmp_path: Path) -> None:
    scene = stage(tmp_path)
    async with scene.open():
        await scene.ask("alice", "hello")
    reported: list[tuple[int, int]] = []
    copied = await copy_database(
        scene.database, f"sqlite:///{tmp_path}/target.db", lambda total, more: reported.append((total, more))
    )
    assert {total for total, _ in reported} == {sum(more for _, more in reported)} == {sum(copied.values())}
