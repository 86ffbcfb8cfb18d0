"""Several processes on PostgreSQL: each of them takes messages and callbacks."""

from pathlib import Path

import httpx
from peers.postgres import PostgresServer
from support.stage import Stage, Vault, stage

from oauth import Keyring


async def readiness(scene: Stage) -> tuple[int, dict[str, object]]:
    transport = httpx.ASGITransport(scene.gateway.asgi())
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        answer = await client.get("/readyz")
    return answer.status_code, answer.json()


async def test_a_callback_may_come_to_another_process_than_the_one_that_made_the_link(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    url, key = postgres.make(), Keyring.generate()
    scene = stage(tmp_path, [Vault()], key=key, database=url)
    other = stage(tmp_path, [Vault()], key=key, database=url)
    async with scene.open(), other.gateway.lifespan():
        await scene.write("alice", "call open_vault")
        link = (await scene.wait_for(1))[0].link
        await other.connect(link, "alice")
        assert (await scene.wait_for(2))[1].text == "SECRET-alice"


async def test_messages_are_accepted_without_a_worker_and_readyz_says_so(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    scene = stage(tmp_path, database=postgres.make())
    assert scene.worker is not None
    async with scene.gateway.lifespan():
        status, answer = await readiness(scene)
        assert (status, answer["workers"]) == (503, 0)
        assert "no worker is alive" in str(answer["status"])
        await scene.write("alice", "hello")
        async with scene.worker.worker():
            assert [sent.text for sent in await scene.wait_for(1)] == ["heard: hello"]
            assert await readiness(scene) == (200, {"status": "ok", "workers": 1})
