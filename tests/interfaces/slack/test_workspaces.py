"""One app in many workspaces, which install it and share nothing."""

import asyncio
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from peers import seed
from peers.emulate.server import Emulate
from peers.wait import wait_until_async
from peers.webhooks import slack_events as events
from support.channels.running import Run, Running
from support.channels.slack_api import SlackApi
from support.consent.pages import authorization_code
from support.consent.sign_ins import state_of
from support.slack_manifest import accepted
from support.stage import Vault

from interfaces.slack import Slack
from oauth import Identity
from oauth.store.installations import Installation

pytestmark = pytest.mark.long

SECRET = seed.SLACK_SIGNING_SECRET
ROUNDS = 10  # messages in each workspace
BASE = "https://bot.test"


@pytest.fixture
def api() -> Iterator[SlackApi]:
    with SlackApi() as server:
        yield server


@pytest.fixture
def slack(api: SlackApi) -> Slack:
    return Slack(signing_secret=SECRET, api_url=f"{api.url}/api", client_id="1.2", client_secret="s")


async def install(running: Running, *tenants: str) -> None:
    for tenant in tenants:
        installation = Installation("slack", tenant, f"xoxb-{tenant}", seed.SLACK_BOT_USER_ID)
        await running.gateway.host.installations.save(installation)


async def post(running: Running, payload: dict[str, Any]) -> int:
    body = json.dumps(payload).encode()
    answer = await running.client.post("/slack/events", content=body, headers=events.headers(body))
    return answer.status_code


async def test_two_workspaces_with_the_same_ids_share_nothing(run: Run, slack: Slack, api: SlackApi) -> None:
    """Use the same people, channels, timestamps and event ids in both workspaces."""
    tenants = ("T1", "T2")
    async with run(slack, base_url=BASE) as running:
        await install(running, *tenants)
        running.answers += [f"answer {number}" for number in range(2 * ROUNDS)]
        for number in range(ROUNDS):
            for tenant in tenants:
                ids = {"team_id": tenant, "event_id": f"Ev{number}", "ts": f"{1_700_000_000 + number}.000100"}
                assert await post(running, events.direct_message(f"{tenant} says {number}", **ids)) == 200
        await wait_until_async(
            lambda: all(len(api.said(f"xoxb-{tenant}")) == ROUNDS for tenant in tenants), 60, "all is answered"
        )
    for messages in running.told:
        text = str(messages)
        assert ("T1 says" in text) != ("T2 says" in text)
    assert len(running.told) == 2 * ROUNDS
    assert set(api.said("xoxb-T1")) & set(api.said("xoxb-T2")) == set()


async def test_the_sign_in_page_leads_to_the_direct_conversation_in_the_persons_own_workspace(
    run: Run, slack: Slack, api: SlackApi, caplog: pytest.LogCaptureFixture
) -> None:
    async with run(slack, [Vault()], base_url=BASE) as running:
        await install(running, "T1", "T2")
        oauth = running.gateway.parts.oauth
        assert oauth is not None
        for tenant in ("T1", "T2"):
            link = await running.gateway.sign_in_link(Identity("slack", tenant, "U1"), "Alice", "fake")
            consent = await oauth.complete("fake", await state_of(running.gateway, link), "of-alice")
            assert consent.code is not None
            assert consent.way_back is not None
            assert consent.way_back.address == f"{api.url}/app_redirect?channel=D-U1&team={tenant}"
            assert not consent.way_back.brings_code
        link = await running.gateway.sign_in_link(Identity("slack", "T-elsewhere", "U1"), "Alice", "fake")
        consent = await oauth.complete("fake", await state_of(running.gateway, link), "of-alice")
        assert consent.code is not None
        assert consent.way_back is None
    assert "the app is not installed in the workspace T-elsewhere" in caplog.text


async def test_an_account_is_connected_in_only_one_workspace(run: Run, slack: Slack, api: SlackApi) -> None:
    vault = Vault()
    async with run(slack, [vault], base_url=BASE) as running:
        await install(running, "T1", "T2")
        for tenant in ("T1", "T2"):
            await post(running, events.direct_message("accounts", team_id=tenant))
        oauth = running.gateway.parts.oauth
        assert oauth is not None
        link = await running.gateway.sign_in_link(Identity("slack", "T1", seed.ALICE.slack_id), "Alice", "fake")
        consent = await oauth.complete("fake", await state_of(running.gateway, link), "of-alice")
        assert consent.code is not None
        await post(running, events.direct_message(consent.code, team_id="T2"))  # the same id, but somebody else
        await wait_until_async(
            lambda: api.said("xoxb-T2")[-1:] == ["heard"], what="the code is an ordinary message in T2"
        )
        await post(running, events.direct_message(consent.code, team_id="T1"))
        await wait_until_async(lambda: "is connected" in api.said("xoxb-T1")[-1], what="the code is accepted in T1")
        await post(running, events.direct_message("accounts", team_id="T2"))
        await wait_until_async(lambda: len(api.said("xoxb-T2")) == 3, what="the other workspace is answered")
        assert "no account" in api.said("xoxb-T2")[-1]


