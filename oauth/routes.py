import logging
from html import escape

from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from oauth.coordinator import OAuthCoordinator
from oauth.errors import AuthorizationFailed

log = logging.getLogger(__name__)

# The address holds a code: it is neither kept nor passed on.
HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 1.1rem/1.5 system-ui, sans-serif; max-width: 32rem; margin: 20vh auto 0; padding: 0 1.5rem; }}
</style>
<h1>{title}</h1>
<p>{text}</p>
</html>
"""


def callback_routes(coordinator: OAuthCoordinator) -> list[Route]:
    """The address that a provider sends people back to (RFC 6749, section 4.1.2)."""

    async def callback(request: Request) -> HTMLResponse:
        provider, query = request.path_params["provider"], request.query_params
        state, code = query.get("state", ""), query.get("code", "")
        try:
            if "error" in query:
                await coordinator.refuse(provider, state)
                return _page("Nothing was connected", "You can go back to the chat.", status=200)
            token = await coordinator.complete(provider, state, code)
        except AuthorizationFailed as error:
            return _page("That did not work", str(error), status=400)
        return _page(
            f"{coordinator.label(provider)} is connected",
            f"You signed in as {token.account}. Go back to the chat: your message is being answered.",
            status=200,
        )

    return [Route("/oauth/{provider}/callback", callback, methods=["GET"])]


def _page(title: str, text: str, *, status: int) -> HTMLResponse:
    return HTMLResponse(PAGE.format(title=escape(title), text=escape(text)), status_code=status, headers=HEADERS)
