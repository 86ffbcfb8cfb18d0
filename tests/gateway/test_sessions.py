"""What the model reads of a conversation: up to a limit, in short beyond it, and each person what is theirs."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from stage import Stage, Vault, obey, stage, texts_told
from typer.testing import CliRunner

from gateway import Agent
from gateway.cli.main import app


class Recorder:
    """A model that says what it is asked, and notes what it reads; and one that summarizes."""

    def __init__(self) -> None:
        self.read: list[list[str]] = []
        self.summarized: list[str] = []
        self.fails = False

    async def answer(self, messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        self.read.append(texts_told(messages))
        return await obey(messages, info)

    async def summarize(self, messages: list[ModelMessage], _: AgentInfo) -> ModelResponse:
        if self.fails:
            raise RuntimeError("the model is away")
        self.summarized.append(texts_told(messages)[-1])
        return ModelResponse([TextPart(f"summary {len(self.summarized)}")])

    def agent(self, **options: Any) -> Agent:
        summarizer = Agent(model=FunctionModel(self.summarize), name="summarizer")
        return Agent(model=FunctionModel(self.answer), summarizer=summarizer, **options)


def word(number: int) -> str:
    """Something to say, of sixty tokens."""
    return f"word {number} {'.' * 232}"


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


Make = Callable[..., Stage]


@pytest.fixture
def make(tmp_path: Path, recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> Make:
    """A stage whose histories have room for about four turns."""
    monkeypatch.setenv("UNDERSTUDY_SESSION_TOKENS", "500")

    def made(**options: Any) -> Stage:
        return stage(tmp_path, agent=recorder.agent(**options.pop("agent", {})), **options)

    return made


async def test_what_is_too_long_ago_is_read_in_short(make: Make, recorder: Recorder) -> None:
    scene = make()
    async with scene.open():
        for number in range(12):
            await scene.ask("alice", word(number))
    assert len(recorder.summarized) >= 2
    assert recorder.summarized[0].startswith(f"user: {word(0)}\n\nassistant: heard: {word(0)}")
    assert recorder.summarized[1].startswith("assistant: What was said before, in short: summary 1")
    last = recorder.read[-1]
    assert last[0] == f"What was said before, in short: summary {len(recorder.summarized)}"
    assert last[-3:] == [word(10), f"heard: {word(10)}", word(11)]
    told = {line for text in (*recorder.summarized, *recorder.read[-1]) for line in text.split("\n\n")}
    for number in range(11):
        assert told & {f"user: {word(number)}", word(number)}, number  # nothing falls out in between


async def test_what_an_engine_keeps_beside_what_was_said_does_not_count(make: Make, recorder: Recorder) -> None:
    scene = make()
    async with scene.open():
        for number in range(12):
            await scene.ask("alice", f"{number}")
    assert recorder.summarized == []
    assert len(recorder.read[-1]) == 23


async def test_however_short_items_are_there_are_so_many_at_most(make: Make, recorder: Recorder) -> None:
    scene = make()
    scene.gateway.parts.history.most_items = 10
    async with scene.open():
        for number in range(12):
            await scene.ask("alice", f"{number}")
    assert max(len(read) for read in recorder.read) == 11
    last = recorder.read[-1]
    assert last[:3] == ["What was said before, in short: summary 2", "7", "heard: 7"]
    assert last[-3:] == ["10", "heard: 10", "11"]


async def test_a_summary_has_nothing_of_another_persons_private_data(
    make: Make, recorder: Recorder, vault: Vault
) -> None:
    scene = make(agent={"toolkits": [vault]})
    async with scene.open():
        for person in ("alice", "bob"):
            before = len(scene.sent)
            await scene.write(person, "call open_vault")
            await scene.connect((await scene.wait_for(before + 1))[before].link, person)
            await scene.wait_for(before + 2)
        for number in range(8):
            for person in ("alice", "bob"):
                await scene.ask(person, f"{person} {number} call open_vault", "room")
    assert any("SECRET-alice" in text for text in recorder.summarized)
    assert not any("SECRET-alice" in text and "SECRET-bob" in text for text in recorder.summarized)
    owners = scene.rows("SELECT DISTINCT owner_user_id, private FROM session_items WHERE role = 'summary'")
    assert sorted(owners) == [("alice", 1), ("bob", 1)]
    for read in recorder.read:
        assert not ("SECRET-alice" in str(read) and "SECRET-bob" in str(read))


async def test_a_summary_of_what_all_may_read_makes_no_answer_private(make: Make, recorder: Recorder) -> None:
    scene = make()
    async with scene.open():
        for number in range(12):
            await scene.ask("alice", word(number), "room")
    assert scene.rows("SELECT DISTINCT private FROM session_items WHERE role = 'summary'") == [(0,)]
    assert {each.alone for each in scene.sent} == {None}


async def test_without_a_summary_nothing_is_lost_before_it_has_to_be(
    make: Make, recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    recorder.fails = True
    scene = make()
    async with scene.open():
        for number in range(20):
            assert await scene.ask("alice", word(number)) == f"heard: {word(number)}"
    longest = max(len(str(read)) for read in recorder.read)
    assert "word 0" in str(max(recorder.read, key=len))
    assert "are left out, and not summarized" in caplog.text
    assert longest < 6000
    assert recorder.read[-1][-3:] == [word(18), f"heard: {word(18)}", word(19)]


async def test_a_new_conversation_has_no_summary_of_the_old_one(make: Make, recorder: Recorder) -> None:
    scene = make()
    async with scene.open():
        for number in range(8):
            await scene.ask("alice", word(number))
        await scene.ask("alice", "", command="new")
        await scene.ask("alice", "fresh")
    assert recorder.summarized
    assert recorder.read[-1] == ["fresh"]


async def test_a_conversation_that_was_silent_for_long_begins_afresh(
    make: Make, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNDERSTUDY_SESSION_IDLE_HOURS", "2")
    scene = make()
    async with scene.open():
        await scene.ask("alice", "one")
        await scene.ask("alice", "two")
        assert recorder.read[-1] == ["one", "heard: one", "two"]
        await scene.change("UPDATE session_items SET created_at = '2026-01-01 00:00:00.000000'")
        await scene.ask("alice", "three")
        assert recorder.read[-1] == ["three"]
        await scene.ask("alice", "four")
        assert recorder.read[-1] == ["three", "heard: three", "four"]


async def test_a_session_is_exported(tmp_path: Path, recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = stage(tmp_path, agent=recorder.agent())
    async with scene.open():
        await scene.ask("alice", "one", "room")
        await scene.ask("bob", "two", "room")
        await scene.ask("alice", "three")
    monkeypatch.setenv("UNDERSTUDY_DATABASE_URL", scene.database)
    shown = await asyncio.to_thread(CliRunner().invoke, app, ["sessions", "export", "stage", "T1", "room"])
    assert shown.exit_code == 0
    items = [json.loads(line) for line in shown.stdout.splitlines()]
    assert [(item["owner_user_id"], item["role"], item["text"]) for item in items] == [
        ("alice", "user", "one"),
        ("alice", "assistant", "heard: one"),
        ("bob", "user", "two"),
        ("bob", "assistant", "heard: two"),
    ]
    assert all(item["created_at"] for item in items)
    none = await asyncio.to_thread(CliRunner().invoke, app, ["sessions", "export", "stage", "T1", "nowhere"])
    assert "The conversation 'nowhere' in stage T1 has no history" in str(none.exception)
