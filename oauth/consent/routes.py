"""Sign-in links, the callback address, and the pages that a person reads there after a sign-in."""

from html import escape
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from oauth.consent.coordinator import OAuthCoordinator
from oauth.consent.sign_in import Consent
from oauth.errors import AuthorizationFailedError
from oauth.visible import visible

COOKIE = "understudy_consent"
LONGEST_COOKIE = 3800  # bytes: browsers keep 4096, name and attributes included (RFC 6265, section 6.1)

# The addresses hold secrets: browsers must neither store them nor pass them on.
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
body {{ font: 1.1rem/1.5 system-ui, sans-serif; max-width: 32rem; margin: 12vh auto 2rem; padding: 0 1.5rem; }}
strong {{ overflow-wrap: anywhere; }}
.code {{ font: bold 2.2rem/1.5 ui-monospace, monospace; text-align: center; letter-spacing: 0.1em; }}
</style>
<h1>{title}</h1>
{content}
</html>
"""


def consent_routes(coordinator: OAuthCoordinator) -> list[Route]:
    """Return the routes of sign-in links, and of what providers send people back to (RFC 6749, section 4.1.2)."""

    async def sign_in(request: Request) -> Response:
        try:
            address = await coordinator.authorization_url(request.path_params["token"])
        except AuthorizationFailedError as error:
            return _failed(error)
        return RedirectResponse(address, status_code=303, headers=HEADERS)

    async def callback(request: Request) -> HTMLResponse:
        provider, query = request.path_params["provider"], request.query_params
        state, code = query.get("state", ""), query.get("code", "")
        try:
            if "error" in query:
                await coordinator.refuse(provider, state)
                return _page("Nothing was connected", _paragraph("You can close this page and go back to the chat."))
            consent = await coordinator.complete(provider, state, code)
        except AuthorizationFailedError as error:
            known = coordinator.cookies.open(provider, state, request.cookies.get(COOKIE, ""))
            if known is not None:  # the browser has loaded the page again
                return _consent_page(known)
            return _failed(error)
        page, cookie = _consent_page(consent), coordinator.cookies.seal(provider, state, consent)
        if len(cookie) <= LONGEST_COOKIE:
            address = urlsplit(coordinator.redirect_uri(provider))
            page.set_cookie(
                COOKIE,
                cookie,
                max_age=int(coordinator.cookies.lifetime),
                path=address.path,
                secure=address.scheme == "https",
                httponly=True,
                samesite="lax",  # the provider's page leads here
            )
        return page

    return [
        Route("/sign-in/{token}", sign_in, methods=["GET"]),
        Route("/oauth/{provider}/callback", callback, methods=["GET"]),
    ]


def _failed(error: AuthorizationFailedError) -> HTMLResponse:
    return _page("That did not work", _paragraph(str(error)), status=400)


def _consent_page(consent: Consent) -> HTMLResponse:
    if consent.code is None:
        return _page(f"{consent.label} is connected", _connected(consent))
    return _page("One more step", _unconfirmed(consent, consent.code))


def _connected(consent: Consent) -> str:
    return (
        f"<p>{_strong(consent.account)} is now connected to {_person(consent)} in the chat. The agent may:</p>"
        f"{_permissions(consent)}"
        "<p>You can go back to the chat: the agent is answering your message.</p>"
    )


def _unconfirmed(consent: Consent, code: str) -> str:
    return (
        f"<p>You signed in to {escape(consent.label)} as {_strong(consent.account)}. To connect this account to "
        f"{_person(consent)}, send this code to the bot, in the chat where you got the link:</p>"
        f'<p class="code">{code[:4]} {code[4:]}</p>'
        "<p>The code is good for ten minutes. When that person asks, the agent may then:</p>"
        f"{_permissions(consent)}"
        "<p>If that person is not you, close this page and give the code to nobody. Nothing will be connected.</p>"
    )


def _permissions(consent: Consent) -> str:
    return f"<ul>{''.join(f'<li>{escape(permission)}</li>' for permission in consent.permissions)}</ul>"


def _person(consent: Consent) -> str:
    identity = consent.identity
    known = f"{identity.channel} {identity.user_id}"
    return _strong(known if consent.name in ("", identity.user_id) else f"{consent.name} ({known})")


def _strong(text: str) -> str:
    """Return a text of somebody's choice as HTML, so that it hides nothing and reorders nothing around it."""
    return f"<strong><bdi>{escape(' '.join(visible(text).split()))}</bdi></strong>"


def _paragraph(text: str) -> str:
    return f"<p>{escape(text)}</p>"


def _page(title: str, content: str, *, status: int = 200) -> HTMLResponse:
    return HTMLResponse(PAGE.format(title=escape(title), content=content), status_code=status, headers=HEADERS)
