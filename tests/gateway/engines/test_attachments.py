"""Attachments of a message reach the model, in every engine."""

import json
from base64 import b64decode, b64encode
from collections.abc import AsyncGenerator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from peers.aimock import Aimock, calls_tool, says
from peers.transcription import TranscriptionServer
from support.agents.engines import ENGINES, Safe, model
from support.files import OGG, PDF, PNG
from support.stage import FakeProvider, Stage, stage

from gateway import Agent, Message, TurnContext
from toolkits import Attachment, AttachmentError, AttachmentKind, Toolkit, tool


async def _content(fetched: list[str], name: str, data: bytes) -> AsyncGenerator[bytes, None]:
    fetched.append(name)
    yield data


async def _gone() -> AsyncGenerator[bytes, None]:
    raise AttachmentError("The video is no longer there.")
    yield b""


def on_stage(directory: Path, agent: Agent) -> tuple[Stage, list[str]]:
    """Return a stage on which people send a picture, a bill and a video that is gone, and the list of fetched files."""
    scene, fetched = stage(directory, agent=agent), list[str]()
    scene.channel.attachments = {
        "photo": Attachment(AttachmentKind.IMAGE, name="photo.png", fetch=partial(_content, fetched, "photo", PNG)),
        "bill": Attachment(AttachmentKind.DOCUMENT, name="bill.pdf", fetch=partial(_content, fetched, "bill", PDF)),
        "voice": Attachment(AttachmentKind.VOICE, fetch=partial(_content, fetched, "voice", OGG)),
        "video": Attachment(AttachmentKind.VIDEO, name="a.mp4", fetch=_gone),
    }
    return scene, fetched


def content(request: Any) -> list[dict[str, Any]]:
    """Return the parts of the last message of a request."""
    said: list[dict[str, Any]] = request["messages"][-1]["content"]
    return said


@pytest.mark.parametrize("engine", ENGINES)
async def test_the_model_is_asked_with_the_bytes_that_the_person_sent(
    engine: str, aimock: Aimock, tmp_path: Path
) -> None:
    aimock.load([says("what is it", "a dot and a bill")])
    scene, fetched = on_stage(tmp_path, Agent(model=model(engine, aimock), engine=engine))
    async with scene.open():
        answer = await scene.ask("alice", "what is it?", attachments=["photo", "bill", "video"])
    assert answer == "a dot and a bill\n\nI could not read the video 'a.mp4': The video is no longer there."
    text, photo, bill = content(aimock.requests()[0])
    assert text["text"].startswith(
        "what is it?\n\n[image 'photo.png']\n\n[document 'bill.pdf']\n\n[video 'a.mp4', which"
    )
    assert photo["image_url"]["url"] == f"data:image/png;base64,{b64encode(PNG).decode()}"
    assert bill["file"]["file_data"] == f"data:application/pdf;base64,{b64encode(PDF).decode()}"
    assert fetched == ["photo", "bill"]


@pytest.mark.parametrize("engine", ENGINES)
async def test_the_history_names_attachments_and_holds_no_files(engine: str, aimock: Aimock, tmp_path: Path) -> None:
    aimock.load([says("and now", "still a dot"), says("what is it", "a dot")])
    scene, _ = on_stage(tmp_path, Agent(model=model(engine, aimock), engine=engine))
    async with scene.open():
        await scene.ask("alice", "what is it?", attachments=["photo"])
        assert await scene.ask("alice", "and now?") == "still a dot"
    said = json.dumps(aimock.requests()[1]["messages"][:-1])
    assert "[image 'photo.png']" in said
    assert b64encode(PNG).decode() not in said
    stored = scene.rows("SELECT text, data FROM session_items")
    assert b64encode(PNG).decode() not in str(stored)


