"""Messages that come while their conversation is busy: queued, collected, or interrupting."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from gate import Gate
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from stage import Stage, stage

from gateway import Agent, SettingError
from toolkits import Toolkit, tool


def scene_of(directory: Path, when_busy: str, model: Any, database: str | None = None, toolkits: Any = ()) -> Stage:
    agent = Agent(model=FunctionModel(model), when_busy=when_busy, toolkits=toolkits)
    return stage(directory, agent=agent, database=database)


def answers(scene: Stage) -> list[str]:
    return [sent.text for sent in scene.sent]


async def test_queued_messages_are_a_turn_each(tmp_path: Path, database_url: str) -> None:
    gate = Gate()
    scene = scene_of(tmp_path, "queue", gate.model, database_url)
    async with scene.open():
        await scene.write("alice", "one")
        await gate.holds(1)
        await scene.write("alice", "two")
        gate.opened.set()
        await scene.wait_for(2)
    assert answers(scene) == ["answer to one", "answer to two"]


async def test_what_came_meanwhile_is_one_turn(tmp_path: Path, database_url: str) -> None:
    gate = Gate()
    scene = scene_of(tmp_path, "collect", gate.model, database_url)
    async with scene.open():
        await scene.write("alice", "one")
        await gate.holds(1)
        for text in ("two", "three", "four"):
            await scene.write("alice", text)
        gate.opened.set()
        await scene.wait_for(2)
        assert await scene.ask("alice", "five") == "answer to five"
    assert answers(scene) == ["answer to one", "answer to two\n\nthree\n\nfour", "answer to five"]
    assert scene.rows("SELECT count(*) FROM inbox WHERE status <> 'done'") == [(0,)]


async def test_what_others_write_and_commands_are_turns_of_their_own(tmp_path: Path) -> None:
    gate = Gate()
    scene = scene_of(tmp_path, "collect", gate.model)
    async with scene.open():
        await scene.write("alice", "one", "thread")
        await gate.holds(1)
        await scene.write("bob", "of bob", "thread")
        await scene.write("bob", "of bob again", "thread")
        await scene.write("alice", "two", "thread")
        await scene.write("alice", "/new", "thread", command="new")
        await scene.write("alice", "three", "thread")
        gate.opened.set()
        await scene.wait_for(5)
    assert answers(scene)[:3] == ["answer to one", "answer to of bob\n\nof bob again", "answer to two"]
    assert "new conversation" in answers(scene)[3]
    assert answers(scene)[4] == "answer to three"


async def test_a_message_interrupts_the_turn_of_its_sender_and_both_are_answered(
    tmp_path: Path, database_url: str
) -> None:
    gate = Gate()
    scene = scene_of(tmp_path, "interrupt", gate.model, database_url)
    async with scene.open():
        await scene.write("alice", "one")
        await gate.holds(1)
        await scene.write("alice", "two")
        await gate.holds(2)
        gate.opened.set()
        await scene.wait_for(1)
        assert await scene.ask("alice", "three") == "answer to three"
    assert answers(scene)[0] == "answer to one\n\ntwo"
    assert scene.rows("SELECT count(*) FROM inbox WHERE status <> 'done'") == [(0,)]


async def test_another_person_interrupts_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.busy.LOOK_EVERY", 0.01)
    gate = Gate()
    scene = scene_of(tmp_path, "interrupt", gate.model)
    async with scene.open():
        await scene.write("alice", "one", "thread")
        await gate.holds(1)
        await scene.write("bob", "of bob", "thread")
        await asyncio.sleep(0.1)  # in which the turn of alice is looked at several times
        gate.opened.set()
        await scene.wait_for(2)
    assert answers(scene) == ["answer to one", "answer to of bob"]


class Work(Toolkit):
    _clone_shared_attrs = ("calls", "hold")

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.hold = asyncio.Event()

    @tool
    async def write_down(self) -> str:
        """Writes something down."""
        self.calls.append("write_down")
        return "written"

    @tool(read_only=True)
    async def look(self) -> str:
        """Looks for long."""
        self.calls.append("look")
        await self.hold.wait()
        return "seen"

    def __deepcopy__(self, memo: object) -> "Work":
        return self.clone()


async def test_an_interrupted_turn_repeats_no_call(tmp_path: Path) -> None:
    work = Work()

    async def model(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        returned = len([part for message in messages for part in message.parts if part.part_kind == "tool-return"])
        if returned < 2:
            return ModelResponse([ToolCallPart(("write_down", "look")[returned], {})])
        return ModelResponse([TextPart(str(messages[0].parts[0].content))])  # type: ignore[union-attr]

    scene = scene_of(tmp_path, "interrupt", model, toolkits=[work])
    async with scene.open():
        await scene.write("alice", "one")
        await scene.wait_until(lambda: work.calls == ["write_down", "look"])
        await scene.write("alice", "two")
        await scene.wait_until(lambda: work.calls == ["write_down", "look", "look"])
        work.hold.set()
        assert [sent.text for sent in await scene.wait_for(1)] == ["one\n\ntwo"]


async def test_what_was_joined_is_answered_after_a_crash_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.dispatch.STOP_GRACE", 0.1)
    gate = Gate()
    scene = scene_of(tmp_path, "interrupt", gate.model)
    async with scene.open():
        await scene.write("alice", "one")
        await gate.holds(1)
        await scene.write("alice", "two")
        await gate.holds(2)
    assert scene.rows("SELECT status FROM inbox ORDER BY id") == [("waiting",), ("joined",)]
    gate.opened.set()
    async with scene.open():
        assert [sent.text for sent in await scene.wait_for(1)] == ["answer to one\n\ntwo"]
    assert scene.rows("SELECT status FROM inbox ORDER BY id") == [("done",), ("done",)]


def test_another_way_is_named() -> None:
    with pytest.raises(SettingError, match=r"when_busy='drop'.*queue, collect, interrupt"):
        Agent(model="test", when_busy="drop")
