"""Reading the bodies of requests that anybody may have sent."""

import asyncio
import re
from typing import Any
from urllib.parse import parse_qsl

from pydantic_core import from_json
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from gateway.retries import UNKNOWN_WAIT

MOST_BYTES = 1024 * 1024  # of a webhook: the platforms send a fraction of it
MOST_FORM_BYTES = 256 * 1024
MOST_FIELDS = 250  # of a form: the platforms send some forty
MOST_BYTES_AT_ONCE = 64 * 1024 * 1024  # of all bodies that are being read
BODY_TIMEOUT = 10.0  # seconds in which a whole body has to come


FORM = "application/x-www-form-urlencoded"

# An escaped backslash, pair of surrogates, or (the group) lone surrogate or NUL in a JSON string.
_ESCAPE = re.compile(
    rb"\\(?:\\|u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2}|u0000))"
)


class _Memory:
    """The memory that all bodies take which are being read."""

    def __init__(self) -> None:
        self._taken = 0

    def take(self, size: int) -> None:
        """Take `size` bytes more.

        Raises:
            HTTPException: 503 if that is more than there is.
        """
        if self._taken + size > MOST_BYTES_AT_ONCE:
            raise HTTPException(503, headers={"Retry-After": str(int(UNKNOWN_WAIT)), "Connection": "close"})
        self._taken += size

    def give_back(self, size: int) -> None:
        self._taken -= size


_memory = _Memory()


async def read_body(request: Request, most: int = MOST_BYTES) -> bytes:
    """Read the body of a request that nobody has verified yet.

    Args:
        most: how many bytes it may have.

    Raises:
        HTTPException: 413 as soon as there is more, 408 if it does not come in time, 503 if too many bodies are being
            read, 400 if the client leaves.
    """
    declared = request.headers.get("content-length", "")
    if len(declared) > 12 or (declared.isdecimal() and int(declared) > most):
        raise _refused(413)
    body = bytearray()
    taken = 0
    try:
        async with asyncio.timeout(BODY_TIMEOUT):
            async for chunk in request.stream():
                if len(body) + len(chunk) > most:
                    raise _refused(413)
                _memory.take(len(chunk))
                taken += len(chunk)
                body += chunk
    except TimeoutError:
        raise _refused(408) from None
    except ClientDisconnect:
        raise HTTPException(400) from None  # which nobody reads
    finally:
        _memory.give_back(taken)
    return bytes(body)


def parse_json(body: bytes) -> tuple[dict[str, Any], str]:
    """Parse a JSON object (RFC 8259).

    Escaped NULs and lone surrogates, which no database stores, become U+FFFD.

    Returns:
        The object, and its text as it can be stored and parsed again.

    Raises:
        HTTPException: 400 if it is no object; if it is nested too deeply; if a number is none of JSON's, or too long.
    """
    if b"\\u" in body:
        body = _ESCAPE.sub(lambda escape: rb"\ufffd" if escape[1] else escape[0], body)
    try:
        fields = from_json(body, allow_inf_nan=False)
    except ValueError:
        raise HTTPException(400, "This is no JSON.") from None
    if not isinstance(fields, dict):
        raise HTTPException(400, "This is no JSON object.")
    return fields, body.decode()


async def read_form(request: Request) -> str:
    """Read the body of a form that nobody has verified yet, for `parse_form`.

    Raises:
        HTTPException: 415 if it is none; and as `read_body`.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise HTTPException(415)
    return (await read_body(request, MOST_FORM_BYTES)).decode(errors="replace")


def parse_form(payload: str) -> dict[str, str]:
    """Parse a form.

    Raises:
        HTTPException: 400 if it has more fields than any platform sends.
    """
    try:
        return dict(parse_qsl(payload, keep_blank_values=True, max_num_fields=MOST_FIELDS))
    except ValueError:
        raise HTTPException(400, "This form has too many fields.") from None


def _refused(status: int) -> HTTPException:
    """An answer to a body of which the rest is not read."""
    return HTTPException(status, headers={"Connection": "close"})
