"""Call the Bot API over HTTP, also through proxies that answer themselves."""

import json
import ssl
from functools import cache
from typing import Any

import httpx
from telegram.error import TelegramError
from telegram.request import HTTPXRequest

from gateway.retries import UNKNOWN_WAIT, bounded_wait


class TelegramRequest(HTTPXRequest):
    """The library's HTTP client, which accepts only answers of the Bot API, and bounds their `retry_after`.

    Args:
        connections: how many requests may run at once.
        timeout: the seconds that connecting, reading, writing and waiting for a free connection may take, each.
    """

    def __init__(self, connections: int, timeout: float) -> None:
        super().__init__(
            connection_pool_size=connections,
            connect_timeout=timeout,
            read_timeout=timeout,
            write_timeout=timeout,
            pool_timeout=timeout,
            httpx_kwargs={"verify": _tls_context()},
        )

    async def do_request(self, *args: Any, **options: Any) -> tuple[int, bytes]:
        """Send a request. A body that is not from the Bot API is dropped, because the library would log it."""
        code, payload = await super().do_request(*args, **options)
        return code, payload if _parsed(payload) is not None else b""

    @staticmethod
    def parse_json_payload(payload: bytes) -> dict[str, Any]:
        """Return an answer of the Bot API, with a `retry_after` between a second and an hour.

        https://core.telegram.org/bots/api#making-requests, https://core.telegram.org/bots/api#responseparameters

        Raises:
            TelegramError: if it is something else, like the page of a proxy.
        """
        answer = _parsed(payload)
        if answer is None:
            raise TelegramError("The answer is not one of the Bot API.")
        parameters = answer.get("parameters")
        if isinstance(parameters, dict) and "retry_after" in parameters:
            asked = parameters["retry_after"]
            parameters["retry_after"] = bounded_wait(asked) if isinstance(asked, (int, float)) else UNKNOWN_WAIT
        return answer


@cache
def _tls_context() -> ssl.SSLContext:
    """Return the TLS context that all clients share, since reading the certificates takes time and memory."""
    return httpx.create_ssl_context()


def _parsed(payload: bytes) -> dict[str, Any] | None:
    """Return an answer of the Bot API; `None` if the payload is something else."""
    try:
        answer = json.loads(payload)
    except (ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict) and isinstance(answer.get("ok"), bool) else None
