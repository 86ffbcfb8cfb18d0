"""Flows: what each call reads and writes, what is shown, whose turn it is; and that nothing is left behind."""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from engine_agents import ENGINES, model
from peers.aimock import Aimock, calls_tool, says
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart, ToolReturnPart, UserPromptPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from stage import Vault, obey, place, stage

from gateway import (
    Agent,
    AgentCall,
    Gateway,
    Identity,
    MaxTurnsExceeded,
    Message,
    PhaseEnded,
    PhaseStarted,
    Runner,
    Session,
    SessionItem,
    SettingError,
    TextDelta,
    ToolStarted,
    TurnContext,
    current_handler,
    current_in_phase,
    current_phase_session,
    current_session,
    phase,
)
from gateway.request_context import get_from_context, request_context
from gateway.sessions import Role
from toolkits import Toolkit, tool


@dataclass
class Reads:
    """Agents that answer `NAME(text)`, and what each was told before."""

    by_call: dict[str, list[str]] = field(default_factory=dict)
    gates: dict[str, asyncio.Event] = field(default_factory=dict)

    def agent(self, name: str) -> Agent:
        async def answer(messages: list[ModelMessage], _: AgentInfo) -> ModelResponse:
            said = list(_texts(messages))
            call = f"{name}({said[-1]})"
            self.by_call[call] = said[:-1]
            if name in self.gates:
                await self.gates[name].wait()
            return ModelResponse([TextPart(call)])

        return Agent(model=FunctionModel(answer), name=name)


def _texts(messages: list[ModelMessage]) -> Any:
    for message in messages:
        for part in message.parts:
            if isinstance(part, (UserPromptPart, TextPart)):
                yield str(part.content)


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


async def test_what_is_shown(tmp_path: Path) -> None:
    async def speak(messages: list[ModelMessage], info: AgentInfo) -> Any:
        for word in ("wo", "rd"):
            yield word

    class Kit(Toolkit):
        @tool
        def look(self) -> str:
            """Looks."""
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
        with pytest.raises(MaxTurnsExceeded, match="no answer after 1 turns"):
            await one("look").isolated().max_turns(1)
        return f"{first}, {await one('again')}"

    session = Session()
    assert await Runner(flow, session=session).run("look") == "I have looked, as I said"
    with pytest.raises(ValueError, match="leaves no turn"):
        one("x").max_turns(0)


async def test_a_flow_in_the_gateway_is_its_senders_turn(tmp_path: Path, vault: Vault) -> None:
    opener = Agent(model=FunctionModel(obey), toolkits=[vault], name="opener")

    async def flow(message: Message) -> str:
        async with phase("Open"):
            found = await opener("call open_vault")
        return f"{message.sender.user_id} has {found}"

    scene = stage(tmp_path, agent=Agent(flow))
    async with scene.open():
        for person in ("alice", "bob"):
            before = len(scene.sent)
            await scene.write(person, "open it")
            await scene.connect((await scene.wait_for(before + 1))[-1].link, person)
            assert (await scene.wait_for(before + 2))[-1].text == f"{person} has SECRET-{person}"
        shown = [type(event) for _, event in scene.channel.presenter.shown]
        assert shown.count(PhaseStarted) == shown.count(PhaseEnded) == 4  # each asked for a consent first
    said = scene.rows("SELECT owner_user_id, text FROM session_items ORDER BY id")
    assert said == [(p, text) for p in ("alice", "bob") for text in ("open it", f"{p} has SECRET-{p}")]


