"""Attachments of earlier messages reach the model again, in every engine."""

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncGenerator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from peers.aimock import Aimock, calls_tool, says
from support.agents.engines import ENGINES, Safe, model
from support.files import PDF, PNG
from support.stage import FakeProvider, Stage, stage

from gateway import Agent, Message
from toolkits import Attachment, AttachmentError, AttachmentKind


async def _content(fetched: list[str], name: str, data: bytes) -> AsyncGenerator[bytes, None]:
    fetched.append(name)
    yield data


async def _gone() -> AsyncGenerator[bytes, None]:
    raise AttachmentError("The image is no longer there.")
    yield b""


def on_stage(directory: Path, agent: Agent, database: str | None = None) -> tuple[Stage, list[str]]:
    """Return a stage on which people send a picture and a bill, and the list of fetched files."""
    scene, fetched = stage(directory, agent=agent, database=database), list[str]()
    scene.channel.attachments = {
        "photo": Attachment(AttachmentKind.IMAGE, name="photo.png", fetch=partial(_content, fetched, "photo", PNG)),
        "bill": Attachment(AttachmentKind.DOCUMENT, name="bill.pdf", fetch=partial(_content, fetched, "bill", PDF)),
    }
    return scene, fetched


def content(request: Any) -> list[dict[str, Any]]:
    """Return the parts of the last message of a request."""
    said: list[dict[str, Any]] = request["messages"][-1]["content"]
    return said


def said_and_seen(request: Any) -> str:
    return json.dumps(request["messages"][-1])


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_later_message_is_answered_with_the_files_of_earlier_ones(
    engine: str, aimock: Aimock, tmp_path: Path
) -> None:
    aimock.load([says("second picture", "a dot"), says("look", "seen")])
    scene, fetched = on_stage(tmp_path, Agent(model=model(engine, aimock), engine=engine))
    async with scene.open():
        await scene.ask("alice", "look at these", attachments=["photo", "bill"])
        assert await scene.ask("alice", "and the second picture?", attachments=["photo"]) == "a dot"
        assert await scene.ask("alice", "the second picture again?") == "a dot"
    _, second, third = aimock.requests()
    text, own, earlier, photo, bill = content(second)
    assert text["text"] == "and the second picture?\n\n[image 'photo.png']"
    quoted = "with \"look at these [image 'photo.png'] [document 'bill.pdf']\""
    assert earlier["text"] == (
        f"[Sent earlier in this conversation:]\n[image 'photo.png', {quoted}]\n[document 'bill.pdf', {quoted}]"
    )
    assert own == photo
    assert photo["image_url"]["url"] == f"data:image/png;base64,{b64encode(PNG).decode()}"
    assert bill["file"]["file_data"] == f"data:application/pdf;base64,{b64encode(PDF).decode()}"
    assert [part["type"] for part in content(third)] == ["text", "text", "image_url", "file", "image_url"]
    assert said_and_seen(second) not in json.dumps(third["messages"])  # the history has only the texts
    stored = str(scene.rows("SELECT text, data FROM session_items"))
    assert "Sent earlier" not in stored
    assert b64encode(PNG).decode() not in stored
    assert fetched == ["photo", "bill", "photo", "photo", "bill", "photo", "bill", "photo"]


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_file_that_the_platform_no_longer_has_is_labelled(engine: str, aimock: Aimock, tmp_path: Path) -> None:
    aimock.load([says("", "seen")])
    scene, _ = on_stage(tmp_path, Agent(model=model(engine, aimock), engine=engine))
    async with scene.open():
        await scene.ask("alice", "look", attachments=["photo"])
        scene.channel.attachments["photo"] = replace(scene.channel.attachments["photo"], fetch=_gone)
        assert await scene.ask("alice", "and?") == "seen"
        await scene.change("DELETE FROM outbox")
        await scene.change("DELETE FROM inbox")
        assert await scene.ask("alice", "and now?") == "seen"
    _, second, third = aimock.requests()
    quoted = "\"look [image 'photo.png']\""
    assert content(second)[1:] == [{"type": "text", "text": _EARLIER.format(f"image 'photo.png', with {quoted}")}]
    assert content(third)[1:] == [{"type": "text", "text": _EARLIER.format(f"files, with {quoted}")}]


