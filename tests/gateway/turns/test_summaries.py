"""Summaries: the part of a history beyond the limit is read as a summary, which contains nothing private of others."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from support.stage import Stage, Vault, obey, stage, texts_told

from gateway import Agent


class Recorder:
    """A model that records what it reads, and another one that summarizes."""

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
    """Return a message of sixty tokens."""
    return f"word {number} {'.' * 232}"


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


Make = Callable[..., Stage]


@pytest.fixture
def make(tmp_path: Path, recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Return a function that makes a stage whose histories have room for about four turns."""
    monkeypatch.setenv("UNDERSTUDY_SESSION_TOKENS", "500")

    def made(**options: Any) -> Stage:
        return stage(tmp_path, agent=recorder.agent(**options.pop("agent", {})), **options)

    return made


async def test_the_old_part_of_a_long_history_is_read_as_a_summary(make: Make, recorder: Recorder) -> None:
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
        assert told & {f"user: {word(number)}", word(number)}, number  # nothing is lost between summary and history


async def test_the_blobs_of_an_engine_do_not_count(make: Make, recorder: Recorder) -> None:
    scene = make()
    async with scene.open():
        for number in range(12):
            await scene.ask("alice", f"{number}")
    assert recorder.summarized == []
    assert len(recorder.read[-1]) == 23


async def test_the_number_of_items_has_a_limit_too(make: Make, recorder: Recorder) -> None:
    scene = make()
    scene.gateway.parts.history.most_items = 10
    async with scene.open():
        for number in range(12):
            await scene.ask("alice", f"{number}")
    assert max(len(read) for read in recorder.read) == 11
    last = recorder.read[-1]
    assert last[:3] == ["What was said before, in short: summary 2", "7", "heard: 7"]
    assert last[-3:] == ["10", "heard: 10", "11"]


async def test_a_summary_contains_no_private_data_of_another_person(
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


async def test_a_summary_of_public_items_makes_no_answer_private(make: Make, recorder: Recorder) -> None:
    scene = make()
    async with scene.open():
        for number in range(12):
            await scene.ask("alice", word(number), "room")
    assert scene.rows("SELECT DISTINCT private FROM session_items WHERE role = 'summary'") == [(0,)]
    assert {each.alone for each in scene.sent} == {None}


async def test_a_failing_summarizer_costs_nothing_until_the_history_is_twice_the_limit(
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
