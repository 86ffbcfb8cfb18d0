"""Connect to an MCP server over stdio or HTTP, and find out why a request has no answer."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from enum import StrEnum
from secrets import token_hex
from typing import Any

import httpx2
from mcp import StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp_types import CONNECTION_CLOSED, INTERNAL_ERROR, REQUEST_TIMEOUT, ErrorData, JSONRPCError


class Failure(StrEnum):
    """Why a request has no answer from the server."""

    #: The request did not reach the server, and may be repeated.
    NOT_SENT = "not_sent"
    #: The connection broke: it is not known whether the request was carried out.
    LOST = "lost"
    #: The answer to this one request broke off: it is not known whether the request was carried out.
    BROKEN_OFF = "broken_off"
    #: The server did not answer in time.
    TIMED_OUT = "timed_out"
    #: The server does not accept the credentials.
    UNAUTHORIZED = "unauthorized"


# A server may choose any error code, so a code does not tell whether the server or the SDK made an error. A secret key
# in the error's data does: its value is the failure, or `_OF_SERVER`.
_MARK = token_hex(16)
_OF_SERVER = "of_server"
_OF_SDK = {CONNECTION_CLOSED: Failure.LOST, REQUEST_TIMEOUT: Failure.TIMED_OUT}  # errors that the SDK makes itself
_BROKEN_OFF = "SSE stream "  # begins the SDK's messages about a streamed answer that ended too early

STALE = frozenset({400, 404})  # a restarted server's answers to an earlier session
HTTP_TIMEOUT = httpx2.Timeout(30.0, read=300.0)  # seconds; a streamed answer may take long

Streams = AbstractAsyncContextManager[tuple[Any, Any]]


def failure_of(error: MCPError) -> Failure | None:
    """Return why a request has no answer; `None` if the error is the server's own answer."""
    mark = error.data.get(_MARK) if isinstance(error.data, dict) else None
    if mark == _OF_SERVER:
        return None
    return Failure(mark) if mark is not None else _OF_SDK.get(error.code)


def stdio(command: Sequence[str], env: Mapping[str, str]) -> Callable[[], Streams]:
    """Return a function that starts a server as a child process on stdio, with the standard error of this process."""
    parameters = StdioServerParameters(command=command[0], args=list(command[1:]), env=dict(env))
    return lambda: stdio_client(parameters, errlog=sys.__stderr__ or sys.stderr)


def http(url: str, headers: Mapping[str, str]) -> Callable[[], Streams]:
    """Return a function that connects to a streamable HTTP endpoint, without a proxy or redirects to other origins."""

    @asynccontextmanager
    async def connect() -> AsyncIterator[tuple[Any, Any]]:
        transport = _ErrorTransport(httpx2.AsyncHTTPTransport())
        async with (
            httpx2.AsyncClient(transport=transport, headers=dict(headers), timeout=HTTP_TIMEOUT) as client,
            streamable_http_client(url, http_client=client) as streams,
        ):
            yield streams

    return connect


@asynccontextmanager
async def watched(streams: Streams, closed: asyncio.Event) -> AsyncIterator[tuple[Any, Any]]:
    """Open streams, and set `closed` as soon as the server's end is closed."""
    async with streams as (read, write):
        try:
            yield _ReadStream(read, closed), write
        finally:
            closed.set()


class _ReadStream:
    """A stream that reports its end, and marks each error with its origin."""

    def __init__(self, stream: Any, closed: asyncio.Event) -> None:
        self._stream = stream
        self._closed = closed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    async def __aenter__(self) -> "_ReadStream":
        await self._stream.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> Any:
        return await self._stream.__aexit__(*error)

    def __aiter__(self) -> "_ReadStream":
        return self

    async def __anext__(self) -> Any:
        try:
            received = await self._stream.__anext__()
        except StopAsyncIteration:
            self._closed.set()
            raise
        message = getattr(received, "message", None)
        if isinstance(message, JSONRPCError) and message.error.code in _OF_SDK:
            message.error.data = {_MARK: _origin(message.error)}
        return received


def _origin(error: ErrorData) -> str:
    """Return the mark of an error in a stream: the SDK puts its own errors among what it received."""
    is_sdks = error.code == CONNECTION_CLOSED and error.data is None and error.message.startswith(_BROKEN_OFF)
    return Failure.BROKEN_OFF if is_sdks else _OF_SERVER


class _ErrorTransport(httpx2.AsyncBaseTransport):
    """Answers a failed request with a JSON-RPC error, because an exception would end the whole connection."""

    def __init__(self, transport: httpx2.AsyncBaseTransport) -> None:
        self._transport = transport

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        try:
            response = await self._transport.handle_async_request(request)
        except (httpx2.ConnectError, httpx2.ConnectTimeout):
            return _error(Failure.NOT_SENT, "the server cannot be reached")
        except httpx2.TransportError as error:
            return _error(Failure.LOST, f"the connection broke ({type(error).__name__})")
        if response.status_code == 401:
            await response.aclose()
            return _error(Failure.UNAUTHORIZED, "the server does not accept the credentials")
        if response.status_code >= 500 and "json" not in response.headers.get(
            "content-type", ""
        ):  # such as from a proxy
            await response.aclose()
            return _error(Failure.LOST, f"the answer was an error ({response.status_code})")
        if response.status_code in STALE and "mcp-session-id" in request.headers:
            await response.aclose()
            return _error(Failure.NOT_SENT, "the server does not know this session")
        return response

    async def aclose(self) -> None:
        await self._transport.aclose()


def _error(failure: Failure, message: str) -> httpx2.Response:
    error = {"code": INTERNAL_ERROR, "message": message, "data": {_MARK: failure}}
    body = {"jsonrpc": "2.0", "id": None, "error": error}
    return httpx2.Response(503, content=json.dumps(body), headers={"content-type": "application/json"})
