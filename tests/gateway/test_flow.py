"""Flows: what each call reads and writes, phases, and what may be a flow."""

import asyncio
import gc
import warnings
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from engine_agents import ENGINES, model
from peers.aimock import Aimock, calls_tool, says
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from stage import Vault, texts_told

from gateway import (
    Agent,
    AgentCall,
    Conversation,
    Gateway,
    Identity,
    MaxTurnsExceededError,
    Message,
    PhaseEnded,
    PhaseStarted,
    Runner,
    Session,
    SessionItem,
    SettingError,
    current_handler,
    current_in_phase,
    current_phase_session,
    current_session,
    phase,
)
from gateway.runs.items import Role
from toolkits import Toolkit, tool


@dataclass
class Reads:
    """Agents that answer `NAME(text)`, and what each was told before."""

    by_call: dict[str, list[str]] = field(default_factory=dict)
    gates: dict[str, asyncio.Event] = field(default_factory=dict)

    def agent(self, name: str) -> Agent:
        async def answer(messages: list[ModelMessage], _: AgentInfo) -> ModelResponse:
            said = texts_told(messages)
            call = f"{name}({said[-1]})"
            self.by_call[call] = said[:-1]
            if name in self.gates:
                await self.gates[name].wait()
            return ModelResponse([TextPart(call)])

        return Agent(model=FunctionModel(answer), name=name)


def texts(items: Any) -> list[str]:
    return [item.text for item in items]


@pytest.fixture
def reads() -> Reads:
    return Reads()


@pytest.fixture
def session() -> Session:
    return Session([SessionItem(Role.USER, "before"), SessionItem(Role.ASSISTANT, "said before")])


BEFORE = ["before", "said before"]


async def test_a_call_reads_and_writes_the_session(reads: Reads, session: Session) -> None:
    one, two = reads.agent("one"), reads.agent("two")

    async def flow(message: Message) -> str:
        return await two(await one(message))

    assert await Runner(flow, session=session).run("hi") == "two(one(hi))"
    assert reads.by_call == {"one(hi)": BEFORE, "two(one(hi))": [*BEFORE, "hi", "one(hi)"]}
    assert texts(session.items) == [*BEFORE, "hi", "one(hi)", "one(hi)", "two(one(hi))"]


@dataclass(frozen=True)
class Cell:
    """A row of the design's table: what a call reads and writes, in a session `S` and in a phase with `P` in it."""

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
    "no modifier, no phase": Cell(_plain, None, S, X, []),
    "isolated": Cell(AgentCall.isolated, None, [], [], []),
    "snapshot": Cell(AgentCall.snapshot, None, S, [], []),
    "silent": Cell(AgentCall.silent, None, S, X, []),
    "shared phase": Cell(_plain, {"share_context": True}, [*S, *P], [], X),
    "shared phase, persisted": Cell(_plain, {"share_context": True, "persist": True}, [*S, *P], ["two(x)"], X),
    "shared phase, isolated": Cell(AgentCall.isolated, {"share_context": True}, [], [], []),
    "shared phase, snapshot": Cell(AgentCall.snapshot, {"share_context": True}, [*S, *P], [], []),
    "phase that shares nothing": Cell(_plain, {"share_context": False}, S, [], []),
    "phase that shares nothing, isolated": Cell(AgentCall.isolated, {"share_context": False}, [], [], []),
    "phase that shares nothing, snapshot": Cell(AgentCall.snapshot, {"share_context": False}, S, [], []),
    "phase that shares nothing, persisted": Cell(_plain, {"share_context": False, "persist": True}, S, [], []),
}


@pytest.mark.parametrize("name", TABLE)
async def test_where_a_call_reads_and_writes(reads: Reads, name: str) -> None:
    cell, one, two = TABLE[name], reads.agent("one"), reads.agent("two")
    in_phase: list[str] = []

    async def flow(message: Message) -> str:
        await one("s")
        if cell.options is None:
            await cell.modify(two("x"))
        else:
            async with phase("Work", **cell.options) as p:
                await one("p")
                await cell.modify(two("x"))
                assert (p is None) == (not cell.options["share_context"])
                if p is not None:
                    in_phase.extend(texts(await p.get_items()))
        return "end"

    session = Session()
    assert await Runner(flow, session=session).run("go") == "end"
    assert reads.by_call["two(x)"] == cell.reads
    assert texts(session.items) == ["go", *S, *cell.session, "end"]
    if in_phase:
        assert in_phase == [*S, *P, *cell.phase]