async def test_a_call_outside_a_turn_or_after_it_is_nobodys(tmp_path: Path, vault: Vault) -> None:
    opener = Agent(model=FunctionModel(obey), toolkits=[vault], name="opener")
    late: list[AgentCall] = []
    tasks: list[asyncio.Task[str]] = []
    over = asyncio.Event()

    async def afterwards() -> str:
        await over.wait()
        return await opener("call open_vault")

    def in_thread() -> str:
        return asyncio.run(_awaited(opener("call open_vault")))

    async def flow(message: Message) -> str:
        late.append(opener("call open_vault"))
        tasks.append(asyncio.create_task(afterwards()))
        thread = threading.Thread(target=lambda: threads.append(_outcome(in_thread)))
        thread.start()
        await asyncio.to_thread(thread.join)
        return await opener(message)

    threads: list[str] = []
    scene = stage(tmp_path, agent=Agent(flow))
    async with scene.open():
        await scene.write("alice", "call open_vault")
        await scene.connect((await scene.wait_for(1))[0].link, "alice")
        assert (await scene.wait_for(2))[1].text == "SECRET-alice"
        over.set()
        refused = [await _refusal(tasks[-1]), await _refusal(late[-1]), await _refusal(opener("call open_vault"))]
        assert all("SECRET" not in text for text in (*refused, *threads))
        assert all("nobody" in text or "cannot tell who you are" in text for text in (*refused, *threads)), refused


async def _awaited(call: AgentCall) -> str:
    return await call


def _outcome(function: Callable[[], str]) -> str:
    try:
        return function()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is looked at
        return repr(error)


async def _refusal(call: Any) -> str:
    try:
        return str(await call)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is looked at
        return repr(error)


async def test_what_a_flow_tells_an_agent_of_private_data_is_for_its_person_alone(tmp_path: Path, vault: Vault) -> None:
    read: list[list[str]] = []

    async def note(messages: list[ModelMessage], _: AgentInfo) -> ModelResponse:
        read.append(list(_texts(messages)))
        return ModelResponse([TextPart("noted")])

    opener = Agent(model=FunctionModel(obey), toolkits=[vault], name="opener")
    noter = Agent(model=FunctionModel(note), name="noter")

    async def flow(message: Message) -> str:
        if message.text == "open mine":
            found = await opener("call open_vault").isolated()
            return await noter(f"sum up {found}")
        return await noter(message)

    scene = stage(tmp_path, agent=Agent(flow))
    async with scene.open():
        await scene.write("alice", "open mine", "room")
        await scene.connect((await scene.wait_for(1))[0].link, "alice")
        await scene.wait_for(2)
        await scene.ask("bob", "hello", "room")
        await scene.ask("alice", "and mine", "room")
    of_bob, of_alice = read[-2:]
    assert "SECRET-alice" not in str(of_bob)
    assert any("open mine" in text for text in of_bob)
    assert "sum up SECRET-alice" in of_alice


async def test_an_agent_that_was_not_found_is_called_if_it_needs_nothing(tmp_path: Path) -> None:
    class Till(Toolkit):
        @tool(approval=True)
        def pay(self) -> str:
            """Pays."""
            return "paid"

    unnamed = {
        "plain": Agent(model=FunctionModel(obey), name="plain"),
        "payer": Agent(model=FunctionModel(obey), name="payer", toolkits=[Till()]),
    }

    async def flow(message: Message) -> str:
        try:
            return await unnamed[message.text](message)
        except SettingError as error:
            return str(error)

    scene = stage(tmp_path, agent=Agent(flow))
    async with scene.open():
        assert await scene.ask("alice", "plain") == "heard: plain"
        assert "'payer', which the gateway has not found in it. It needs" in await scene.ask("alice", "payer")


def test_agents_are_found_in_what_a_flow_defines_and_calls() -> None:
    one, two, three, four = (Agent(model="test", name=name) for name in ("one", "two", "three", "four"))

    async def step(text: str) -> str:
        return await one(text)

    async def flow(message: Message) -> list[str]:
        async def inner() -> str:
            return await two(message)

        return [await step("a"), await inner(), *await asyncio.gather(*(three(text) for text in "bc"))]

    class Research:
        def __init__(self) -> None:
            self.searcher = four

        async def flow(self, message: Message) -> str:
            return await self.searcher(message)

    assert set(Agent(flow).members) == {one, two, three}
    assert Agent(Research().flow).members == [four]


