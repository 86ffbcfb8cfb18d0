"""The accounts of a member whom Slack reports as deactivated are suspended: events/user_change."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from peers import seed
from peers.webhooks import slack_events as events
from support.channels.running import Run, Running
from support.channels.slack_api import SlackApi
from support.stage import Vault

from interfaces.slack import Slack
from oauth import Identity, Token
from oauth.store.tokens import TokenStore

GONE = {"id": "U1", "team_id": "T1", "deleted": True, "name": "alice", "profile": {}}


@pytest.fixture
def api() -> Iterator[SlackApi]:
    with SlackApi() as server:
        yield server


@pytest.fixture
def slack(api: SlackApi) -> Slack:
    return Slack("xoxb-1", seed.SLACK_SIGNING_SECRET, f"{api.url}/api")


async def tell(running: Running, user: dict[str, Any], *, secret: str = seed.SLACK_SIGNING_SECRET) -> int:
    """Post a user_change to the workspace T1."""
    body = json.dumps(events.envelope({"type": "user_change", "user": user, "cache_ts": 1}, "T1")).encode()
    answer = await running.client.post("/slack/events", content=body, headers=events.headers(body, secret))
    return answer.status_code


async def connected(running: Running, *identities: tuple[str, str]) -> None:
    database, keyring = running.gateway.parts.backend.database, running.gateway.parts.keyring
    assert keyring is not None
    for tenant, user in identities:
        token = Token(f"SECRET-{user}", None, None, frozenset({"read"}), user)
        async with database.write() as connection:
            await TokenStore(database, keyring).save(connection, Identity("slack", tenant, user), "fake", token)


async def used(running: Running, tenant: str, user: str) -> bool:
    oauth = running.gateway.parts.oauth
    assert oauth is not None
    return await oauth.is_connected(Identity("slack", tenant, user), "fake", {"read"})


async def test_a_member_who_left_is_suspended_and_stays_so_when_activated_again(run: Run, slack: Slack) -> None:
    async with run(slack, [Vault()], base_url="https://bot.test") as running:
        await connected(running, ("T1", "U1"), ("T1", "U2"))
        assert await tell(running, GONE | {"deleted": False}) == 200
        assert await used(running, "T1", "U1")
        for _ in range(2):
            assert await tell(running, GONE) == 200
        assert not await used(running, "T1", "U1")
        assert await used(running, "T1", "U2")
        assert await tell(running, GONE | {"deleted": False}) == 200
        assert not await used(running, "T1", "U1")


async def test_a_stranger_of_slack_connect_is_suspended_in_their_own_workspace(run: Run, slack: Slack) -> None:
    async with run(slack, [Vault()], base_url="https://bot.test") as running:
        await connected(running, ("T1", "U1"), ("T2", "U1"))
        assert await tell(running, GONE | {"team_id": "T2", "is_stranger": True}) == 200
        assert await used(running, "T1", "U1")
        assert not await used(running, "T2", "U1")


async def test_a_member_of_an_organization_is_suspended_in_all_its_workspaces(run: Run, slack: Slack) -> None:
    enterprise = {"id": "U1", "enterprise_id": "E1", "enterprise_name": "One", "teams": ["T1", "T2"]}
    async with run(slack, [Vault()], base_url="https://bot.test") as running:
        await connected(running, ("T1", "U1"), ("T2", "U1"), ("E1", "U1"), ("T3", "U1"))
        assert await tell(running, GONE | {"enterprise_user": enterprise}) == 200
        assert [await used(running, tenant, "U1") for tenant in ("T1", "T2", "E1", "T3")] == [False, False, False, True]


async def test_nobody_but_slack_has_somebody_suspended(run: Run, slack: Slack) -> None:
    async with run(slack, [Vault()], base_url="https://bot.test") as running:
        await connected(running, ("T1", "U1"))
        assert await tell(running, GONE, secret="forged") == 401
        assert await tell(running, GONE | {"deleted": "yes"}) == 400
        assert await used(running, "T1", "U1")
