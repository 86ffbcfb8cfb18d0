"""The stand-in for Socket Mode serves the client of Slack's own SDK as Slack documents."""

from collections.abc import AsyncIterator

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.async_client import AsyncBaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse
from slack_sdk.web.async_client import AsyncWebClient

from peers import seed
from peers.emulate.server import Emulate
from peers.socket_mode.server import APP_TOKEN, MOST_CONNECTIONS, SocketModeServer
from peers.wait import wait_until_async
from peers.webhooks import slack_events as events


class App:
    """An app on Slack's SDK, which acknowledges each request after the first `ignored`."""

    def __init__(self, url: str) -> None:
        self.client = SocketModeClient(APP_TOKEN, web_client=AsyncWebClient(base_url=url), ping_interval=1)
        self.client.socket_mode_request_listeners.append(self._take)
        self.taken: list[SocketModeRequest] = []
        self.ignored = 0

    async def _take(self, client: AsyncBaseSocketModeClient, request: SocketModeRequest) -> None:
        self.taken.append(request)
        if len(self.taken) > self.ignored:
            payload = {"text": "done"} if request.accepts_response_payload else None
            await client.send_socket_mode_response(SocketModeResponse(request.envelope_id, payload))


@pytest.fixture
async def app(socket_mode: SocketModeServer) -> AsyncIterator[App]:
    app = App(socket_mode.url)
    await app.client.connect()
    await wait_until_async(lambda: socket_mode.connections == 1, what="the server knows of the connection")
    yield app
    await app.client.close()


async def test_an_event_of_the_workspace_is_delivered(
    socket_mode: SocketModeServer, emulate: Emulate, app: App
) -> None:
    emulate.connect(slack_events_url=socket_mode.events_url)
    emulate.slack_post("alice", emulate.slack_dm("alice"), "hello")
    await wait_until_async(lambda: app.taken, what="the event is delivered")
    assert app.taken[0].type == "events_api"
    assert app.taken[0].payload["event"]["text"] == "hello"
    assert (app.taken[0].retry_attempt, app.taken[0].accepts_response_payload) == (0, False)


async def test_an_event_that_is_not_acknowledged_is_delivered_again(socket_mode: SocketModeServer, app: App) -> None:
    app.ignored = 2
    delivery = socket_mode.deliver(events.member_joined_channel())
    await wait_until_async(lambda: delivery.is_over, what="the event is acknowledged")
    assert [(each.retry_attempt, each.retry_reason) for each in app.taken] == [(0, ""), (1, "timeout"), (2, "timeout")]
    assert delivery.acknowledgement == {"envelope_id": app.taken[2].envelope_id}


async def test_a_slash_command_is_delivered_once_and_takes_a_payload(socket_mode: SocketModeServer, app: App) -> None:
    delivery = socket_mode.deliver_command(events.slash_command("/new"))
    await wait_until_async(lambda: delivery.is_over, what="the command is acknowledged")
    assert delivery.acknowledgement == {"envelope_id": app.taken[0].envelope_id, "payload": {"text": "done"}}
    app.ignored = 2
    delivery = socket_mode.deliver_command(events.slash_command("/new"))
    await wait_until_async(lambda: delivery.is_over, what="the command is given up")
    assert (delivery.acknowledgement, len(delivery.envelopes)) == (None, 1)


@pytest.mark.parametrize("reason", ["warning", "refresh_requested"])
async def test_a_client_reconnects_after_a_disconnect_message(
    socket_mode: SocketModeServer, app: App, reason: str
) -> None:
    socket_mode.disconnect(reason)
    await wait_until_async(lambda: socket_mode.opened == 2 and socket_mode.connections == 1, what="a new connection")


async def test_other_requests_reach_the_web_api(socket_mode: SocketModeServer) -> None:
    client = AsyncWebClient(seed.SLACK_BOT_TOKEN, base_url=socket_mode.url)
    assert (await client.auth_test())["user_id"] == seed.SLACK_BOT_USER_ID


@pytest.mark.parametrize(
    ("token", "error"), [("", "not_authed"), ("xoxb-1", "not_allowed_token_type"), ("xapp-1", "invalid_auth")]
)
async def test_a_wrong_token_opens_no_connection(socket_mode: SocketModeServer, token: str, error: str) -> None:
    with pytest.raises(SlackApiError, match=error):
        await AsyncWebClient(base_url=socket_mode.url).apps_connections_open(app_token=token)


async def test_an_address_opens_one_connection_and_an_app_has_ten(socket_mode: SocketModeServer) -> None:
    client = AsyncWebClient(base_url=socket_mode.url)
    async with aiohttp.ClientSession() as http:
        sockets: list[aiohttp.ClientWebSocketResponse] = []
        for number in range(1, MOST_CONNECTIONS + 1):
            url = (await client.apps_connections_open(app_token=APP_TOKEN))["url"]
            sockets.append(await http.ws_connect(url))
            greeting = await sockets[-1].receive_json()
            assert (greeting["type"], greeting["num_connections"]) == ("hello", number)
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await http.ws_connect(url)
        url = (await client.apps_connections_open(app_token=APP_TOKEN))["url"]
        refused = await (await http.ws_connect(url)).receive_json()
        assert (refused["type"], refused["reason"]) == ("disconnect", "too_many_websockets")
