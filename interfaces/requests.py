from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.requests import Request

MOST_BYTES = 1024 * 1024  # of a webhook: the platforms send a fraction of it

RETRY_AFTER = 5.0  # seconds, where a platform that wants a pause does not say how long


def retry_after(headers: Mapping[str, str]) -> float:
    """The seconds that a platform asks to wait for (RFC 9110, section 10.2.3)."""
    given = next((value for name, value in headers.items() if name.lower() == "retry-after"), "")
    return float(given) if given.isdecimal() else RETRY_AFTER


async def read_body(request: Request) -> bytes:
    """The body of a request that nobody has verified yet.

    Raises:
        HTTPException: 413, as soon as there is more than any platform sends.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            raise HTTPException(413)
    return bytes(body)
