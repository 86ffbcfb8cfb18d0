"""The tools of MCP servers, on every engine."""

import asyncio
import re
from collections import Counter
from pathlib import Path

import pytest
from peers.aimock import Aimock, calls_tool, says
from peers.mcp_servers import Calls, identity_app
from peers.serving import ThreadServer
from pydantic_ai.models.function import FunctionModel
from support.agents.engines import ENGINES, model, native, tool_results
from support.stage import FakeProvider, obey, stage

from gateway import Agent, SettingError
from toolkits import Toolkit, tool
from toolkits.mcp import MCPServer

READ = frozenset({"read"})


@pytest.mark.parametrize("kind", ["own", "member", "native"])
@pytest.mark.parametrize("engine", ENGINES)
async def test_the_tools_of_an_mcp_server_are_called_for_the_sender(
    engine: str, kind: str, model_server: Aimock, tmp_path: Path
) -> None:
    if (engine, kind) == ("langgraph", "native"):
        with pytest.raises(SettingError, match="takes no mcp_servers"):
            stage(tmp_path, agent=Agent(native(engine, model_server), mcp_servers=[MCPServer(["x"])]))
        return
    with ThreadServer(identity_app(Calls())) as server:
        servers = [MCPServer(f"{server.url}/mcp")]
        chosen = model(engine, model_server)
        if kind == "native":
            agent = Agent(native(engine, model_server), mcp_servers=servers)
        elif kind == "own":
            agent = Agent(model=chosen, engine=engine, mcp_servers=servers)
        else:
            keeper = Agent(model=chosen, engine=engine, mcp_servers=servers, name="keeper")
            agent = Agent(model=chosen, engine=engine, members=[keeper])
        asked = "use ask_keeper" if kind == "member" else "use whoami"
        handed_on = calls_tool("use ask_keeper", "ask_keeper", {"task": "use whoami"})
        model_server.load([handed_on, calls_tool("use whoami", "whoami"), says("use", "done", hasToolResult=True)])
        scene = stage(tmp_path, agent=agent)
        async with scene.open():
            for number in range(5):
                for person in ("alice", "bob"):
                    await scene.write(person, f"{asked}, says {person}", f"dm-{person}-{number}")
            answers = await scene.wait_for(10)
            found = await scene.gateway.parts.audit.find(since=None, limit=100, tool="whoami")
    assert {answer.text for answer in answers} == {"done"}
    results = [result for _, result in tool_results(await asyncio.to_thread(model_server.requests))]
    told = Counter(person for result in results for person in re.findall(r"user_id\W+(\w+)", result))
    assert told == {"alice": 5, "bob": 5}
    assert Counter((record.user_id, record.outcome) for record in found) == {("alice", "ok"): 5, ("bob", "ok"): 5}


async def test_an_mcp_server_that_needs_an_account_starts_the_consent_loop(tmp_path: Path) -> None:
    calls = Calls()
    with ThreadServer(identity_app(calls, accepted={"SECRET-alice", "SECRET-bob"})) as server:
        vault = MCPServer(f"{server.url}/mcp", name="vault", auth=FakeProvider(), scopes=READ)
        scene = stage(tmp_path, agent=Agent(model=FunctionModel(obey), mcp_servers=[vault]))
        async with scene.open():
            for person in ("alice", "bob"):
                before = len(scene.sent)
                await scene.write(person, "connect_vault whoami")
                await scene.connect((await scene.wait_for(before + 1))[before].link, person)
                answer = (await scene.wait_for(before + 2))[before + 1].text
                assert f"SECRET-{person}" in answer
                assert f'"user_id": "{person}"' in answer
    assert set(calls.tokens) == {"SECRET-alice", "SECRET-bob"}


async def test_two_tools_of_the_same_name_stop_the_start(tmp_path: Path) -> None:
    class Mine(Toolkit):
        @tool
        def whoami(self) -> str:
            """Tell."""
            return ""

    with ThreadServer(identity_app(Calls())) as server:
        agent = Agent(model="test", toolkits=[Mine()], mcp_servers=[MCPServer(f"{server.url}/mcp")])
        with pytest.raises(SettingError, match="two tools called 'whoami'"):
            async with stage(tmp_path, agent=agent).open():
                pass


async def test_an_unreachable_mcp_server_stops_the_start(tmp_path: Path) -> None:
    scene = stage(tmp_path, agent=Agent(model="test", mcp_servers=[MCPServer("http://127.0.0.1:9/mcp")]))
    with pytest.raises(SettingError, match=r"127\.0\.0\.1:9"):
        async with scene.open():
            pass
