"""Bolt, Slack's own framework, accepts the events of `slack_events` and those of `emulate`."""

from collections.abc import Iterator
from typing import Any

import pytest
from slack_bolt.adapter.starlette.async_handler import AsyncSlackRequestHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from peers.emulate.server import Emulate
from peers.seed import BOB
from peers.serving import ThreadServer
from peers.webhooks import slack_events


class BoltServer(ThreadServer):
    """A Bolt app that records the events that its listeners get."""

    def __init__(self, emulate: Emulate) -> None:
        self.seen: list[dict[str, Any]] = []
        client = AsyncWebClient(emulate.bot_token, base_url=emulate.slack_url)
        app = AsyncApp(client=client, signing_secret=emulate.signing_secret, process_before_response=True)
        for kind in ("message", "app_mention", "member_joined_channel", "app_uninstalled", "tokens_revoked"):
            app.event(kind)(self._see)
        handler = AsyncSlackRequestHandler(app)

        async def events(request: Request) -> Response:
            return await handler.handle(request)

        super().__init__(Starlette(routes=[Route("/", events, methods=["POST"])]))

    async def _see(self, event: dict[str, Any]) -> None:
        self.seen.append(event)


@pytest.fixture
def bolt(emulate: Emulate) -> Iterator[BoltServer]:
    with BoltServer(emulate) as server:
        yield server


def kinds(bolt: BoltServer) -> list[str]:
    return [event.get("subtype", event["type"]) for event in bolt.seen]


def test_bolt_accepts_every_event(bolt: BoltServer) -> None:
    said = slack_events.message("hello")
    reply = slack_events.message("and?", BOB.slack_id, thread_ts=said["event"]["ts"])
    payloads = [
        *slack_events.mention_pair("hello"),
        said,
        reply,
        slack_events.direct_message("hello"),
        slack_events.message_changed(said, "hallo"),
        slack_events.message_deleted(said),
        slack_events.bot_message("beep"),
        slack_events.file_share("see this"),
        slack_events.channel_join(),
        slack_events.member_joined_channel(),
        slack_events.app_uninstalled(),
        slack_events.tokens_revoked(),
    ]
    assert [slack_events.post(bolt.url, payload).status_code for payload in payloads] == [200] * len(payloads)
    assert kinds(bolt) == [
        "app_mention",
        "message",
        "message",
        "message",
        "message",
        "message_changed",
        "message_deleted",
        "bot_message",
        "file_share",
        "channel_join",
        "member_joined_channel",
        "app_uninstalled",
        "tokens_revoked",
    ]
    assert bolt.seen[0]["ts"] == bolt.seen[1]["ts"]


def test_bolt_ignores_the_bots_own_message(bolt: BoltServer) -> None:
    assert slack_events.post(bolt.url, slack_events.own_message("mine")).status_code == 200
    assert bolt.seen == []


def test_bolt_answers_the_url_verification(bolt: BoltServer) -> None:
    answer = slack_events.post(bolt.url, slack_events.url_verification("c")).json()
    assert answer == {"challenge": "c"}


def test_bolt_refuses_forged_stale_tampered_and_unsigned_requests(bolt: BoltServer) -> None:
    payload = slack_events.message("hello")
    answers = [
        slack_events.post(bolt.url, payload, secret="forged"),
        slack_events.post(bolt.url, payload, age=slack_events.STALE),
        slack_events.post_tampered(bolt.url, payload),
        slack_events.post(bolt.url, payload, signed=False),
    ]
    assert [answer.status_code for answer in answers] == [401] * 4
    assert bolt.seen == []


def test_bolt_accepts_the_events_of_emulate(emulate: Emulate, bolt: BoltServer) -> None:
    emulate.connect(slack_events_url=bolt.url)
    sent = emulate.slack_post("alice", "general", f"{emulate.slack_mention} hello")
    emulate.slack_edit("alice", emulate.slack_channel_id, sent, "hallo")
    emulate.slack_delete("alice", emulate.slack_channel_id, sent)
    deliveries = emulate.slack_wait_for_deliveries(4)
    assert [each["status_code"] for each in deliveries] == [200] * 4
    assert kinds(bolt) == ["message", "app_mention", "message_changed", "message_deleted"]
