"""Calls of agents in flows: the history that they read and write, calls as tasks, and what people see of them."""

import asyncio
import gc
import warnings
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from peers.aimock import Aimock, calls_tool, says
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from support.agents.engines import ENGINES, model
from support.agents.reading import ReadingAgents, reader, texts
from support.stage import obey

from gateway import (
    Agent,
    AgentCall,
    MaxTurnsExceededError,
    Message,
    Runner,
    Session,
    SessionItem,
    TextDelta,
    ToolStarted,
    phase,
)
from gateway.runs.agent_call import call_limit
from gateway.runs.anonymous import anonymous_context
from gateway.runs.events import ignore
from gateway.runs.flow_turn import FlowTurn
from gateway.runs.items import Role
from gateway.runs.journal import NO_JOURNAL
from gateway.timings import DEFAULT_TIMINGS
from toolkits import Toolkit, tool


@pytest.fixture
def session() -> Session:
    return Session([SessionItem(Role.USER, "before"), SessionItem(Role.ASSISTANT, "said before")])


BEFORE = ["before", "said before"]


async def test_a_call_reads_and_writes_the_session(reads: ReadingAgents, session: Session) -> None:
    one, two = reads.agent("one"), reads.agent("two")

    async def flow(message: Message) -> str:
        return await two(await one(message))

    assert await Runner(flow, session=session).run("hi") == "two(one(hi))"
    assert reads.by_call == {"one(hi)": BEFORE, "two(one(hi))": [*BEFORE, "hi", "one(hi)"]}
    assert texts(session.items) == [*BEFORE, "hi", "one(hi)", "one(hi)", "two(one(hi))"]


@dataclass(frozen=True)
class Case:
    """The history that a call with a modifier reads and writes.

    An earlier call has added `S` to the session. In a phase, another one has added `P`.
    """

    modify: Callable[[AgentCall], AgentCall]
    options: dict[str, bool] | None
    reads: list[str]
    session: list[str]
    phase: list[str]


def _plain(call: AgentCall) -> AgentCall:
    return call


S, P = ["s", "one(s)"], ["p", "one(p)"]
X = ["x", "two(x)"]
TABLE = {
    "no modifier, no phase": Case(_plain, None, S, X, []),
    "isolated": Case(AgentCall.isolated, None, [], [], []),
    "snapshot": Case(AgentCall.snapshot, None, S, [], []),
    "silent": Case(AgentCall.silent, None, S, X, []),
    "shared phase": Case(_plain, {"share_context": True}, [*S, *P], [], X),
    "shared phase, persisted": Case(_plain, {"share_context": True, "persist": True}, [*S, *P], ["two(x)"], X),
    "shared phase, isolated": Case(AgentCall.isolated, {"share_context": True}, [], [], []),
    "shared phase, snapshot": Case(AgentCall.snapshot, {"share_context": True}, [*S, *P], [], []),
    "phase that shares nothing": Case(_plain, {"share_context": False}, S, [], []),
    "phase that shares nothing, isolated": Case(AgentCall.isolated, {"share_context": False}, [], [], []),
    "phase that shares nothing, snapshot": Case(AgentCall.snapshot, {"share_context": False}, S, [], []),
    "phase that shares nothing, persisted": Case(_plain, {"share_context": False, "persist": True}, S, [], []),
}


@pytest.mark.parametrize("name", TABLE)
async def test_modifiers_and_phases_decide_what_a_call_reads_and_writes(reads: ReadingAgents, name: str) -> None:
    case, one, two = TABLE[name], reads.agent("one"), reads.agent("two")
    in_phase: list[str] = []

    async def flow(message: Message) -> str:
        await one("s")
        if case.options is None:
            await case.modify(two("x"))
        else:
            async with phase("Work", **case.options) as p:
                await one("p")
                await case.modify(two("x"))
                assert (p is None) == (not case.options["share_context"])
                if p is not None:
                    in_phase.extend(texts(await p.get_items()))
        return "end"

    session = Session()
    assert await Runner(flow, session=session).run("go") == "end"
    assert reads.by_call["two(x)"] == case.reads
    assert texts(session.items) == ["go", *S, *case.session, "end"]
    if in_phase:
        assert in_phase == [*S, *P, *case.phase]


@pytest.mark.parametrize("modify", [_plain, AgentCall.snapshot, AgentCall.isolated])
async def test_without_a_session_a_call_reads_only_its_phase(reads: ReadingAgents, modify: Any) -> None:
    one, two = reads.agent("one"), reads.agent("two")

    async def flow(message: Message) -> str:
        await one("s")
        async with phase("Work"):
            await one("p")
            return await modify(two("x"))

    assert await Runner(flow).run("go") == "two(x)"
    assert reads.by_call["one(p)"] == []
    assert reads.by_call["two(x)"] == ([] if modify is AgentCall.isolated else P)


