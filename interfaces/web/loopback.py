from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from oauth.settings import LOOPBACK_HOSTS


class LoopbackOnly:
    """Answers only pages of this machine's own: neither a name that was made to point here (DNS rebinding) nor
    another site's page (cross-site requests)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not _is_own(Request(scope)):
            await PlainTextResponse("This chat answers on this machine alone.", status_code=403)(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _is_own(request: Request) -> bool:
    host, origin = request.headers.get("host", ""), request.headers.get("origin")
    try:
        named = urlsplit(f"//{host}").hostname
    except ValueError:
        return False
    return named in LOOPBACK_HOSTS and (origin is None or origin == f"http://{host}")
