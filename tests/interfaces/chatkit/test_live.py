"""The events that a page gets while a turn runs."""

import asyncio
import threading
from pathlib import Path
from typing import Any

from pydantic_ai.messages import ModelMessage, UserPromptPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel
from support.channels.chatkit import answers, serving, written
from support.stage import obey

from gateway import Agent, Message, phase
from toolkits import Toolkit, tool


def test_phases_are_workflows_and_their_calls_are_tasks(tmp_path: Path, database_url: str) -> None:
    gate = threading.Event()

    class Search(Toolkit):
        @tool
        def search(self) -> str:
            """Find something."""
            return "found"

    async def streamed(messages: list[ModelMessage], _: AgentInfo) -> Any:
        for word in ("this ", "is it"):
            yield word

    searcher = Agent(model=FunctionModel(obey), toolkits=[Search()], name="searcher")
    writer = Agent(model=FunctionModel(stream_function=streamed), name="writer")

    async def flow(message: Message) -> str:
        async with phase("Search"):
            await searcher("call search")
            async with phase("Read"):
                pass
        async with phase("Write"):
            while not gate.is_set():
                await asyncio.sleep(0.01)
            return await writer(message).stream()

    with serving(flow, tmp_path, database_url) as page:
        alice = page("alice")
        told = []
        for event in alice.events("threads.create", input=written("tell me")):
            told.append(event)
            is_workflow = event.type == "thread.item.added" and event.item.type == "workflow"
            if is_workflow and event.item.workflow.summary.title == "Write":
                gate.set()  # the turn has run until the page got this event
        thread = told[0].thread.id
        done = [event.item for event in told if event.type == "thread.item.done"]
        assert [item.type for item in done] == ["user_message", "workflow", "workflow", "assistant_message"]
        search = done[1].workflow
        assert search.summary.title.startswith("Search (")
        assert [(task.title.partition(" (")[0], task.status_indicator) for task in search.tasks] == [
            ("Search", "complete"),
            ("Read", "complete"),
        ]
        updates = [event.update for event in told if event.type == "thread.item.updated"]
        assert [update.type for update in updates[:4]] == ["workflow.task.added", "workflow.task.updated"] * 2
        deltas = [update.delta for update in updates if update.type.endswith("text_delta")]
        assert deltas == ["this ", "is it"]
        drafted = [event.item.id for event in told if event.type == "thread.item.added"][-1]
        assert [event.item_id for event in told if event.type == "thread.item.removed"][-1] == drafted
        read = alice.items(thread, order="desc", limit=1).data[0]
        assert (done[-1].id, done[-1].content[0].text) == (read.id, "this is it")
        assert alice.said(thread) == [("user", "tell me"), ("assistant", "this is it")]


def test_text_before_a_call_is_removed_and_the_call_is_progress(tmp_path: Path) -> None:
    class Clock(Toolkit):
        @tool(label="Looking at the clock")
        def now(self) -> str:
            """Tell the time."""
            return "noon"

    async def streamed(messages: list[ModelMessage], _: AgentInfo) -> Any:
        if isinstance(messages[-1].parts[-1], UserPromptPart):
            yield "Let me look."
            yield {1: DeltaToolCall("now", "{}", tool_call_id="c1")}
        else:
            yield "It is noon."

    agent = Agent(model=FunctionModel(stream_function=streamed), toolkits=[Clock()])
    with serving(agent, tmp_path) as page:
        _, events = page("alice").begin("what time is it")
        kinds = [event.type for event in events]
        assert kinds.index("thread.item.removed") < kinds.index("progress_update")
        assert [event.text for event in events if event.type == "progress_update"] == ["Looking at the clock"]
        assert answers(events) == ["It is noon."]
