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
from toolkits.function import ToolError
from toolkits.mcp.transport import Failure, Streams, failure_of, watched

START_TIMEOUT = 20.0  # seconds until a server has told its tools
RECONNECT_WAIT = 10.0  # seconds that a call waits for a server that is away
CALL_TIMEOUT = 120.0  # seconds for one call
CLOSE_TIMEOUT = 10.0  # seconds until a connection that is closed is left to itself
LONGEST_PAUSE = 30.0  # seconds between two tries to connect
MOST_PAGES = 100  # of a list of tools

log = logging.getLogger(__name__)


class ServerUnauthorizedError(UnderstudyError):
    """The server does not accept the credentials of this connection."""

    def __str__(self) -> str:
        return "it does not accept the credentials"


class ServerUnreachableError(UnderstudyError):
    """The server could not be connected to."""


class _ClosedError(UnderstudyError):
    """The connection was closed while a call waited for its answer."""


@dataclass
class _Open:
    client: Client
    closed: asyncio.Event


class Connection:
    """A connection to a server, opened anew when it dies. Calls of many turns share it.

    A task of its own opens it and closes it, as the SDK wants it; calls come from any task.

    Args:
        name: what the server is called in messages.
        connect: opens the streams to it.
    """

    def __init__(self, name: str, connect: Callable[[], Streams]) -> None:
        self._name = name
        self._connect = connect
        self._open: _Open | None = None
        self._changed = asyncio.Event()
        self._stopping = asyncio.Event()
        self._failure: BaseException | None = None
        self._pause = wait_exponential_jitter(max=LONGEST_PAUSE)
        self._task: asyncio.Task[None] | None = None
        self.tools: tuple[Tool, ...] = ()

    async def start(self) -> None:
        """Connects and lists the tools.

        Raises:
            ServerUnreachableError: naming the reason.
            ServerUnauthorizedError: if the server does not accept the credentials.
        """
        self._task = asyncio.create_task(self._keep(), name=f"mcp-{self._name}")
        try:
            async with asyncio.timeout(START_TIMEOUT):
                while self._open is None:
                    if self._failure is not None:
                        raise _reason(self._failure)
                    await self._change()
        except TimeoutError:
            await self.stop()
            raise ServerUnreachableError(f"it did not answer within {START_TIMEOUT:.0f} seconds") from None
        except (ServerUnreachableError, ServerUnauthorizedError, asyncio.CancelledError):
            await self.stop()
            raise

    async def stop(self) -> None:
        """Closes it; a child process is ended."""
        self._stopping.set()
        self._tell_change()
        if self._task is not None:
            if self._open is None:  # it is being connected to, which may take as long as it likes
                self._task.cancel()
            _, late = await asyncio.wait([self._task], timeout=CLOSE_TIMEOUT)
            for task in late:
                task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def call(self, name: str, arguments: Mapping[str, Any], meta: Mapping[str, Any]) -> CallToolResult:
        """Calls a tool.

        A call that the server has not taken is made again, once; one that it may have taken never is.

        Raises:
            ToolError: if there is no result.
            ServerUnauthorizedError: if the server does not accept the credentials.
        """
        _check_sendable(arguments)
        for attempt in (1, 2):
            current = await self._current()
            try:
                return await self._call(current, name, arguments, meta)
            except _ClosedError as error:  # whatever the SDK makes of a connection that dies under a call
                raise ToolError(_unknown(self._name, "the connection to it was lost")) from error
            except MCPError as error:
                match failure_of(error):
                    case Failure.UNAUTHORIZED:
                        raise ServerUnauthorizedError from error
                    case Failure.NOT_SENT:
                        current.closed.set()
                        if attempt == 1:
                            continue
                        raise ToolError(f"{self._name} cannot be reached now: {error.message}.") from error
                    case Failure.LOST:
                        current.closed.set()
                        raise ToolError(_unknown(self._name, "the connection to it was lost")) from error
                    case Failure.BROKEN_OFF:
                        raise ToolError(_unknown(self._name, "its answer broke off")) from error
                    case Failure.TIMED_OUT:
                        reason = f"no answer came in {CALL_TIMEOUT:.0f} seconds"
                        raise ToolError(_unknown(self._name, reason)) from error
                    case None:
                        raise ToolError(f"{self._name} refused {name}: {error.message}") from error
            except (ValueError, RuntimeError) as error:  # the SDK's, of a result that is not as it should be
                log.warning("%s returned what cannot be read: %s", self._name, error)
                raise ToolError(f"{self._name} has done {name}, and what it returned cannot be read.") from error
        raise AssertionError("a second attempt ends the call")

    async def _call(
        self, current: _Open, name: str, arguments: Mapping[str, Any], meta: Mapping[str, Any]
    ) -> CallToolResult:
        calling = asyncio.ensure_future(
            current.client.call_tool(name, dict(arguments), CALL_TIMEOUT, meta=dict(meta))  # type: ignore[arg-type]
        )
        closing = asyncio.ensure_future(current.closed.wait())
        try:
            await asyncio.wait([calling, closing], return_when=asyncio.FIRST_COMPLETED)
            if not calling.done():
                raise _ClosedError
            return calling.result()
        finally:
            closing.cancel()
            calling.cancel()
            await asyncio.gather(calling, closing, return_exceptions=True)

    async def _current(self) -> _Open:
        try:
            async with asyncio.timeout(RECONNECT_WAIT):
                while self._open is None or self._open.closed.is_set():
                    if self._failure is not None and isinstance(
                        reason := _reason(self._failure), ServerUnauthorizedError
                    ):
                        raise reason
                    if self._stopping.is_set():
                        raise ToolError(f"{self._name} cannot be reached now.")
                    await self._change()
        except TimeoutError:
            raise ToolError(f"{self._name} cannot be reached now.") from None
        return self._open

    async def _keep(self) -> None:
        state = RetryCallState(None, None, (), {})  # type: ignore[arg-type]
        state.attempt_number = 0
        while not self._stopping.is_set():
            closed, began = asyncio.Event(), time.monotonic()
            self._failure = None
            try:
                await self._serve(closed)
            except Exception as error:  # noqa: BLE001 - the SDK wraps what a transport raises in groups
                self._failure = error
            self._open = None
            self._tell_change()
            if self._failure is not None:
                log.warning("%s cannot be reached: %s", self._name, _reason(self._failure))
            if time.monotonic() - began > LONGEST_PAUSE:
                state.attempt_number = 0
            if state.attempt_number:  # the first time it is tried again at once
                await self._rest(self._pause(state))
            state.attempt_number += 1

    async def _serve(self, closed: asyncio.Event) -> None:
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
                self._open = _Open(client, closed)
                self._tell_change()
                await _first(closed, self._stopping, relist)

    async def _rest(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return

    def _tell_change(self) -> None:
        self._changed.set()

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()


def _check_sendable(arguments: Mapping[str, Any]) -> None:
    """What cannot be written as JSON in UTF-8 would end the connection, with the calls of everybody else in it."""
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
    """The plain reason in what the SDK raises, which may be a group of groups."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, MCPError) and failure_of(error) is Failure.UNAUTHORIZED:
        return ServerUnauthorizedError()
    if isinstance(error, ServerUnreachableError):
        return error
    return ServerUnreachableError(f"{error}" or type(error).__name__)


def _unknown(name: str, reason: str) -> str:
    return f"It is not known whether {name} has done that: {reason}. Look before you try again."
