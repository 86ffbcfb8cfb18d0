"""Slack with Socket Mode: https://docs.slack.dev/apis/events-api/using-socket-mode

It answers `apps.connections.open`, and delivers events, slash commands and interactions over the WebSockets of the app.
It passes every other request on to emulate, which has no Socket Mode, and delivers emulate's events.
"""

import asyncio
import random
import secrets
import threading
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import aiohttp
from aiohttp import web

from peers import seed
from peers.emulate.control import Json
from peers.wait import wait_until

APP_TOKEN = f"xapp-1-{seed.SLACK_APP_ID}-1764000000000-0123456789abcdef"
MOST_CONNECTIONS = 10  # of an app
PATIENCE = 3.0  # seconds that Slack waits for an acknowledgement
RETRIES = (0.0, 60.0, 300.0)  # seconds before each retry: https://docs.slack.dev/apis/events-api/#retries
LINGER = 0.2  # seconds from the announcement of an end to the end; about ten at Slack
HOP_BY_HOP = {"connection", "content-encoding", "content-length", "host", "keep-alive", "transfer-encoding"}


@dataclass
class Delivery:
    """Something that Slack delivers, until it is acknowledged or given up.

    Attributes:
        envelopes: every envelope that was sent for it.
        acknowledgement: what the app answered; `None` if it has not.
        is_over: whether it was acknowledged, or will not be tried again.
    """

    kind: str
    payload: Json
    envelopes: list[Json] = field(default_factory=list)
    acknowledgement: Json | None = None
    is_over: bool = False

    def wait(self, timeout: float = 20.0) -> Json:
        """Wait for the acknowledgement, and return it."""
        wait_until(lambda: self.is_over, timeout, "the delivery is acknowledged or given up")
        assert self.acknowledgement is not None, f"nothing acknowledged {self.kind}"
        return self.acknowledgement


class _Connection:
    """A WebSocket of the app."""

    def __init__(self, socket: web.WebSocketResponse, request: web.Request) -> None:
        self.socket = socket
        self.request = request
        self.is_silent = False
        self.is_ending = False
        self.waiting: dict[str, asyncio.Future[Json]] = {}