@pytest.mark.parametrize("engine", ENGINES)
async def test_the_text_of_a_voice_note_reaches_the_model_and_stays_in_the_history(
    engine: str, aimock: Aimock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    aimock.load([says("Buy milk", "bought"), says("and now", "milk, as you said")])
    with TranscriptionServer("Buy milk.") as endpoint:
        monkeypatch.setenv("OPENAI_BASE_URL", endpoint.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "any")
        agent = Agent(model=model(engine, aimock), engine=engine, transcriber="openai:gpt-4o-mini-transcribe")
        scene, fetched = on_stage(tmp_path, agent)
        async with scene.open():
            assert await scene.ask("alice", "", attachments=["voice"]) == "bought"
            assert await scene.ask("alice", "and now?") == "milk, as you said"
        assert [(each.name, each.data) for each in endpoint.recordings] == [("recording.ogg", OGG)]
    first, second = aimock.requests()
    said = "[voice]\nTranscript: Buy milk.\n[end of voice]"
    assert first["messages"][-1]["content"] == said
    assert said in [message["content"] for message in second["messages"]]
    assert fetched == ["voice"]


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_voice_note_that_cannot_be_transcribed_does_not_keep_the_rest_from_being_answered(
    engine: str, aimock: Aimock, tmp_path: Path
) -> None:
    async def refuse(data: bytes, name: str, media_type: str) -> str:
        raise AttachmentError("I speak no French.")

    aimock.load([says("what is it", "a dot")])
    scene, _ = on_stage(tmp_path, Agent(model=model(engine, aimock), engine=engine, transcriber=refuse))
    async with scene.open():
        answer = await scene.ask("alice", "what is it?", attachments=["photo", "voice"])
    assert answer == "a dot\n\nI could not read the voice: I speak no French."


class Reading(Toolkit):
    """A toolkit that reads the first attachment itself."""

    @tool
    async def size(self, context: TurnContext) -> str:
        """Return the size of the first attachment."""
        return f"{len(await context.message.attachments[0].read())} bytes"


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_tool_has_the_attachments_of_the_message(engine: str, aimock: Aimock, tmp_path: Path) -> None:
    size = f"{len(PNG)} bytes"
    aimock.load([says("how large", f"it has {size}", toolResultContains=size), calls_tool("how large", "size")])
    scene, _ = on_stage(tmp_path, Agent(model=model(engine, aimock), engine=engine, toolkits=[Reading()]))
    async with scene.open():
        assert await scene.ask("alice", "how large is it?", attachments=["photo"]) == f"it has {size}"


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_flow_hands_the_attachments_on_with_the_message(engine: str, aimock: Aimock, tmp_path: Path) -> None:
    aimock.load([says("what is it", "a dot"), says("say it again", "a dot indeed")])
    looking = Agent(model=model(engine, aimock), engine=engine, name="looking")

    async def flow(message: Message) -> str:
        seen = await looking(message)
        return f"{seen}, {await looking('say it again').isolated()}"

    scene, fetched = on_stage(tmp_path, Agent(flow, members=[looking]))
    async with scene.open():
        answer = await scene.ask("alice", "what is it?", attachments=["photo", "video"])
    assert answer == "a dot, a dot indeed\n\nI could not read the video 'a.mp4': The video is no longer there."
    assert fetched == ["photo"]


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_message_that_is_only_a_picture_is_answered(engine: str, aimock: Aimock, tmp_path: Path) -> None:
    aimock.load([says("[image 'photo.png']", "a dot")])
    scene, _ = on_stage(tmp_path, Agent(model=model(engine, aimock), engine=engine))
    async with scene.open():
        assert await scene.ask("alice", "", attachments=["photo"]) == "a dot"


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_turn_that_waited_for_a_sign_in_fetches_the_files_again_and_keeps_none_of_them(
    engine: str, aimock: Aimock, tmp_path: Path
) -> None:
    opening = calls_tool("work", "open_async")
    opening["match"] = {"userMessage": "work", "toolResultContains": "bytes"}
    aimock.load([says("work", "done", toolResultContains="open_async of"), opening, calls_tool("work", "size")])
    agent = Agent(model=model(engine, aimock), engine=engine, toolkits=[Reading(), Safe(FakeProvider())])
    scene, fetched = on_stage(tmp_path, agent)
    picture = b64encode(PNG).decode()
    async with scene.open():
        await scene.write("alice", "work", attachments=["photo"])
        sign_in = (await scene.wait_for(1))[0]
        kept = scene.rows("SELECT data FROM turn_responses")
        assert kept
        assert picture not in str(kept) + "".join(_unpacked(data) for (data,) in kept)
        await scene.connect(sign_in.link, "alice")
        assert (await scene.wait_for(2))[1].text == "done"
    asked = aimock.requests()
    assert len(asked) > 2
    assert all(picture in json.dumps(request["messages"]) for request in asked)
    assert fetched == ["photo"] * 3  # by the first run, by the tool, and by the run after the sign-in


def _unpacked(data: str) -> str:
    """Return the state that the LangGraph engine stores as base64 of a binary format."""
    kind, _, state = data.partition(":")
    return b64decode(state).decode("latin-1") if kind == "msgpack" else ""
