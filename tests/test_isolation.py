"""The rules of docs/isolation.md, each through a real gateway."""

import asyncio
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from support.reachable import reachable
from support.stage import FakeProvider, Stage, obey, stage

from gateway import Agent, TurnContext
from oauth import CredentialsRefusedError
from toolkits import Toolkit, tool

ROUNDS = 50


class Vault(Toolkit):
    """A toolkit that keeps the sender's credential in attributes, with a tool for each way in which tools may run."""

    _clone_reset_attrs = ("credential", "cache")
    _clone_shared_attrs = ("auth",)
    private = True
    scopes = frozenset({"read"})

    def __init__(self, auth: FakeProvider) -> None:
        self.auth = auth
        self.credential: str | None = None
        self.cache: dict[str, str] = {}
        self.seen: list[str] = []

    async def _load(self, context: TurnContext) -> str:
        if self.credential is None:
            self.credential = await context.credentials("fake", {"read"})
            self.cache[context.identity.user_id] = self.credential
        self.seen.append(self.credential)
        await asyncio.sleep(random.random() / 500)
        return f"{context.identity.user_id}:{self.credential}:{sorted(self.cache)}:{len(set(self.seen))}"

    @tool
    async def open_async(self, context: TurnContext) -> str:
        """Open the vault."""
        return await self._load(context)

    @tool
    async def open_in_tasks(self, context: TurnContext) -> str:
        """Open the vault in several tasks."""
        found = await asyncio.gather(*(asyncio.create_task(self._load(context)) for _ in range(3)))
        assert len({entry.split(":")[1] for entry in found}) == 1
        return found[-1]

    @tool
    def open_sync(self, context: TurnContext) -> str:
        """Report the attributes, from a thread."""
        assert threading.current_thread() is not threading.main_thread()
        return f"{context.identity.user_id}:{self.credential}:{sorted(self.cache)}"

    @tool
    async def open_in_threads(self, context: TurnContext) -> str:
        """Report the attributes, from the threads of a pool."""
        await self._load(context)
        with ThreadPoolExecutor(2) as threads:
            found = {future.result() for future in [threads.submit(self._read, context) for _ in range(4)]}
        assert len(found) == 1
        return found.pop()

    def _read(self, context: TurnContext) -> str:
        return f"{context.identity.user_id}:{self.credential}:{sorted(self.cache)}"


async def connect(scene: Stage, *people: str) -> None:
    for person in people:
        before = len(scene.sent)
        await scene.write(person, "call open_async")
        sign_in = (await scene.wait_for(before + 1))[before]
        assert sign_in.sign_in is not None
        assert sign_in.sign_in.identity.user_id == person
        await scene.connect(sign_in.link, person)
        answer = (await scene.wait_for(before + 2))[before + 1]
        assert answer.text.startswith(f"{person}:SECRET-{person}:")


@pytest.mark.long
async def test_two_people_at_the_same_time_each_act_with_their_own_credential(tmp_path: Path) -> None:
    scene = stage(tmp_path, [Vault(FakeProvider())])
    tools = ["open_async", "open_in_tasks", "open_in_threads", "open_sync"]
    async with scene.open():
        await connect(scene, "alice", "bob")
        before = len(scene.sent)
        for number in range(ROUNDS):
            for person in ("alice", "bob"):
                await scene.write(person, f"call {tools[number % len(tools)]}", f"dm-{person}-{number}")
        answers = (await scene.wait_for(before + 2 * ROUNDS))[before:]
    for answer in answers:
        person, other = ("alice", "bob") if "dm-alice" in answer.conversation else ("bob", "alice")
        assert answer.text.startswith(f"{person}:")
        assert other not in answer.text


@pytest.mark.long
async def test_many_turns_do_not_change_the_template(tmp_path: Path) -> None:
    vault = Vault(FakeProvider())
    before = {name: repr(value) for name, value in vars(vault).items()}
    scene = stage(tmp_path, [vault])
    agent_before = {name: repr(value) for name, value in vars(scene.gateway.agent).items()}
    async with scene.open():
        await connect(scene, "alice", "bob")
        sent = len(scene.sent)
        for number in range(200):
            await scene.write("alice" if number % 2 else "bob", "call open_async", f"dm-{number % 40}-{number % 2}")
        await scene.wait_for(sent + 200, timeout=90)
        after = {name: repr(value) for name, value in vars(vault).items()}
        assert after == before
        assert {name: repr(value) for name, value in vars(scene.gateway.agent).items()} == agent_before
        assert {"credential", "cache", "seen"} <= set(after)
        assert not [found for found in reachable(scene.gateway.agent) if isinstance(found, str) and "SECRET-" in found]


class Diary(Toolkit):
    """A toolkit that reports its entries, and keeps itself and the context after the turn."""

    def __init__(self) -> None:
        self.entries: list[str] = []

    @tool
    def write_entry(self, context: TurnContext) -> str:
        """Write an entry."""
        self.entries.append(context.identity.user_id)
        kept.append((self, context))
        return f"entries {self.entries}"


