"""Many processes on PostgreSQL: whichever takes a message or a callback."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from peers.postgres import PostgresServer
from sqlalchemy.ext.asyncio import AsyncConnection
from stage import Stage, Vault, stage

from gateway.inbox.claims import ConversationBusyError
from gateway.storage.tables import InboxStatus
from oauth import Grant, Identity, Keyring


async def readiness(scene: Stage) -> tuple[int, dict[str, object]]:
    transport = httpx.ASGITransport(scene.gateway.asgi())
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        answer = await client.get("/readyz")
    return answer.status_code, answer.json()


async def test_a_callback_may_come_to_another_process_than_the_link_came_from(
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


async def test_a_turn_that_ends_while_it_is_being_taken_over_is_not_played_again(
    tmp_path: Path, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its worker was taken for dead, as its database had been away, and wrote the end after the other had looked."""
    scene = stage(tmp_path, [Vault()], database=postgres.make())
    inbox = scene.gateway.parts.inbox
    claims = inbox._claims
    look, looked = claims._next, list[int]()

    async def look_before_it_ends(connection: AsyncConnection, here: Mapping[str, int]) -> Any:
        found = await look(connection, here)
        assert found.status == InboxStatus.RUNNING
        looked.append(found.id)
        end = "UPDATE inbox SET status = 'done' WHERE status = 'running' AND lease = 1"
        await scene.change(end)
        return found

    async with scene.gateway.lifespan():
        await scene.write("alice", "one")
        await scene.change("UPDATE inbox SET status = 'running', lease = 1, attempts = 1, owner = 7")
        monkeypatch.setattr(claims, "_next", look_before_it_ends)
        with pytest.raises(ConversationBusyError):
            await inbox.claim(1)
    assert looked == [1]
    assert scene.rows("SELECT status, lease FROM inbox") == [("done", 1)]


async def test_of_two_grants_at_once_one_has_the_message_go_on(tmp_path: Path, postgres: PostgresServer) -> None:
    scene = stage(tmp_path, [Vault()], database=postgres.make())
    grant = Grant(Identity("stage", "T1", "alice"), "fake", frozenset({"read"}))
    database, inbox = scene.gateway.parts.backend.database, scene.gateway.parts.inbox

    async def unpark() -> None:
        async with database.write() as connection:
            await inbox.unpark(connection, grant)

    async with scene.gateway.lifespan():
        await scene.write("alice", "call open_vault")
        await scene.change(
            "UPDATE inbox SET status = 'parked', provider = 'fake', scopes = 'read', sender_tenant = 'T1', "
            "sender_user_id = 'alice'"
        )
        async with database.write() as connection:
            await inbox.unpark(connection, grant)
            second = asyncio.create_task(unpark())
            await scene.wait_until_rows("SELECT count(*) FROM pg_locks WHERE NOT granted", 1)
        await second
    assert scene.rows("SELECT status, place FROM inbox") == [("waiting", 2)]


async def test_messages_are_taken_without_a_worker_and_readyz_says_so(tmp_path: Path, postgres: PostgresServer) -> None:
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


async def test_a_message_that_a_worker_left_behind_is_taken_up_when_that_one_is_known_to_be_dead(
    tmp_path: Path, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if its conversation's job ran before, when the worker still seemed to be alive."""
    monkeypatch.setenv("UNDERSTUDY_TAKEOVER_SECONDS", "3")
    scene = stage(tmp_path, database=postgres.make())
    assert scene.worker is not None
    async with scene.gateway.lifespan():
        await scene.write("alice", "one")
        await scene.change("INSERT INTO procrastinate_workers DEFAULT VALUES")
        await scene.change(
            "UPDATE inbox SET status = 'running', lease = 1, attempts = 1, "
            "owner = (SELECT max(id) FROM procrastinate_workers)"
        )
        async with scene.worker.worker():
            assert [sent.text for sent in await scene.wait_for(1)] == ["heard: one"]
