"""When the disk is full for a while, accepted messages are kept, and the gateway recovers without a restart."""

import asyncio
import resource
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from peers.wait import wait_until_async
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models.function import AgentInfo
from sqlalchemy import insert
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection
from support.stage import obey, stage, stage_timings

from gateway.channels.errors import EventNotAcceptedError
from gateway.storage.connect import connect
from gateway.storage.database import Database
from gateway.storage.tables import pauses

SMALLEST = 4096  # bytes: less than any transaction appends to a write-ahead log


@contextmanager
def full_disk() -> Iterator[None]:
    """Keep this process from writing any file beyond its first page.

    SQLite appends to its write-ahead log when it commits, so that COMMIT fails. Python ignores SIGXFSZ, so that the
    write fails with EFBIG.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (SMALLEST, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def by_statements(database: Database, tenant: str) -> None:
    async with database.write() as connection:
        await connection.execute(insert(pauses).values(_row(tenant)))


async def as_a_whole(database: Database, tenant: str) -> None:
    async def work(connection: AsyncConnection) -> None:
        await connection.execute(insert(pauses).values(_row(tenant)))

    await database.run_write(work)


def _row(tenant: str) -> dict[str, object]:
    return {"channel": "c", "tenant": tenant, "until": datetime.now(UTC)}


@pytest.mark.parametrize("write", [by_statements, as_a_whole])
async def test_a_failed_commit_does_not_affect_later_ones(
    tmp_path: Path, write: Callable[[Database, str], Awaitable[None]]
) -> None:
    database = connect(f"sqlite:///{tmp_path}/stage.db")
    await database.open()
    try:
        await write(database, "before")
        with full_disk():
            for number in range(3):
                with pytest.raises(OperationalError):
                    await write(database, f"lost-{number}")
        for again in (by_statements, as_a_whole):
            await again(database, again.__name__)
        async with database.read() as connection:
            tenants = set((await connection.execute(pauses.select().with_only_columns(pauses.c.tenant))).scalars())
    finally:
        await database.close()
    assert tenants == {"before", "by_statements", "as_a_whole"}


@pytest.mark.long
async def test_a_gateway_recovers_when_there_is_room_again(tmp_path: Path) -> None:
    scene = stage(tmp_path)
    transport = httpx.ASGITransport(scene.gateway.asgi())
    async with scene.open(), httpx.AsyncClient(transport=transport, base_url="http://test") as client:

        async def is_ready() -> bool:
            return (await client.get("/readyz")).status_code == 200

        async def is_not_ready() -> bool:
            return (await client.get("/readyz")).status_code == 503

        assert await scene.ask("alice", "one") == "heard: one"
        assert await is_ready()
        with full_disk():
            with pytest.raises(EventNotAcceptedError):
                await scene.write("alice", "two", id="m2")
            await wait_until_async(is_not_ready, what="/readyz says that nothing can be written")
        await wait_until_async(is_ready, what="/readyz says that all is well")
        assert await scene.ask("alice", "two", id="m2") == "heard: two"


async def test_an_answer_that_cannot_be_written_is_sent_when_there_is_room_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def model(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        asked.set()
        await go_on.wait()
        return await obey(messages, info)

    scene = stage(tmp_path, model=model, timings=stage_timings(drain_retry=0.05))
    async with scene.open():
        await scene.write("alice", "one")
        await asked.wait()
        with full_disk():
            go_on.set()
            await scene.wait_until(lambda: "disk I/O error" in caplog.text)
        await scene.wait_for(1)
        await scene.wait_until_rows("SELECT count(*) FROM outbox WHERE status = 'sent'", 1)
        assert await scene.ask("bob", "two") == "heard: two"
    assert [sent.text for sent in scene.sent] == ["heard: one", "heard: two"]
