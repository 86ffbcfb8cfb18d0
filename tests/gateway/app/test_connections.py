"""Clients that send requests without an end, or many requests at once. `e2e` has those that are too slow."""

import socket
from collections.abc import Iterable, Iterator
from contextlib import closing
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest
from peers.serving import ThreadServer
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from gateway.app.connections import MOST_HEAD_BYTES, MOST_PIPELINED, LimitedHttpToolsProtocol

HEAD = b"POST /count HTTP/1.1\r\nHost: x\r\n"
CLOSE = b"Connection: close\r\n\r\n"
LAST = b"GET /count HTTP/1.1\r\nHost: x\r\n" + CLOSE
ENDLESS = 64 * MOST_HEAD_BYTES
TIMEOUT = 30.0  # seconds


async def count(request: Request) -> PlainTextResponse:
    """Return the number of bytes in the body."""
    return PlainTextResponse(str(len(await request.body())))


@pytest.fixture(scope="module")
def server() -> Iterator[ThreadServer]:
    app = Starlette(routes=[Route("/count", count, methods=["GET", "POST"])])
    with ThreadServer(app, http=LimitedHttpToolsProtocol) as server:
        yield server


def answer(server: ThreadServer, parts: Iterable[bytes]) -> tuple[bytes, int]:
    """Send bytes, until the server closes the connection. Return what it answers, and how many bytes it took."""
    address, taken, answered = urlsplit(server.url), 0, b""
    with closing(socket.create_connection((str(address.hostname), int(address.port or 0)), TIMEOUT)) as connection:
        try:
            for part in parts:
                connection.sendall(part)
                taken += len(part)
            while received := connection.recv(65536):
                answered += received
        except ConnectionError:
            pass
    return answered, taken


def endless(before: bytes, part: bytes) -> Iterator[bytes]:
    yield before
    for _ in range(ENDLESS // len(part)):
        yield part


@pytest.mark.parametrize(
    ("before", "part"),
    [
        pytest.param(b"", b"x" * 1024, id="a method"),
        pytest.param(b"GET /", b"x" * 1024, id="an address"),
        pytest.param(b"GET / HTTP/1.1\r\n", b"X-Header: x\r\n" * 100, id="many headers"),
        pytest.param(b"GET / HTTP/1.1\r\nX-Header: ", b"x" * 1024, id="a header"),
        pytest.param(HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X-Trailer: x\r\n" * 100, id="many trailers"),
        pytest.param(HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;", b"x" * 1024, id="the extension of a chunk"),
    ],
)
def test_a_head_without_an_end_closes_the_connection(server: ThreadServer, before: bytes, part: bytes) -> None:
    answered, taken = answer(server, endless(before, part))
    assert b" 200 " not in answered
    assert taken < ENDLESS  # the rest was refused


@pytest.mark.parametrize(
    "request_line",
    [
        b"nonsense",
        b"GET /\xff HTTP/1.1",
        b"GET http://[ HTTP/1.1",
        b"CONNECT example.com:443 HTTP/1.1",
        b"PRI * HTTP/2.0",
    ],
    ids=str,
)
def test_a_broken_request_is_answered_with_400(
    server: ThreadServer, caplog: pytest.LogCaptureFixture, request_line: bytes
) -> None:
    answered, _ = answer(server, [request_line + b"\r\nHost: x\r\n" + CLOSE])
    assert answered.startswith(b"HTTP/1.1 400 ")
    assert "Traceback" not in caplog.text


def test_a_large_head_is_answered(server: ThreadServer) -> None:
    answered, _ = answer(server, [b"GET /count HTTP/1.1\r\nX-Large: ", b"x" * (MOST_HEAD_BYTES - 100), b"\r\n" + CLOSE])
    assert answered.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_a_body_may_be_much_larger_than_a_head(server: ThreadServer, framing: str) -> None:
    size = 16 * MOST_HEAD_BYTES
    if framing == "length":
        parts = [HEAD + b"Content-Length: %d\r\n" % size + CLOSE, b"x" * size]
    else:
        chunk = b"1000\r\n" + b"x" * 0x1000 + b"\r\n"
        parts = [HEAD + b"Transfer-Encoding: chunked\r\n" + CLOSE, *[chunk] * (size // 0x1000), b"0\r\n\r\n"]
    answered, _ = answer(server, parts)
    assert answered.endswith(str(size).encode())


def test_many_requests_in_one_connection_do_not_count_together(server: ThreadServer) -> None:
    with closing(HTTPConnection(urlsplit(server.url).netloc, timeout=TIMEOUT)) as connection:
        for _ in range(8):
            connection.request("POST", "/count", headers={"X-Large": "x" * (MOST_HEAD_BYTES // 4)})
            assert connection.getresponse().read() == b"0"
        assert connection.sock is not None  # the server did not close it


def test_a_few_pipelined_requests_are_answered(server: ThreadServer) -> None:
    answered, _ = answer(server, [b"GET /count HTTP/1.1\r\nHost: x\r\n\r\n" * 3 + LAST])
    assert answered.count(b"HTTP/1.1 200 ") == 4


def test_many_pipelined_requests_close_the_connection(server: ThreadServer) -> None:
    answered, _ = answer(server, [b"GET /count HTTP/1.1\r\nHost: x\r\n\r\n" * (100 * MOST_PIPELINED) + LAST])
    assert b"HTTP/1.1 400 " in answered
    assert answered.count(b"HTTP/1.1 200 ") <= MOST_PIPELINED + 1
