"""Close the HTTP connections of clients that send no request, or send its head too slowly."""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_TIMEOUT = 10.0  # seconds in which the head of a request has to arrive
MOST_CONNECTIONS = 2000  # each buffers at most 64 KiB of a body that is not read yet


class ImpatientH11Protocol(H11Protocol):
    """uvicorn's protocol with a time limit for the head of a request.

    uvicorn itself waits forever for the first request of a connection, and for the rest of a request that has begun.
    The route that reads a request's body limits the time for the body.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

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
