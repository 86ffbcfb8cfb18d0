"""The health of a gateway, as /readyz reports it."""

import asyncio
from pathlib import Path

import httpx
from sqlalchemy import Engine, event
from support.stage import stage


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
