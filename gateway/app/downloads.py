"""Serve the files that agents send, at signed addresses that expire."""

from collections.abc import Sequence
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from gateway.storage.files import ADDRESSES, FileStore

# Files are not trusted: these headers keep browsers from running scripts in them.
HEADERS = {
    "Cache-Control": "private, no-store",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Downloads:
    """Serves files to clients that have a signed address: WhatsApp's servers, and the browsers of web chats."""

    def __init__(self, files: FileStore) -> None:
        self._files = files

    def routes(self) -> Sequence[BaseRoute]:
        return [Route(f"{ADDRESSES}/{{token}}/{{name}}", self._send, methods=["GET"])]

    async def _send(self, request: Request) -> Response:
        """Send a file.

        Raises:
            HTTPException: 404 if the address is not signed or has expired, or if the file was removed.
        """
        file = await self._files.load_addressed(request.path_params["token"])
        if file is None:
            raise HTTPException(404)
        headers = {
            **HEADERS,
            "Content-Length": str(file.size),
            "Content-Disposition": f"attachment; filename*=UTF-8''{quote(file.name, safe='')}",
        }
        if request.method == "HEAD":
            return Response(headers=headers, media_type=file.media_type)
        return StreamingResponse(file.chunks(), headers=headers, media_type=file.media_type)
