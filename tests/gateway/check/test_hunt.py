"""A hunt finds leaks, and leaves nothing behind."""

import logging
import sys
import threading
from typing import Any

import pytest
from agents import Agent as SDKAgent
from agents import RunContextWrapper, function_tool
from langchain.agents import create_agent
from langchain.tools import ToolRuntime
from langchain.tools import tool as langchain_tool
from langchain_openai import ChatOpenAI
from langgraph.graph import START, MessagesState, StateGraph
from peers.wait import wait_until
from pydantic import SecretStr
from pydantic_ai import Agent as PydanticAgent
from pydantic_ai import RunContext

from gateway import Agent, TurnContext
from gateway.check import LeakKind
from gateway.check.blocking import hunt_and_wait
from toolkits import Toolkit, tool

pytestmark = pytest.mark.long


class Settings(Toolkit):
    """A toolkit whose tool changes the template, through a kept reference."""

    def __init__(self) -> None:
        self.last = ""

    @tool
    def choose(self, text: str) -> str:
        """Choose."""
        originals[0].last = "chosen"
        return "chosen"


originals: list[Settings] = []


def test_a_template_that_a_tool_changes_is_reported() -> None:
    originals[:] = [Settings()]
    report = hunt_and_wait(Agent(model="test", toolkits=[originals[0]]))
    assert [(leak.kind, leak.path) for leak in report.leaks] == [(LeakKind.TEMPLATE, "Settings.last")]


class Talker(Toolkit):
    @tool
    async def talk(self, text: str, context: TurnContext) -> str:
        """Talk."""
        logging.getLogger("talker").debug("talking")
        return str(await context.credentials("fake"))


def test_a_hunt_leaves_nothing_behind() -> None:
    level, handlers, out = logging.getLogger().level, list(logging.getLogger().handlers), sys.stdout
    threads = threading.active_count()
    report = hunt_and_wait(Agent(model="test", toolkits=[Talker()]))
    assert report.leaks == []
    assert (logging.getLogger().level, list(logging.getLogger().handlers), sys.stdout) == (level, handlers, out)
    wait_until(lambda: threading.active_count() <= threads + 1, what="its threads have ended")


kept: dict[str, dict[str, str]] = {"pydantic": {}, "graph": {}, "sdk": {}}


def native_agent(name: str, *, leaks: bool) -> Any:
    """Return a native agent with one tool, which keeps the last credential if it `leaks`."""

    async def work(context: TurnContext, text: str) -> str:
        token = str(await context.credentials("fake"))
        if leaks:
            kept[name][context.conversation.id] = token
        return f"{text} {token}"

    if name == "pydantic":
        agent: PydanticAgent[TurnContext, str] = PydanticAgent("test", deps_type=TurnContext)

        @agent.tool
        async def fetch(ctx: RunContext[TurnContext], text: str) -> str:
            return await work(ctx.deps, text)

        return agent
    if name == "graph":

        @langchain_tool
        async def fetch_it(text: str, runtime: ToolRuntime[TurnContext]) -> str:
            """Fetch."""
            return await work(runtime.context, text)

        chosen = ChatOpenAI(model="x", api_key=SecretStr("x"))
        return create_agent(chosen, [fetch_it], context_schema=TurnContext)

    @function_tool
    async def fetch_that(ctx: RunContextWrapper[TurnContext], text: str) -> str:
        return await work(ctx.context, text)

    return SDKAgent[TurnContext](name=name, tools=[fetch_that])


def test_the_tools_of_agents_of_frameworks_are_checked() -> None:
    leaky = [Agent(native_agent(name, leaks=True), name=name) for name in kept]
    clean = [Agent(native_agent(name, leaks=False), name=f"clean-{name}") for name in kept]
    report = hunt_and_wait(Agent(model="test", members=[*leaky, *clean]))
    assert report.tools == 2 * len(kept)
    assert sorted((leak.kind, leak.toolkit, leak.path.partition("]")[0]) for leak in report.leaks) == [
        (LeakKind.CREDENTIAL, name, f"{__name__}.kept[{name!r}") for name in sorted(kept)
    ], str(report)
    for agent in leaky + clean:
        assert [line for line in report.not_covered if line.startswith(f"{agent.name}, which is written for")]
    assert not [line for line in report.not_covered if "past the point" in line], str(report)


class Bytes(Toolkit):
    """A toolkit that collects bytes in a buffer, and keeps the buffer outside of itself."""

    def __init__(self) -> None:
        self.buffer = bytearray()

    @tool
    def collect(self, text: str) -> str:
        """Collect."""
        self.buffer.extend(text.encode())
        held.append(self.buffer)
        return "collected"


held: list[bytearray] = []


def test_a_leak_in_a_bytearray_is_found() -> None:
    report = hunt_and_wait(Agent(model="test", toolkits=[Bytes()]))
    held.clear()
    assert [(leak.kind, leak.path.split("[")[0]) for leak in report.leaks] == [(LeakKind.DATA, f"{__name__}.held")]


def test_a_graph_whose_tools_are_not_found_is_reported_as_not_covered() -> None:
    graph = StateGraph(MessagesState)
    graph.add_node("echo", lambda state: {"messages": state["messages"][-1:]})
    graph.add_edge(START, "echo")
    report = hunt_and_wait(Agent(graph.compile(), name="mine"))
    assert "mine, which is written for langgraph: its own tools could not be called" in report.not_covered
