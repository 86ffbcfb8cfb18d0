"""A grant resumes the messages that wait for it."""

import asyncio
from pathlib import Path

from peers.postgres import PostgresServer
from support.stage import Vault, stage

from oauth import Identity
from oauth.consent.hooks import Grant


async def test_two_grants_at_once_resume_a_message_once(tmp_path: Path, postgres: PostgresServer) -> None:
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
