"""Keep other machines and other sites away from a chat without a sign-in."""

from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from oauth.settings import LOOPBACK_HOSTS


class LoopbackOnly:
    """Middleware that refuses requests that do not come from a page of this machine.

    It refuses a request to a foreign host name that resolves to this machine (DNS rebinding), and a request from a page
    of another site (a cross-site request).
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not _is_own(Request(scope)):
            await PlainTextResponse("This chat only answers browsers on the machine that it runs on.", status_code=403)(
                scope, receive, send
            )
            return
        await self._app(scope, receive, send)


def _is_own(request: Request) -> bool:
    """Return whether a request names this machine, and its origin, if any, is the same address."""
    host, origin = request.headers.get("host", ""), request.headers.get("origin")
    try:
        named = urlsplit(f"//{host}").hostname
    except ValueError:
        return False
    return named in LOOPBACK_HOSTS and (origin is None or origin == f"http://{host}")