@pytest.mark.parametrize("engine", ENGINES)
async def test_max_turns_limits_a_call_on_every_engine(engine: str, aimock: Aimock) -> None:
    class Kit(Toolkit):
        @tool
        def look(self) -> str:
            """Look."""
            return "seen"

    aimock.load(
        [
            says("look", "I have looked", toolResultContains="seen"),
            calls_tool("look", "look"),
            says("again", "as I said", userMessage="again"),
            says("", "heard"),
        ]
    )
    one = Agent(model=model(engine, aimock), engine=engine, toolkits=[Kit()])

    async def flow(message: Message) -> str:
        first = await one(message).max_turns(2)
        with pytest.raises(MaxTurnsExceededError, match="no answer after 1 turns"):
            await one("look").isolated().max_turns(1)
        return f"{first}, {await one('again')}"

    session = Session()
    assert await Runner(flow, session=session).run("look") == "I have looked, as I said"
    with pytest.raises(ValueError, match="must be 1 or more"):
        one("x").max_turns(0)


async def test_calls_run_as_tasks_and_in_task_groups() -> None:
    one, two, session = reader("one"), reader("two"), Session()

    async def flow(message: Message) -> str:
        task = asyncio.create_task(one(message))
        async with asyncio.TaskGroup() as group:
            others = [group.create_task(two(f"{message}{number}")) for number in range(2)]
        return " ".join([await task, *(other.result() for other in others)])

    assert await Runner(flow, session=session).run("x") == "one(x) two(x0) two(x1)"
    assert [item.text for item in session.items][:6] == ["x", "one(x)", "x0", "two(x0)", "x1", "two(x1)"]


async def test_a_call_in_a_task_that_is_cancelled_ends() -> None:
    task = asyncio.create_task(reader()("x"))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_call_that_is_never_awaited_is_warned_of() -> None:
    one = reader()

    async def flow(message: Message) -> str:
        one(message)
        return "done"

    with pytest.warns(RuntimeWarning, match="a call of the agent 'one' was never awaited"):
        await Runner(flow).run("x")


async def test_a_call_that_is_awaited_is_not_warned_of() -> None:
    one = reader()

    async def flow(message: Message) -> str:
        task = asyncio.create_task(one(message).isolated())
        return await one(message).stream().silent() + await task

    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        assert await Runner(flow).run("x") == "one(x)one(x)"
        gc.collect()
    assert not [each for each in warned if "never awaited" in str(each.message)]


async def test_a_call_that_is_awaited_after_its_turn_writes_nothing() -> None:
    one, session = reader(), Session()
    over, began, goes_on = asyncio.Event(), asyncio.Event(), asyncio.Event()
    late: list[Awaitable[str]] = []

    async def answer(messages: list[ModelMessage], _: AgentInfo) -> ModelResponse:
        began.set()
        await goes_on.wait()
        return ModelResponse([TextPart("slow")])

    slow = Agent(model=FunctionModel(answer), name="slow")

    async def afterwards() -> str:
        await over.wait()
        return await one("new")

    async def flow(message: Message) -> str:
        late.extend([one("kept"), asyncio.create_task(afterwards()), asyncio.create_task(slow("begun"))])
        await began.wait()
        return "done"

    await Runner(flow, session=session).run("x")
    written = list(session.items)
    over.set()
    goes_on.set()
    assert [await call for call in late] == ["one(kept)", "one(new)", "slow"]
    assert list(session.items) == written
    assert [item.text for item in written] == ["x", "done"]


async def test_a_streamed_call_shows_its_text_and_a_silent_call_shows_nothing() -> None:
    async def speak(messages: list[ModelMessage], info: AgentInfo) -> Any:
        for word in ("wo", "rd"):
            yield word

    class Kit(Toolkit):
        @tool
        def look(self) -> str:
            """Look."""
            return "seen"

    async def say(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        return ModelResponse([TextPart("word")])

    speaker = Agent(model=FunctionModel(say, stream_function=speak), name="speaker")
    worker = Agent(model=FunctionModel(obey), toolkits=[Kit()], name="worker")
    told: list[Any] = []

    async def flow(message: Message) -> str:
        await speaker("a")
        await speaker("b").stream()
        await speaker("c").stream().silent()
        await worker("call look")
        await worker("call look").silent()
        return "end"

    await Runner(flow, handler=told.append).run("go")
    assert [event.text for event in told if isinstance(event, TextDelta)] == ["wo", "rd"]
    assert [event.tool for event in told if isinstance(event, ToolStarted)] == ["look"]


@pytest.mark.parametrize(
    ("left", "limit"), [(3 * DEFAULT_TIMINGS.turn, 3 * DEFAULT_TIMINGS.turn), (1, DEFAULT_TIMINGS.turn)]
)
def test_a_call_may_take_as_long_as_a_long_turn(left: float, limit: float) -> None:
    context = replace(anonymous_context(""), deadline=datetime.now(UTC) + timedelta(seconds=left))
    turn = FlowTurn(context, ignore, NO_JOURNAL, streams=False)
    assert call_limit(turn) == pytest.approx(limit, abs=30)
    assert call_limit(None) == DEFAULT_TIMINGS.turn
