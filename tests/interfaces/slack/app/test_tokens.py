"""Bot tokens that expire are refreshed in time and once, and a token that is lost is reported."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from peers import seed
from peers.wait import wait_until_async
from peers.webhooks import slack_events as events
from support.channels.running import Run
from support.slack_rotation import CLIENT, LIFETIME, RotatingSlackApi

from gateway.channels import RecipientUnreachableError
from gateway.storage.connect import connect
from gateway.storage.database import Database
from interfaces.slack import Slack
from interfaces.slack.app.tokens import BotTokens, SlackClient
from interfaces.slack.errors import slack_errors
from interfaces.slack.settings import ManyWorkspacesSettings
from oauth import Keyring, OAuthTimings, SettingError
from oauth.store.installations import Installation, InstallationStore
from oauth.store.tables import oauth_installations

SOON = 60  # seconds until a token expires that has to be refreshed
INSTALL = "https://bot.test/slack/install"
IMPATIENT = OAuthTimings(refresh_lease=0.05, refresh_poll=0.01)


@pytest.fixture
def api() -> Iterator[RotatingSlackApi]:
    with RotatingSlackApi() as server:
        yield server


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = connect(database_url)
    await database.open()
    yield database
    await database.close()


@pytest.fixture
def store(database: Database) -> InstallationStore:
    return InstallationStore(database, Keyring.parse(Keyring.generate()))


def tokens_of(store: InstallationStore, api: RotatingSlackApi, timings: OAuthTimings = IMPATIENT) -> BotTokens:
    """Return the tokens as one process has them."""
    settings = ManyWorkspacesSettings(signing_secret=seed.SLACK_SIGNING_SECRET, **CLIENT)
    return BotTokens(store, settings, client_of(api, None), INSTALL, timings)


def client_of(api: RotatingSlackApi, token: str | None, renew: Any = None) -> SlackClient:
    client = SlackClient(token, renew, base_url=f"{api.url}/api/", timeout=15)
    client.retry_handlers = []
    return client


async def installed(store: InstallationStore, api: RotatingSlackApi, expires_in: float = SOON) -> Installation:
    installation = api.install("T1", expires_in=expires_in)
    await store.save(installation)
    return installation


async def test_a_token_is_refreshed_once_for_all_who_need_it_in_two_processes(
    store: InstallationStore, api: RotatingSlackApi
) -> None:
    old = await installed(store, api)
    processes = [tokens_of(store, api), tokens_of(store, api)]
    given = await asyncio.gather(*(process.current(old) for process in processes for _ in range(10)))
    assert api.refreshes == 1
    assert set(given) != {old.bot_token}
    assert len(set(given)) == 1
    stored = await store.load("slack", "T1")
    assert stored is not None
    assert stored.bot_token == given[0]
    assert stored.refresh_token != old.refresh_token
    assert stored.expires_at is not None
    assert stored.expires_at > datetime.now(UTC) + timedelta(seconds=LIFETIME - 60)


async def test_a_token_that_lasts_is_not_refreshed(store: InstallationStore, api: RotatingSlackApi) -> None:
    installation = await installed(store, api, LIFETIME)
    assert await tokens_of(store, api).current(installation) == installation.bot_token
    assert api.refreshes == 0


async def test_tokens_are_encrypted(store: InstallationStore, database: Database, api: RotatingSlackApi) -> None:
    old = await installed(store, api)
    await tokens_of(store, api).current(old)
    async with database.read() as connection:
        rows = str((await connection.execute(oauth_installations.select())).all())
    new = await store.load("slack", "T1")
    for installation in (old, new):
        assert installation is not None
        assert installation.bot_token not in rows + repr(installation)
        assert str(installation.refresh_token) not in rows + repr(installation)


@pytest.mark.parametrize("reason", ["token_expired", "invalid_auth"])
async def test_a_rejected_token_is_renewed_and_the_call_is_repeated_once(
    store: InstallationStore, api: RotatingSlackApi, reason: str
) -> None:
    installation = await installed(store, api, LIFETIME)
    if reason == "token_expired":
        api.expire(installation.bot_token)
    else:
        installation = replace(installation, bot_token="xoxe.xoxb-revoked")
        await store.save(installation)
    tokens = tokens_of(store, api)
    client = client_of(api, installation.bot_token, lambda rejected: tokens.renew(installation, rejected))
    await client.chat_postMessage(channel="D1", text="hello")
    assert api.refreshes == 1
    assert len([each for each in api.requests if each.path.endswith("chat.postMessage")]) == 2


async def test_a_call_that_is_rejected_with_the_new_token_too_is_not_repeated_again(
    store: InstallationStore, api: RotatingSlackApi
) -> None:
    installation = await installed(store, api, LIFETIME)

    async def no_better(rejected: str) -> str:
        return "xoxe.xoxb-no-better"

    client = client_of(api, "xoxe.xoxb-bad", no_better)
    with pytest.raises(RecipientUnreachableError, match="invalid_auth"), slack_errors():
        await client.chat_postMessage(channel="D1", text="hello")
    assert len(api.requests) == 2
    assert installation.bot_token


async def test_a_refresh_that_fails_for_good_is_reported_once_and_the_token_is_used_until_it_expires(
    store: InstallationStore, api: RotatingSlackApi, caplog: pytest.LogCaptureFixture
) -> None:
    installation = await installed(store, api)
    api.errors = ["invalid_refresh_token"] * 10
    for _ in range(3):
        assert await tokens_of(store, api).current(installation) == installation.bot_token
        marked = await store.load("slack", "T1")
        assert marked is not None
        assert marked.problem == "invalid_refresh_token"
        installation = marked
    assert len(api.errors) == 9  # Slack is not asked again
    assert [record.getMessage() for record in caplog.records if INSTALL in record.getMessage()] == [
        "Slack issues no new bot token for the workspace T1 (invalid_refresh_token), and the bot does not answer there "
        f"once the present one has expired: have the workspace install the app again at {INSTALL}"
    ]
    with pytest.raises(RecipientUnreachableError, match="invalid_refresh_token"):
        await tokens_of(store, api).current(replace(installation, expires_at=datetime.now(UTC)))
    await store.save(api.install("T1"))
    again = await store.load("slack", "T1")
    assert again is not None
    assert again.problem is None


async def test_a_refresh_that_fails_for_now_is_tried_again_and_meanwhile_the_token_is_used(
    store: InstallationStore, api: RotatingSlackApi, caplog: pytest.LogCaptureFixture
) -> None:
    installation = await installed(store, api)
    api.errors = ["internal_error"]
    tokens = tokens_of(store, api)
    for _ in range(3):
        assert await tokens.current(installation) == installation.bot_token  # and pauses
    assert (api.errors, api.refreshes) == ([], 0)
    assert await tokens_of(store, api).current(installation) != installation.bot_token
    expired = await installed(store, api, 0)
    api.errors = ["bad_client_secret"]
    with pytest.raises(ConnectionError):
        await tokens.current(expired)
    assert "bad_client_secret" in caplog.text
    assert "SECRET" not in caplog.text
    stored = await store.load("slack", "T1")
    assert stored is not None
    assert stored.problem is None


@pytest.mark.parametrize("is_in_time", [True, False])
async def test_a_process_that_dies_before_it_stores_the_new_token_is_followed_by_another(
    store: InstallationStore, api: RotatingSlackApi, is_in_time: bool
) -> None:
    """Slack has answered the dead process, whose lease still runs."""
    installation = await installed(store, api)
    known = await store.find("slack", "T1")
    assert known is not None
    assert await store.begin_refresh(known, timedelta(seconds=IMPATIENT.refresh_lease))
    client = client_of(api, None)
    await client.oauth_v2_access(**CLIENT, grant_type="refresh_token", refresh_token=str(installation.refresh_token))
    if not is_in_time:
        api.end_grace()
    token = await tokens_of(store, api).current(installation)
    stored = await store.load("slack", "T1")
    assert stored is not None
    assert (token != installation.bot_token) == is_in_time
    assert stored.problem == (None if is_in_time else "invalid_refresh_token")


async def test_a_refresh_is_completed_although_its_caller_is_cancelled(
    store: InstallationStore, api: RotatingSlackApi
) -> None:
    installation = await installed(store, api)
    api.may_answer.clear()
    caller = asyncio.ensure_future(tokens_of(store, api).current(installation))
    await wait_until_async(lambda: api.requests, what="Slack is asked")
    caller.cancel()
    api.may_answer.set()
    with pytest.raises(asyncio.CancelledError):
        await caller
    stored = await store.load("slack", "T1")
    assert stored is not None
    assert stored.bot_token != installation.bot_token
    assert api.refreshes == 1


async def test_a_workspace_whose_token_expires_is_answered(run: Run, api: RotatingSlackApi) -> None:
    slack = Slack(signing_secret=seed.SLACK_SIGNING_SECRET, api_url=f"{api.url}/api", **CLIENT)
    async with run(slack, base_url="https://bot.test") as running:
        await running.gateway.host.installations.save(api.install("E1", expires_in=SOON))
        await running.gateway.host.installations.save_member("slack", "T1", "E1")
        body = json.dumps(events.direct_message("hello", team_id="T1")).encode()
        answer = await running.client.post("/slack/events", content=body, headers=events.headers(body))
        assert answer.status_code == 200
        await wait_until_async(
            lambda: api.said("xoxe.xoxb-E1-1") == ["heard"], what="it is answered with the new token"
        )


def test_one_workspace_cannot_have_a_token_that_expires() -> None:
    with pytest.raises(SettingError, match="SLACK_BOT_TOKEN is malformed: it expires after twelve hours") as error:
        Slack(bot_token="xoxe.xoxb-1-SECRET", signing_secret=seed.SLACK_SIGNING_SECRET)
    assert "SECRET" not in str(error.value).replace("SLACK_CLIENT_SECRET", "")
