"""Read and parse the bodies of requests that anybody may have sent."""

import asyncio
import re
from typing import Any
from urllib.parse import parse_qsl

from pydantic_core import from_json
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from gateway.retries import UNKNOWN_WAIT

MOST_BYTES = 1024 * 1024  # in a body: platforms send a fraction of that
MOST_FORM_BYTES = 256 * 1024
MOST_FIELDS = 250  # in a form: platforms send some forty
MOST_BYTES_AT_ONCE = 64 * 1024 * 1024  # in all bodies that are being read
BODY_TIMEOUT = 10.0  # seconds for a whole body

FORM = "application/x-www-form-urlencoded"

# In a JSON string: an escaped backslash, a pair of surrogates or, in the group, a lone surrogate or NUL.
_ESCAPE = re.compile(
    rb"\\(?:\\|u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2}|u0000))"
)


class BodyMemory:
    """A bound on the memory of all bodies that are being read.

    Args:
        size: in bytes.
    """

    def __init__(self, size: int = MOST_BYTES_AT_ONCE) -> None:
        self._size = size
        self._taken = 0

    def take(self, size: int) -> None:
        """Reserve so many bytes more.

        Raises:
            HTTPException: 503 if there are not as many.
        """
        if self._taken + size > self._size:
            raise HTTPException(503, headers={"Retry-After": str(int(UNKNOWN_WAIT)), "Connection": "close"})
        self._taken += size

    def give_back(self, size: int) -> None:
        """Free so many bytes."""
        self._taken -= size


_memory = BodyMemory()


async def read_body(
    request: Request, most: int = MOST_BYTES, *, within: float = BODY_TIMEOUT, memory: BodyMemory = _memory
) -> bytes:
    """Read the body of a request that nobody has verified yet.

    Args:
        most: how many bytes it may have.
        within: seconds for all of it.
        memory: what all bodies share that are being read.

    Raises:
        HTTPException: 413 as soon as the body has more bytes, 408 if it takes too long, 503 if all bodies together take
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

    Escaped NULs and lone surrogates become U+FFFD, as no database stores them.

    Returns:
        The object, and its text, which can be stored and parsed again.

    Raises:
        HTTPException: 400 if the body is no JSON object, is nested too deeply, or has a number that is too long or not
            one of JSON's.
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
    """Read the body of a form that nobody has verified yet, for `parse_form`.

    Args:
        most: how many bytes it may have.

    Raises:
        HTTPException: 415 if it is no form; else as `read_body`.
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
    """Return the answer to a request whose body is not read to its end."""
    return HTTPException(status, headers={"Connection": "close"})
