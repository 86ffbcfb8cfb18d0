"""HTTP connections of clients that send nothing, or too slowly."""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_TIMEOUT = 10.0  # seconds in which the head of a request has to come
MOST_CONNECTIONS = 2000  # each holds 64 KiB of a body at the most that nobody has read yet


class ImpatientH11Protocol(H11Protocol):
    """uvicorn's protocol, which closes a connection that does not bring the head of a request in time.

    uvicorn itself waits without end for the first request of a connection, and for the rest of one that has begun. Who
    answers the request limits the time in which its body has to come.
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
        """Have the time run while no request is being answered. What comes meanwhile does not begin it anew."""
        is_answering = self.cycle is not None and not self.cycle.response_complete
        if is_answering and self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        elif not is_answering and self._deadline is None:
            self._deadline = self.loop.call_later(HEAD_TIMEOUT, self.transport.close)
