"""One WebSocket of Slack's Socket Mode: https://docs.slack.dev/apis/events-api/using-socket-mode

The client of Slack's SDK keeps one connection by itself. It closes a connection before it opens the next, looks for
dropped ones every few seconds, and acknowledges over whichever is open. Here the next is open before the last ends.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
from starlette.exceptions import HTTPException

from gateway.channels.requests import parse_json

CLOSE_TIMEOUT = 2.0  # seconds that Slack has to answer when the gateway closes a connection
REFRESHED = ("warning", "refresh_requested")  # reasons of an end that every connection has after some hours

Send = Callable[[Any], Awaitable[None]]
"""Sends an acknowledgement over the connection that an envelope came over."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SocketTimings:
    """The timeouts and pauses of Socket Mode, in seconds.

    Args:
        answer: the limit for committing a request, of the three seconds after which Slack delivers it again.
        retry: the pause before a request is tried again that the gateway did not accept.
        greeting: the limit for a connection to be opened, and greeted by Slack.
        heartbeat: how often a connection is checked with a ping; Slack has half of this time to answer.
        leaving: how long a connection is still read after Slack has announced its end.
        settled: how old a connection has to be for the next one to be opened without a pause.
        longest_pause: the longest backoff between two attempts to connect.
        finish: the limit for the requests in hand when the process stops.
    """

    answer: float = 2.5
    retry: float = 0.3
    greeting: float = 10.0
    heartbeat: float = 10.0
    leaving: float = 15.0
    settled: float = 10.0
    longest_pause: float = 60.0
    finish: float = 5.0


DEFAULT_SOCKET_TIMINGS = SocketTimings()


class Connection:
    """One WebSocket, from its opening to its end.

    Args:
        greeted: called when Slack has greeted the connection.
        take: called with each envelope.

    Attributes:
        leaving: set when the connection has ended, or Slack has announced its end.
        reason: the reason that Slack gave for the end; empty if it gave none.
        is_open: whether envelopes can come.
        opened_at: when Slack greeted the connection, by the clock of the event loop; `None` if it did not.
    """

    def __init__(
        self,
        greeted: Callable[[], None],
        take: Callable[[dict[str, Any], Send], None],
        timings: SocketTimings,
    ) -> None:
        self._greeted = greeted
        self._take = take
        self._timings = timings
        self.leaving = asyncio.Event()
        self.reason = ""
        self.is_open = False
        self.opened_at: float | None = None

    async def read(self, http: aiohttp.ClientSession, url: str, **options: Any) -> None:
        """Open the connection, and read it until its end.

        Args:
            options: the proxy and the TLS settings.

        Raises:
            aiohttp.ClientError, OSError, TimeoutError: if the connection cannot be opened.
        """
        try:
            async with asyncio.timeout(self._timings.greeting) as limit:
                timeout = aiohttp.ClientWSTimeout(ws_close=CLOSE_TIMEOUT)
                heartbeat = self._timings.heartbeat
                async with http.ws_connect(url, heartbeat=heartbeat, timeout=timeout, **options) as socket:
                    async for message in socket:
                        if message.type is aiohttp.WSMsgType.TEXT:
                            self._receive(socket, message.data, limit)
        except TimeoutError:
            if not self.leaving.is_set():
                raise
        finally:
            self.is_open = False
            self.leaving.set()

    def _receive(self, socket: aiohttp.ClientWebSocketResponse, text: str, limit: asyncio.Timeout) -> None:
        try:
            message, _ = parse_json(text.encode())
        except HTTPException as error:
            log.warning("a message of Slack's Socket Mode was ignored: %s", error.detail)
            return
        now = asyncio.get_running_loop().time()
        if message.get("type") == "hello":
            log.info("connected to Slack over Socket Mode: connection %s of this app", message.get("num_connections"))
            limit.reschedule(None)
            self.is_open, self.opened_at = True, now
            self._greeted()
        elif message.get("type") == "disconnect":
            self.reason = str(message.get("reason"))
            log.info("Slack ends a connection of Socket Mode: %s", self.reason)
            limit.reschedule(now + (self._timings.leaving if self.reason in REFRESHED else 0))
            self.leaving.set()
        else:
            self._take(message, socket.send_json)
