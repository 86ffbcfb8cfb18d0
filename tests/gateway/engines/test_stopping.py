"""A turn is stopped during a tool call, in every engine, with tools of toolkits and of the framework."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from agents import Agent as SDKAgent
from agents import function_tool
from langchain.agents import create_agent
from langchain.tools import tool as langchain_tool
from peers.aimock import Aimock, calls_tool, says
from pydantic_ai import Agent as PydanticAgent
from support.agents.engines import ENGINES, model
from support.stage import stage, stage_timings

from gateway import Agent
from toolkits import Toolkit, tool


class Held(Toolkit):
    """A toolkit whose tool does not end, and for native agents a function that does the same."""

    _clone_shared_attrs = ("begun",)

    def __init__(self) -> None:
        self.begun = asyncio.Event()

    @tool
    async def hold(self) -> str:
        """Hold."""
        self.begun.set()
        await asyncio.Event().wait()
        return ""

    def native(self, engine: str, chosen: Any) -> Any:
        """Return an agent of the engine's framework that has the tool."""

        async def hold() -> str:
            """Hold."""
            return await self.hold()

        if engine == "pydantic-ai":
            return PydanticAgent(chosen, tools=[hold])
        if engine == "langgraph":
            return create_agent(chosen, [langchain_tool(hold)])
        return SDKAgent(name="native", model=chosen, tools=[function_tool(hold)])


@pytest.mark.parametrize("kind", ["own", "native"])
@pytest.mark.parametrize("engine", ENGINES)
async def test_a_call_is_cut_off_and_the_model_is_not_asked_again(
    engine: str, kind: str, model_server: Aimock, tmp_path: Path
) -> None:
    model_server.load([calls_tool("use it", "hold", {}), says("use it", "done", hasToolResult=True), says("", "heard")])
    held, chosen = Held(), model(engine, model_server)
    agent = Agent(model=chosen, engine=engine, toolkits=[held]) if kind == "own" else Agent(held.native(engine, chosen))
    scene = stage(tmp_path, agent=agent, timings=stage_timings(calls_grace=0.1))
    async with scene.open():
        await scene.write("alice", "use it")
        await held.begun.wait()
        await scene.write("alice", "/stop", command="stop", stops=True)
        (sent,) = await scene.wait_for(1)
        assert sent.text.startswith("Stopped.\n\nI was interrupted while I used `hold`")
        assert len(await asyncio.to_thread(model_server.requests)) == 1
        assert await scene.ask("alice", "hello") == "heard"
    (_, request) = await asyncio.to_thread(model_server.requests)
    assert [message["role"] for message in request["messages"]][-3:] == ["user", "assistant", "user"]
