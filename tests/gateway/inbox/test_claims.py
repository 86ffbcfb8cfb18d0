"""Claims on messages: after a crash, at a shutdown, and when another worker takes over."""

import asyncio
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from peers.postgres import PostgresServer
from sqlalchemy.ext.asyncio import AsyncConnection
from support.gate import Gate
from support.stage import Vault, stage, stage_timings

from gateway.inbox.claims import ConversationBusyError
from gateway.storage.tables import InboxStatus


def rows(directory: Path, statement: str) -> list[Any]:
    with closing(sqlite3.connect(directory / "stage.db")) as database:
        return database.execute(statement).fetchall()


async def test_a_message_that_a_dead_process_was_playing_is_played_again(tmp_path: Path) -> None:
    gate = Gate()
    first = stage(tmp_path, model=gate.model)
    async with first.open():
        await first.write("alice", "hello")
        await gate.holds(1)
        snapshot(tmp_path)
        gate.opened.set()
        await first.wait_for(1)
    (tmp_path / "copy").rename(tmp_path / "stage.db")
    assert rows(tmp_path, "SELECT status, attempts FROM inbox") == [("running", 1)]
    second = stage(tmp_path)
    async with second.open():
        assert (await second.wait_for(1))[0].text == "heard: hello"


def snapshot(directory: Path) -> None:
    """Copy the database as a process that dies now would leave it."""
    source, target = sqlite3.connect(directory / "stage.db"), sqlite3.connect(directory / "copy")
    with closing(source) as database, closing(target) as copy:
        database.backup(copy)


async def test_a_message_in_whose_turns_the_process_died_too_often_is_given_up(tmp_path: Path) -> None:
    gate = Gate()
    first = stage(tmp_path, model=gate.model)
    async with first.open():
        await first.write("alice", "poison")
        await gate.holds(1)
        snapshot(tmp_path)
        gate.opened.set()
        await first.wait_for(1)
    (tmp_path / "copy").rename(tmp_path / "stage.db")
    with closing(sqlite3.connect(tmp_path / "stage.db")) as database, database:
        database.execute("UPDATE inbox SET attempts = 5")
    second = stage(tmp_path)
    async with second.open():
        assert "reference" in (await second.wait_for(1))[0].text
    assert rows(tmp_path, "SELECT status FROM inbox") == [("dead",)]


async def test_a_message_whose_turn_a_stop_cancels_is_released_and_played_again(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate()
    scene = stage(tmp_path, model=gate.model, database=database_url, timings=stage_timings(shutdown_grace=0.1))
    async with scene.open():
        await scene.write("alice", "hello")
        await gate.holds(1)
    assert scene.rows("SELECT status, attempts FROM inbox") == [("waiting", 0)]
    gate.opened.set()
    async with scene.open():  # the same gateway, opened again
        assert (await scene.wait_for(1))[0].text == "answer to hello"


async def test_a_turn_that_is_stopped_just_after_it_ended_stays_ended(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    scene = stage(tmp_path)
    ended = asyncio.Event()
    real = scene.gateway.parts.player.play

    async def play(row: Any, slot: Any) -> None:
        await real(row, slot)
        ended.set()
        await asyncio.Event().wait()  # the stop cancels it here

    scene.gateway.parts.player.play = play  # type: ignore[method-assign]
    async with scene.open():
        await scene.write("alice", "hello")
        await ended.wait()
        for drain in scene.gateway.parts.backend.dispatcher._running.values():  # type: ignore[attr-defined]
            drain.cancel()
    assert rows(tmp_path, "SELECT status FROM inbox") == [("done",)]
    assert "failed" not in caplog.text


async def test_a_turn_that_ends_while_it_is_being_taken_over_is_not_played_again(
    tmp_path: Path, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Have a worker lose the database and count as dead, and write the end after the other worker has looked."""
    scene = stage(tmp_path, [Vault()], database=postgres.make())
    inbox = scene.gateway.parts.inbox
    claims = inbox._claims
    look, looked = claims._next, list[int]()

    async def look_before_it_ends(connection: AsyncConnection, here: Mapping[str, int]) -> Any:
        found = await look(connection, here)
        assert found.status == InboxStatus.RUNNING
        looked.append(found.id)
        end = "UPDATE inbox SET status = 'done' WHERE status = 'running' AND lease = 1"
        await scene.change(end)
        return found

    async with scene.gateway.lifespan():
        await scene.write("alice", "one")
        await scene.change("UPDATE inbox SET status = 'running', lease = 1, attempts = 1, owner = 7")
        monkeypatch.setattr(claims, "_next", look_before_it_ends)
        with pytest.raises(ConversationBusyError):
            await inbox.claim(1)
    assert looked == [1]
    assert scene.rows("SELECT status, lease FROM inbox") == [("done", 1)]


async def test_a_message_that_a_worker_left_running_is_taken_over_once_that_worker_counts_as_dead(
    tmp_path: Path, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Let the conversation's job run first while the worker still seems to be alive. The job is tried again."""
    monkeypatch.setenv("UNDERSTUDY_TAKEOVER_SECONDS", "3")
    scene = stage(tmp_path, database=postgres.make())
    assert scene.worker is not None
    async with scene.gateway.lifespan():
        await scene.write("alice", "one")
        await scene.change("INSERT INTO procrastinate_workers DEFAULT VALUES")
        await scene.change(
            "UPDATE inbox SET status = 'running', lease = 1, attempts = 1, "
            "owner = (SELECT max(id) FROM procrastinate_workers)"
        )
        async with scene.worker.worker():
            assert [sent.text for sent in await scene.wait_for(1)] == ["heard: one"]
