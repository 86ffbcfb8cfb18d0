"""Serve an ASGI application from a thread, and record the requests that a server gets."""

import json
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import parse_qsl

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from peers.wait import wait_until

STOP_TIMEOUT = 5  # seconds that requests in progress have when the server stops


class ThreadServer:
    """Serve an application on a free loopback port, in a thread with its own event loop.

    It runs inside a `with` block, or from `start()` to `stop()`. The constructor binds the port, so that `url` is known
    before the start.
    """

    def __init__(self, app: ASGIApp, **options: Any) -> None:
        self._socket = socket.socket(proto=socket.IPPROTO_TCP)  # so that asyncio turns off Nagle's algorithm
        self._socket.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=STOP_TIMEOUT, ws="none", **options)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, name=type(self).__name__, daemon=True
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        self._thread.start()
        wait_until(lambda: self._server.started or not self._thread.is_alive(), what="the server has started")
        if not self._server.started:
            raise RuntimeError("the application did not start; the reason is in the log")

    def stop(self) -> None:
        self._server.should_exit = True
        if self._thread.ident:
            self._thread.join(2 * STOP_TIMEOUT)
        self._socket.close()


@dataclass(frozen=True)
class Received:
    """A request that a `Receiver` got."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]  # names in lower case
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))


class Receiver(ThreadServer):
    """A server that records each request in `requests`.

    It answers with the result of `answer`, a function of the request, or with an empty 200 if `answer` is `None`.
    """

    def __init__(self) -> None:
        self.reset()
        super().__init__(Starlette(routes=[Route("/{path:path}", self._take, methods=["GET", "POST"])]))

    def reset(self) -> None:
        self.requests: list[Received] = []
        self.answer: Callable[[Received], Response] | None = None

    def wait_for(self, count: int = 1) -> list[Received]:
        """Wait until there are at least `count` requests, and return all of them."""
        wait_until(lambda: len(self.requests) >= count, what=f"{count} requests have come")
        return self.requests

    async def _take(self, request: Request) -> Response:
        query, headers = dict(request.query_params), dict(request.headers)
        received = Received(request.url.path, query, headers, await request.body())
        self.requests.append(received)
        return self.answer(received) if self.answer else PlainTextResponse("")
