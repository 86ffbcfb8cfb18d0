"""Files that people upload in the web chat, and files that they receive."""

import json
import sqlite3

import pytest
from support.channels.running import Run, Running
from support.channels.web import open_window, transcript
from support.files import PNG

from gateway import File
from interfaces.web import Web
from interfaces.web.parse import conversation_of


async def upload(running: Running, person: str, headers: dict[str, str], content: bytes = PNG) -> str:
    answer = await running.client.post(
        f"/web/{person}/files?name=../cat.png", content=content, headers={**headers, "content-type": "image/png"}
    )
    assert answer.status_code == 201
    return str(answer.json()["id"])


async def submit(running: Running, person: str, headers: dict[str, str], text: str, *files: str) -> int:
    body = json.dumps({"id": "1", "text": text, "files": files})
    return (await running.client.post(f"/web/{person}/messages", content=body, headers=headers)).status_code


async def test_the_model_gets_the_bytes_that_were_uploaded(run: Run) -> None:
    async with run(Web()) as running:
        alice = await open_window(running, "alice")
        assert await submit(running, "alice", alice, "what is this?", await upload(running, "alice", alice)) == 202
        mine, _ = await transcript(running, "alice", alice, 2)
        assert (mine["text"], mine["files"]) == ("what is this?", ["image 'cat.png'"])
        assert running.files == [(PNG, "image/png")]


async def test_a_file_without_a_text_is_a_message(run: Run) -> None:
    async with run(Web()) as running:
        alice = await open_window(running, "alice")
        assert await submit(running, "alice", alice, "", await upload(running, "alice", alice)) == 202
        await transcript(running, "alice", alice, 2)
        assert running.files == [(PNG, "image/png")]


async def test_a_person_cannot_send_the_file_of_another_person(run: Run) -> None:
    async with run(Web()) as running:
        alice, bob = await open_window(running, "alice"), await open_window(running, "bob")
        file = await upload(running, "alice", alice)
        assert await submit(running, "bob", bob, "look", file) == 422
        assert running.inbox() == []


async def test_an_upload_is_limited_while_it_is_read(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERSTUDY_MAX_ATTACHMENT_MB", "0.001")
    async with run(Web()) as running:
        alice = await open_window(running, "alice")
        answer = await running.client.post("/web/alice/files?name=a", content=bytes(2000), headers=alice)
        assert answer.status_code == 413
        with sqlite3.connect(running.directory / "understudy.db") as database:
            assert database.execute("SELECT count(*) FROM files").fetchall() == [(0,)]


async def test_a_file_that_the_agent_sends_can_be_downloaded(run: Run) -> None:
    async with run(Web()) as running:
        alice = await open_window(running, "alice")
        await running.gateway.send(conversation_of("alice"), "Here:", files=[File(PNG, name="cat.png")])
        (entry,) = await transcript(running, "alice", alice, 1)
        (file,) = entry["files"]
        assert (file["name"], file["type"]) == ("cat.png", "image/png")  # type: ignore[index]
        answer = await running.client.get(file["address"])  # type: ignore[index]
        assert answer.content == PNG
