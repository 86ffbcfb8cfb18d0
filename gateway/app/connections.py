"""Close the HTTP connections of clients that send no request, or send one too slowly or without an end."""

import asyncio
from typing import Any

from httptools import HttpParserError
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_TIMEOUT = 10.0  # seconds in which the head of a request has to arrive
MOST_HEAD_BYTES = 64 * 1024  # in a request without its body: the head, the sizes of chunks, and the trailers
MOST_PIPELINED = 8  # requests that wait in a connection for the response to an earlier one
MOST_CONNECTIONS = 2000  # each buffers at most 64 KiB of a body that is not read yet


class LimitedHttpToolsProtocol(HttpToolsProtocol):
    """uvicorn's protocol with limits for the head of a request, and for pipelined requests.

    uvicorn itself waits forever for the first request of a connection, and for the rest of a request that has begun. It
    takes heads of any size, and any number of pipelined requests. The route that reads the body of a request limits it.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._deadline: asyncio.TimerHandle | None = None
        self._head_bytes = 0  # of the request that arrives

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        self._head_bytes += len(data)
        super().data_received(data)  # calls the methods below
        if self._head_bytes > MOST_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("The head of the request is too large.")
        self._watch()

    def on_message_begin(self) -> None:
        if len(self.pipeline) >= MOST_PIPELINED:
            raise HttpParserError("too many pipelined requests")  # the base class answers 400 and closes the connection
        super().on_message_begin()

    def on_body(self, body: bytes) -> None:
        self._head_bytes -= len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._head_bytes = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._deadline is not None:
            self._deadline.cancel()

    def _watch(self) -> None:
        """Start the time limit, or cancel it while a request is being answered. Arriving data does not extend it."""
        is_answering = self.cycle is not None and not self.cycle.response_complete
        if is_answering and self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        elif not is_answering and self._deadline is None:
            self._deadline = self.loop.call_later(HEAD_TIMEOUT, self.transport.close)
