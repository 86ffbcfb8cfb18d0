"""Take Slack's requests over Socket Mode, which needs no public address.

https://docs.slack.dev/apis/events-api/using-socket-mode
"""

import asyncio
import json
import logging
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import aiohttp
from pydantic import BaseModel, ConfigDict, ValidationError
from slack_sdk.web.async_client import AsyncWebClient
from starlette.exceptions import HTTPException
from starlette.responses import Response

from gateway.channels import DeliveryError, DeliveryRefusedError, EventNotAcceptedError, RetryLaterError
from gateway.logs import describe
from interfaces.slack.errors import slack_errors
from interfaces.slack.receiving.connection import DEFAULT_SOCKET_TIMINGS, REFRESHED, Connection, Send, SocketTimings
from interfaces.slack.receiving.request import Handler, Handlers, SlackRequest
from interfaces.tasks import OwnedTasks
from oauth import SettingError
from oauth.errors import UnderstudyError
from oauth.settings import is_loopback

CONNECTIONS = 2  # of the ten that Slack allows an app: while one is replaced, Slack uses the other
MOST_IN_HAND = 1000  # requests; Slack delivers more of them again
BACKGROUND_TIMEOUT = 20.0  # seconds for what a response runs in the background

SWITCHED_OFF = ("link_disabled", "socket_mode_not_enabled")

WHAT_IT_IS = "It is an App-Level Token (xapp-…) under Basic Information at https://api.slack.com/apps"
# https://docs.slack.dev/reference/methods/apps.connections.open#errors
ADVICE = {
    **dict.fromkeys(
        ("account_inactive", "invalid_auth", "not_authed", "token_expired", "token_revoked"),
        f"{WHAT_IT_IS}: make a new one there.",
    ),
    "not_allowed_token_type": f"{WHAT_IT_IS}, not a bot token.",
    **dict.fromkeys(
        ("missing_scope", "no_permission"),
        f"{WHAT_IT_IS}, and needs the scope connections:write: make a new one with it.",
    ),
    **dict.fromkeys(
        SWITCHED_OFF, "Socket Mode is off for this app: switch it on under Socket Mode at https://api.slack.com/apps."
    ),
}

log = logging.getLogger(__name__)


class _Envelope(BaseModel):
    """What surrounds a request. Slack counts the retries of events only."""

    model_config = ConfigDict(strict=True)

    type: str
    envelope_id: str
    payload: dict[str, Any]
    accepts_response_payload: bool = False
    retry_attempt: int | None = None
    retry_reason: str | None = None


