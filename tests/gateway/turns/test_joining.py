"""Messages to a busy conversation: they are queued, collected, or interrupt the turn."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from support.gate import Gate
from support.stage import Stage, obey, stage, stage_timings

from gateway import Agent, SettingError, TurnContext
from gateway.inbox.claims import ClaimedMessage
from gateway.inbox.inbox import WaitingMessage
from toolkits import Toolkit, tool


def scene_of(directory: Path, when_busy: str, model: Any, database: str | None = None, toolkits: Any = ()) -> Stage:
    agent = Agent(model=FunctionModel(model), when_busy=when_busy, toolkits=toolkits)
    timings = stage_timings(interruption_interval=0.01, shutdown_grace=0.1, due_interval=3600)
    return stage(directory, agent=agent, database=database, timings=timings)


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


async def test_messages_that_came_meanwhile_are_one_turn(tmp_path: Path, database_url: str) -> None:
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


async def test_messages_of_others_and_commands_are_separate_turns(tmp_path: Path) -> None:
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


async def test_another_person_interrupts_nobody(tmp_path: Path) -> None:
    gate = Gate()
    scene = scene_of(tmp_path, "interrupt", gate.model)
    async with scene.open():
        await scene.write("alice", "one", "thread")
        await gate.holds(1)
        await scene.write("bob", "of bob", "thread")
        await asyncio.sleep(0.1)  # long enough for several checks of Alice's turn
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
        """Write something down."""
        self.calls.append("write_down")
        return "written"

    @tool(read_only=True)
    async def look(self) -> str:
        """Look for long."""
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


async def test_joined_messages_are_answered_after_a_crash(tmp_path: Path) -> None:
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


class Unsteady:
    """A model that calls `write_down` for "write", and then fails once. Its other answers wait at a gate."""

    def __init__(self) -> None:
        self.gate = Gate()
        self.is_away = True

    async def __call__(self, messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        last = messages[-1]
        assert isinstance(last, ModelRequest)
        if isinstance(last.parts[-1], ToolReturnPart):
            if self.is_away:
                self.is_away = False
                raise ModelHTTPError(503, "a model")
            return ModelResponse([TextPart(last.parts[-1].model_response_str())])
        if "write" in str(last.parts[-1].content):
            return ModelResponse([ToolCallPart("write_down", {})])
        return await self.gate.model(messages, info)


async def write_and_fail(scene: Stage) -> None:
    """Have a turn call its tool and fail. Its retry comes when `make_due` is called."""
    await scene.write("alice", "write")
    await scene.wait_until_rows("SELECT count(*) FROM inbox WHERE status = 'retrying'", 1)


async def make_due(scene: Stage) -> None:
    await scene.change("UPDATE inbox SET due_at = '2026-01-01 00:00:00.000000' WHERE status = 'retrying'")
    await scene.gateway.parts.inbox.resume_due()


async def test_a_message_that_was_played_is_not_joined_to_another_turn(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    work, model = Work(), Unsteady()
    scene = scene_of(tmp_path, "collect", model, database_url, [work])
    async with scene.open():
        await write_and_fail(scene)
        await scene.write("alice", "two")
        await model.gate.holds(1)
        await scene.write("alice", "three")
        await make_due(scene)  # behind "three"
        model.gate.opened.set()
        await scene.wait_for(3)
        assert work.calls == ["write_down"]
    assert answers(scene) == ["answer to two", "answer to three", "written"]
    assert scene.rows("SELECT count(*) FROM inbox WHERE status <> 'done'") == [(0,)]


async def test_a_turn_that_is_tried_again_takes_no_other_message_into_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work, model = Work(), Unsteady()
    scene = scene_of(tmp_path, "collect", model, toolkits=[work])
    async with scene.open():
        await write_and_fail(scene)
        await scene.write("alice", "two")
        await model.gate.holds(1)
        await make_due(scene)
        await scene.write("alice", "three")  # behind the one that is tried again
        model.gate.opened.set()
        await scene.wait_for(3)
        assert work.calls == ["write_down"]
    assert answers(scene) == ["answer to two", "written", "answer to three"]


class Looks:
    """Count how often a turn that may be interrupted has looked for messages."""

    def __init__(self, scene: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
        self._scene = scene
        self._count = 0
        self._look = scene.gateway.parts.inbox.waiting_next
        monkeypatch.setattr(scene.gateway.parts.inbox, "waiting_next", self)

    async def __call__(self, row: ClaimedMessage) -> list[WaitingMessage]:
        self._count += 1
        return await self._look(row)

    async def pass_by(self) -> None:
        """Wait until the turn has seen the messages that wait now, and has had the time to be interrupted."""
        count = self._count
        await self._scene.wait_until(lambda: self._count > count + 2)


async def test_a_message_that_was_played_interrupts_no_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work, model = Work(), Unsteady()
    scene = scene_of(tmp_path, "interrupt", model, toolkits=[work])
    looks = Looks(scene, monkeypatch)
    async with scene.open():
        await write_and_fail(scene)
        await scene.write("alice", "two")
        await model.gate.holds(1)
        await make_due(scene)
        await looks.pass_by()
        model.gate.opened.set()
        await scene.wait_for(2)
        assert work.calls == ["write_down"]
    assert answers(scene) == ["answer to two", "written"]


class Post(Toolkit):
    """A toolkit that sends letters if its person approves."""

    _clone_shared_attrs = ("letters", "opened")

    def __init__(self) -> None:
        self.letters: list[str] = []
        self.opened = asyncio.Event()
        self.opened.set()

    def __deepcopy__(self, memo: object) -> "Post":
        return self.clone()

    @tool(approval=True)
    async def post(self, context: TurnContext, to: str) -> str:
        """Post a letter."""
        self.letters.append(to)
        await self.opened.wait()
        return f"posted to {to}"


POST = 'call post {"to":"carol"}'


@pytest.mark.parametrize("when_busy", ["collect", "interrupt"])
@pytest.mark.parametrize("answer", ["yes", "no"])
async def test_an_answer_to_a_question_is_not_joined_with_later_messages(
    tmp_path: Path, database_url: str, when_busy: str, answer: str
) -> None:
    post = Post()
    scene = scene_of(tmp_path, when_busy, obey, database_url, [post])
    async with scene.open():
        assert "May I do this" in await scene.ask("alice", POST)
        await asyncio.gather(scene.write("alice", answer), scene.write("alice", "thanks"))
        await scene.wait_for(3)
    assert answers(scene)[1] == "heard: thanks"
    assert ("The user said no" in answers(scene)[2]) is (answer == "no")
    assert post.letters == (["carol"] if answer == "yes" else [])
    assert scene.rows("SELECT count(*) FROM inbox WHERE status <> 'done'") == [(0,)]


async def test_an_answer_interrupts_no_turn_and_is_not_lost_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    post, gate, delivering = Post(), Gate(), asyncio.Event()

    async def model(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        return await (gate.model if "slow" in str(messages[-1]) else obey)(messages, info)

    scene = scene_of(tmp_path, "interrupt", model, toolkits=[post])
    looks = Looks(scene, monkeypatch)
    send_question = scene.channel.presenter.send_question

    async def send_late(*args: Any, **options: Any) -> str | None:
        await delivering.wait()
        return await send_question(*args, **options)

    monkeypatch.setattr(scene.channel.presenter, "send_question", send_late)
    async with scene.open():
        await scene.write("alice", POST)
        await scene.wait_until_rows("SELECT count(*) FROM outbox WHERE status = 'sending'", 1)
        await scene.write("alice", "slow")  # before the question can be read
        delivering.set()
        await gate.holds(1)
        await scene.write("alice", "yes")
        await looks.pass_by()
        gate.opened.set()
        await scene.wait_for(3)
        assert answers(scene)[1] == "answer to slow"
        assert "May I do this" in answers(scene)[2]  # it asks again, since a message came after the question
        assert await scene.ask("alice", "yes") == "posted to carol"
    assert post.letters == ["carol"]


async def test_an_approved_call_is_not_interrupted(tmp_path: Path) -> None:
    post = Post()
    post.opened.clear()
    scene = scene_of(tmp_path, "interrupt", obey, toolkits=[post])
    async with scene.open():
        await scene.ask("alice", POST)
        await scene.write("alice", "yes")
        await scene.wait_until(lambda: post.letters == ["carol"])
        await scene.write("alice", "thanks")
        await asyncio.sleep(0.1)  # long enough for several interruptions of the turn
        post.opened.set()
        await scene.wait_for(3)
    assert answers(scene)[1:] == ["posted to carol", "heard: thanks"]


def test_an_unknown_when_busy_is_refused_with_the_known_ones() -> None:
    with pytest.raises(SettingError, match=r"when_busy='drop'.*queue, collect, interrupt"):
        Agent(model="test", when_busy="drop")
