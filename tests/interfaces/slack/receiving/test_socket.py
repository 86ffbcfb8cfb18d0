"""Requests over Socket Mode are acknowledged once they are committed, whatever becomes of a connection."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from functools import partial

import pytest
from peers.socket_mode.server import APP_TOKEN, SocketModeServer
from peers.wait import wait_until_async
from peers.webhooks import slack_events as events
from slack_sdk.web.async_client import AsyncWebClient
from starlette.background import BackgroundTask
from starlette.responses import JSONResponse, PlainTextResponse, Response

from gateway.channels import EventNotAcceptedError, MalformedEventError
from interfaces.slack.receiving.connection import DEFAULT_SOCKET_TIMINGS, SocketTimings
from interfaces.slack.receiving.request import Handlers, SlackRequest
from interfaces.slack.receiving.socket import SocketMode
from oauth import SettingError

# Connections are replaced at once, however young they are.
TIMINGS = replace(DEFAULT_SOCKET_TIMINGS, answer=0.8, retry=0.05, settled=0.0, longest_pause=0.05, leaving=1.0)
TWO = 2  # connections of a process


class Requests:
    """A handler that records requests.

    Attributes:
        failures: errors to raise, one for each call.
        gate: while it is not set, requests are not committed.
    """

    def __init__(self) -> None:
        self.taken: list[SlackRequest] = []
        self.failures: list[Exception] = []
        self.begun = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.response: Response | None = None

    async def take(self, request: SlackRequest) -> Response:
        self.begun += 1
        await self.gate.wait()
        if self.failures:
            raise self.failures.pop(0)
        self.taken.append(request)
        return self.response or Response()


Open = Callable[..., AbstractAsyncContextManager[SocketMode]]


@pytest.fixture
def requests() -> Requests:
    return Requests()


@pytest.fixture
def connect(socket_mode: SocketModeServer, requests: Requests) -> Open:
    """Return a function that takes requests over Socket Mode, in a block that begins with two connections."""

    @asynccontextmanager
    async def connect(timings: SocketTimings = TIMINGS) -> AsyncIterator[SocketMode]:
        mode = make(socket_mode, requests, timings=timings)
        before = socket_mode.connections
        async with mode.taking_requests():
            await wait_until_async(lambda: socket_mode.connections == before + TWO, what="two connections")
            yield mode

    return connect


def make(
    server: SocketModeServer,
    requests: Requests,
    token: str = APP_TOKEN,
    *,
    is_only_way: bool = True,
    timings: SocketTimings = TIMINGS,
) -> SocketMode:
    client = AsyncWebClient(base_url=server.url)
    client.retry_handlers = []
    handlers = Handlers(requests.take, requests.take, requests.take)
    return SocketMode(token, "SLACK_APP_TOKEN", client, handlers, is_only_way=is_only_way, timings=timings)


def opened_are(server: SocketModeServer, count: int) -> bool:
    return server.opened >= count


async def test_an_event_is_acknowledged_after_it_is_committed(
    connect: Open, socket_mode: SocketModeServer, requests: Requests
) -> None:
    async with connect():
        requests.gate.clear()
        delivery = socket_mode.deliver(payload := events.member_joined_channel())
        await wait_until_async(lambda: requests.begun, what="the event has come")
        assert delivery.acknowledgement is None
        requests.gate.set()
        assert await asyncio.to_thread(delivery.wait) == {"envelope_id": delivery.envelopes[0]["envelope_id"]}
        (taken,) = requests.taken
        assert taken.body == json.loads(taken.raw) == payload


async def test_an_event_that_is_not_accepted_is_tried_again_before_slack_repeats_it(
    connect: Open, socket_mode: SocketModeServer, requests: Requests
) -> None:
    async with connect():
        requests.failures = [EventNotAcceptedError(30), EventNotAcceptedError(30)]
        delivery = socket_mode.deliver(events.member_joined_channel())
        await asyncio.to_thread(delivery.wait)
        assert (requests.begun, len(delivery.envelopes)) == (3, 1)


@pytest.mark.parametrize("failure", [MalformedEventError("no"), OSError("no database"), ValueError("a bug")])
async def test_an_event_that_cannot_be_committed_is_delivered_again(
    connect: Open, socket_mode: SocketModeServer, requests: Requests, failure: Exception
) -> None:
    async with connect():
        requests.failures = [failure]
        delivery = socket_mode.deliver(events.member_joined_channel())
        await asyncio.to_thread(delivery.wait)
        assert [each["retry_attempt"] for each in delivery.envelopes] == [0, 1]
        assert requests.taken[0].headers == {"X-Slack-Retry-Num": ["1"], "X-Slack-Retry-Reason": ["timeout"]}


async def test_an_event_that_takes_too_long_is_not_acknowledged(
    connect: Open, socket_mode: SocketModeServer, requests: Requests, caplog: pytest.LogCaptureFixture
) -> None:
    async with connect():
        requests.gate.clear()
        delivery = socket_mode.deliver(events.member_joined_channel())
        await wait_until_async(lambda: "was not taken" in caplog.text, what="the time is over")
        assert delivery.acknowledgement is None
        requests.gate.set()
        await asyncio.to_thread(delivery.wait)
        assert len(requests.taken) == 1


@pytest.mark.parametrize(
    ("response", "payload"),
    [
        (Response(), None),
        (JSONResponse({"response_action": "clear"}), {"response_action": "clear"}),
        (PlainTextResponse("done"), {"text": "done"}),
    ],
    ids=["empty", "JSON", "a text"],
)
async def test_the_response_to_a_command_or_an_interaction_is_in_the_acknowledgement(
    connect: Open, socket_mode: SocketModeServer, requests: Requests, response: Response, payload: object
) -> None:
    requests.response = response
    async with connect():
        for delivery in (
            socket_mode.deliver_command({**events.slash_command("/new"), "is_enterprise_install": False, "x": None}),
            socket_mode.deliver_interaction({"type": "view_submission"}),
        ):
            acknowledged = await asyncio.to_thread(delivery.wait)
            assert acknowledged.get("payload") == payload
        assert requests.taken[0].body == {**events.slash_command("/new"), **requests.taken[0].body}
        assert requests.taken[0].body["is_enterprise_install"] == "false"
        assert "x" not in requests.taken[0].body


async def test_a_response_other_than_200_acknowledges_nothing(
    connect: Open, socket_mode: SocketModeServer, requests: Requests
) -> None:
    requests.response = Response(status_code=503)
    async with connect():
        delivery = socket_mode.deliver_interaction({"type": "block_actions"})
        await wait_until_async(lambda: delivery.is_over, what="Slack has given up")
        assert (delivery.acknowledgement, len(requests.taken)) == (None, 1)


async def test_what_a_response_runs_in_the_background_comes_after_the_acknowledgement(
    connect: Open, socket_mode: SocketModeServer, requests: Requests
) -> None:
    told: list[str] = []
    requests.response = Response(background=BackgroundTask(lambda: told.append("sentence")))
    async with connect():
        await asyncio.to_thread(socket_mode.deliver_interaction({"type": "block_actions"}).wait)
        await wait_until_async(lambda: told == ["sentence"], what="the sentence")


MALFORMED = {
    "no JSON": "{",
    "no object": "[]",
    "deeply nested": "[" * 100_000,
    "nothing": "{}",
    "no id": '{"type": "events_api", "payload": {}}',
    "an id that is a number": '{"type": "events_api", "envelope_id": 1, "payload": {}}',
    "no payload": '{"type": "events_api", "envelope_id": "1"}',
    "a payload that is a text": '{"type": "events_api", "envelope_id": "1", "payload": "x"}',
    "an unknown type": '{"type": "fax", "envelope_id": "1", "payload": {}}',
    "no type": '{"envelope_id": "1", "payload": {}}',
}


@pytest.mark.parametrize("kind", MALFORMED)
async def test_a_malformed_envelope_is_ignored_and_the_connection_stays(
    connect: Open, socket_mode: SocketModeServer, requests: Requests, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    async with connect():
        await asyncio.to_thread(socket_mode.send, MALFORMED[kind])
        await wait_until_async(lambda: "ignored" in caplog.text, what="a line in the log")
        await asyncio.to_thread(socket_mode.deliver(events.member_joined_channel()).wait)
        assert (socket_mode.opened, len(requests.taken)) == (TWO, 1)


@pytest.mark.parametrize("reason", ["warning", "refresh_requested"])
async def test_a_refresh_leaves_no_gap_and_what_is_in_hand_is_acknowledged(
    connect: Open, socket_mode: SocketModeServer, requests: Requests, reason: str
) -> None:
    socket_mode.patience = 20.0
    async with connect(replace(TIMINGS, answer=20.0, leaving=20.0)) as mode:
        requests.gate.clear()
        deliveries = [socket_mode.deliver(events.member_joined_channel()) for _ in range(20)]
        await wait_until_async(lambda: requests.begun == len(deliveries), what="the events have come")
        socket_mode.disconnect(reason, linger=20.0)
        await wait_until_async(lambda: socket_mode.opened == 2 * TWO, what="two new connections")
        assert mode.outage is None
        requests.gate.set()
        for delivery in deliveries:
            await asyncio.to_thread(delivery.wait)
            assert len(delivery.envelopes) == 1


async def test_a_connection_that_is_dropped_is_opened_again(
    connect: Open, socket_mode: SocketModeServer, requests: Requests
) -> None:
    async with connect() as mode:
        requests.gate.clear()
        delivery = socket_mode.deliver(events.member_joined_channel())
        await wait_until_async(lambda: requests.begun, what="the event has come")
        socket_mode.drop()
        await wait_until_async(lambda: socket_mode.opened == 2 * TWO, what="two new connections")
        requests.gate.set()
        await asyncio.to_thread(delivery.wait)
        assert [each["retry_attempt"] for each in delivery.envelopes] == [0, 1]
        assert mode.outage is None


async def test_a_half_open_connection_is_found_and_opened_again(
    connect: Open, socket_mode: SocketModeServer, requests: Requests
) -> None:
    async with connect(replace(TIMINGS, heartbeat=0.4)):
        socket_mode.silence()
        delivery = socket_mode.deliver(events.member_joined_channel())
        await asyncio.to_thread(delivery.wait)
        assert socket_mode.opened >= TWO + 1


async def test_while_socket_mode_is_switched_off_the_gateway_waits_and_says_what_to_do(
    connect: Open, socket_mode: SocketModeServer, requests: Requests, caplog: pytest.LogCaptureFixture
) -> None:
    async with connect() as mode:
        socket_mode.opening_error = "socket_mode_not_enabled"
        socket_mode.disconnect("link_disabled")
        await wait_until_async(lambda: mode.outage is not None, what="the outage")
        assert "not connected to Slack since 20" in (mode.outage or "")
        assert "Socket Mode is off for this app" in caplog.text
        socket_mode.opening_error = None
        await wait_until_async(lambda: mode.outage is None, what="the end of the outage")


async def test_too_many_connections_are_not_opened_again_and_again(
    connect: Open, socket_mode: SocketModeServer, requests: Requests
) -> None:
    async with connect(replace(TIMINGS, longest_pause=60.0)):
        for expected in (TWO + 1, TWO + 2):
            socket_mode.disconnect("too_many_websockets", 1)
            await wait_until_async(partial(opened_are, socket_mode, expected), what=f"{expected} connections")
        assert socket_mode.opened == TWO + 2


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        ("invalid_auth", "make a new one"),
        ("not_allowed_token_type", "not a bot token"),
        ("missing_scope", "connections:write"),
        ("socket_mode_not_enabled", "Socket Mode is off for this app"),
    ],
)
async def test_a_setting_that_slack_rejects_at_the_start_is_named(
    socket_mode: SocketModeServer, requests: Requests, error: str, advice: str
) -> None:
    socket_mode.opening_error = error
    with pytest.raises(SettingError, match=rf"SLACK_APP_TOKEN was rejected by Slack \({error}\)\..*{advice}"):
        async with make(socket_mode, requests).taking_requests():
            pass


async def test_the_start_does_not_fail_while_socket_mode_is_off_and_there_are_webhooks(
    socket_mode: SocketModeServer, requests: Requests, caplog: pytest.LogCaptureFixture
) -> None:
    socket_mode.opening_error = "socket_mode_not_enabled"
    async with make(socket_mode, requests, is_only_way=False).taking_requests():
        assert "Socket Mode is off for this app" in caplog.text
        socket_mode.opening_error = None
        await wait_until_async(lambda: socket_mode.connections == TWO, what="two connections")


@pytest.mark.parametrize("error", ["ratelimited", "internal_error", "team_added_to_org"])
async def test_the_gateway_starts_while_slack_cannot_be_reached(
    socket_mode: SocketModeServer, requests: Requests, error: str
) -> None:
    socket_mode.opening_error = error
    mode = make(socket_mode, requests)
    async with mode.taking_requests():
        assert mode.outage is not None
        socket_mode.opening_error = None
        await wait_until_async(lambda: socket_mode.connections == TWO, what="two connections")


async def test_at_the_end_no_more_is_taken_and_what_is_in_hand_is_acknowledged(
    connect: Open, socket_mode: SocketModeServer, requests: Requests
) -> None:
    async with connect():
        requests.gate.clear()
        first = socket_mode.deliver(events.member_joined_channel())
        await wait_until_async(lambda: requests.begun, what="the event has come")
        asyncio.get_running_loop().call_later(0.3, requests.gate.set)
    assert first.acknowledgement is not None or await asyncio.to_thread(first.wait)
    assert len(first.envelopes) == 1
    await wait_until_async(lambda: socket_mode.connections == 0, what="the connections are closed")
    assert [task for task in asyncio.all_tasks() if "Socket Mode" in task.get_name()] == []


async def test_each_event_goes_to_one_of_two_processes(socket_mode: SocketModeServer, requests: Requests) -> None:
    others = Requests()
    async with (
        make(socket_mode, requests).taking_requests(),
        make(socket_mode, others).taking_requests(),
    ):
        await wait_until_async(lambda: socket_mode.connections == 2 * TWO, what="four connections")
        deliveries = [socket_mode.deliver(events.member_joined_channel()) for _ in range(50)]
        for delivery in deliveries:
            await asyncio.to_thread(delivery.wait)
        assert len(requests.taken) + len(others.taken) == len(deliveries)
        assert requests.taken
        assert others.taken


async def test_neither_the_token_nor_a_ticket_is_logged(
    socket_mode: SocketModeServer, requests: Requests, caplog: pytest.LogCaptureFixture
) -> None:
    socket_mode.host = f"{socket_mode.url.replace('http:', 'ws:')}nowhere"  # the handshake is refused there
    with caplog.at_level(logging.INFO):
        async with make(socket_mode, requests).taking_requests():
            await wait_until_async(lambda: "cannot be reached over Socket Mode" in caplog.text, what="a line")
    assert socket_mode.tickets
    assert [secret for secret in (APP_TOKEN, *socket_mode.tickets) if secret in caplog.text] == []


async def test_an_address_that_is_not_encrypted_is_not_opened(
    socket_mode: SocketModeServer, requests: Requests, caplog: pytest.LogCaptureFixture
) -> None:
    socket_mode.host = "ws://wss.slack.example.com"
    async with make(socket_mode, requests).taking_requests():
        assert "is not encrypted" in caplog.text