kept: list[tuple[Diary, TurnContext]] = []


@pytest.fixture(autouse=True)
def forget() -> None:
    kept.clear()


async def test_each_turn_has_its_own_copy_of_the_toolkits(tmp_path: Path) -> None:
    scene = stage(tmp_path, [Diary()])
    async with scene.open():
        answers = [await scene.ask("alice", "call write_entry") for _ in range(3)]
    assert answers == ["entries ['alice']"] * 3
    assert len({id(diary) for diary, _ in kept}) == 3


async def test_a_context_gives_no_credentials_after_its_turn(tmp_path: Path) -> None:
    scene = stage(tmp_path, [Diary(), Vault(FakeProvider())])
    async with scene.open():
        await connect(scene, "alice")
        await scene.ask("alice", "call write_entry")
        with pytest.raises(CredentialsRefusedError):
            await kept[0][1].credentials("fake", {"read"})


async def test_a_member_of_a_team_acts_as_the_sender(tmp_path: Path) -> None:
    member = Agent(model=FunctionModel(obey_open), toolkits=[Vault(FakeProvider())], name="keeper")
    lead = Agent(model=FunctionModel(ask_keeper), members=[member], name="lead")
    scene = stage(tmp_path, [Vault(FakeProvider())], model=ask_keeper, members=[lead])
    async with scene.open():
        # The agent of the stage asks its member `lead`, which asks its member `keeper`.
        await scene.write("alice", "open it")
        link = (await scene.wait_for(1))[0].link
        await scene.connect(link, "alice")
        assert "alice:SECRET-alice" in (await scene.wait_for(2))[1].text
        await scene.write("bob", "open it")
        link = (await scene.wait_for(3))[2].link
        await scene.connect(link, "bob")
        answer = (await scene.wait_for(4))[3].text
        assert "bob:SECRET-bob" in answer
        assert "alice" not in answer
    copy = scene.gateway.agent.deep_copy()
    assert copy.members[0].members[0].toolkits[0] is not member.toolkits[0]


async def ask_keeper(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    if returned := [part for part in messages[-1].parts if isinstance(part, ToolReturnPart)]:
        return ModelResponse([TextPart(returned[0].model_response_str())])
    name = next(tool.name for tool in info.function_tools if tool.name.startswith("ask_"))
    return ModelResponse([ToolCallPart(name, {"task": "open it"})])


async def obey_open(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    if returned := [part for part in messages[-1].parts if isinstance(part, ToolReturnPart)]:
        return ModelResponse([TextPart(returned[0].model_response_str())])
    return ModelResponse([ToolCallPart("open_async", {})])


async def test_results_of_private_tools_are_not_in_the_history_of_another_person(tmp_path: Path) -> None:
    told: list[str] = []

    async def listening(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        told.append(str(messages))
        if "repeat" in str(messages[-1]):  # answer from the history, without a tool
            return ModelResponse([TextPart("again: SECRET-alice")])
        return await obey(messages, info)

    scene = stage(tmp_path, [Vault(FakeProvider())], model=listening)
    async with scene.open():
        await connect(scene, "alice")
        await scene.ask("alice", "let us talk of ships", "thread")
        assert "SECRET-alice" in await scene.ask("alice", "call open_async", "thread")
        assert "SECRET-alice" in await scene.ask("alice", "repeat", "thread")
        told.clear()
        await scene.ask("bob", "what was said?", "thread")
        assert "ships" in told[0]
        assert "heard: let us talk of ships" in told[0]
        assert "SECRET-alice" not in told[0]
        told.clear()
        await scene.ask("alice", "what was said?", "thread")
        assert "SECRET-alice" in told[0]


async def test_a_new_session_has_no_messages_of_the_old_one(tmp_path: Path) -> None:
    told: list[str] = []

    async def listening(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        told.append(str(messages))
        return ModelResponse([TextPart("yes")])

    scene = stage(tmp_path, model=listening)
    async with scene.open():
        await scene.ask("alice", "the word is walnut")
        await scene.ask("alice", "and now?")
        assert "walnut" in told[-1]
        await scene.ask("alice", "", command="new")
        await scene.ask("alice", "and now?")
        assert "walnut" not in told[-1]


async def test_people_with_the_same_user_id_in_two_tenants_share_no_credentials(tmp_path: Path) -> None:
    scene = stage(tmp_path, [Vault(FakeProvider())])
    async with scene.open():
        await connect(scene, "alice")
        before = len(scene.sent)
        await scene.write("alice", "call open_async", tenant="T2")
        answer = (await scene.wait_for(before + 1))[before]
        assert answer.sign_in is not None
        assert answer.sign_in.identity.tenant == "T2"


async def test_a_sender_whose_id_several_people_share_gets_no_credentials(tmp_path: Path) -> None:
    scene = stage(tmp_path, [Vault(FakeProvider())])
    async with scene.open():
        answer = await scene.ask("chat:1", "call open_async", anonymous=True)
    assert "cannot tell who you are" in answer
    assert scene.sent[0].sign_in is None
