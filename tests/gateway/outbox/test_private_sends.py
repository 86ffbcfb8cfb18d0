"""Once a turn has read something private, the messages of its tools go only to the turn's person."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic_ai.models.function import FunctionModel
from support.stage import Sent, Stage, Vault, obey, place, stage

from gateway import Agent, Gateway, Message, TurnContext
from toolkits import Toolkit, tool
from toolkits.reminders import Reminders


class Diary(Toolkit):
    """A private toolkit with a secret of each person, which it sends where the model says."""

    _clone_shared_attrs = ("gateways",)
    private = True

    def __init__(self) -> None:
        self.gateways: list[Gateway] = []

    @tool
    async def send_page(self, context: TurnContext) -> str:
        """Send a page to this conversation."""
        await context.send(f"SECRET-{context.identity.user_id}")
        return "sent"

    @tool
    async def post_page(self, context: TurnContext, to: str) -> str:
        """Post a page somewhere."""
        await self.gateways[0].send(place(to), f"SECRET-{context.identity.user_id}")
        return "posted"


class Keys(Toolkit):
    """A toolkit that is not private itself, and calls a private one."""

    _clone_shared_attrs = ("auth",)
    scopes = frozenset({"read"})

    def __init__(self, vault: Vault) -> None:
        self.auth = vault.auth

    @tool
    async def tell_all(self, context: TurnContext) -> str:
        """Send something, and then what it has read."""
        await context.send("I look.")
        await context.send(str(await context.credentials("fake", self.scopes)))
        return "told"


async def connect(scene: Stage) -> None:
    await scene.write("alice", "call open_vault")
    await scene.connect((await scene.wait_for(1))[0].link, "alice")
    await scene.wait_for(2)
    scene.sent.clear()


def remind(text: str) -> str:
    at = datetime.now(UTC) + timedelta(hours=1)
    return f"call remind {json.dumps({'text': text, 'at': at.isoformat()}, separators=(',', ':'))}"


async def make_due(scene: Stage) -> None:
    """Make the scheduled deliveries due."""
    due = str((datetime.now(UTC) - timedelta(minutes=1)).replace(tzinfo=None))
    await scene.change(f"UPDATE outbox SET due_at = '{due}' WHERE status = 'scheduled'")


def said(scene: Stage, text: str) -> list[tuple[str, str | None]]:
    """Return where a text was sent, and for private messages to whom."""
    return [(sent.conversation, sent.alone) for sent in scene.sent if text in sent.text]


async def test_a_reminder_of_something_private_goes_only_to_its_person(tmp_path: Path, database_url: str) -> None:
    scene = stage(tmp_path, [Vault(), Reminders()], database=database_url)
    async with scene.open():
        await connect(scene)
        assert await scene.ask("alice", "call open_vault", "thread") == "SECRET-alice"
        await scene.ask("alice", remind("SECRET-alice"), "thread")
        await make_due(scene)
        await scene.wait_for(3)
        await scene.wait_until(lambda: len(scene.channel.presenter.notes) == 3)
    assert said(scene, "SECRET") == [("thread", "alice"), ("thread", "alice")]
    assert scene.channel.presenter.notes[-1] == ("thread", "alice", True)


async def test_a_reminder_of_nothing_private_is_posted_where_it_was_asked_for(tmp_path: Path) -> None:
    scene = stage(tmp_path, [Vault(), Reminders()])
    async with scene.open():
        await scene.ask("alice", remind("tea"), "thread")
        await make_due(scene)
        await scene.wait_for(2)
    assert scene.sent[1] == Sent("thread", "tea")
    assert scene.channel.presenter.notes == []


async def test_messages_of_a_private_tool_go_only_to_its_person(tmp_path: Path, database_url: str) -> None:
    scene = stage(tmp_path, [Diary()], database=database_url)
    async with scene.open():
        await scene.write("alice", "call send_page", "thread")
        await scene.wait_for(2)
        assert said(scene, "SECRET") == [("thread", "alice")]
        await scene.write("alice", "call send_page")
        await scene.wait_for(4)
        assert said(scene, "SECRET") == [("thread", "alice"), ("dm-alice", None)]


async def test_messages_of_a_tool_go_only_to_its_person_once_it_has_a_credential(tmp_path: Path) -> None:
    vault = Vault()
    scene = stage(tmp_path, [vault, Keys(vault)])
    async with scene.open():
        await connect(scene)
        await scene.write("alice", "call tell_all", "thread")
        await scene.wait_for(3)
    assert said(scene, "I look.") == [("thread", None)]
    assert said(scene, "SECRET") == [("thread", "alice")]


@pytest.mark.parametrize("to", ["thread", "other-room"])
async def test_messages_that_a_private_tool_sends_by_the_gateway_go_only_to_its_person(tmp_path: Path, to: str) -> None:
    diary = Diary()
    scene = stage(tmp_path, [diary])
    diary.gateways.append(scene.gateway)
    async with scene.open():
        await scene.write("alice", f'call post_page {{"to":"{to}"}}', "thread")
        await scene.wait_for(2)
        assert said(scene, "SECRET") == [("thread", "alice")]
        await scene.gateway.send(place(to), "hello")  # outside any turn
        await scene.wait_until(lambda: said(scene, "hello") == [(to, None)])
        await scene.write("alice", f'call post_page {{"to":"{to}"}}')  # in her direct conversation
        await scene.wait_until(lambda: ("dm-alice", None) in said(scene, "SECRET"))
    assert (to, None) not in said(scene, "SECRET")


async def test_messages_of_a_flow_go_only_to_its_person_once_an_agent_has_read_something_private(
    tmp_path: Path,
) -> None:
    agent = Agent(model=FunctionModel(obey), toolkits=[Diary()], name="reader")
    scenes: list[Stage] = []

    async def flow(message: Message) -> str:
        await scenes[0].gateway.send(message.conversation, "I begin.")
        answer = await agent(message).silent()
        await scenes[0].gateway.send(message.conversation, f"SECRET: {answer}")
        return "done"

    scenes.append(scene := stage(tmp_path, agent=Agent(flow, members=[agent])))
    async with scene.open():
        await scene.write("alice", "call send_page", "thread")
        await scene.wait_for(4)
    assert said(scene, "I begin.") == [("thread", None)]
    assert said(scene, "SECRET") == [("thread", "alice"), ("thread", "alice")]


async def test_messages_of_private_tools_are_posted_openly_where_private_answers_are_open(tmp_path: Path) -> None:
    scene = stage(tmp_path, [Diary()], private_answers="open")
    async with scene.open():
        await scene.write("alice", "call send_page", "thread")
        await scene.wait_for(2)
    assert said(scene, "SECRET") == [("thread", None)]


async def test_nothing_private_is_sent_to_an_id_that_several_people_share(tmp_path: Path) -> None:
    scene = stage(tmp_path, [Diary()])
    async with scene.open():
        assert "Write to me directly" in await scene.ask("admins", "call send_page", "thread", anonymous=True)
        assert said(scene, "SECRET") == []


async def test_a_reminder_for_somebody_who_cannot_be_reached_waits_for_a_day_from_when_it_was_due(
    tmp_path: Path,
) -> None:
    scene = stage(tmp_path, [Vault(), Reminders()])
    async with scene.open():
        await connect(scene)
        await scene.ask("alice", "call open_vault", "thread")
        await scene.ask("alice", remind("SECRET-alice"), "thread")
        scene.channel.presenter.unreachable.add("alice")
        long_ago = str((datetime.now(UTC) - timedelta(days=3)).replace(tzinfo=None))
        await scene.change(f"UPDATE outbox SET created_at = '{long_ago}' WHERE status = 'scheduled'")
        await make_due(scene)
        await scene.wait_until(lambda: scene.channel.presenter.notes[-1:] == [("thread", "alice", False)])
        scene.channel.presenter.unreachable.clear()
        before = len(scene.sent)
        await scene.write("alice", "hello")
        await scene.wait_for(before + 2)
    assert said(scene, "SECRET")[-1] == ("thread", "alice")