async def test_a_workspace_that_did_not_install_the_app_is_not_answered(run: Run, slack: Slack, api: SlackApi) -> None:
    async with run(slack, base_url=BASE) as running:
        assert await post(running, events.direct_message("hello", team_id="T3")) == 200
        assert running.inbox() == []
    assert api.requests == []


@pytest.mark.parametrize(
    ("event", "is_gone"),
    [
        ({"type": "app_uninstalled"}, True),
        ({"type": "tokens_revoked", "tokens": {"oauth": [], "bot": ["UBOT"]}}, True),
        ({"type": "tokens_revoked", "tokens": {"oauth": ["U1"]}}, False),
        ({"type": "team_access_revoked", "team_ids": ["T1"]}, True),
        ({"type": "team_access_revoked", "team_ids": ["T3"]}, False),
    ],
)
async def test_an_uninstalled_app_is_gone_from_only_that_workspace(
    run: Run, slack: Slack, api: SlackApi, event: dict[str, Any], is_gone: bool
) -> None:
    async with run(slack, base_url=BASE) as running:
        await install(running, "T1", "T2")
        assert await post(running, events.envelope(event, "T1")) == 200
        for tenant in ("T1", "T2"):
            assert await post(running, events.direct_message("hello", team_id=tenant)) == 200
        await wait_until_async(lambda: api.said("xoxb-T2") == ["heard"], what="the other is answered")
        if not is_gone:
            await wait_until_async(lambda: api.said("xoxb-T1") == ["heard"], what="it is answered")
        assert (await running.gateway.host.installations.load("slack", "T1") is None) == is_gone
        assert len(running.inbox()) == (1 if is_gone else 2)


async def test_an_unsent_answer_to_a_workspace_that_is_gone_is_a_dead_letter(
    run: Run, slack: Slack, api: SlackApi
) -> None:
    from gateway import Conversation

    async with run(slack, base_url=BASE) as running:
        await running.gateway.send(Conversation("slack", "T1", "D1", shared=False), "hello")

        def statuses() -> list[Any]:
            import sqlite3
            from contextlib import closing

            with closing(sqlite3.connect(running.directory / "understudy.db")) as database:
                return database.execute("SELECT status, error FROM outbox").fetchall()

        await wait_until_async(lambda: statuses()[0][0] == "dead", what="it is given up")
        assert "not installed in the workspace T1" in statuses()[0][1]
    assert api.requests == []


async def test_an_organization_installs_the_app_for_all_its_workspaces(run: Run, slack: Slack, api: SlackApi) -> None:
    async with run(slack, base_url=BASE) as running:
        await install(running, "E1")
        event = events.direct_message("hello", team_id="T9")
        event["authorizations"][0] |= {"enterprise_id": "E1", "is_enterprise_install": True}
        assert await post(running, event) == 200
        await wait_until_async(lambda: api.said("xoxb-E1") == ["heard"], what="it is answered")


REVOKED = {"type": "tokens_revoked", "tokens": {"oauth": [], "bot": ["UBOT"]}}


@pytest.mark.parametrize("event", [{"type": "app_uninstalled"}, REVOKED], ids=["uninstalled", "revoked"])
@pytest.mark.parametrize("of", ["organization", "flagged", "workspace"])
async def test_an_organization_that_uninstalls_the_app_is_forgotten_whatever_the_event_names(
    run: Run, slack: Slack, api: SlackApi, event: dict[str, Any], of: str
) -> None:
    gone = {
        "organization": events.of_organization(event, "E1"),
        "flagged": events.of_organization(event, "E1", team_id="T9", is_enterprise_install=True),
        "workspace": events.of_organization(event, "E1", team_id="T9"),
    }[of]
    if of == "organization":
        del gone["team_id"]
    async with run(slack, base_url=BASE) as running:
        await install(running, "E1", "E2", "T2")
        await running.gateway.host.installations.save_member("slack", "T9", "E1")
        assert await post(running, gone) == 200
        for tenant in ("E1", "T9"):
            assert await running.gateway.host.installations.load("slack", tenant) is None
        for tenant in ("E2", "T2"):
            assert await running.gateway.host.installations.load("slack", tenant) is not None


