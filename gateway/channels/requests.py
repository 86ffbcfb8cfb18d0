"""Read and parse the bodies of requests that are not verified yet, within limits of size, time and memory."""

import asyncio
import re
from typing import Any
from urllib.parse import parse_qsl

from pydantic_core import from_json
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from gateway.retries import UNKNOWN_WAIT

MOST_BYTES = 1024 * 1024  # in a body; platforms send much less
MOST_FORM_BYTES = 256 * 1024
MOST_FIELDS = 250  # in a form; platforms send about forty
MOST_BYTES_AT_ONCE = 64 * 1024 * 1024  # in all bodies that are being read
BODY_TIMEOUT = 10.0  # seconds for a whole body

FORM = "application/x-www-form-urlencoded"

# In a JSON string: an escaped backslash, a pair of surrogates or, in the group, a lone surrogate or NUL.
_ESCAPE = re.compile(
    rb"\\(?:\\|u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2}|u0000))"
)


class BodyMemory:
    """A limit on the memory of all bodies that are being read.

    Args:
        size: the limit in bytes.
    """

    def __init__(self, size: int = MOST_BYTES_AT_ONCE) -> None:
        self._size = size
        self._taken = 0

    def take(self, size: int) -> None:
        """Reserve `size` more bytes.

        Raises:
            HTTPException: 503 if that would exceed the limit.
        """
        if self._taken + size > self._size:
            raise HTTPException(503, headers={"Retry-After": str(int(UNKNOWN_WAIT)), "Connection": "close"})
        self._taken += size

    def give_back(self, size: int) -> None:
        """Free `size` bytes."""
        self._taken -= size


_memory = BodyMemory()


async def read_body(
    request: Request, most: int = MOST_BYTES, *, within: float = BODY_TIMEOUT, memory: BodyMemory = _memory
) -> bytes:
    """Read the body of a request that is not verified yet.

    Args:
        most: the largest size of the body in bytes.
        within: the time limit for the whole body in seconds.
        memory: the memory that all bodies share.

    Raises:
        HTTPException: 413 as soon as the body is too large, 408 if it takes too long, 503 if all bodies together take
            too much memory, 400 if the client disconnects.
    """
    declared = request.headers.get("content-length", "")
    if len(declared) > 12 or (declared.isdecimal() and int(declared) > most):
        raise _refused(413)
    body = bytearray()
    taken = 0
    try:
        async with asyncio.timeout(within):
            async for chunk in request.stream():
                if len(body) + len(chunk) > most:
                    raise _refused(413)
                memory.take(len(chunk))
                taken += len(chunk)
                body += chunk
    except TimeoutError:
        raise _refused(408) from None
    except ClientDisconnect:
        raise HTTPException(400) from None  # nobody is left to read it
    finally:
        memory.give_back(taken)
    return bytes(body)


def parse_json(body: bytes) -> tuple[dict[str, Any], str]:
    """Parse a JSON object (RFC 8259).

    Escaped NULs and lone surrogates become U+FFFD, because databases cannot store them.

    Returns:
        The object, and its text, which can be stored and parsed again.

    Raises:
        HTTPException: 400 if the body is not a JSON object, is nested too deeply, or has a number that is too long or
            not valid in JSON, like NaN.
    """
    if b"\\u" in body:
        body = _ESCAPE.sub(lambda escape: rb"\ufffd" if escape[1] else escape[0], body)
    try:
        fields = from_json(body, allow_inf_nan=False)
    except ValueError:
        raise HTTPException(400, "The body is not JSON.") from None
    if not isinstance(fields, dict):
        raise HTTPException(400, "The body is not a JSON object.")
    return fields, body.decode()


async def read_form(request: Request, most: int = MOST_FORM_BYTES) -> str:
    """Read the body of a form that is not verified yet, for `parse_form`.

    Args:
        most: the largest size of the body in bytes.

    Raises:
        HTTPException: 415 if the request is not a form; otherwise as `read_body`.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise HTTPException(415)
    return (await read_body(request, most)).decode(errors="replace")


def parse_form(payload: str) -> dict[str, str]:
    """Parse a form.

    Raises:
        HTTPException: 400 if the form has more fields than any platform sends.
    """
    try:
        return dict(parse_qsl(payload, keep_blank_values=True, max_num_fields=MOST_FIELDS))
    except ValueError:
        raise HTTPException(400, "The form has too many fields.") from None


def _refused(status: int) -> HTTPException:
    """Return the response to a request whose body is not read to its end. It closes the connection."""
    return HTTPException(status, headers={"Connection": "close"})