async def test_a_flow_may_be_a_method(tmp_path: Path) -> None:
    class Greeter:
        async def flow(self, message: Message) -> str:
            return f"hello {message.sender_name}"

    scene = stage(tmp_path, agent=Agent(Greeter().flow))
    async with scene.open():
        assert await scene.ask("alice", "hi") == "hello Alice"


async def test_a_flow_that_is_played_again_repeats_no_call(tmp_path: Path, vault: Vault) -> None:
    """It waits for a consent in its second call: the first is not made again."""
    asked: list[str] = []

    async def think(messages: list[ModelMessage], _: AgentInfo) -> ModelResponse:
        asked.append(str(list(_texts(messages))[-1]))
        return ModelResponse([TextPart(f"thought {len(asked)}")])

    thinker = Agent(model=FunctionModel(think), name="thinker")
    opener = Agent(model=FunctionModel(obey), toolkits=[vault], name="opener")

    async def flow(message: Message) -> str:
        thought = await thinker(message)
        return f"{thought}: {await opener('call open_vault')}"

    scene = stage(tmp_path, agent=Agent(flow))
    async with scene.open():
        await scene.write("alice", "go")
        await scene.connect((await scene.wait_for(1))[0].link, "alice")
        assert (await scene.wait_for(2))[1].text == "thought 1: SECRET-alice"
    assert asked == ["go"]
    assert scene.rows("SELECT count(*) FROM turn_responses") == [(0,)]


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


class Looking(Toolkit):
    @tool
    def look(self, context: TurnContext) -> str:
        """Looks at who asks, in a thread."""
        p, session = current_phase_session.get(), current_session.get()
        assert p is not None
        assert session is not None
        values = (context.identity.user_id, get_from_context("USER_ID"), p.label, p.data["of"], session.items[0].text)
        return " ".join(map(str, values))


async def look_and_tell(messages: list[ModelMessage], _: AgentInfo) -> ModelResponse:
    returned = [part for part in messages[-1].parts if isinstance(part, ToolReturnPart)]
    if not returned:
        return ModelResponse([ToolCallPart("look", {})])
    return ModelResponse([TextPart(returned[0].model_response_str())])


def looking_flow(barrier: asyncio.Barrier, calls: int) -> Any:
    worker = Agent(model=FunctionModel(look_and_tell), toolkits=[Looking()], name="worker")

    async def flow(message: Message) -> str:
        who = message.sender.user_id
        current = current_session.get()
        assert current is not None
        await current.add_items([SessionItem(Role.USER, who)])
        async with phase(f"of {who}") as p:
            assert p is not None
            p.of = who
            await barrier.wait()
            found = await asyncio.gather(*(worker("look") for _ in range(calls)))
        return " | ".join(found)

    return flow


def seen_by(who: str, calls: int) -> str:
    return " | ".join([f"{who} {who} of {who} {who} {who}"] * calls)


async def test_a_thousand_flows_at_once_share_nothing() -> None:
    flow = looking_flow(asyncio.Barrier(1000), 1)

    async def run(number: int) -> tuple[str, str]:
        sender = Identity("stage", "T1", f"p{number}")
        where = place(f"dm-p{number}")
        message = Message(id="1", text="go", sender=sender, sender_name="", conversation=where)
        with request_context({"USER_ID": sender.user_id}):
            return sender.user_id, await Runner(flow, session=Session()).run(message)

    for who, answer in await asyncio.gather(*(run(number) for number in range(1000))):
        assert answer == seen_by(who, 1)


async def test_flows_of_the_gateway_at_once_share_nothing(tmp_path: Path) -> None:
    scene = stage(tmp_path, agent=Agent(looking_flow(asyncio.Barrier(50), 2)), max_concurrent_turns=50)
    async with scene.open():
        await asyncio.gather(*(scene.write(f"p{number}", "go") for number in range(50)))
        sent = await scene.wait_for(50, 60)
    for each in sent:
        assert each.text == seen_by(each.conversation.removeprefix("dm-"), 2)