@pytest.mark.parametrize("modify", [_plain, AgentCall.snapshot, AgentCall.isolated])
async def test_without_a_session_nothing_is_read_but_a_phase(reads: Reads, modify: Any) -> None:
    one, two = reads.agent("one"), reads.agent("two")

    async def flow(message: Message) -> str:
        await one("s")
        async with phase("Work"):
            await one("p")
            return await modify(two("x"))

    assert await Runner(flow).run("go") == "two(x)"
    assert reads.by_call["one(p)"] == []
    assert reads.by_call["two(x)"] == ([] if modify is AgentCall.isolated else P)


async def test_phases_in_phases_read_what_is_around_them(reads: Reads) -> None:
    one, session = reads.agent("one"), Session()

    async def flow(message: Message) -> str:
        async with phase("Outer") as outer:
            await one("a")
            async with phase("Inner", persist=True):
                await one("b")
                await one("c")
            async with phase("Alone", share_context=False):
                await one("d")
                async with phase("Shared in that") as again:
                    await one("e")
                    await one("f")
                    assert again is current_phase_session.get()
            assert current_phase_session.get() is outer
            await one("g")
        return await one("h")

    await Runner(flow, session=session).run("go")
    assert reads.by_call["one(c)"] == ["a", "one(a)", "b", "one(b)"]
    assert reads.by_call["one(d)"] == ["a", "one(a)", "one(c)"]
    assert reads.by_call["one(f)"] == ["a", "one(a)", "one(c)", "e", "one(e)"]
    assert reads.by_call["one(g)"] == ["a", "one(a)", "one(c)"]
    assert texts(session.items) == ["go", "h", "one(h)"]


async def test_calls_side_by_side_read_the_same_and_are_kept_in_their_order(reads: Reads) -> None:
    slow, quick, last = reads.agent("slow"), reads.agent("quick"), reads.agent("last")
    reads.gates["slow"] = asyncio.Event()

    async def flow(message: Message) -> str:
        async with phase("Work", persist=True):
            await quick("first")

            async def then() -> None:
                await quick("b")
                reads.gates["slow"].set()

            await asyncio.gather(slow("a"), then(), quick("c").snapshot())
            return await last("x")

    session = Session()
    await Runner(flow, session=session).run("go")
    first = ["first", "quick(first)"]
    assert [reads.by_call[call] for call in ("slow(a)", "quick(b)", "quick(c)")] == [first] * 3
    assert reads.by_call["last(x)"] == [*first, "a", "slow(a)", "b", "quick(b)"]
    assert texts(session.items) == ["go", "last(x)"]


async def test_a_phase_has_notes_and_a_label(reads: Reads) -> None:
    async def flow(message: Message) -> str:
        async with phase("Research") as p:
            assert p is not None
            p.sources = 3
            p.sources += 1
            assert (p.label, p.sources, p.data) == ("Research", 4, {"sources": 4})
            with pytest.raises(AttributeError, match="no note 'other'"):
                _ = p.other
            for name in ("label", "get_items", "_data"):
                with pytest.raises(AttributeError):
                    setattr(p, name, 1)
        return "done"

    assert await Runner(flow).run("go") == "done"


def variables() -> tuple[Any, ...]:
    return (current_session.get(), current_handler.get(), current_phase_session.get(), current_in_phase.get())


async def test_what_is_at_hand_can_be_read_also_in_threads(reads: Reads) -> None:
    session, told = Session(), list[Any]()

    async def flow(message: Message) -> str:
        assert variables() == (session, told.append, None, False)
        async with phase("Work") as p:
            assert await asyncio.to_thread(variables) == (session, told.append, p, True)
            pooled = asyncio.get_running_loop().run_in_executor(None, variables)
            assert await pooled == (session, told.append, p, True)
            async with phase("Alone", share_context=False):
                assert variables() == (session, told.append, None, True)
        return "done"

    await Runner(flow, session=session, handler=told.append).run("go")
    assert variables() == (None, None, None, False)
    labels = [(type(event), event.label) for event in told]
    assert labels == [
        (PhaseStarted, "Work"),
        (PhaseStarted, "Alone"),
        (PhaseEnded, "Alone"),
        (PhaseEnded, "Work"),
    ]
    assert all(event.elapsed_ms >= 0 for event in told if isinstance(event, PhaseEnded))


