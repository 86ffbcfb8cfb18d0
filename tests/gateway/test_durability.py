"""The inbox and the turns: once, in order, side by side, and after a crash."""

import asyncio
import logging
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from gate import Gate
from sqlalchemy import create_engine
from stage import IMPATIENT, place, stage, stage_timings

from gateway import Agent, Gateway, SettingError, TurnContext
from gateway.channels.event import Event
from gateway.storage.tables import metadata as gateway_tables
from oauth.store.tables import metadata as oauth_tables
from toolkits import Toolkit, tool


def rows(directory: Path, statement: str) -> list[Any]:
    with closing(sqlite3.connect(directory / "stage.db")) as database:
        return database.execute(statement).fetchall()


async def test_a_second_delivery_is_answered_once_and_another_tenants_is_another_message(
    tmp_path: Path, database_url: str
) -> None:
    scene = stage(tmp_path, database=database_url)
    async with scene.open():
        assert await scene.write("alice", "one", id="E1")
        assert not await scene.write("alice", "one", id="E1")
        assert await scene.write("alice", "two", id="E1", tenant="T2")
        await scene.wait_for(2)
        assert await scene.ask("alice", "three") == "heard: three"
    assert sorted(sent.text for sent in scene.sent) == ["heard: one", "heard: three", "heard: two"]


async def test_a_conversation_is_answered_in_order(tmp_path: Path, database_url: str) -> None:
    scene = stage(tmp_path, database=database_url)
    async with scene.open():
        for number in range(30):
            await scene.write("alice", str(number))
        await scene.wait_for(30)
    assert [sent.text for sent in scene.sent] == [f"heard: {number}" for number in range(30)]


async def test_conversations_run_side_by_side_under_the_bound(tmp_path: Path, database_url: str) -> None:
    gate = Gate()
    scene = stage(tmp_path, model=gate.model, max_concurrent_turns=3, database=database_url)
    async with scene.open():
        for number in range(8):
            await scene.write("alice", f"first {number}", f"dm-{number}")
            await scene.write("alice", f"second {number}", f"dm-{number}")
        await gate.holds(3)
        assert len({text.split()[1] for text in gate.running}) == 3
        assert all(text.startswith("first") for text in gate.running)
        gate.opened.set()
        await scene.wait_for(16)
    assert gate.most == 3


async def test_what_a_dead_process_was_playing_is_played_again(tmp_path: Path) -> None:
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
    """The database as a process that dies now would leave it."""
    source, target = sqlite3.connect(directory / "stage.db"), sqlite3.connect(directory / "copy")
    with closing(source) as database, closing(target) as copy:
        database.backup(copy)


async def test_an_answer_that_was_not_sent_is_sent_by_the_next_process(tmp_path: Path) -> None:
    first = stage(tmp_path)
    async with first.open():
        await first.ask("alice", "hello")
    with closing(sqlite3.connect(tmp_path / "stage.db")) as database, database:
        database.execute("UPDATE outbox SET status = 'waiting'")
    second = stage(tmp_path)
    async with second.open():
        assert (await second.wait_for(1))[0].text == "heard: hello"


async def test_a_message_in_whose_turn_the_process_died_too_often_is_given_up(tmp_path: Path) -> None:
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


async def test_a_stop_in_a_turn_gives_the_message_back(
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


class Broken(Toolkit):
    @tool
    def break_down(self, context: TurnContext) -> str:
        """Breaks down."""
        raise ValueError("with access_token=hunter2 in it")


async def test_a_turn_that_fails_tells_the_reference_that_the_log_has(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    scene = stage(tmp_path, [Broken()])
    with caplog.at_level(logging.ERROR):
        async with scene.open():
            answer = await scene.ask("alice", "call break_down")
            assert await scene.ask("alice", "still there?") == "heard: still there?"
    reference = re.search(r"reference (\w+)", answer)
    assert reference is not None
    assert rows(tmp_path, f"SELECT status FROM inbox WHERE reference = '{reference[1]}'") == [("dead",)]
    assert "the turn failed" in caplog.text
    assert "hunter2" not in answer


async def test_a_payload_that_cannot_be_parsed_does_not_stop_what_follows(tmp_path: Path) -> None:
    scene = stage(tmp_path, timings=IMPATIENT)
    async with scene.open():
        await scene.gateway.host.accept(Event("bad", place("dm-alice"), "no json"))
        assert await scene.ask("alice", "hello") == "heard: hello"
        await scene.wait_until_rows("SELECT count(*) FROM inbox WHERE status = 'dead'", 1)
    assert rows(tmp_path, "SELECT status FROM inbox ORDER BY id") == [("dead",), ("done",)]


async def test_a_second_gateway_on_the_same_file_is_refused(tmp_path: Path) -> None:
    first, second = stage(tmp_path), stage(tmp_path)
    async with first.open():
        with pytest.raises(SettingError, match=r"UNDERSTUDY_DATABASE_URL.*stage\.db, which another"):
            async with second.open():
                pytest.fail("it was opened twice")


@pytest.mark.parametrize("url", ["nonsense", "mysql://h/d", "sqlite://", "sqlite:///:memory:"])
def test_a_database_that_cannot_be_used_is_named(url: str) -> None:
    with pytest.raises(SettingError, match="UNDERSTUDY_DATABASE_URL"):
        Gateway(Agent(model="test"), database=url)


async def test_the_migrations_make_the_tables_that_the_code_uses(tmp_path: Path) -> None:
    async with stage(tmp_path).open():
        pass
    with create_engine(f"sqlite:///{tmp_path}/stage.db").connect() as connection:
        context = MigrationContext.configure(connection)
        differences = [
            found
            for tables in [[gateway_tables, oauth_tables]]
            for found in compare_metadata(context, tables)  # type: ignore[arg-type]
        ]
    assert differences == []


async def test_a_message_without_text_is_greeted(tmp_path: Path) -> None:
    scene = stage(tmp_path)
    async with scene.open():
        assert "Just write to me" in await scene.ask("alice", "")


async def test_an_answer_of_which_nothing_can_be_seen_is_said_to_be_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = stage(tmp_path)
    monkeypatch.setattr(scene.channel.presenter, "parts", lambda text: [] if text.startswith("heard") else [text])
    async with scene.open():
        assert await scene.ask("alice", "> ") == "I have no answer to that."


async def test_a_turn_that_a_stop_meets_as_it_ends_stays_ended(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    scene = stage(tmp_path)
    ended = asyncio.Event()
    real = scene.gateway.parts.player.play

    async def play(row: Any, slot: Any) -> None:
        await real(row, slot)
        ended.set()
        await asyncio.Event().wait()  # where the stop finds it

    scene.gateway.parts.player.play = play  # type: ignore[method-assign]
    async with scene.open():
        await scene.write("alice", "hello")
        await ended.wait()
        for drain in scene.gateway.parts.backend.dispatcher._running.values():  # type: ignore[attr-defined]
            drain.cancel()
    assert rows(tmp_path, "SELECT status FROM inbox") == [("done",)]
    assert "failed" not in caplog.text
