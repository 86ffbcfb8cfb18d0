"""A connection to an MCP server, which is reopened when it breaks."""

import asyncio
import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult, Implementation, Tool, ToolListChangedNotification
from tenacity import RetryCallState, wait_exponential_jitter

from oauth.errors import UnderstudyError
from toolkits.errors import ToolError
from toolkits.mcp.timings import DEFAULT_MCP_TIMINGS, MCPTimings
from toolkits.mcp.transport import Failure, Streams, failure_of, watched

MOST_PAGES = 100  # of a list of tools

log = logging.getLogger(__name__)


class ServerUnauthorizedError(UnderstudyError):
    """The server does not accept the credentials of this connection."""

    def __str__(self) -> str:
        return "it does not accept the credentials"


class ServerUnreachableError(UnderstudyError):
    """The server cannot be reached."""


class _ClosedError(UnderstudyError):
    """The connection was closed while a call waited for its answer."""


@dataclass
class _Session:
    """An open connection; `closed` is set when it has broken."""

    client: Client
    closed: asyncio.Event


class Connection:
    """A connection to a server, which is reopened when it breaks. Calls of many turns share it.

    One task opens and closes it, as the SDK requires. Any task may call tools.

    Args:
        name: the server's name in messages.
        connect: opens the streams to the server.
    """

    def __init__(self, name: str, connect: Callable[[], Streams], timings: MCPTimings = DEFAULT_MCP_TIMINGS) -> None:
        self._name = name
        self._connect = connect
        self._timings = timings
        self._session: _Session | None = None
        self._changed = asyncio.Event()
        self._stopping = asyncio.Event()
        self._failure: BaseException | None = None
        self._pause = wait_exponential_jitter(max=timings.longest_pause)
        self._task: asyncio.Task[None] | None = None
        self.tools: tuple[Tool, ...] = ()

    async def start(self) -> None:
        """Connect, and list the tools.

        Raises:
            ServerUnreachableError: saying why the server cannot be reached.
            ServerUnauthorizedError: if the server does not accept the credentials.
        """
        self._task = asyncio.create_task(self._keep_open(), name=f"mcp-{self._name}")
        try:
            async with asyncio.timeout(self._timings.start):
                while self._session is None:
                    if self._failure is not None:
                        raise _reason(self._failure)
                    await self._wait_for_change()
        except TimeoutError:
            await self.stop()
            raise ServerUnreachableError(f"it did not answer within {self._timings.start:.0f} seconds") from None
        except (ServerUnreachableError, ServerUnauthorizedError, asyncio.CancelledError):
            await self.stop()
            raise

    async def stop(self) -> None:
        """Close the connection, and end the server if it is a child process."""
        self._stopping.set()
        self._changed.set()
        if self._task is not None:
            if self._session is None:  # it is still connecting, which may take long
                self._task.cancel()
            _, late = await asyncio.wait([self._task], timeout=self._timings.close)
            for task in late:
                task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def call(self, name: str, arguments: Mapping[str, Any], meta: Mapping[str, Any]) -> CallToolResult:
        """Call a tool.

        A call that did not reach the server is repeated once. A call that may have reached it is never repeated.

        Args:
            meta: the metadata of the request.

        Raises:
            ToolError: if there is no result.
            ServerUnauthorizedError: if the server does not accept the credentials.
        """
        _check_sendable(arguments)
        for attempt in (1, 2):
            session = await self._open_session()
            try:
                return await self._call(session, name, arguments, meta)
            except _ClosedError as error:  # the connection broke during the call
                raise ToolError(_unknown(self._name, "the connection to it was lost")) from error
            except MCPError as error:
                match failure_of(error):
                    case Failure.UNAUTHORIZED:
                        raise ServerUnauthorizedError from error
                    case Failure.NOT_SENT:
                        session.closed.set()
                        if attempt == 1:
                            continue
                        raise ToolError(f"{self._name} cannot be reached now: {error.message}.") from error
                    case Failure.LOST:
                        session.closed.set()
                        raise ToolError(_unknown(self._name, "the connection to it was lost")) from error
                    case Failure.BROKEN_OFF:
                        raise ToolError(_unknown(self._name, "its answer broke off")) from error
                    case Failure.TIMED_OUT:
                        reason = f"no answer came in {self._timings.call:.0f} seconds"
                        raise ToolError(_unknown(self._name, reason)) from error
                    case None:
                        raise ToolError(f"{self._name} refused {name}: {error.message}") from error
            except (ValueError, RuntimeError) as error:  # the SDK found the result invalid
                log.warning("%s returned a result of %s that cannot be read: %s", self._name, name, error)
                raise ToolError(f"{self._name} has done {name}, but its result cannot be read.") from error
        raise AssertionError("a second attempt ends the call")

    async def _call(
        self, session: _Session, name: str, arguments: Mapping[str, Any], meta: Mapping[str, Any]
    ) -> CallToolResult:
        calling = asyncio.ensure_future(
            session.client.call_tool(name, dict(arguments), self._timings.call, meta=dict(meta))  # type: ignore[arg-type]
        )
        closing = asyncio.ensure_future(session.closed.wait())
        try:
            await asyncio.wait([calling, closing], return_when=asyncio.FIRST_COMPLETED)
            if not calling.done():
                raise _ClosedError
            return calling.result()
        finally:
            closing.cancel()
            calling.cancel()
            await asyncio.gather(calling, closing, return_exceptions=True)

    async def _open_session(self) -> _Session:
        """Return the open connection; wait for one if necessary."""
        try:
            async with asyncio.timeout(self._timings.reconnect):
                while self._session is None or self._session.closed.is_set():
                    if self._failure is not None and isinstance(
                        reason := _reason(self._failure), ServerUnauthorizedError
                    ):
                        raise reason
                    if self._stopping.is_set():
                        raise ToolError(f"{self._name} cannot be reached now.")
                    await self._wait_for_change()
        except TimeoutError:
            raise ToolError(f"{self._name} cannot be reached now.") from None
        return self._session

    async def _keep_open(self) -> None:
        """Connect, and reconnect with backoff, until the connection is stopped."""
        state = RetryCallState(None, None, (), {})  # type: ignore[arg-type]
        state.attempt_number = 0
        while not self._stopping.is_set():
            closed, began = asyncio.Event(), time.monotonic()
            self._failure = None
            try:
                await self._serve(closed)
            except Exception as error:  # noqa: BLE001 - the SDK wraps the errors of a transport in groups
                self._failure = error
            self._session = None
            self._changed.set()
            if self._failure is not None:
                log.warning("%s cannot be reached: %s", self._name, _reason(self._failure))
            if time.monotonic() - began > self._timings.longest_pause:
                state.attempt_number = 0
            if state.attempt_number:  # the first retry comes at once
                await self._sleep(self._pause(state))
            state.attempt_number += 1

    async def _serve(self, closed: asyncio.Event) -> None:
        """Connect once, and keep the list of tools current until the connection ends."""

        async def listen(message: Any) -> None:
            if isinstance(message, ToolListChangedNotification):
                relist.set()

        relist = asyncio.Event()
        client = Client(
            watched(self._connect(), closed),
            cache=None,
            client_info=Implementation(name="understudy", version="0.1.0"),
            message_handler=listen,
        )
        async with client:
            while not closed.is_set() and not self._stopping.is_set():
                relist.clear()
                self.tools = await _list_tools(client)
                self._session = _Session(client, closed)
                self._changed.set()
                await _first(closed, self._stopping, relist)

    async def _sleep(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return

    async def _wait_for_change(self) -> None:
        self._changed.clear()
        await self._changed.wait()


def _check_sendable(arguments: Mapping[str, Any]) -> None:
    """Check that arguments can be sent as JSON in UTF-8. Others would end the connection, and all calls on it.

    Raises:
        ToolError: if they cannot be sent.
    """
    try:
        json.dumps(arguments, allow_nan=False, ensure_ascii=False).encode()
    except (ValueError, TypeError) as error:
        raise ToolError(f"The arguments cannot be sent: {error}.") from error


async def _list_tools(client: Client) -> tuple[Tool, ...]:
    found, cursor = list[Tool](), None
    for _ in range(MOST_PAGES):
        page = await client.list_tools(cursor=cursor)
        found += page.tools
        cursor = page.next_cursor
        if cursor is None:
            break
    return tuple(found)


async def _first(*events: asyncio.Event) -> None:
    waiting = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


def _reason(error: BaseException) -> Exception:
    """Return the reason inside an exception of the SDK, which may be a group of groups."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, MCPError) and failure_of(error) is Failure.UNAUTHORIZED:
        return ServerUnauthorizedError()
    if isinstance(error, ServerUnreachableError):
        return error
    return ServerUnreachableError(f"{error}" or type(error).__name__)


def _unknown(name: str, reason: str) -> str:
    return f"It is not known whether {name} has done that: {reason}. Check before you try again."
