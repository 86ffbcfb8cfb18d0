"""Turns that their person stops: what was done stays, nothing new begins, and no process resumes them."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart, UserPromptPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from support.stage import CANCEL, IMPATIENT, Orders, Stage, Vault, obey, place, stage, stage_timings

from gateway import Agent, Message, phase
from gateway.runs.events import TextDelta
from toolkits import Toolkit, tool

MARK = "UPDATE inbox SET stopped_at = accepted_at WHERE status = 'running'"


class Gated(Toolkit):
    """A toolkit whose tools wait until the test opens a gate."""

    _clone_shared_attrs = ("gate", "begun", "ended")

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.begun: list[str] = []
        self.ended: list[str] = []

    @tool
    async def write(self, what: str = "it") -> str:
        """Write something."""
        self.begun.append(what)
        await self.gate.wait()
        self.ended.append(what)
        return f"wrote {what}"

    @tool(read_only=True)
    async def read(self) -> str:
        """Read something."""
        self.begun.append("read")
        await self.gate.wait()
        return "read"


async def one_by_one(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    """Call the tools that the last message names, such as `read, write one`, one after the other."""
    at = next(place for place, each in reversed(list(enumerate(messages))) if _asked(each) is not None)
    calls, made = str(_asked(messages[at])).split(", "), len(messages) // 2 - at // 2
    if made == len(calls):
        return ModelResponse([TextPart("done")])
    name, _, what = calls[made].partition(" ")
    if name not in ("read", "write"):
        return ModelResponse([TextPart(f"heard: {messages}")])
    return ModelResponse([ToolCallPart(name, {"what": what} if what else {})])


def _asked(message: ModelMessage) -> str | None:
    return next((str(part.content) for part in message.parts if isinstance(part, UserPromptPart)), None)


async def begun(scene: Stage, kit: Gated, text: str, **where: Any) -> None:
    """Write a message and wait until the tool that it calls runs."""
    before = len(kit.begun)
    await scene.write("alice", text, **where)
    await scene.wait_until(lambda: len(kit.begun) > before)


async def stop(scene: Stage, person: str = "alice", place_name: str | None = None) -> None:
    await scene.write(person, "/stop", place_name, command="stop", stops=True)


async def test_a_stopped_turn_keeps_the_text_so_far_with_a_mark(tmp_path: Path, database_url: str) -> None:
    async def write(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        if "go on" in str(messages[-1]):
            yield str(messages)
        else:
            yield "Once upon "
            yield "a time"
            await asyncio.Event().wait()

    agent = Agent(model=FunctionModel(stream_function=write))
    scene = stage(tmp_path, agent=agent, database=database_url, streams=True)
    async with scene.open():
        await scene.write("alice", "tell me a story")
        shown = scene.channel.presenter.shown
        await scene.wait_until(lambda: sum(isinstance(event, TextDelta) for _, event in shown) == 2)
        await stop(scene)
        assert [sent.text for sent in await scene.wait_for(1)] == ["Once upon a time\n\n(Stopped.)"]
        history = await scene.ask("alice", "go on")
    assert "tell me a story" in history
    assert "Once upon a time" in history
    assert "/stop" not in history
    assert scene.rows("SELECT status FROM inbox ORDER BY id") == [("done",), ("done",), ("done",)]


async def test_a_call_that_is_cut_off_is_reported_and_a_finished_one_is_remembered(
    tmp_path: Path, database_url: str
) -> None:
    kit = Gated()
    scene = stage(tmp_path, [kit], one_by_one, database=database_url, timings=stage_timings(calls_grace=0.1))
    async with scene.open():
        await begun(scene, kit, "write one, write two")
        kit.gate.set()
        kit.gate.clear()
        await scene.wait_until(lambda: kit.begun == ["one", "two"])
        await stop(scene)
        (sent,) = await scene.wait_for(1)
        assert sent.text.startswith("Stopped.\n\nI was interrupted while I used `write`")
        assert 'I called write: "wrote one"' in await scene.ask("alice", "and?")
    assert scene.rows("SELECT tool, outcome FROM audit ORDER BY id") == [("write", "ok"), ("write", "cancelled")]
    assert kit.ended == ["one"]


async def test_nothing_new_begins_in_a_turn_that_is_stopped(tmp_path: Path, database_url: str) -> None:
    kit, asked = Gated(), list[int]()

    async def count(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        asked.append(len(messages))
        return await one_by_one(messages, info)

    scene = stage(tmp_path, [kit], count, database=database_url)
    async with scene.open():
        await begun(scene, kit, "write one, write two")
        await stop(scene)
        await (scene.worker or scene.gateway).parts.inbox.stops.look()  # the process does so twice a second
        kit.gate.set()  # the running call ends within its grace period
        assert (await scene.wait_for(1))[0].text == "Stopped."
    assert kit.begun == kit.ended == ["one"]
    assert asked == [1]


async def test_a_reading_call_is_cut_off_at_once_and_not_reported(tmp_path: Path, database_url: str) -> None:
    kit = Gated()
    timings = stage_timings(calls_grace=3600.0)
    scene = stage(tmp_path, [kit], one_by_one, database=database_url, timings=timings)
    async with scene.open():
        await begun(scene, kit, "read")
        await stop(scene)
        assert (await scene.wait_for(1))[0].text == "Stopped."


async def test_a_person_stops_only_their_own_turn(tmp_path: Path, database_url: str) -> None:
    kit = Gated()
    scene = stage(tmp_path, [kit], one_by_one, database=database_url)
    async with scene.open():
        await begun(scene, kit, "write it", place_name="room")
        assert await scene.gateway.host.stop(place("room"), "bob") is False
        await stop(scene, "bob", "room")
        await stop(scene, "alice", "dm-alice")  # another one of her conversations
        assert (await scene.wait_for(1))[0].text == "There is nothing to stop."
        kit.gate.set()
        texts = [sent.text for sent in await scene.wait_for(3)]
    assert texts == ["There is nothing to stop.", "done", "There is nothing to stop."]


async def test_a_message_that_waits_is_stopped_before_its_turn(tmp_path: Path, database_url: str) -> None:
    kit = Gated()
    scene = stage(tmp_path, [kit], one_by_one, database=database_url)
    async with scene.open():
        await begun(scene, kit, "write it", place_name="room")
        await scene.write("bob", "write bob", "room")
        await stop(scene, "bob", "room")
        kit.gate.set()
        assert [sent.text for sent in await scene.wait_for(2)] == ["done", "Stopped."]
    assert kit.begun == ["it"]


async def test_a_stop_that_comes_when_the_answer_is_ready_changes_nothing(tmp_path: Path, database_url: str) -> None:
    kit = Gated()
    scene = stage(tmp_path, [kit], one_by_one, database=database_url, timings=stage_timings(stop_interval=3600.0))
    async with scene.open():
        await begun(scene, kit, "read")
        await scene.change(MARK)  # without a notification to this process
        kit.gate.set()
        assert (await scene.wait_for(1))[0].text == "done"
        assert (await scene.ask("alice", "hello")).startswith("heard")


async def test_a_stop_of_another_process_is_seen(tmp_path: Path, database_url: str) -> None:
    kit = Gated()
    scene = stage(
        tmp_path, [kit], one_by_one, database=database_url, timings=stage_timings(stop_interval=0.05, calls_grace=0.1)
    )
    async with scene.open():
        await begun(scene, kit, "read")
        await scene.change(MARK)
        assert (await scene.wait_for(1))[0].text == "Stopped."


async def test_a_stop_without_a_notification_is_seen_before_the_next_call(tmp_path: Path, database_url: str) -> None:
    kit = Gated()
    scene = stage(tmp_path, [kit], one_by_one, database=database_url, timings=stage_timings(stop_interval=3600.0))
    async with scene.open():
        await begun(scene, kit, "read, write two")
        await scene.change(MARK)
        kit.gate.set()
        assert (await scene.wait_for(1))[0].text == "Stopped."
    assert kit.begun == ["read"]


async def test_a_button_stops_a_turn_and_a_second_press_changes_nothing(tmp_path: Path, database_url: str) -> None:
    kit = Gated()
    scene = stage(tmp_path, [kit], one_by_one, database=database_url, timings=stage_timings(calls_grace=0.1))
    async with scene.open():
        await begun(scene, kit, "read")
        host, here = scene.gateway.host, place("dm-alice")
        assert await host.played_for("stage", "T1", "alice") == [here]
        assert await asyncio.gather(host.stop(here, "alice"), host.stop(here, "alice")) == [True, True]
        assert (await scene.wait_for(1))[0].text == "Stopped."
        assert await host.played_for("stage", "T1", "alice") == []
        assert await host.stop(here, "alice") is False


async def test_a_stopped_turn_that_is_taken_over_ends_without_running(tmp_path: Path, database_url: str) -> None:
    kit = Gated()
    scene = stage(tmp_path, [kit], one_by_one, database=database_url, timings=stage_timings(stop_interval=3600.0))
    async with scene.open():
        await begun(scene, kit, "write one, write two")
        await scene.change("UPDATE inbox SET stopped_at = accepted_at, lease = lease + 1, owner = NULL")
        kit.gate.set()
        assert (await scene.wait_for(1))[0].text == "Stopped."
        assert "I called write" in await scene.ask("alice", "and?")
    assert kit.begun == ["one"]


@pytest.mark.parametrize("waits_for", ["sign-in", "approval"])
async def test_a_turn_that_is_stopped_as_it_is_parked_asks_for_nothing(
    tmp_path: Path, database_url: str, waits_for: str
) -> None:
    vault, orders, scenes = Vault(), Orders(), list[Stage]()

    async def marks(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        if len(messages) == 1:
            await scenes[0].change(MARK)
        return await obey(messages, info)

    timings = stage_timings(stop_interval=3600.0)
    scenes.append(stage(tmp_path, [vault, orders], marks, database=database_url, timings=timings))
    async with scenes[0].open():
        text = "call open_vault" if waits_for == "sign-in" else CANCEL
        assert await scenes[0].ask("alice", text) == "Stopped."
        assert await scenes[0].ask("alice", "hello") == "heard: hello"
    assert scenes[0].rows("SELECT count(*) FROM questions") == [(0,)]


async def test_a_turn_that_is_stopped_is_not_tried_again(tmp_path: Path, database_url: str) -> None:
    scenes = list[Stage]()

    async def fails(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        await scenes[0].change(MARK)
        raise ConnectionError("the model is away")

    timings = replace(IMPATIENT, stop_interval=3600.0)
    scenes.append(stage(tmp_path, model=fails, database=database_url, timings=timings))
    async with scenes[0].open():
        assert await scenes[0].ask("alice", "hello") == "Stopped."
    assert scenes[0].rows("SELECT status, attempts FROM inbox") == [("done", 1)]


async def test_a_private_text_of_a_stopped_turn_goes_only_to_its_person(tmp_path: Path, database_url: str) -> None:
    kit, vault = Gated(), Vault()
    scene = stage(tmp_path, [kit, vault], database=database_url, timings=stage_timings(calls_grace=0.1))
    async with scene.open():
        await scene.write("alice", "call open_vault")
        await scene.connect((await scene.wait_for(1))[0].link, "alice")
        await scene.wait_for(2)
        await begun(scene, kit, "call open_vault read", place_name="room")
        await stop(scene, "alice", "room")
        sent = (await scene.wait_for(3))[2]
    assert (sent.text, sent.alone) == ("Stopped.", "alice")


async def test_a_tool_that_ignores_its_cancellation_does_not_delay_the_stop(tmp_path: Path, database_url: str) -> None:
    class Stubborn(Toolkit):
        _clone_shared_attrs = ("released", "begun")

        def __init__(self) -> None:
            self.released, self.begun = asyncio.Event(), asyncio.Event()

        @tool
        async def cling(self) -> str:
            """Do not end."""
            self.begun.set()
            while not self.released.is_set():
                try:
                    await self.released.wait()
                except asyncio.CancelledError:
                    continue
            return "at last"

    kit = Stubborn()
    timings = stage_timings(calls_grace=0.1, cancel_grace=0.1)
    scene = stage(tmp_path, [kit], database=database_url, timings=timings)
    async with scene.open():
        await scene.write("alice", "call cling")
        await kit.begun.wait()
        await stop(scene)
        assert (await scene.wait_for(1))[0].text.startswith("Stopped.")
        assert await scene.ask("alice", "hello") == "heard: hello"
        kit.released.set()


@pytest.mark.parametrize("when_busy", ["collect", "interrupt"])
async def test_a_message_after_a_stop_is_a_new_turn(tmp_path: Path, database_url: str, when_busy: str) -> None:
    kit = Gated()
    agent = Agent(model=FunctionModel(one_by_one), toolkits=[kit], when_busy=when_busy)
    timings = stage_timings(calls_grace=0.5, interruption_interval=0.02)
    scene = stage(tmp_path, agent=agent, database=database_url, timings=timings)
    async with scene.open():
        await begun(scene, kit, "write one")
        await stop(scene)
        await scene.write("alice", "hello")
        first, second = [sent.text for sent in await scene.wait_for(2)]
    assert first.startswith("Stopped.")
    assert second.startswith("heard")
    assert kit.begun == ["one"]


async def test_a_stopped_flow_ends_in_its_phase(tmp_path: Path, database_url: str) -> None:
    kit = Gated()
    writer = Agent(model=FunctionModel(one_by_one), toolkits=[kit], name="writer")

    async def flow(message: Message) -> str:
        async with phase("First"):
            await writer("read")
        async with phase("Second"):
            return await writer("write never")

    scene = stage(tmp_path, agent=Agent(flow), database=database_url, timings=stage_timings(calls_grace=0.1))
    async with scene.open():
        await begun(scene, kit, "go")
        await stop(scene)
        assert (await scene.wait_for(1))[0].text == "Stopped."
        kit.gate.set()
    assert kit.begun == ["read"]


async def test_a_turn_is_stopped_while_it_still_reads_what_its_message_refers_to(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading = asyncio.Event()

    async def read_quoted(*_: object) -> tuple[()]:
        reading.set()
        await asyncio.Event().wait()
        return ()

    scene = stage(tmp_path, database=database_url, timings=stage_timings(quoted=3600.0))
    monkeypatch.setattr(scene.channel, "read_quoted", read_quoted)
    async with scene.open():
        await scene.write("alice", "hello")
        await reading.wait()
        await stop(scene)
        assert (await scene.wait_for(1))[0].text == "Stopped."
