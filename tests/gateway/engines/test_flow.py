"""Flows in the gateway act for the sender, repeat no calls when they are played again, and share nothing."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from support.stage import Vault, obey, place, stage, stage_timings, texts_told

from gateway import (
    Agent,
    AgentCall,
    Gateway,
    Identity,
    Message,
    PhaseEnded,
    PhaseStarted,
    Runner,
    Session,
    SessionItem,
    SettingError,
    TurnContext,
    current_phase_session,
    current_session,
    phase,
)
from gateway.request_context import get_from_context, request_context
from gateway.runs.items import Role
from toolkits import Toolkit, tool


def test_a_flow_is_async_and_has_neither_tools_nor_a_model(tmp_path: Path) -> None:
    def plain(message: Message) -> str:
        return "no"

    async def flow(message: Message) -> str:
        return "yes"

    class Kit(Toolkit):
        @tool
        def look(self) -> str:
            """Look."""
            return "seen"

    url = f"sqlite:///{tmp_path}/x.db"
    with pytest.raises(SettingError, match="async def"):
        Gateway(plain, database=url)
    with pytest.raises(SettingError, match="give tools to the agents that it calls"):
        Gateway(Agent(flow, toolkits=[Kit()]), database=url)
    with pytest.raises(SettingError, match="model=…"):
        Agent(flow, model="openai:gpt-5.2")


async def test_the_agents_of_a_flow_act_for_the_sender(tmp_path: Path, vault: Vault) -> None:
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
        assert (
            shown.count(PhaseStarted) == shown.count(PhaseEnded) == 4
        )  # the flow ran twice for each person, who had to sign in first
    said = scene.rows("SELECT owner_user_id, text FROM session_items ORDER BY id")
    assert said == [(p, text) for p in ("alice", "bob") for text in ("open it", f"{p} has SECRET-{p}")]


async def test_a_call_outside_its_turn_uses_no_account(tmp_path: Path, vault: Vault) -> None:
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
        refused = [await _refusal(call) for call in (*tasks, *late, opener("call open_vault"))]
        assert all("SECRET" not in text for text in (*refused, *threads))
        assert all("ran outside the turn of a message" in text for text in (*refused, *threads)), refused


async def _awaited(call: AgentCall) -> str:
    return await call


def _outcome(function: Callable[[], str]) -> str:
    try:
        return function()
    except Exception as error:  # noqa: BLE001 - the test looks at whatever was raised
        return repr(error)


async def _refusal(call: Any) -> str:
    try:
        return str(await call)
    except Exception as error:  # noqa: BLE001 - the test looks at whatever was raised
        return repr(error)


async def test_private_data_that_a_flow_tells_an_agent_is_hidden_from_other_people(
    tmp_path: Path, vault: Vault
) -> None:
    read: list[list[str]] = []

    async def note(messages: list[ModelMessage], _: AgentInfo) -> ModelResponse:
        read.append(texts_told(messages))
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


async def test_an_agent_that_was_not_found_is_called_if_it_needs_no_setup(tmp_path: Path) -> None:
    class Till(Toolkit):
        @tool(approval=True)
        def pay(self) -> str:
            """Pay."""
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
        assert "'payer', which the gateway did not find in the flow's code. The agent needs" in await scene.ask(
            "alice", "payer"
        )


async def test_a_flow_may_be_a_method(tmp_path: Path) -> None:
    class Greeter:
        async def flow(self, message: Message) -> str:
            return f"hello {message.sender_name}"

    scene = stage(tmp_path, agent=Agent(Greeter().flow))
    async with scene.open():
        assert await scene.ask("alice", "hi") == "hello Alice"


async def test_a_flow_that_is_played_again_repeats_no_call(tmp_path: Path, vault: Vault) -> None:
    """Have a flow wait for a sign-in in its second call. It then does not repeat the first call."""
    asked: list[str] = []

    async def think(messages: list[ModelMessage], _: AgentInfo) -> ModelResponse:
        asked.append(str(texts_told(messages)[-1]))
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


class Noting(Toolkit):
    _clone_shared_attrs = ("notes",)

    def __init__(self, notes: list[str]) -> None:
        self.notes = notes

    @tool
    def note(self) -> str:
        """Note something."""
        self.notes.append("noted")
        return f"note {len(self.notes)}"


@pytest.mark.parametrize("names", [("one", "two"), ("same", "same")])
async def test_a_flow_that_is_played_again_in_another_order_mixes_up_no_answers(
    names: tuple[str, str], tmp_path: Path, vault: Vault
) -> None:
    """Have a flow call two agents with the same text, in another order when it is played again."""

    def agent(answer: str, name: str) -> Agent:
        async def say(messages: list[ModelMessage], _: AgentInfo) -> ModelResponse:
            asked.append(answer)
            return ModelResponse([TextPart(answer)])

        return Agent(model=FunctionModel(say), name=name)

    asked: list[str] = []
    one, two = agent("one's", names[0]), agent("two's", names[1])
    opener = Agent(model=FunctionModel(obey), toolkits=[vault], name="opener")

    async def flow(message: Message) -> str:
        answers = {}
        for each in (two, one) if asked else (one, two):
            answers[each] = await each("what do you think?")
        return f"{answers[one]} {answers[two]} {await opener('call open_vault')}"

    scene = stage(tmp_path, agent=Agent(flow))
    async with scene.open():
        await scene.write("alice", "go")
        await scene.connect((await scene.wait_for(1))[0].link, "alice")
        assert (await scene.wait_for(2))[1].text == "one's two's SECRET-alice"
    assert asked == ["one's", "two's"]


async def test_an_interrupted_call_does_not_take_over_what_another_agent_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Have a flow call two agents with the same text, which have a tool of the same name."""
    reached, gate = asyncio.Event(), asyncio.Event()

    async def wait_at_gate(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        if any(isinstance(part, ToolReturnPart) for part in messages[-1].parts):
            reached.set()
            await gate.wait()
        return await obey(messages, info)

    notes: dict[str, list[str]] = {"one": [], "two": []}
    one, two = (
        Agent(model=FunctionModel(wait_at_gate), toolkits=[Noting(kept)], name=name) for name, kept in notes.items()
    )
    runs: list[str] = []

    async def flow(message: Message) -> str:
        runs.append("")
        order = (one, two) if len(runs) == 1 else (two, one)
        return " ".join([f"{each.name}: {await each('call note')}" for each in order])

    scene = stage(tmp_path, agent=Agent(flow), timings=stage_timings(shutdown_grace=0.1))
    async with scene.open():
        await scene.write("alice", "go")
        await reached.wait()
    gate.set()
    async with scene.open():
        assert (await scene.wait_for(1))[0].text == "two: note 1 one: note 1"
    assert notes == {"one": ["noted"], "two": ["noted"]}


async def test_a_turn_with_a_journal_of_an_earlier_version_is_played_anew(tmp_path: Path, vault: Vault) -> None:
    """Use a journal in which calls are identified only by their number."""
    thinker = Agent(model=FunctionModel(obey), name="thinker")
    opener = Agent(model=FunctionModel(obey), toolkits=[vault], name="opener")

    async def flow(message: Message) -> str:
        return f"{await thinker('think')}, {await opener('call open_vault')}"

    scene = stage(tmp_path, agent=Agent(flow))
    async with scene.open():
        await scene.write("alice", "go")
        link = (await scene.wait_for(1))[0].link
        answer = '{"text": "other", "answer": {"text": "of another", "items": []}}'
        await scene.change(f"UPDATE turn_responses SET scope = '1/', data = '{answer}'")
        await scene.connect(link, "alice")
        assert (await scene.wait_for(2))[1].text == "heard: think, SECRET-alice"


class Looking(Toolkit):
    @tool
    def look(self, context: TurnContext) -> str:
        """Look at who asks, in a thread."""
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


@pytest.mark.long
async def test_hundreds_of_flows_at_once_share_nothing() -> None:
    flow = looking_flow(asyncio.Barrier(300), 1)

    async def run(number: int) -> tuple[str, str]:
        sender = Identity("stage", "T1", f"p{number}")
        where = place(f"dm-p{number}")
        message = Message(id="1", text="go", sender=sender, sender_name="", conversation=where)
        with request_context({"USER_ID": sender.user_id}):
            return sender.user_id, await Runner(flow, session=Session()).run(message)

    for who, answer in await asyncio.gather(*(run(number) for number in range(300))):
        assert answer == seen_by(who, 1)


@pytest.mark.long
async def test_flows_of_the_gateway_at_once_share_nothing(tmp_path: Path) -> None:
    scene = stage(tmp_path, agent=Agent(looking_flow(asyncio.Barrier(50), 2)), max_concurrent_turns=50)
    async with scene.open():
        await asyncio.gather(*(scene.write(f"p{number}", "go") for number in range(50)))
        sent = await scene.wait_for(50, 60)
    for each in sent:
        assert each.text == seen_by(each.conversation.removeprefix("dm-"), 2)
