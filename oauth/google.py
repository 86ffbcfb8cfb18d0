"""Google as an OAuth provider: https://developers.google.com/identity/protocols/oauth2/web-server"""

import asyncio
import logging
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from oauth.errors import AuthorizationFailedError, GrantRevokedError
from oauth.extras import extra_needed
from oauth.settings import ServiceUrl, Settings
from oauth.token import Token

with extra_needed("google-workspace", "GoogleAuth"):
    import requests
    from google.auth.exceptions import RefreshError
    from google.auth.transport.requests import AuthorizedSession, Request
    from google.oauth2.credentials import Credentials
    from google_auth_oauthlib.flow import Flow
    from oauthlib.oauth2 import OAuth2Error

CALL_TIMEOUT = 20.0  # seconds for one request to Google

ACCOUNT_SCOPES = frozenset({"openid", "https://www.googleapis.com/auth/userinfo.email"})

# https://developers.google.com/identity/protocols/oauth2/scopes
PERMISSIONS = {
    "https://www.googleapis.com/auth/gmail.readonly": "read your mail",
    "https://www.googleapis.com/auth/gmail.compose": "write drafts and send mail for you",
    "https://www.googleapis.com/auth/gmail.modify": "label, archive and trash your mail",
    "https://www.googleapis.com/auth/calendar.events.readonly": "see the events of your calendars",
    "https://www.googleapis.com/auth/calendar.events": "see and change the events of your calendars",
    "https://www.googleapis.com/auth/calendar.freebusy": "see when you are busy",
    "https://www.googleapis.com/auth/drive": "see, change and share your files",
    "https://www.googleapis.com/auth/drive.readonly": "see your files",
    "https://www.googleapis.com/auth/drive.file": "change and share files that it created",
}

NOT_CONNECTED = "Google did not confirm the sign-in, so nothing was connected. To try again, write to the bot."

log = logging.getLogger(__name__)

Result = TypeVar("Result")


class GoogleSettings(Settings):
    """The OAuth client at Google, and the address of Google."""

    model_config = SettingsConfigDict(env_prefix="GOOGLE_")

    client_id: str = Field(
        description="It is the client ID of a web application at https://console.cloud.google.com/auth/clients."
    )
    client_secret: SecretStr = Field(
        description="It is the client secret of that client at https://console.cloud.google.com/auth/clients."
    )
    base_url: ServiceUrl | None = Field(
        default=None,
        description="It is the root of all endpoints of a stand-in for Google; leave it out for Google itself.",
    )


