"""Intake of events: many in one transaction, up to a limit, and a bad event does not affect the others."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import httpx
import pytest
from peers.wait import wait_until_async
from sqlalchemy import event
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from support.stage import Stage, place, stage

from gateway import Conversation
from gateway.channels.errors import EventNotAcceptedError
from gateway.channels.event import Event, MalformedEventError


def an_event(number: int, where: str = "dm-alice", message_key: str | None = None, payload: str | None = None) -> Event:
    fields = {"id": f"m{number}", "text": str(number), "person": "alice", "place": where, "tenant": "T1"}
    return Event(f"e{number}", place(where), payload or json.dumps(fields), message_key)


@pytest.mark.long
async def test_webhooks_that_wait_share_a_transaction(tmp_path: Path, database_url: str) -> None:
    scene = stage(tmp_path, database=database_url)
    async with scene.open():
        commits = 0

        def count(_: object) -> None:
            nonlocal commits
            commits += 1

        writer = scene.gateway.parts.backend.database._writer
        assert writer is not None
        event.listen(writer.sync_engine, "commit", count)
        accepted = await asyncio.gather(*(scene.gateway.host.accept(an_event(n, f"dm-{n % 7}")) for n in range(100)))
        assert accepted == [True] * 100
        # On SQLite the turns commit, too, but they have hardly begun.
        assert commits < 20
        await scene.wait_for(100)
    for where in range(7):
        said = [sent.text for sent in scene.sent if sent.conversation == f"dm-{where}"]
        assert said == [f"heard: {number}" for number in range(where, 100, 7)]


async def test_an_event_that_the_database_rejects_does_not_affect_others(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = stage(tmp_path, database=database_url)
    writer = scene.gateway.parts.inbox._events
    real = writer.add
    monkeypatch.setattr(writer, "add", lambda connection, events: real(connection, list(map(_spoilt, events))))
    async with scene.open():
        results = await asyncio.gather(
            *(scene.gateway.host.accept(an_event(n)) for n in range(5)), return_exceptions=True
        )
        await scene.wait_for(4)
    assert [type(result) for result in results] == [bool, bool, EventNotAcceptedError, bool, bool]
    assert [sent.text for sent in scene.sent] == [f"heard: {number}" for number in (0, 1, 3, 4)]


def _spoilt(event: Event) -> Event:
    if event.id == "e2":
        object.__setattr__(event, "payload", None)  # the constructor refuses such a payload
    return event


HOSTILE_IDS = [
    "dm-al\0ice",
    "dm-\ud800",
    "dm-\udc00x",
    "dm-\ufffd",
    "",
    "dm-\n",
    "dm-" + "x" * 600,
    "dm-" + "ä" * 300,
    5,
    None,
    {},
]


async def test_events_with_malformed_ids_do_not_affect_others(tmp_path: Path, database_url: str) -> None:
    scene = stage(tmp_path, database=database_url)

    async def deliver(number: int) -> bool:
        if number < len(HOSTILE_IDS):
            where = Conversation("stage", "T1", HOSTILE_IDS[number], False)
            return await scene.gateway.host.accept(Event(f"e{number}", where, "{}"))
        return await scene.gateway.host.accept(an_event(number, f"dm-{number}"))

    async with scene.open():
        results = await asyncio.gather(*map(deliver, range(50)), return_exceptions=True)
        await scene.wait_for(50 - len(HOSTILE_IDS))
    assert results[len(HOSTILE_IDS) :] == [True] * (50 - len(HOSTILE_IDS))
    assert {type(result) for result in results[: len(HOSTILE_IDS)]} == {MalformedEventError}


@pytest.mark.long
async def test_a_value_that_a_driver_rejects_fails_only_its_own_event(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Have the driver raise an exception for a value that is not an error of the database."""
    scene = stage(tmp_path, database=database_url)
    inbox = scene.gateway.parts.inbox
    real, transactions = inbox.accept, 0

    async def accept(events: Sequence[Event]) -> list[bool]:
        nonlocal transactions
        transactions += 1
        if any(event.id == "e100" for event in events):
            raise UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed")
        return await real(events)

    monkeypatch.setattr(inbox, "accept", accept)
    async with scene.open():
        deliveries = (scene.gateway.host.accept(an_event(n, f"dm-{n % 7}")) for n in range(200))
        results = await asyncio.gather(*deliveries, return_exceptions=True)
        await scene.wait_for(199, timeout=60)
    assert [type(result) for result in results] == [EventNotAcceptedError if n == 100 else bool for n in range(200)]
    assert transactions < 40


