"""The health of a gateway, as /readyz reports it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
from sqlalchemy import Engine, event
from support.stage import TENANT, StageChannel, place, stage

from gateway.channels import Event


async def test_requests_for_readyz_share_a_write(tmp_path: Path) -> None:
    scene = stage(tmp_path)
    writes = 0

    def count(_: object, __: object, statement: str, *___: object) -> None:
        nonlocal writes
        writes += statement.startswith("INSERT INTO pauses")

    transport = httpx.ASGITransport(scene.gateway.asgi())
    async with scene.open(), httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        event.listen(Engine, "before_cursor_execute", count)
        try:
            answers = await asyncio.gather(*(client.get("/readyz") for _ in range(50)))
        finally:
            event.remove(Engine, "before_cursor_execute", count)
        assert {answer.status_code for answer in answers} == {200}
        assert 1 <= writes < 10  # one a second, however slow the machine is


class Socket(StageChannel):
    """A channel that reads its events from a socket.

    Attributes:
        accepted: for each event, whether the gateway accepted it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.disconnected: str | None = None
        self.accepted: list[bool] = []

    @property
    def outage(self) -> str | None:
        return self.disconnected

    @asynccontextmanager
    async def taking_events(self) -> AsyncIterator[None]:
        for name in ("first", "last"):
            payload = json.dumps({"id": name, "text": name, "person": "ann", "place": "dm-ann", "tenant": TENANT})
            self.accepted.append(await self.host.accept(Event(name, place("dm-ann"), payload, author="ann")))
            if name == "first":
                yield


async def test_a_channel_that_is_not_connected_is_not_ready(tmp_path: Path) -> None:
    channel = Socket()
    scene = stage(tmp_path, channel=channel)
    transport = httpx.ASGITransport(scene.gateway.asgi())
    async with scene.open(), httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        assert (await client.get("/readyz")).status_code == 200
        channel.disconnected = "not connected"
        answer = await client.get("/readyz")
        assert (answer.status_code, answer.json()) == (503, {"status": "stage: not connected"})


async def test_a_channel_takes_events_while_the_gateway_accepts_them(tmp_path: Path) -> None:
    channel = Socket()
    async with stage(tmp_path, channel=channel).open():
        assert channel.accepted == [True]
    assert channel.accepted == [True, True]