class SocketModeServer:
    """Slack's Web API and Socket Mode for one app. It runs inside a `with` block, in a thread with its own event loop.

    Args:
        slack_url: the base URL of emulate's Web API.
        patience: seconds that Slack waits for an acknowledgement.
        retries: seconds before each retry of an event. Slash commands and interactions are not retried.

    Attributes:
        patience: as above.
        url: the base URL of the Web API, which ends with /api/.
        events_url: where emulate sends its events.
        opened: the number of connections so far.
        opening_error: the error that `apps.connections.open` answers, whatever the token; `None` if none.
        tickets: the tickets of addresses that were not used yet.
        host: the scheme, host and port of the addresses of WebSockets; by default the server's own.
    """

    def __init__(self, slack_url: str, patience: float = PATIENCE, retries: Sequence[float] = RETRIES) -> None:
        self._slack = slack_url.removesuffix("/").removesuffix("/api")
        self.patience = patience
        self._retries = retries
        self.tickets: set[str] = set()
        self._connections: list[_Connection] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="SocketModeServer", daemon=True)
        self.deliveries: list[Delivery] = []
        self.opened = 0
        self.opening_error: str | None = None
        self.host: str | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        self._call(self._start())
        return self

    def __exit__(self, *_: object) -> None:
        self._call(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def connections(self) -> int:
        """The number of connections to which Slack delivers."""
        return len([each for each in self._connections if not each.is_ending])

    def wait_for_connections(self, count: int, timeout: float = 20.0) -> None:
        wait_until(lambda: self.connections == count, timeout, f"there are {count} connections")

    def deliver(self, payload: Json) -> Delivery:
        """Deliver an event, over one of the connections."""
        return self._deliver("events_api", payload)

    def deliver_command(self, form: Json) -> Delivery:
        """Deliver a slash command."""
        return self._deliver("slash_commands", form)

    def deliver_interaction(self, payload: Json) -> Delivery:
        """Deliver an interaction, such as a press of a button."""
        return self._deliver("interactive", payload)

    def send(self, text: str) -> None:
        """Send a text over the newest connection, whatever it is."""
        self._call(self._connections[-1].socket.send_str(text))

    def disconnect(self, reason: str, count: int | None = None, linger: float = LINGER) -> None:
        """Announce the end of connections to the app, and end them a moment later.

        Args:
            reason: `warning`, `refresh_requested`, `link_disabled` or `too_many_websockets`.
            count: the number of connections, oldest first; by default all.
            linger: seconds from the announcement to the end.
        """
        for connection in self._connections[:count]:
            self._start_task(self._end(connection, reason, linger))

    def drop(self) -> None:
        """End all connections without a word, as a network does that fails."""
        for connection in list(self._connections):
            self._loop.call_soon_threadsafe(_abort, connection)

    def silence(self) -> None:
        """Make all connections half-open: the app's frames are ignored, its pings too, and nothing is closed."""
        for connection in self._connections:
            connection.is_silent = True

    def _call(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def _start_task(self, work: Coroutine[Any, Any, None]) -> None:
        def start() -> None:
            task = self._loop.create_task(work)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        self._loop.call_soon_threadsafe(start)

    async def _start(self) -> None:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_post("/api/apps.connections.open", self._open)
        app.router.add_get("/link/", self._link)
        app.router.add_post("/events", self._take_event)
        app.router.add_route("*", "/{path:.*}", self._pass_on)
        self._http = aiohttp.ClientSession(auto_decompress=False)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self._port: int = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self._port}/api/"
        self.events_url = f"http://127.0.0.1:{self._port}/events"

    async def _stop(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for connection in list(self._connections):
            _abort(connection)
        await self._runner.cleanup()
        await self._http.close()

    async def _open(self, request: web.Request) -> web.Response:
        """https://docs.slack.dev/reference/methods/apps.connections.open"""
        if (error := self.opening_error or _refusal(request)) is not None:
            needed = {"needed": "connections:write", "provided": "authorizations:read"}
            answer = {"ok": False, "error": error, **(needed if error == "missing_scope" else {})}
            if error == "ratelimited":
                return web.json_response(answer, status=429, headers={"Retry-After": "1"})
            return web.json_response(answer)
        ticket = secrets.token_hex(16)
        self.tickets.add(ticket)
        host = self.host or f"ws://127.0.0.1:{self._port}"
        return web.json_response({"ok": True, "url": f"{host}/link/?ticket={ticket}&app_id={seed.SLACK_APP_ID}"})

    async def _link(self, request: web.Request) -> web.StreamResponse:
        ticket = request.query.get("ticket", "")
        if ticket not in self.tickets:
            return web.Response(status=408)
        self.tickets.remove(ticket)
        socket = web.WebSocketResponse(autoping=False)
        await socket.prepare(request)
        connection = _Connection(socket, request)
        if len(self._connections) >= MOST_CONNECTIONS:
            await socket.send_json(_disconnect("too_many_websockets"))
            await socket.close()
            return socket
        self._connections.append(connection)
        self.opened += 1
        try:
            await socket.send_json(_hello(len(self._connections)))
            async for message in socket:
                await self._receive(connection, message)
        except ConnectionError:
            pass
        finally:
            self._connections.remove(connection)
        return socket

    async def _receive(self, connection: _Connection, message: aiohttp.WSMessage) -> None:
        if connection.is_silent:
            return
        if message.type is aiohttp.WSMsgType.PING:
            await connection.socket.pong(message.data)
        elif message.type is aiohttp.WSMsgType.TEXT:
            answer = message.json()
            waiting = connection.waiting.get(answer["envelope_id"])
            if waiting is not None and not waiting.done():
                waiting.set_result(answer)

    def _deliver(self, kind: str, payload: Json) -> Delivery:
        delivery = Delivery(kind, payload)
        self.deliveries.append(delivery)
        self._start_task(self._try_all(delivery))
        return delivery

    async def _try_all(self, delivery: Delivery) -> None:
        """Deliver something, and repeat the delivery of an event until it is acknowledged."""
        for attempt, pause in enumerate((0.0, *(self._retries if delivery.kind == "events_api" else ()))):
            await asyncio.sleep(pause)
            delivery.acknowledgement = await self._try(delivery, attempt)
            if delivery.acknowledgement is not None:
                break
        delivery.is_over = True

    async def _try(self, delivery: Delivery, attempt: int) -> Json | None:
        """Deliver something over any connection; return the acknowledgement, if it comes over the same one in time."""
        ready = [each for each in self._connections if not each.is_ending]
        if not ready:
            return None
        connection, envelope = random.choice(ready), _envelope(delivery, attempt)
        answer: asyncio.Future[Json] = self._loop.create_future()
        connection.waiting[envelope["envelope_id"]] = answer
        delivery.envelopes.append(envelope)
        try:
            async with asyncio.timeout(self.patience):
                await connection.socket.send_json(envelope)
                return await answer
        except (TimeoutError, ConnectionError):
            return None

    async def _end(self, connection: _Connection, reason: str, linger: float) -> None:
        connection.is_ending = True
        await connection.socket.send_json(_disconnect(reason))
        await asyncio.sleep(linger)
        await connection.socket.close()

    async def _take_event(self, request: web.Request) -> web.Response:
        payload = await request.json()
        if payload.get("type") == "event_callback":
            self._deliver("events_api", payload)
        return web.Response()

    async def _pass_on(self, request: web.Request) -> web.Response:
        headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP}
        address = f"{self._slack}{request.rel_url}"
        async with self._http.request(request.method, address, headers=headers, data=await request.read()) as answer:
            kept = {name: value for name, value in answer.headers.items() if name.lower() not in HOP_BY_HOP}
            return web.Response(status=answer.status, body=await answer.read(), headers=kept)


def _refusal(request: web.Request) -> str | None:
    """Return the error for the token of a request; `None` if the token is right. The token has to be in a header."""
    token = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if not token:
        return "not_authed"
    if not token.startswith("xapp-"):
        return "not_allowed_token_type"
    return None if token == APP_TOKEN else "invalid_auth"


def _hello(number: int) -> Json:
    debug = {"host": "applink-1", "build_number": 54, "approximate_connection_time": 3600}
    return {
        "type": "hello",
        "connection_info": {"app_id": seed.SLACK_APP_ID},
        "num_connections": number,
        "debug_info": debug,
    }


def _disconnect(reason: str) -> Json:
    return {"type": "disconnect", "reason": reason, "debug_info": {"host": "applink-1"}}


def _envelope(delivery: Delivery, attempt: int) -> Json:
    is_event = delivery.kind == "events_api"
    retry = {"retry_attempt": attempt, "retry_reason": "timeout" if attempt else ""} if is_event else {}
    return {
        "envelope_id": secrets.token_hex(16),
        "payload": delivery.payload,
        "type": delivery.kind,
        "accepts_response_payload": not is_event,
        **retry,
    }


def _abort(connection: _Connection) -> None:
    transport = connection.request.transport
    if isinstance(transport, asyncio.WriteTransport):
        transport.abort()
