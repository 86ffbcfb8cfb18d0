"""A turn that runs again after a crash, a shutdown, a failure or a sign-in repeats no call, in every engine."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from agents import Agent as SDKAgent
from agents import function_tool
from langchain.agents import create_agent
from langchain.tools import tool as langchain_tool
from peers.aimock import Aimock, calls_tool, says
from peers.wait import wait_until_async
from pydantic_ai import Agent as PydanticAgent
from support.agents.engines import ENGINES, model
from support.stage import IMPATIENT, FakeProvider, Stage, stage, stage_timings

from gateway import Agent, TurnContext
from toolkits import ToolError, Toolkit, tool

KINDS = ["own", "native"]
REPORT = "I was interrupted while I used `second`. I cannot tell whether that was done, so I did not repeat it."


@dataclass
class Log:
    """A record of the calls, and a gate at which the second tool waits."""

    calls: list[str] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    fail: Exception | None = None

    async def first(self) -> str:
        self.calls.append("first")
        return "first was done"

    async def second(self) -> str:
        self.calls.append("second")
        if self.fail is not None:
            raise self.fail
        await self.gate.wait()
        return "second was done"

    async def begun(self) -> None:
        async def is_running() -> bool:
            return self.calls[-1:] == ["second"]

        await wait_until_async(is_running, what="the second tool runs")

    def __deepcopy__(self, memo: object) -> "Log":
        raise AssertionError("it is shared")


class Work(Toolkit):
    _clone_shared_attrs = ("log",)

    def __init__(self, log: Log) -> None:
        self.log = log

    @tool
    async def first(self) -> str:
        """Do the first thing."""
        return await self.log.first()

    @tool
    async def second(self) -> str:
        """Do the second thing."""
        return await self.log.second()


class Reading(Work):
    @tool(read_only=True)
    async def second(self) -> str:
        """Read something."""
        return await self.log.second()


class Asking(Work):
    _clone_shared_attrs = ("log", "auth")
    scopes = frozenset({"read"})

    def __init__(self, log: Log) -> None:
        super().__init__(log)
        self.auth: Any = FakeProvider()

    @tool
    async def second(self, context: TurnContext) -> str:  # type: ignore[override]
        """Do the second thing, with an account."""
        await context.credentials("fake", {"read"})
        self.log.gate.set()
        return await self.log.second()


@pytest.fixture
def server(aimock: Aimock) -> Aimock:
    """A model that calls the first tool, then the second one, and then says how that call ended."""
    aimock.load(
        [
            says("work", "told that it is not known", toolResultContains="not known whether"),
            says("work", "told that it failed", toolResultContains="It failed"),
            says("work", "all done", toolResultContains="second was done"),
            calls_tool("work", "second", hasToolResult=True, toolResultContains="first was done"),
            calls_tool("work", "first"),
            says("", "heard"),
        ]
    )
    return aimock


def agent_of(kind: str, engine: str, server: Aimock, log: Log, toolkit: type[Work] = Work) -> Agent:
    chosen = model(engine, server)
    if kind == "own":
        return Agent(model=chosen, engine=engine, toolkits=[toolkit(log)])
    return Agent({"pydantic-ai": _pydantic, "langgraph": _graph, "openai-agents": _sdk}[engine](chosen, log))


def _pydantic(chosen: Any, log: Log) -> Any:
    agent = PydanticAgent(chosen)
    agent.tool_plain(name="first")(log.first)
    agent.tool_plain(name="second")(log.second)
    return agent


def _graph(chosen: Any, log: Log) -> Any:
    tools = [langchain_tool(name, description=name)(_function(method)) for name, method in _methods(log)]
    return create_agent(chosen, tools)


def _sdk(chosen: Any, log: Log) -> Any:
    tools = [function_tool(_function(method), name_override=name) for name, method in _methods(log)]
    return SDKAgent(name="worker", model=chosen, tools=tools)  # type: ignore[arg-type]


def _methods(log: Log) -> list[tuple[str, Callable[[], Awaitable[str]]]]:
    return [("first", log.first), ("second", log.second)]


def _function(method: Callable[[], Awaitable[str]]) -> Callable[[], Awaitable[str]]:
    async def call() -> str:
        """Do it."""
        return await method()

    return call


def snapshot(directory: Path) -> None:
    """Return a copy of the database as a process that dies now would leave it."""
    source, target = sqlite3.connect(directory / "stage.db"), sqlite3.connect(directory / "copy")
    with closing(source) as database, closing(target) as copy:
        database.backup(copy)


async def die_in_second(scene: Stage, log: Log, directory: Path) -> None:
    """Leave the database as a process that dies in the second tool leaves it."""
    async with scene.open():
        await scene.write("alice", "work")
        await log.begun()
        await asyncio.to_thread(snapshot, directory)
        log.gate.set()
        await scene.wait_for(1)
    (directory / "copy").rename(directory / "stage.db")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("engine", ENGINES)
async def test_after_a_crash_no_call_is_repeated_and_the_interrupted_one_is_reported(
    engine: str, kind: str, server: Aimock, tmp_path: Path
) -> None:
    await die_in_second(stage(tmp_path, agent=agent_of(kind, engine, server, log := Log())), log, tmp_path)
    again = Log()
    scene = stage(tmp_path, agent=agent_of(kind, engine, server, again))
    async with scene.open():
        answer = (await scene.wait_for(1))[0].text
        assert await scene.ask("alice", "hello", id="later") == "heard"
    assert again.calls == []
    assert REPORT in answer
    assert scene.rows("SELECT max(attempts) FROM inbox WHERE status = 'dead'") in ([(None,)], [(2,)])  # at once
    if (kind, engine) == ("native", "langgraph"):  # where a callback can stop a call, but say nothing to the model
        assert "something went wrong" in answer
    else:
        assert answer.startswith("told that it is not known")
    assert scene.rows("SELECT tool, outcome FROM audit ORDER BY id") == [("first", "ok"), ("second", "ambiguous")]


@pytest.mark.parametrize("engine", ENGINES)
async def test_after_a_crash_a_call_that_only_reads_is_made_again(engine: str, server: Aimock, tmp_path: Path) -> None:
    agent = agent_of("own", engine, server, log := Log(), Reading)
    await die_in_second(stage(tmp_path, agent=agent), log, tmp_path)
    again = Log()
    again.gate.set()
    scene = stage(tmp_path, agent=agent_of("own", engine, server, again, Reading))
    async with scene.open():
        assert (await scene.wait_for(1))[0].text == "all done"
    assert again.calls == ["second"]
    assert scene.rows("SELECT count(*) FROM tool_calls") == [(0,)]
    assert scene.rows("SELECT count(*) FROM turn_responses") == [(0,)]


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_turn_continues_after_a_sign_in_and_repeats_nothing(
    engine: str, server: Aimock, tmp_path: Path
) -> None:
    log = Log()
    scene = stage(tmp_path, agent=agent_of("own", engine, server, log, Asking))
    async with scene.open():
        await scene.write("alice", "work")
        link = (await scene.wait_for(1))[0].link
        assert log.calls == ["first"]
        await scene.connect(link, "alice")
        assert (await scene.wait_for(2))[1].text == "all done"
    assert log.calls == ["first", "second"]


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("engine", ENGINES)
async def test_a_turn_that_a_shutdown_cut_off_continues_where_it_was(
    engine: str, streams: bool, server: Aimock, tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log()
    agent = agent_of("own", engine, server, log, Reading)
    scene = stage(
        tmp_path, agent=agent, database=database_url, streams=streams, timings=stage_timings(shutdown_grace=0.1)
    )
    async with scene.open():
        await scene.write("alice", "work")
        await log.begun()
    log.gate.set()
    requests = len(await asyncio.to_thread(server.requests))
    async with scene.open():
        assert (await scene.wait_for(1))[0].text == "all done"
    assert log.calls == ["first", "second", "second"]
    # The model was asked only for the last answer.
    assert len(await asyncio.to_thread(server.requests)) == requests + 1


async def test_a_turn_whose_model_fails_half_way_repeats_nothing(server: Aimock, tmp_path: Path) -> None:
    log = Log()
    log.gate.set()
    scene = stage(tmp_path, agent=agent_of("own", "openai-agents", server, log), timings=IMPATIENT)
    real = log.second

    async def then_fail() -> str:
        await asyncio.to_thread(server.fail_next)
        return await real()

    log.second = then_fail  # type: ignore[method-assign]
    async with scene.open():
        assert await scene.ask("alice", "work") == "all done"
    assert log.calls == ["first", "second"]


async def test_a_tool_that_raises_is_not_called_again_until_an_operator_says_so(
    server: Aimock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gateway.operations.dead_letters import DeadLetters

    log = Log(fail=ValueError("broken"))
    log.gate.set()
    scene = stage(tmp_path, agent=agent_of("own", "pydantic-ai", server, log))
    async with scene.open():
        assert "something went wrong" in await scene.ask("alice", "work")
        assert log.calls == ["first", "second"]
        log.fail = None
        letters = DeadLetters(scene.gateway.parts.backend.database)
        await letters.retry(await letters.find())
        assert (await scene.wait_for(2))[1].text == "all done"
    assert log.calls == ["first", "second", "second"]


async def test_a_call_that_reported_an_error_to_the_model_is_not_repeated(server: Aimock, tmp_path: Path) -> None:
    """Have a tool raise an error for the model. A retry reports the same error, and does not repeat the call."""
    log = Log(fail=ToolError("It failed: no such thing"))
    scene = stage(tmp_path, agent=agent_of("own", "pydantic-ai", server, log))
    async with scene.open():
        assert await scene.ask("alice", "work") == "told that it failed"
    assert log.calls == ["first", "second"]


async def test_results_of_a_worker_that_lost_its_turn_are_not_kept(
    server: Aimock, tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.inbox.inbox.Inbox.let_go", lambda *_: None)  # the other worker plays it on
    log = Log()
    scene = stage(tmp_path, agent=agent_of("own", "pydantic-ai", server, log), database=database_url)
    async with scene.open():
        await scene.write("alice", "work")
        await log.begun()
        await scene.change("UPDATE inbox SET lease = lease + 1")  # as another worker's claim does
        log.gate.set()
        await scene.wait_until_rows("SELECT count(*) FROM audit WHERE tool = 'second'", 1)
        assert scene.rows("SELECT status FROM inbox") == [("running",)]
    assert scene.sent == []