@pytest.mark.parametrize("fails", ["body", "start", "end", "body and end", "cancelled"])
async def test_a_phase_ends_whole_whatever_is_raised(reads: Reads, fails: str) -> None:
    told, session, one = list[Any](), Session(), reads.agent("one")

    async def handler(event: Any) -> None:
        told.append(event)
        if isinstance(event, PhaseStarted) and fails == "start":
            raise RuntimeError("start")
        if isinstance(event, PhaseEnded) and fails in ("end", "body and end"):
            raise RuntimeError("end")

    async def flow(message: Message) -> str:
        try:
            async with phase("Work", persist=True):
                await one("x")
                if fails in ("body", "body and end"):
                    raise ValueError("body")
                if fails == "cancelled":
                    raise asyncio.CancelledError
        except (RuntimeError, ValueError, asyncio.CancelledError) as error:
            assert (current_in_phase.get(), current_phase_session.get()) == (False, None)
            return f"{type(error).__name__} {error}"
        raise AssertionError

    raised = {"start": "RuntimeError start", "end": "RuntimeError end", "cancelled": "CancelledError "}
    assert await Runner(flow, session=session, handler=handler).run("go") == raised.get(fails, "ValueError body")
    assert [type(event) for event in told] == [PhaseStarted, PhaseEnded]
    kept = ["one(x)"] if fails == "end" else []
    assert texts(session.items) == ["go", *kept, raised.get(fails, "ValueError body")]


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_call_may_be_of_any_engine_and_is_bounded(engine: str, aimock: Aimock) -> None:
    class Kit(Toolkit):
        @tool
        def look(self) -> str:
            """Looks."""
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
    with pytest.raises(ValueError, match="leaves no turn"):
        one("x").max_turns(0)


async def test_flows_may_be_called_in_flows(reads: Reads) -> None:
    one = reads.agent("one")

    async def inner(message: Message) -> str:
        await one("aside")
        return await one(message)

    helper = Agent(inner, name="helper")

    async def outer(message: Message) -> str:
        return f"{await helper('x')} and {await one('y')}"

    session = Session()
    assert await Runner(outer, session=session).run("go") == "one(x) and one(y)"
    assert texts(session.items)[1:6] == ["aside", "one(aside)", "x", "one(x)", "y"]


def test_what_is_no_flow_is_refused(tmp_path: Path) -> None:
    def plain(message: Message) -> str:
        return "no"

    async def flow(message: Message) -> str:
        return "yes"

    class Kit(Toolkit):
        @tool
        def look(self) -> str:
            """Looks."""
            return "seen"

    url = f"sqlite:///{tmp_path}/x.db"
    with pytest.raises(SettingError, match="async def"):
        Gateway(plain, database=url)
    with pytest.raises(SettingError, match="give tools to the agents that it calls"):
        Gateway(Agent(flow, toolkits=[Kit()]), database=url)
    with pytest.raises(SettingError, match="model=…"):
        Agent(flow, model="openai:gpt-5.2")


async def test_the_agents_that_a_flow_names_are_checked_and_registered(vault: Vault, reads: Reads) -> None:
    around, given = Agent(model="test", toolkits=[vault], name="around"), reads.agent("given")

    async def flow(message: Message) -> str:
        return await around(message)

    assert [agent.name for agent in Agent(flow, members=[given]).members] == ["given", "around"]


def reader(name: str = "one") -> Agent:
    """An agent that answers with what it was told, and its name."""

    def answer(messages: list[ModelMessage], _: AgentInfo) -> ModelResponse:
        return ModelResponse([TextPart(f"{name}({_last(messages)})")])

    return Agent(model=FunctionModel(answer), name=name)


def _last(messages: list[ModelMessage]) -> str:
    return str(messages[-1].parts[-1].content)  # type: ignore[union-attr]


def test_a_message_in_a_text_is_its_text_and_nothing_of_who_wrote_it() -> None:
    who = Identity("slack", "T1", "U1")
    message = Message(
        id="1", text="hello", sender=who, sender_name="Ada", conversation=Conversation("slack", "T1", "C1", shared=True)
    )
    assert f"Answer this: {message}" == "Answer this: hello"
    assert "U1" in repr(message)


async def test_a_runner_may_be_called() -> None:
    async def flow(message: Message) -> str:
        return f"{message}!"

    assert await Runner(flow)("hi") == "hi!"


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


async def test_a_flow_that_returns_a_call_it_did_not_await_says_so() -> None:
    one = reader()

    async def flow(message: Message) -> object:
        return one(message)

    with pytest.raises(TypeError, match=r"<call of the agent 'one'> that it had not awaited: write `return await …`"):
        await Runner(flow).run("x")


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


def test_a_runner_of_a_function_that_is_not_async_says_what_is_wrong() -> None:
    def answer(message: Message) -> str:
        return message.text

    with pytest.raises(
        SettingError, match=r"The flow answer is not an async function: write `async def answer\(message\)`"
    ):
        Runner(answer)  # type: ignore[arg-type]
