"""The description of a channel's platform for its contract, and a server that stands in for the platform."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

from toolkits import File


@dataclass(frozen=True, slots=True)
class Call:
    """A call that a channel makes to its platform.

    Args:
        path: the path with the query.
        headers: the headers, by their names in lower case.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def form(self) -> dict[str, str]:
        """The body as a form."""
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))


@dataclass(frozen=True, slots=True)
class Answer:
    """The platform's response to a call.

    Args:
        body: a string, which is sent as it is; anything else is sent as JSON.
        lost: whether the connection is closed after the call was read, without a response.
    """

    body: Any = ""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    lost: bool = False


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed response of the platform, and the error that `send_text` and `send_files` have to raise for it.

    Args:
        error: one of the delivery errors of `gateway.channels`; or `ConnectionError`, which stands for any other error:
            the platform did not take the message, so that it can be sent again.
        seconds: the `seconds` of a `RetryLaterError`.
        path: a part of the path of the calls that fail, if sending a message takes several calls. By default all fail.
    """

    name: str
    answer: Answer
    error: type[Exception]
    seconds: float | None = None
    path: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """What the contract has to know about a channel's platform.

    Args:
        limit: the greatest length of one message; `None` if there is no limit.
        length: returns the length of a text in the unit of the limit. By default it counts characters.
        signs_body: whether the proof in a request covers its body: a signature usually does, a shared secret does not.
        redelivers: whether the platform delivers an event again if it got no response.
        answer: returns the successful response to a call of the channel; `None` for a channel that makes no calls.
        failures: the failed responses that the platform's documentation describes.
        files: files that the platform takes, best of each kind; none if the channel sends no files.
        files_path: a part of the path of the call that shows files to people, if sending a file takes several calls.
            Failures of other paths apply only to texts.
    """

    limit: int | None
    length: Callable[[str], int] = len
    signs_body: bool = True
    redelivers: bool = True
    answer: Callable[[Call], Answer] | None = None
    failures: Sequence[Failure] = ()
    files: Sequence[File] = ()
    files_path: str = ""


@dataclass
class StandIn:
    """A local server that stands in for a platform.

    Args:
        answer: returns the response to a call.

    Attributes:
        url: the URL of the server.
        calls: the calls so far, oldest first.
        failure: the failure to respond with; `None` to respond with `answer`.
    """

    answer: Callable[[Call], Answer]
    url: str = ""
    calls: list[Call] = field(default_factory=list)
    failure: Failure | None = None

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["StandIn"]:
        """Serve during the block, on a free port of the loopback interface."""
        server = await asyncio.start_server(self._serve, "127.0.0.1")
        self.url = "http://{}:{}".format(*server.sockets[0].getsockname())
        self._server = server
        try:
            yield self
        finally:
            self.stop()

    def stop(self) -> None:
        """Accept no more connections: from now on the platform cannot be reached."""
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            call = await _read(reader)
            self.calls.append(call)
            failure = self.failure
            answer = failure.answer if failure is not None and failure.path in call.path else self.answer(call)
            if not answer.lost:
                writer.write(_encoded(answer))
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the channel closed the connection
        finally:
            writer.close()


async def _read(reader: asyncio.StreamReader) -> Call:
    """Read one request (RFC 9112)."""
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").rstrip().split("\r\n")
    method, path, _ = first.split(" ", 2)
    pairs = (line.partition(":") for line in lines)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    if headers.get("transfer-encoding", "").lower() != "chunked":
        return Call(method, path, headers, await reader.readexactly(int(headers.get("content-length", "0"))))
    body = b""
    while size := int((await reader.readline()).partition(b";")[0], 16):
        body += await reader.readexactly(size)
        await reader.readline()
    return Call(method, path, headers, body)


def _encoded(answer: Answer) -> bytes:
    is_text = isinstance(answer.body, str)
    body = (answer.body if is_text else json.dumps(answer.body)).encode()
    headers = {
        "Content-Type": "text/html; charset=utf-8" if is_text else "application/json",
        "Content-Length": str(len(body)),
        "Connection": "close",
        **answer.headers,
    }
    head = f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}\r\n"
    return (head + "".join(f"{name}: {value}\r\n" for name, value in headers.items()) + "\r\n").encode() + body