@pytest.mark.parametrize("named", [{}, {"team_id": None}, {"team_id": None, "authorizations": None}])
@pytest.mark.parametrize(
    "event",
    [
        {"type": "app_uninstalled"},
        REVOKED,
        {"type": "team_access_granted", "team_ids": ["T9"]},
        {"type": "team_access_revoked", "team_ids": ["T9"]},
        {"type": "member_joined_channel", "user": "U1", "channel": "C1"},
        events.direct_message("hello")["event"],
    ],
    ids=lambda event: event["type"],
)
async def test_an_event_of_no_workspace_is_acknowledged(
    run: Run, slack: Slack, event: dict[str, Any], named: dict[str, Any]
) -> None:
    payload = events.envelope(event)
    for name in ("team_id", "context_team_id", "context_enterprise_id", "authorizations"):
        del payload[name]
    async with run(slack, base_url=BASE) as running:
        await install(running, "T1")
        assert await post(running, payload | named) == 200
        assert running.inbox() == []
        assert await running.gateway.host.installations.load("slack", "T1") is not None


async def test_only_the_workspace_from_which_its_organization_takes_the_app_is_forgotten(
    run: Run, slack: Slack, api: SlackApi
) -> None:
    async with run(slack, base_url=BASE) as running:
        await install(running, "E1")
        for tenant in ("T8", "T9"):
            await running.gateway.host.installations.save_member("slack", tenant, "E1")
        granted = {"type": "team_access_granted", "team_ids": ["T7"]}
        for event in (granted, {"type": "team_access_revoked", "team_ids": ["T9"]}):
            assert await post(running, events.of_organization(event, "E1")) == 200
        found = {
            tenant: await running.gateway.host.installations.load("slack", tenant) for tenant in ("E1", "T8", "T9")
        }
        assert [tenant for tenant, installation in found.items() if installation is None] == ["T9"]


@pytest.mark.parametrize("is_whole", [True, False])
async def test_a_slash_command_works_in_an_organizations_workspace_that_has_sent_no_event_yet(
    run: Run, slack: Slack, api: SlackApi, is_whole: bool
) -> None:
    fields = {"team_id": "T9", "enterprise_id": "E1", "is_enterprise_install": str(is_whole).lower()}
    body = urlencode(events.slash_command("/help", **fields)).encode()
    headers = events.headers(body, content_type="application/x-www-form-urlencoded")
    async with run(slack, base_url=BASE) as running:
        await install(running, "E1")
        answer = await running.client.post("/slack/commands", content=body, headers=headers)
        assert answer.status_code == 200
        if is_whole:
            await wait_until_async(lambda: api.said("xoxb-E1"), what="it is answered")
        else:
            assert "I cannot send you" in answer.json()["text"]
            assert running.inbox() == []


@pytest.mark.parametrize("host", ["T1", "T2"])
async def test_a_channel_shared_with_another_organization_is_answered_by_the_workspace_that_was_asked(
    run: Run, slack: Slack, api: SlackApi, host: str
) -> None:
    """Share a channel between two organizations, of which both or only one have installed the app."""
    ours, other = events.Organization("T1"), events.Organization("T2", "E2")
    async with run(slack, base_url=BASE) as running:
        await install(running, "T1")
        if host == "T2":
            await install(running, "T2")
        for writer in (ours, other):
            mention, message = events.mention_pair("hello", team_id="T1")
            for payload in (
                events.shared(message, writer, ours if host == "T1" else other),
                events.shared(mention, writer, ours if host == "T1" else other, ours),
            ):
                assert await post(running, payload) == 200
        await wait_until_async(lambda: len(api.said("xoxb-T1")) == 2, what="both are answered")
        assert api.said("xoxb-T2") == []
        assert len(running.inbox()) == 2


@pytest.mark.parametrize("agent_view", [True, False])
async def test_a_workspace_is_asked_for_the_scopes_of_the_manifest(
    run: Run, emulate: Emulate, agent_view: bool
) -> None:
    ids = {"client_id": emulate.slack_client_id, "client_secret": emulate.slack_client_secret}
    slack = Slack(signing_secret=SECRET, api_url=emulate.slack_url, agent_view=agent_view, **ids)
    async with run(slack, base_url=BASE) as running:
        page = await running.client.get("/slack/install")
        link = re.findall(r'href="([^"]+oauth/v2/authorize[^"]*)"', page.text)[0].replace("&amp;", "&")
        asked = parse_qs(urlsplit(link).query)["scope"][0].split(",")
        assert asked == accepted(slack.manifest(running.gateway.profile("slack"))).oauth_config.scopes.bot
        assert ("assistant:write" in asked) == agent_view