class SocketMode:
    """Takes events, slash commands and interactions over WebSockets that the gateway opens.

    An envelope is acknowledged once its request is committed. If it is not, Slack delivers an event again, over any
    connection of the app.

    Args:
        token: the app-level token.
        variable: the setting that has the token.
        client: a client of the Web API without a token.
        is_only_way: whether there are no webhooks. If there are, Socket Mode may still be switched off at Slack.
    """

    def __init__(
        self,
        token: str,
        variable: str,
        client: AsyncWebClient,
        handlers: Handlers,
        *,
        is_only_way: bool,
        timings: SocketTimings = DEFAULT_SOCKET_TIMINGS,
    ) -> None:
        self._token = token
        self._variable = variable
        self._client = client
        self._handlers: Mapping[str, Handler] = {
            "events_api": handlers.event,
            "slash_commands": handlers.command,
            "interactive": handlers.interaction,
        }
        self._is_only_way = is_only_way
        self._timings = timings
        self._requests = OwnedTasks(MOST_IN_HAND)
        self._connections: set[Connection] = set()
        self._readers: set[asyncio.Task[None]] = set()
        self._is_taking = False
        self._lost_at = datetime.now(UTC)

    @property
    def outage(self) -> str | None:
        """Since when there is no connection; `None` if there is one."""
        if any(connection.is_open for connection in self._connections):
            return None
        return f"not connected to Slack since {self._lost_at:%Y-%m-%d %H:%M:%S} UTC"

    @asynccontextmanager
    async def taking_requests(self) -> AsyncIterator[None]:
        """Take requests in the block. At its end take no more, finish those in hand, and close the connections.

        If Slack cannot be reached, the block begins nevertheless, and the gateway goes on trying.

        Raises:
            SettingError: if Slack rejects the token; or if Socket Mode is off, and the only way.
        """
        self._is_taking, self._lost_at = True, datetime.now(UTC)
        tried: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        async with aiohttp.ClientSession() as http:
            keepers = [asyncio.create_task(self._keep(http, tried), name="Socket Mode")]
            try:
                await tried
                keepers += [
                    asyncio.create_task(self._keep(http, tried), name="Socket Mode") for _ in range(1, CONNECTIONS)
                ]
                yield
            finally:
                self._is_taking = False
                await self._requests.stop(self._timings.finish)
                tasks = [*keepers, *self._readers]
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _keep(self, http: aiohttp.ClientSession, tried: asyncio.Future[None]) -> None:
        """Keep one connection open: open the next when it has ended, or Slack has announced that it will end.

        Args:
            tried: gets the result of the first attempt to connect.
        """
        failures = 0
        while True:
            connection = Connection(lambda: _succeed(tried), self._take, self._timings)
            reader = asyncio.create_task(self._read(http, connection, tried), name="a connection of Socket Mode")
            self._readers.add(reader)
            reader.add_done_callback(self._readers.discard)
            await connection.leaving.wait()
            is_old = connection.opened_at is not None and _now() - connection.opened_at >= self._timings.settled
            failures = 0 if is_old and connection.reason in ("", *REFRESHED) else failures + 1
            await asyncio.sleep(self._pause(failures))

    def _pause(self, failures: int) -> float:
        """Return an exponential backoff with jitter; 0 after no failure."""
        doublings = min(failures - 1, 16)  # more would overflow in an outage of hours
        pause = min(2.0**doublings, self._timings.longest_pause) if failures else 0.0
        return pause * random.uniform(0.75, 1.25)  # noqa: S311 - not for secrets

    async def _read(self, http: aiohttp.ClientSession, connection: Connection, tried: asyncio.Future[None]) -> None:
        """Open a connection and read it to its end. Log a failure, or tell `tried` that Slack rejects a setting."""
        self._connections.add(connection)
        try:
            url = await self._new_url()
            await connection.read(http, url, proxy=self._client.proxy, ssl=self._client.ssl or True)
            self._check_is_on(connection.reason)
            log.info("a connection of Socket Mode has ended")
        except SettingError as error:
            if tried.done():
                log.error("%s", error)  # noqa: TRY400 - the sentence says all
            else:
                tried.set_exception(error)
        except RetryLaterError as error:
            log.warning("Slack asks for a pause before the next connection of Socket Mode: %s", error)
            _succeed(tried)
            await asyncio.sleep(error.seconds)
        except (DeliveryError, aiohttp.ClientError, OSError, TimeoutError) as error:
            log.warning("Slack cannot be reached over Socket Mode, and is tried again: %s", describe(error))
        except Exception:  # nobody awaits the task, so that every error is logged here
            log.exception("a connection of Socket Mode failed, and is opened again")
        finally:
            self._connections.discard(connection)
            if connection.opened_at is not None and self.outage is not None and self._is_taking:
                self._lost_at = datetime.now(UTC)
                log.warning("no connection of Socket Mode is left: Slack delivers nothing until there is one")
            _succeed(tried)
            connection.leaving.set()

    async def _new_url(self) -> str:
        """Return the address of a new connection: https://docs.slack.dev/reference/methods/apps.connections.open

        Raises:
            SettingError: if Slack rejects a setting.
            DeliveryError, ConnectionError: if it does not answer, or refuses for another reason.
        """
        try:
            with slack_errors():
                url = str((await self._client.apps_connections_open(app_token=self._token))["url"])
        except DeliveryRefusedError as refusal:
            if str(refusal) in ADVICE:
                raise self._rejected(str(refusal)) from None
            raise
        if not url.startswith("wss://") and not is_loopback(url):
            raise ConnectionError("the address of Slack's that was given is not encrypted")
        return url

    def _check_is_on(self, reason: str) -> None:
        """Raise the error for a connection that Slack ended because Socket Mode was switched off."""
        if reason in SWITCHED_OFF:
            raise self._rejected(reason)

    def _rejected(self, reason: str) -> Exception:
        """Return the error for a reason in `ADVICE`."""
        message = f"{self._variable} was rejected by Slack ({reason}). {ADVICE[reason]}"
        is_harmless = reason in SWITCHED_OFF and not self._is_only_way
        return ConnectionError(message) if is_harmless else SettingError(message)

    def _take(self, message: dict[str, Any], send: Send) -> None:
        """Begin to handle an envelope."""
        if not self._is_taking:
            return  # Slack delivers it again, to another connection
        try:
            envelope = _Envelope.model_validate(message)
        except ValidationError as error:
            log.warning("an envelope of Slack's is malformed, and ignored: %s", describe(error))
            return
        if envelope.retry_attempt:
            log.info("Slack delivers an event again: retry %s (%s)", envelope.retry_attempt, envelope.retry_reason)
        work = self._answer(envelope, send)
        self._requests.start("an envelope of Slack's", work, self._timings.answer + BACKGROUND_TIMEOUT)

    async def _answer(self, envelope: _Envelope, send: Send) -> None:
        """Handle an envelope, and acknowledge it if its request was committed."""
        response = await self._handle(envelope)
        if response is None or response.status_code != 200:
            return
        payload = _payload(response) if envelope.accepts_response_payload else None
        try:
            await send({"envelope_id": envelope.envelope_id} | ({} if payload is None else {"payload": payload}))
        except (aiohttp.ClientError, OSError) as error:
            log.info("an envelope of Slack's could not be acknowledged: %s", describe(error))
        if response.background is not None:
            await response.background()

    async def _handle(self, envelope: _Envelope) -> Response | None:
        """Return the response to an envelope; `None` if its request could not be committed."""
        handler = self._handlers.get(envelope.type)
        if handler is None:
            log.warning("an envelope of Slack's has an unknown type, and is ignored: %r", envelope.type[:50])
            return None
        try:
            async with asyncio.timeout(self._timings.answer):
                while True:
                    try:
                        return await handler(_request(envelope))
                    except EventNotAcceptedError:
                        await asyncio.sleep(self._timings.retry)
        except (UnderstudyError, HTTPException, OSError, TimeoutError) as error:
            log.warning("a request of Slack's over Socket Mode was not taken (%s): %s", envelope.type, describe(error))
            return None


def _request(envelope: _Envelope) -> SlackRequest:
    body = envelope.payload
    if envelope.type == "slash_commands":  # texts, as in the form that a webhook gets
        body = {name: _text(value) for name, value in body.items() if value is not None}
    attempt, reason = envelope.retry_attempt, envelope.retry_reason or ""
    headers = {"X-Slack-Retry-Num": [str(attempt)], "X-Slack-Retry-Reason": [reason]} if attempt else {}
    return SlackRequest(body, json.dumps(body, ensure_ascii=False), headers)


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _payload(response: Response) -> Any:
    """Return the payload of an acknowledgement, for a response to a webhook; `None` if the response is empty."""
    if not response.body:
        return None
    text = bytes(response.body).decode()
    is_json = response.headers.get("content-type", "").startswith("application/json")
    return json.loads(text) if is_json else {"text": text}


def _succeed(tried: asyncio.Future[None]) -> None:
    if not tried.done():
        tried.set_result(None)


def _now() -> float:
    return asyncio.get_running_loop().time()