async def test_a_webhook_whose_event_is_malformed_is_answered_400(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = stage(tmp_path)

    async def receive(_: Request) -> Response:
        await scene.gateway.host.accept(Event("e\0", place("dm-alice"), "{}"))
        return Response()

    monkeypatch.setattr(scene.channel, "routes", lambda: [Route("/stage", receive, methods=["POST"])])
    async with scene.open(), _client(scene) as client:
        assert (await client.post("/stage")).status_code == 400


async def test_a_full_inbox_answers_503_and_loses_nothing(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNDERSTUDY_MAX_WAITING_MESSAGES", "3")
    held = asyncio.Event()

    scene = stage(tmp_path, database=database_url)
    monkeypatch.setattr(scene.channel, "routes", lambda: [Route("/stage", _receive(scene), methods=["POST"])])
    monkeypatch.setattr(scene.channel.presenter, "send_text", _held(scene, held))
    async with scene.open(), _client(scene) as client:
        await scene.write("alice", "first")

        async def begun() -> bool:
            return scene.rows("SELECT status FROM inbox") == [("done",)]

        await wait_until_async(begun, what="its answer is being sent")
        answers = [await client.post("/stage", json=number) for number in range(8)]
        assert [answer.status_code for answer in answers] == [200] * 3 + [503] * 5
        assert all(int(answer.headers["retry-after"]) > 0 for answer in answers[3:])
        assert scene.channel.refusals.last is not None
        assert "too many messages wait" in scene.channel.refusals.last.reason
        held.set()
        await scene.wait_for(4)
        for number in range(8):  # the platform delivers all of them again, including those that were accepted
            answer = await client.post("/stage", json=number)
            while answer.status_code == 503:
                await asyncio.sleep(0.05)
                answer = await client.post("/stage", json=number)
            assert answer.status_code == 200
        await scene.wait_for(9)
    assert [sent.text for sent in scene.sent] == ["heard: first"] + [f"heard: {number}" for number in range(8)]


def _receive(scene: Stage):  # type: ignore[no-untyped-def]
    async def receive(request: Request) -> Response:
        await scene.gateway.host.accept(an_event(int(await request.body())))
        return Response()

    return receive


def _held(scene: Stage, held: asyncio.Event):  # type: ignore[no-untyped-def]
    real = scene.channel.presenter.send_text

    async def send_text(*args: object, key: str) -> None:
        await held.wait()
        await real(*args, key=key)  # type: ignore[arg-type]

    return send_text


def _client(scene: Stage) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(scene.gateway.asgi()), base_url="http://test")


async def test_an_event_that_takes_too_long_to_commit_is_refused_and_answered_once_when_it_is_delivered_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = stage(tmp_path)
    scene.gateway.parts.intake.timeout = 0.05
    slow, real = asyncio.Event(), scene.gateway.parts.inbox.accept

    async def accept(events: Sequence[Event]) -> list[bool]:
        await slow.wait()
        return await real(events)

    monkeypatch.setattr(scene.gateway.parts.inbox, "accept", accept)
    async with scene.open():
        with pytest.raises(EventNotAcceptedError):
            await scene.gateway.host.accept(an_event(1))
        scene.gateway.parts.intake.timeout = 20
        slow.set()
        assert not await scene.gateway.host.accept(an_event(1))  # it had been committed after all
        await scene.gateway.host.accept(an_event(2))
        await scene.wait_for(2)
    assert [sent.text for sent in scene.sent] == ["heard: 1", "heard: 2"]
