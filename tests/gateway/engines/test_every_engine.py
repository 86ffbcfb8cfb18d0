"""Every engine, with an `Agent` and with a native agent, against a model server."""

import asyncio
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from peers.aimock import Aimock, calls_tool, says
from support.agents.engines import ENGINES, MODEL, TOOLS, Safe, Wrapped, model, native, own, script, tool_results
from support.stage import FakeProvider, Stage, place, stage

from gateway import Agent, Gateway, Identity, Message, SettingError, TurnContext
from gateway.runs.events import (
    Answered,
    ModelEnded,
    ModelStarted,
    RunStarted,
    TextDelta,
    TokensUsed,
    ToolEnded,
    ToolOutcome,
    ToolStarted,
    TurnEvent,
)
from oauth import ConsentRequiredError, Keyring
from toolkits import Toolkit, tool

TURNS = 20
KINDS = ["own", "native"]
READ = frozenset({"read"})


def scene_of(kind: str, engine: str, server: Aimock, directory: Path, **options: Any) -> Stage:
    auth = FakeProvider()
    agent = own(engine, server, auth) if kind == "own" else Agent(native(engine, server), auth=auth, scopes=READ)
    return stage(directory, agent=agent, **options)


async def connect(scene: Stage, person: str) -> str:
    """Sign a person in, and return the answer to the message that needed it."""
    before = len(scene.sent)
    await scene.write(person, "use open_sync, please")
    link = (await scene.wait_for(before + 1))[before]
    assert link.sign_in is not None
    assert link.sign_in.identity.user_id == person
    await scene.connect(link.link, person)
    return (await scene.wait_for(before + 2))[before + 1].text


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("engine", ENGINES)
async def test_twenty_concurrent_turns_of_two_people_each_use_the_credentials_of_their_person(
    engine: str, kind: str, model_server: Aimock, tmp_path: Path
) -> None:
    scene = scene_of(kind, engine, model_server, tmp_path)
    tools = [*TOOLS[:2], "ask_keeper" if kind == "own" else TOOLS[2]]
    async with scene.open():
        for person in ("alice", "bob"):
            assert await connect(scene, person) == "done"
        script(model_server)
        before = len(scene.sent)
        for number in range(TURNS):
            for person in ("alice", "bob"):
                text = f"use {tools[number % len(tools)]}, says {person}"
                await scene.write(person, text, f"dm-{person}-{number}")
        answers = (await scene.wait_for(before + 2 * TURNS, timeout=60))[before:]
    assert [answer.text for answer in answers] == ["done"] * (2 * TURNS)
    results = tool_results(await asyncio.to_thread(model_server.requests))
    counted: Counter[str] = Counter()
    for asked, result in results:
        if opened := re.fullmatch(r'"?(\w+) of (\w+): SECRET-(\w+)"?', result):
            tool, person, account = opened.groups()
            assert person == account
            assert tool == "open_deep" or asked == f"use {tool}, says {person}"
            counted[f"{tool} {person}"] += 1
    expected = Counter(tools[number % len(tools)] for number in range(TURNS))
    expected["open_deep"] = expected.pop(tools[2])
    assert counted == {f"{tool} {person}": times for tool, times in expected.items() for person in ("alice", "bob")}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("tool", [*TOOLS[:2], "nested"])
