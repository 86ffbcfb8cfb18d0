"""The routes of sign-in links, and of the callback to which providers send people back."""

from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from oauth.consent.coordinator import OAuthCoordinator
from oauth.consent.pages import HEADERS, consent_page, denial_page, error_page
from oauth.errors import AuthorizationFailedError

COOKIE = "understudy_consent"
LONGEST_COOKIE = 3800  # bytes: browsers keep 4096, name and attributes included (RFC 6265, section 6.1)


def consent_routes(coordinator: OAuthCoordinator) -> list[Route]:
    """Return the routes of sign-in links, and of the callback of all providers (RFC 6749, section 4.1.2)."""

    async def sign_in(request: Request) -> Response:
        try:
            address = await coordinator.authorization_url(request.path_params["token"])
        except AuthorizationFailedError as error:
            return error_page(str(error))
        return RedirectResponse(address, status_code=303, headers=HEADERS)

    async def callback(request: Request) -> Response:
        provider, query = request.path_params["provider"], request.query_params
        state, code = query.get("state", ""), query.get("code", "")
        try:
            if "error" in query:
                return denial_page(await coordinator.refuse(provider, state))
            consent = await coordinator.complete(provider, state, code)
        except AuthorizationFailedError as error:
            recalled = await coordinator.recall(provider, state, request.cookies.get(COOKIE, ""))
            return error_page(str(error)) if recalled is None else consent_page(recalled)
        page, cookie = consent_page(consent), coordinator.cookies.seal(provider, state, consent)
        if len(cookie) <= LONGEST_COOKIE:
            address = urlsplit(coordinator.redirect_uri(provider))
            page.set_cookie(
                COOKIE,
                cookie,
                max_age=int(coordinator.cookies.lifetime),
                path=address.path,
                secure=address.scheme == "https",
                httponly=True,
                samesite="lax",  # so that it is sent when the provider's page leads here
            )
        return page

    return [
        Route("/sign-in/{token}", sign_in, methods=["GET"]),
        Route("/oauth/{provider}/callback", callback, methods=["GET"]),
    ]