async def test_a_workspace_installs_the_app_and_is_answered_with_its_own_token(run: Run, emulate: Emulate) -> None:
    app = {"client_id": emulate.slack_client_id, "client_secret": emulate.slack_client_secret}
    slack = Slack(signing_secret=emulate.signing_secret, api_url=emulate.slack_url, **app)
    emulate.connect([f"{BASE}/slack/oauth_redirect"])
    async with run(slack, base_url=BASE) as running:
        transport = httpx.ASGITransport(running.gateway.asgi())
        async with httpx.AsyncClient(transport=transport, base_url=BASE) as browser:
            page = await browser.get("/slack/install")
            link = re.findall(r'href="([^"]+oauth/v2/authorize[^"]*)"', page.text)[0].replace("&amp;", "&")
            asked = parse_qs(urlsplit(link).query)
            needed = {"channels:history", "groups:history", "im:history", "mpim:history", "users:read"}
            assert needed <= set(asked["scope"][0].split(","))
            state = asked["state"][0]
            code = await asyncio.to_thread(authorization_code, emulate, link, seed.ALICE.email)
            answer = {"code": code, "state": state}
            async with httpx.AsyncClient(transport=transport, base_url=BASE) as another:
                assert (await another.get("/slack/oauth_redirect", params=answer)).status_code == 400
            done = await browser.get("/slack/oauth_redirect", params=answer)
            assert done.status_code == 200
            assert (await browser.get("/slack/oauth_redirect", params=answer)).status_code == 400  # it is used up
        installed = await running.gateway.host.installations.load("slack", seed.SLACK_TEAM_ID)
        assert installed is not None
        assert installed.bot_user_id == seed.SLACK_BOT_USER_ID
        assert installed.bot_token not in repr(installed)
        assert installed.bot_token not in done.text
        channel = emulate.slack_dm("alice")
        assert await post(running, events.direct_message("hello", channel=channel)) == 200
        await wait_until_async(lambda: emulate.slack_said(channel) == ["heard"], what="it is answered")
        stored = b"".join(path.read_bytes() for path in running.directory.glob("understudy.db*"))
        assert installed.bot_token.encode() not in stored


async def test_an_app_whose_tokens_expire_is_installed_with_its_refresh_token(
    run: Run, emulate: Emulate, caplog: pytest.LogCaptureFixture
) -> None:
    """Script Slack's answer as documented, since the stand-in has no token rotation."""
    app = {"client_id": emulate.slack_client_id, "client_secret": emulate.slack_client_secret}
    slack = Slack(signing_secret=emulate.signing_secret, api_url=emulate.slack_url, **app)
    emulate.connect([f"{BASE}/slack/oauth_redirect"])
    granted = {"ok": True, "app_id": "A1", "team": {"id": "T9"}, "authed_user": {"id": "U1"}, "bot_user_id": "B1"}
    rotating = {"access_token": "xoxe.xoxb-1-SECRET", "refresh_token": "xoxe-1-SECRET", "expires_in": 43200}
    emulate.slack.fail("/api/oauth.v2.access", 200, body={**granted, **rotating, "token_type": "bot", "scope": ""})
    emulate.slack.fail("/api/auth.test", 200, body={"ok": True, "team_id": "T9", "user_id": "B1", "bot_id": "B2"})
    async with run(slack, base_url=BASE) as running:
        transport = httpx.ASGITransport(running.gateway.asgi())
        async with httpx.AsyncClient(transport=transport, base_url=BASE) as browser:
            page = await browser.get("/slack/install")
            state = re.findall(r"state=([^&\"]+)", page.text)[0]
            answer = await browser.get("/slack/oauth_redirect", params={"code": "c", "state": state})
        assert answer.status_code == 200
        installed = await running.gateway.host.installations.load("slack", "T9")
        assert installed is not None
        assert (installed.bot_token, installed.refresh_token) == ("xoxe.xoxb-1-SECRET", "xoxe-1-SECRET")
        assert installed.expires_at is not None
        assert timedelta(hours=11) < installed.expires_at - datetime.now(UTC) <= timedelta(hours=12)
        for event, is_gone in ((REVOKED, False), ({"type": "app_uninstalled"}, True)):
            assert await post(running, events.envelope(event, "T9")) == 200
            found = await running.gateway.host.installations.load("slack", "T9")
            assert (found is None) == is_gone  # a token that was replaced is revoked, too
    assert "SECRET" not in answer.text + caplog.text