async def test_a_tool_of_any_kind_starts_the_consent_loop(
    tool: str, engine: str, kind: str, model_server: Aimock, tmp_path: Path
) -> None:
    nested = "ask_keeper" if kind == "own" else "open_nested"
    scene = scene_of(kind, engine, model_server, tmp_path)
    async with scene.open():
        await scene.write("alice", f"use {nested if tool == 'nested' else tool}")
        sign_in = (await scene.wait_for(1))[0]
        assert sign_in.sign_in is not None
        await scene.connect(sign_in.link, "alice")
        assert (await scene.wait_for(2))[1].text == "done"
    assert len(scene.sent) == 2


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("engine", ENGINES)
async def test_tools_and_then_text_are_shown_while_the_turn_runs(
    engine: str, kind: str, model_server: Aimock, tmp_path: Path
) -> None:
    scene = scene_of(kind, engine, model_server, tmp_path, streams=True)
    async with scene.open():
        await connect(scene, "alice")
        script(model_server)
        model_server.load([*model_server.fixtures[:-2], says("use", "word " * 50, hasToolResult=True)])
        scene.channel.presenter.shown.clear()
        scene.channel.presenter.observed.clear()
        assert (await scene.ask("alice", "use open_async")).strip() == ("word " * 50).strip()
    assert [type(event) for event in scene.channel.presenter.observed if not isinstance(event, TextDelta)] == [
        *(RunStarted, ModelStarted, ModelEnded, ToolStarted, ToolEnded),
        *(ModelStarted, ModelEnded, TokensUsed, Answered),
    ]
    requests = [event for event in scene.channel.presenter.observed if isinstance(event, (ModelStarted, ModelEnded))]
    assert [request.call_id for request in requests[::2]] == [request.call_id for request in requests[1::2]]
    assert {(event.model, event.agent) for event in requests if isinstance(event, ModelStarted)} == {
        (MODEL, "outer" if (kind, engine) == ("native", "openai-agents") else "assistant")
    }
    assert all(event.error is None for event in requests if isinstance(event, ModelEnded))
    events = [event for _, event in scene.channel.presenter.shown]
    deltas = [event.text for event in events if isinstance(event, TextDelta)]
    assert "".join(deltas).strip() == ("word " * 50).strip()
    assert len(deltas) > 2
    assert [event.count >= 0 for event in events if isinstance(event, TokensUsed)] == [True]
    started, ended = (next(event for event in events if isinstance(event, each)) for each in (ToolStarted, ToolEnded))
    assert (started.tool, ended.tool, ended.outcome) == ("open_async", "open_async", ToolOutcome.OK)
    assert started.call_id == ended.call_id
    assert started.label == {"own": "Opening the safe", "native": "Open async"}[kind]
    assert (
        events.index(started) < events.index(ended) < events.index(next(e for e in events if isinstance(e, TextDelta)))
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("engine", ENGINES)
async def test_the_history_survives_a_restart(engine: str, kind: str, model_server: Aimock, tmp_path: Path) -> None:
    key = Keyring.generate()
    scene = scene_of(kind, engine, model_server, tmp_path, key=key)
    async with scene.open():
        await scene.ask("alice", "my word is walnut")
        await connect(scene, "alice")
    again = scene_of(kind, engine, model_server, tmp_path, key=key)
    async with again.open():
        script(model_server)
        await again.ask("alice", "what is my word?", id="n1")
        await again.ask("bob", "what is her word?", id="n2")
    hers, his = await asyncio.to_thread(model_server.requests)
    said = [str(message) for message in hers["messages"]]
    assert [text for text in said if "my word is walnut" in text]
    assert [text for text in said if "SECRET-alice" in text]
    assert "open_sync" in str(hers["messages"])
    assert "walnut" not in str(his["messages"])


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_conversation_continues_on_another_engine(engine: str, model_server: Aimock, tmp_path: Path) -> None:
    before = scene_of("own", ENGINES[ENGINES.index(engine) - 1], model_server, tmp_path)
    async with before.open():
        await before.ask("alice", "my word is walnut")
    after = scene_of("own", engine, model_server, tmp_path)
    async with after.open():
        script(model_server)
        await after.ask("alice", "what is my word?", id="n1")
    (request,) = await asyncio.to_thread(model_server.requests)
    assert ["walnut" in str(message) for message in request["messages"] if message["role"] == "user"] == [True, False]
    assert "heard" in str(request["messages"])


def message_of(person: str, text: str) -> Message:
    where = place(f"dm-{person}")
    return Message(id="1", text=text, sender=Identity("app", "acme", person), sender_name=person, conversation=where)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("engine", ENGINES)
async def test_the_credential_of_a_request_reaches_its_tools_at_every_depth_and_nothing_else(
    engine: str, kind: str, model_server: Aimock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    scene = scene_of(kind, engine, model_server, tmp_path)
    nested = "ask_keeper" if kind == "own" else "open_nested"
    gateway = scene.gateway
    async with scene.open():
        runs = [
            gateway.run(message_of(person, f"use {tool}, says {person}"), credentials={"fake": f"SECRET-{person}"})
            for person in ("alice", "bob")
            for tool in ("open_async", "open_sync", nested)
            for _ in range(5)
        ]
        assert set(await asyncio.gather(*runs)) == {"done"}
        results = tool_results(await asyncio.to_thread(model_server.requests))
        opened = Counter(result.strip('"') for _, result in results if "SECRET" in result)
        kinds = ("open_async", "open_sync", "open_deep")
        assert opened == {f"{tool} of {who}: SECRET-{who}": 5 for tool in kinds for who in ("alice", "bob")}
        with pytest.raises(ConsentRequiredError):  # the credentials were only for those requests
            await gateway.run(message_of("alice", "use open_async"))
    log = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith(("gateway", "oauth")))
    assert "SECRET" not in log
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"SECRET" not in stored
    assert b"given with the request" in stored  # in the audit


async def test_a_host_application_receives_the_events_of_a_turn(model_server: Aimock, tmp_path: Path) -> None:
    scene = scene_of("own", "pydantic-ai", model_server, tmp_path)
    told: list[TurnEvent] = []

    async def listen(event: TurnEvent) -> None:
        told.append(event)

    async with scene.open():
        asked = message_of("alice", "use open_async")
        assert await scene.gateway.run(asked, credentials={"fake": "SECRET"}, handler=listen) == "done"
    assert [type(event) for event in told] == [ToolStarted, ToolEnded, TextDelta, TokensUsed, Answered]
    assert "SECRET" not in repr(told)


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_native_agent_uses_toolkits(engine: str, model_server: Aimock, tmp_path: Path) -> None:
    safe = Safe(FakeProvider())
    if engine == "langgraph":
        from langchain.agents import create_agent

        from gateway.engines.langgraph import as_tools

        agent = Agent(create_agent(model(engine, model_server), as_tools(safe)), toolkits=[safe])
    elif engine == "pydantic-ai":
        from pydantic_ai import Agent as PydanticAgent

        agent = Agent(PydanticAgent(model(engine, model_server)), toolkits=[safe])
    else:
        from agents import Agent as SDKAgent

        agent = Agent(SDKAgent(name="bare", model=model(engine, model_server)), toolkits=[safe])
    scene = stage(tmp_path, agent=agent)
    async with scene.open():
        for person in ("alice", "bob"):
            assert await connect(scene, person) == "done"
    assert safe.held is None
    assert {result for _, result in tool_results(await asyncio.to_thread(model_server.requests))} == {
        "open_sync of alice: SECRET-alice",
        "open_sync of bob: SECRET-bob",
    }


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_native_agent_gets_the_context_that_it_wants(engine: str, model_server: Aimock, tmp_path: Path) -> None:
    def describe(given: Wrapped) -> str:
        return f"{given.shop} {given.turn.identity.user_id}"

    if engine == "pydantic-ai":
        from pydantic_ai import Agent as PydanticAgent
        from pydantic_ai import RunContext

        agent: Any = PydanticAgent(model(engine, model_server), deps_type=Wrapped)

        @agent.tool
        def open_sync(ctx: RunContext[Wrapped]) -> str:
            return describe(ctx.deps)
    elif engine == "langgraph":
        from langchain.agents import create_agent
        from langchain.tools import ToolRuntime, tool

        @tool("open_sync")
        def look(runtime: ToolRuntime[Wrapped]) -> str:
            """Look."""
            return describe(runtime.context)

        agent = create_agent(model(engine, model_server), [look], context_schema=Wrapped)
    else:
        from agents import Agent as SDKAgent
        from agents import RunContextWrapper, function_tool

        @function_tool(name_override="open_sync")
        def peek(ctx: RunContextWrapper[Wrapped]) -> str:
            return describe(ctx.context)

        agent = SDKAgent(name="bare", model=model(engine, model_server), tools=[peek])
    scene = stage(tmp_path, agent=Agent(agent, make_context=lambda turn: Wrapped(turn)))
    async with scene.open():
        assert await scene.ask("alice", "use open_sync") == "done"
    ((_, result),) = tool_results(await asyncio.to_thread(model_server.requests))
    assert result.strip('"') == "corner alice"


async def test_a_member_runs_on_another_engine_than_its_lead(model_server: Aimock, tmp_path: Path) -> None:
    keeper = Agent(native("langgraph", model_server), name="keeper", auth=FakeProvider(), scopes=READ)
    lead = Agent(model=model("openai-agents", model_server), engine="openai-agents", members=[keeper])
    handed_on = calls_tool("use ask_keeper", "ask_keeper", {"task": "use open_sync"})
    model_server.load([handed_on, *model_server.fixtures])
    scene = stage(tmp_path, agent=lead)
    async with scene.open():
        await scene.write("alice", "use ask_keeper")
        await scene.connect((await scene.wait_for(1))[0].link, "alice")
        assert (await scene.wait_for(2))[1].text == "done"
    results = [result for _, result in tool_results(await asyncio.to_thread(model_server.requests))]
    assert "open_sync of alice: SECRET-alice" in results


@pytest.mark.parametrize(("engine", "name"), [("langgraph", "nobody:x"), ("openai-agents", "nobody:x")])
def test_a_model_that_the_engine_does_not_know_is_refused_at_the_start(engine: str, name: str, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="nobody:x"):
        Gateway(Agent(model=name, engine=engine), database=f"sqlite:///{tmp_path}/x.db")


async def test_waiting_for_credentials_in_a_coroutine_fails_instead_of_blocking_the_loop(
    model_server: Aimock, tmp_path: Path
) -> None:
    class Wrong(Toolkit):
        @tool
        async def open_async(self, context: TurnContext) -> str:
            """Open it, and wait in a way that would block the loop."""
            return str(context.credentials_sync("fake"))

    scene = stage(tmp_path, agent=Agent(model=model("pydantic-ai", model_server), toolkits=[Wrong()]))
    async with scene.open():
        assert "something went wrong" in await scene.ask("alice", "use open_async")


# Prints which modules the first turn imports, and how many agents of the framework it builds: both block other turns.
FIRST_TURN = """
import asyncio, sys
from gateway import Agent, Conversation, Gateway, Identity, Message
from toolkits import Toolkit, tool

class Notes(Toolkit):
    @tool
    def note(self, text: str) -> str:
        "Notes."
        return text

gateway = Gateway(Agent(model="openai:gpt-test", toolkits=[Notes()], engine=sys.argv[1]), database="sqlite:///x.db")
made = []
if sys.argv[1] == "langgraph":
    from gateway.engines.langgraph import engine
    engine.create_agent = lambda *_, **__: made.append(1)
if sys.argv[1] == "openai-agents":
    from gateway.engines.openai_agents import engine
    engine.SDKAgent = lambda *_, **__: made.append(1)
who = Identity("x", "T", "U")
place = Conversation("x", "T", "C", shared=False)
message = Message(id="1", text="hi", sender=who, sender_name="U", conversation=place)

async def main() -> None:
    async with gateway.lifespan():
        before = set(sys.modules)
        try:
            await gateway.run(message)
        except Exception as error:
            print("ended with", type(error).__name__)
        for name in sorted(set(sys.modules) - before):
            print("imported", name)
        print("made", len(made))

asyncio.run(main())
"""


@pytest.mark.processes
@pytest.mark.parametrize("engine", ENGINES)
def test_the_first_turn_imports_nothing_large_and_builds_no_agent(engine: str, tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "OPENAI_API_KEY": "x", "OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}
    (tmp_path / "first.py").write_text(FIRST_TURN)
    command = [sys.executable, "first.py", engine]
    ended = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=True
    )
    lines = ended.stdout.splitlines()
    assert "ended with" in ended.stdout, ended.stdout + ended.stderr  # nothing listens at that address
    imported = [line.removeprefix("imported ") for line in lines if line.startswith("imported ")]
    assert not [name for name in imported if "." not in name or name.startswith("openai.resources.")], imported
    assert "made 0" in lines