class GoogleAuth:
    """Lets people connect their own Google account.

    Args:
        client_id: Default: GOOGLE_CLIENT_ID.
        client_secret: Default: GOOGLE_CLIENT_SECRET.
        base_url: the root of the consent, token, userinfo and API endpoints of a stand-in for Google. Default:
            GOOGLE_BASE_URL.

    Raises:
        SettingError: naming what is missing.
    """

    name = "google"
    label = "Google"
    incremental = True

    def __init__(
        self, client_id: str | None = None, client_secret: str | None = None, base_url: str | None = None
    ) -> None:
        settings = GoogleSettings(client_id=client_id, client_secret=client_secret, base_url=base_url)
        self._client_id = settings.client_id
        self._client_secret = settings.client_secret
        self.base_url = settings.base_url
        if self.base_url and self.base_url.startswith("http:"):
            # oauthlib accepts plain http only with this variable. `ServiceUrl` allows it only for this machine.
            os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"

    def authorization_url(self, *, state: str, verifier: str, redirect_uri: str, scopes: frozenset[str]) -> str:
        flow = self._flow(redirect_uri, verifier, sorted(scopes | ACCOUNT_SCOPES))
        # `consent` makes Google issue a refresh token at every consent, not only at the first.
        url, _ = flow.authorization_url(
            state=state, access_type="offline", prompt="consent select_account", include_granted_scopes="true"
        )
        return str(url)

    async def exchange(self, *, code: str, verifier: str, redirect_uri: str) -> Token:
        return await _in_own_thread(self._exchange, code, verifier, redirect_uri)

    def _exchange(self, code: str, verifier: str, redirect_uri: str) -> Token:
        flow = self._flow(redirect_uri, verifier, scopes=None)  # accepts any granted scopes; the caller compares them
        try:
            answer = flow.fetch_token(code=code, include_client_id=True, timeout=CALL_TIMEOUT)
            person = self._person(answer["access_token"])
        except (OAuth2Error, requests.RequestException) as error:
            # Log only the error code: the description may repeat what was sent.
            log.warning("Google gave no token: %s", getattr(error, "error", type(error).__name__))
            raise AuthorizationFailedError(NOT_CONNECTED) from None
        return Token(
            access_token=answer["access_token"],
            refresh_token=answer.get("refresh_token"),
            expires_at=datetime.fromtimestamp(answer["expires_at"], UTC),
            scopes=frozenset(_words(answer.get("scope", ""))),
            account=str(person["email"]),
            email=_own_address(person),
        )

    def _person(self, access_token: str) -> dict[str, Any]:
        with AuthorizedSession(Credentials(access_token)) as session:  # type: ignore[no-untyped-call]
            response = session.get(self._endpoints()["userinfo"], timeout=CALL_TIMEOUT)
        response.raise_for_status()
        person: dict[str, Any] = response.json()
        return person

    async def refresh(self, token: Token) -> Token:
        return await _in_own_thread(self._refresh, token)

    def _refresh(self, token: Token) -> Token:
        if token.refresh_token is None:
            raise GrantRevokedError
        credentials = Credentials(  # type: ignore[no-untyped-call]
            None,
            refresh_token=token.refresh_token,
            token_uri=self._endpoints()["token"],
            client_id=self._client_id,
            client_secret=self._client_secret.get_secret_value(),
        )
        try:
            credentials.refresh(partial(Request(), timeout=CALL_TIMEOUT))  # type: ignore[no-untyped-call]
        except RefreshError as error:
            if error.retryable or "invalid_grant" not in str(error):
                raise
            raise GrantRevokedError from None
        assert credentials.token is not None
        assert credentials.expiry is not None
        return replace(
            token,
            access_token=credentials.token,
            refresh_token=credentials.refresh_token,
            expires_at=credentials.expiry.replace(tzinfo=UTC),
        )

    async def revoke(self, token: Token) -> None:
        await _in_own_thread(self._revoke, token)

    def _revoke(self, token: Token) -> None:
        """Revoke a token: https://developers.google.com/identity/protocols/oauth2/web-server#tokenrevoke"""
        data = {"token": token.refresh_token or token.access_token}
        response = requests.post(self._endpoints()["revocation"], data=data, timeout=CALL_TIMEOUT)
        if response.status_code == requests.codes.bad_request and response.json().get("error") == "invalid_token":
            return  # the grant has ended already
        response.raise_for_status()

    def permission(self, scope: str) -> str:
        return PERMISSIONS.get(scope, scope)

    def credentials(self, token: Token) -> Credentials:
        assert token.expires_at is not None
        return Credentials(token.access_token, expiry=token.expires_at.replace(tzinfo=None))  # type: ignore[no-untyped-call]

    def _flow(self, redirect_uri: str, verifier: str, scopes: list[str] | None) -> Flow:
        endpoints = self._endpoints()
        config = {
            "web": {
                "client_id": self._client_id,
                "client_secret": self._client_secret.get_secret_value(),
                "auth_uri": endpoints["authorization"],
                "token_uri": endpoints["token"],
            }
        }
        return Flow.from_client_config(
            config,
            scopes,
            redirect_uri=redirect_uri,
            code_verifier=verifier,
            autogenerate_code_verifier=False,
        )

    def _endpoints(self) -> dict[str, str]:
        """Return the endpoints of https://accounts.google.com/.well-known/openid-configuration, or the stand-in's."""
        root = self.base_url
        return {
            "authorization": f"{root or 'https://accounts.google.com'}/o/oauth2/v2/auth",
            "token": f"{root}/oauth2/token" if root else "https://oauth2.googleapis.com/token",
            "revocation": f"{root}/oauth2/revoke" if root else "https://oauth2.googleapis.com/revoke",
            "userinfo": f"{root}/oauth2/v2/userinfo" if root else "https://openidconnect.googleapis.com/v1/userinfo",
        }


def _own_address(person: Mapping[str, Any]) -> str | None:
    """Return the address of an account, if Google is the authority for it; somebody else may own any other address.

    https://developers.google.com/identity/gsi/web/guides/verify-google-id-token, "hd"
    """
    email, is_verified = str(person["email"]), person.get("email_verified") is True
    is_googles = email.lower().endswith("@gmail.com") or bool(person.get("hd"))
    return email if is_verified and is_googles else None


def _words(scope: Any) -> list[str]:
    return scope.split() if isinstance(scope, str) else list(scope)


async def _in_own_thread(function: Callable[..., Result], *arguments: Any) -> Result:
    """Call a function in a new thread: tools that wait for its result may occupy all threads of the event loop."""
    threads = ThreadPoolExecutor(1, thread_name_prefix="google-oauth")
    try:
        call = partial(copy_context().run, function, *arguments)
        return await asyncio.get_running_loop().run_in_executor(threads, call)
    finally:
        threads.shutdown(wait=False)
