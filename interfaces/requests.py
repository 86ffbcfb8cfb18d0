from starlette.exceptions import HTTPException
from starlette.requests import Request

MOST_BYTES = 1024 * 1024  # of a webhook: the platforms send a fraction of it


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
