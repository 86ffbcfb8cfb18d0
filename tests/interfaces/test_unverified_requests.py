"""Requests that are not verified yet cost neither memory nor rows."""

import logging
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from typing import Any

import pytest
from peers.emulate.server import Emulate
from peers.webhooks import slack_events as events
from peers.webhooks import twilio_webhook
from starlette.types import Message as ASGIMessage
from support.channels.running import URL, Run, Running
from support.consent.sign_ins import state_of
from support.stage import Vault

from gateway import Identity
from gateway.testing.running import OF_OPERATION
from interfaces.slack import Slack
from interfaces.whatsapp import WhatsApp

FORM = "application/x-www-form-urlencoded"
SIGNATURE = {"X-Twilio-Signature": "A" * 27 + "=", "Content-Type": FORM}


@pytest.fixture
def slack(emulate: Emulate) -> Slack:
    return Slack(emulate.bot_token, emulate.signing_secret, emulate.slack_url)


@pytest.fixture
def whatsapp(emulate: Emulate) -> WhatsApp:
    return WhatsApp(emulate.account_sid, emulate.auth_token, emulate.whatsapp_number, emulate.twilio_url)


class Sent:
    """A body that counts how much of it was read."""

    def __init__(self, *chunks: bytes) -> None:
        self.chunks = chunks
        self.read = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self.chunks:
            self.read += len(chunk)
            yield chunk


async def post(running: Running, route: str, body: Sent, headers: dict[str, str]) -> int:
    return (await running.client.post(route, content=body, headers=headers)).status_code


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Twilio-Signature": ""},
        {"X-Twilio-Signature": "x"},
        {"X-Twilio-Signature": "A" * 5000},
    ],
    ids=ascii,
)
async def test_a_form_without_a_plausible_signature_is_not_read(
    run: Run, whatsapp: WhatsApp, headers: dict[str, str]
) -> None:
    async with run(whatsapp) as running:
        body = Sent(b"&".join(b"f%d=" % number for number in range(160_000)))
        assert await post(running, "/whatsapp/webhook", body, {"Content-Type": FORM, **headers}) == 403
        assert body.read == 0
    assert whatsapp.refusals.last is not None
    assert whatsapp.refusals.last.reason == "it has no signature"


async def test_a_form_is_refused_for_its_size_its_type_and_its_fields(run: Run, whatsapp: WhatsApp) -> None:
    async with run(whatsapp) as running:
        address, chunk = "/whatsapp/webhook", b"a=&" * 1000
        long = Sent(*[chunk] * 1000)
        assert await post(running, address, long, SIGNATURE) == 413
        assert long.read < 300_000
        declared = Sent(chunk)
        assert await post(running, address, declared, SIGNATURE | {"Content-Length": "9" * 20}) == 413
        assert declared.read == 0
        assert await post(running, address, Sent(b"{}"), SIGNATURE | {"Content-Type": "application/json"}) == 415
        assert await post(running, address, Sent(b"a=&" * 1000), SIGNATURE) == 400
        form = twilio_webhook.inbound("hello", **{f"Field{number}": "x" for number in range(100)})
        headers = {"X-Twilio-Signature": twilio_webhook.sign(f"{URL}{address}", form)}
        assert (await running.client.post(address, data=form, headers=headers)).status_code == 200


@pytest.mark.parametrize("route", ["/slack/events", "/slack/commands", "/slack/interactivity"])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Slack-Request-Timestamp", "1" * 5000),
        ("X-Slack-Request-Timestamp", "٣"),
        ("X-Slack-Request-Timestamp", "-1"),
        ("X-Slack-Request-Timestamp", ""),
        ("X-Slack-Signature", "v0="),
        ("X-Slack-Signature", "v0=" + "0" * 5000),
        ("X-Slack-Signature", ""),
    ],
    ids=lambda given: given[:30],
)
async def test_a_request_without_a_plausible_slack_signature_is_not_read(
    run: Run, slack: Slack, route: str, name: str, value: str
) -> None:
    async with run(slack) as running:
        body = Sent(b"{}")
        headers = [(key.encode(), given.encode()) for key, given in ({**events.headers(b"{}"), name: value}).items()]
        answer = await running.client.post(route, content=body, headers=headers)
        assert answer.status_code == 401
        assert body.read == 0


async def test_a_client_that_disconnects_causes_no_error(
    run: Run, slack: Slack, caplog: pytest.LogCaptureFixture
) -> None:
    came: list[ASGIMessage] = [
        {"type": "http.request", "body": b"{", "more_body": True},
        {"type": "http.disconnect"},
    ]
    async with run(slack) as running:
        headers = [(name.lower().encode(), value.encode()) for name, value in events.headers(b"{}").items()]
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/slack/events",
            "query_string": b"",
            "headers": headers,
        }

        async def receive() -> ASGIMessage:
            return came.pop(0)

        async def send(_: ASGIMessage) -> None: ...

        await running.gateway.asgi()(scope, receive, send)  # must not raise
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_asking_to_install_the_app_stores_nothing(run: Run, emulate: Emulate) -> None:
    slack = Slack(signing_secret=emulate.signing_secret, api_url=emulate.slack_url, client_id="1.2", client_secret="s")
    async with run(slack, base_url="https://bot.test") as running:
        states = set()
        for _ in range(5):
            answer = await running.client.get("/slack/install")
            assert answer.status_code == 200
            states.add(answer.headers["set-cookie"].partition(";")[0])
        assert len(states) == 5
        assert tables(running) == {}


async def test_the_last_few_sign_ins_of_a_person_are_kept(run: Run, slack: Slack) -> None:
    alice, bob = (Identity("slack", "T1", person) for person in ("alice", "bob"))
    async with run(slack, [Vault()], base_url="https://bot.test") as running:
        of_bob = await running.gateway.sign_in_link(bob, "Bob", "fake")
        links = [await running.gateway.sign_in_link(alice, "Alice", "fake") for _ in range(50)]
        assert tables(running) == {"oauth_authorizations": 21}
        oauth: Any = running.gateway.parts.oauth
        for link in (of_bob, links[-1], links[-20]):
            await oauth.complete("fake", await state_of(running.gateway, link), "of-alice")


def tables(running: Running) -> dict[str, int]:
    """Return the number of rows of each table that is not empty, except those that have nothing of a request."""
    with closing(sqlite3.connect(running.directory / "understudy.db")) as database:
        names = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        counts = {name: database.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in names}
    return {name: count for name, count in counts.items() if count and name not in OF_OPERATION | {"alembic_version"}}