_EARLIER = "[Sent earlier in this conversation:]\n[{}: no longer available]"


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_flow_fetches_an_earlier_file_once_and_an_isolated_call_does_not_see_it(
    engine: str, aimock: Aimock, tmp_path: Path
) -> None:
    aimock.load([says("", "seen")])
    looking = Agent(model=model(engine, aimock), engine=engine, name="looking")

    async def flow(message: Message) -> str:
        await looking(message)
        await looking("look again")
        return await looking("alone").isolated()

    scene, fetched = on_stage(tmp_path, Agent(flow, members=[looking]))
    async with scene.open():
        await scene.ask("alice", "first", attachments=["photo"])
        aimock.load([says("", "seen")])
        await scene.ask("alice", "second")
    picture = b64encode(PNG).decode()
    assert [picture in said_and_seen(request) for request in aimock.requests()] == [True, True, False]
    assert fetched == ["photo", "photo"]


@pytest.mark.parametrize("engine", ENGINES)
async def test_files_of_another_persons_private_turn_are_not_given(engine: str, aimock: Aimock, tmp_path: Path) -> None:
    opening = calls_tool("my secret", "open_async")
    aimock.load([says("my secret", "done", hasToolResult=True), opening, says("", "seen")])
    agent = Agent(model=model(engine, aimock), engine=engine, toolkits=[Safe(FakeProvider())])
    scene, _ = on_stage(tmp_path, agent)
    async with scene.open():
        await scene.write("alice", "my secret", "room", attachments=["photo"])
        await scene.connect((await scene.wait_for(1))[0].link, "alice")
        assert (await scene.wait_for(2))[1].alone == "alice"
        await scene.ask("bob", "open", "room", attachments=["bill"])
        await scene.ask("carol", "what do you see?", "room")
    picture, bill = b64encode(PNG).decode(), b64encode(PDF).decode()
    seen = said_and_seen(aimock.requests()[-1])
    assert bill in seen
    assert picture not in json.dumps(aimock.requests()[-1]) + json.dumps(aimock.requests()[-2])


async def test_files_of_joined_messages_and_of_the_last_three_messages_are_given_again(
    aimock: Aimock, tmp_path: Path, database_url: str
) -> None:
    aimock.load([says("", "seen")])
    begun, gate = asyncio.Event(), asyncio.Event()
    scene, _ = on_stage(tmp_path, Agent(model=model("pydantic-ai", aimock), when_busy="collect"), database_url)
    for number in range(5):
        held = partial(_held, begun, gate) if number == 0 else partial(_content, [], "", PNG)
        scene.channel.attachments[f"p{number}"] = Attachment(AttachmentKind.IMAGE, name=f"{number}.png", fetch=held)
    async with scene.open():
        await scene.write("alice", "zero", attachments=["p0"])
        await asyncio.wait_for(begun.wait(), 20)
        for number in (1, 2):
            await scene.write("alice", f"collected {number}", attachments=[f"p{number}"])
        gate.set()
        await scene.wait_for(2)
        for number in (3, 4):
            await scene.ask("alice", f"number {number}", attachments=[f"p{number}"])
        await scene.ask("alice", "all of them?")
    _, earlier, *files = content(aimock.requests()[-1])
    assert [line.partition("'")[2].partition("'")[0] for line in earlier["text"].splitlines()[1:]] == [
        "1.png",
        "2.png",
        "3.png",
        "4.png",
    ]
    assert len(files) == 4


async def test_a_file_is_not_given_again_for_ever(aimock: Aimock, tmp_path: Path) -> None:
    aimock.load([says("", "seen")])
    scene, _ = on_stage(tmp_path, Agent(model=model("pydantic-ai", aimock)))
    async with scene.open():
        await scene.ask("alice", "what is it?", attachments=["photo"])
        for number in range(11):
            await scene.ask("alice", f"talk {number}")
    picture = b64encode(PNG).decode()
    assert [picture in said_and_seen(request) for request in aimock.requests()] == [True] * 11 + [False]


async def _held(begun: asyncio.Event, gate: asyncio.Event) -> AsyncGenerator[bytes, None]:
    begun.set()
    await gate.wait()
    yield PNG
