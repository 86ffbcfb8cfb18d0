"""Any OAuth 2.0 provider, described by its endpoints: RFC 6749, with PKCE (RFC 7636) and revocation (RFC 7009)."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import httpx2
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from authlib.oauth2.client import OAuth2Client
from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from oauth.errors import AuthorizationFailedError, GrantRevokedError, SettingError
from oauth.settings import Settings
from oauth.token import Token

CALL_TIMEOUT = 20.0  # seconds for one request to the provider

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BearerToken:
    """The token with which a tool calls the provider's API (RFC 6750), and the name of its account."""

    account: str
    access_token: str = field(repr=False)

    @property
    def headers(self) -> dict[str, str]:
        """The headers of an authorized request."""
        return {"Authorization": f"Bearer {self.access_token}"}


class OAuth2Provider:
    """A provider that follows the standard. For one that differs, a subclass overrides the public methods.

    Args:
        name: lower-case letters and digits. It is part of the callback address,
            `{UNDERSTUDY_BASE_URL}/oauth/{name}/callback`, and of the names of settings.
        label: the provider's name as people know it.
        authorization_endpoint: the URL of the page where people consent.
        token_endpoint: the URL that exchanges a code for a token.
        account_endpoint: the URL that returns the account of a token, as JSON.
        account_field: the field of that JSON object that names the account.
        revocation_endpoint: the URL that revokes a token; `None` if the provider has none.
        permissions: what each scope allows, in words that people read, like "read your mail".
        client_id: Default: {NAME}_CLIENT_ID.
        client_secret: Default: {NAME}_CLIENT_SECRET.
        client_authentication: how the client authenticates at the token endpoint, by its name in RFC 7591, section 2.
        authorization_parameters: more parameters of the authorization request, like `{"prompt": "consent"}`.
        uses_pkce: whether to send a PKCE challenge, which most providers without PKCE ignore.
        incremental: whether a later consent to other scopes adds to what was granted before.

    Raises:
        SettingError: naming what is missing or malformed.
    """

    def __init__(
        self,
        name: str,
        label: str,
        *,
        authorization_endpoint: str,
        token_endpoint: str,
        account_endpoint: str,
        account_field: str,
        revocation_endpoint: str | None = None,
        permissions: Mapping[str, str] | None = None,
        client_id: str | None = None,
        client_secret: str | None = None,
        client_authentication: str = "client_secret_basic",
        authorization_parameters: Mapping[str, str] | None = None,
        uses_pkce: bool = True,
        incremental: bool = False,
    ) -> None:
        if not (name.isascii() and name.isalnum() and name.islower()):
            raise SettingError(
                f"OAuth2Provider({name!r}, …) needs another name: the name is part of addresses and of settings, so it "
                "may contain only lower-case letters and digits."
            )
        settings = _settings(name, label)(client_id=client_id, client_secret=client_secret)
        self.name = name
        self.label = label
        self.incremental = incremental
        self._authorization_endpoint = authorization_endpoint
        self._token_endpoint = token_endpoint
        self._account_endpoint = account_endpoint
        self._account_field = account_field
        self._revocation_endpoint = revocation_endpoint
        self._permissions = dict(permissions or {})
        self._client_id = settings.client_id
        self._client_secret = settings.client_secret
        self._client_authentication = client_authentication
        self._authorization_parameters = dict(authorization_parameters or {})
        self._uses_pkce = uses_pkce

    def authorization_url(self, *, state: str, verifier: str, redirect_uri: str, scopes: frozenset[str]) -> str:
        client = OAuth2Client(
            None, self._client_id, code_challenge_method="S256" if self._uses_pkce else None, redirect_uri=redirect_uri
        )
        url, _ = client.create_authorization_url(
            self._authorization_endpoint,
            state=state,
            code_verifier=verifier,
            scope=" ".join(sorted(scopes)) or None,
            **self._authorization_parameters,
        )
        return str(url)

    async def exchange(self, *, code: str, verifier: str, redirect_uri: str) -> Token:
        challenge = {"code_verifier": verifier} if self._uses_pkce else {}
        try:
            async with self._client() as client:
                answer = await client.fetch_token(
                    self._token_endpoint,
                    grant_type="authorization_code",
                    code=code,
                    redirect_uri=redirect_uri,
                    headers=_HEADERS,
                    **challenge,
                )
                account = await client.get(self._account_endpoint, headers=_JSON)
                account.raise_for_status()
            return self._granted(answer, account.json())
        except (OAuthError, httpx2.HTTPError, KeyError, ValueError) as error:
            # Log only the error code: the description may repeat what was sent.
            log.warning("%s gave no token: %s", self.label, getattr(error, "error", type(error).__name__))
            raise AuthorizationFailedError(
                f"{self.label} did not confirm the sign-in, so nothing was connected. To try again, write to the bot."
            ) from None

    async def refresh(self, token: Token) -> Token:
        if token.refresh_token is None:
            raise GrantRevokedError
        try:
            async with self._client() as client:
                client.token = {"refresh_token": token.refresh_token}
                answer = await client.refresh_token(self._token_endpoint, token.refresh_token, headers=_HEADERS)
        except OAuthError as error:
            if not self.is_revoked(error.error):
                raise
            raise GrantRevokedError from None
        return replace(
            token,
            access_token=answer["access_token"],
            refresh_token=answer.get("refresh_token") or token.refresh_token,
            expires_at=_expiry(answer),
        )

    async def revoke(self, token: Token) -> None:
        if self._revocation_endpoint is None:
            log.info("%s has no revocation endpoint: a token was deleted only here", self.label)
            return
        async with self._client() as client:
            revoked = await client.revoke_token(self._revocation_endpoint, token.refresh_token or token.access_token)
        revoked.raise_for_status()

    def permission(self, scope: str) -> str:
        return self._permissions.get(scope, scope)

    def credentials(self, token: Token) -> Any:
        """Return a `BearerToken`."""
        return BearerToken(token.account, token.access_token)

    def granted_scopes(self, answer: Mapping[str, Any]) -> frozenset[str]:
        """Return the scopes in an answer of the token endpoint."""
        return frozenset(str(answer.get("scope") or "").split())

    def is_revoked(self, error: str) -> bool:
        """Return whether an error of the token endpoint means that the refresh token is no longer valid."""
        return error == "invalid_grant"

    def email(self, account: Mapping[str, Any]) -> str | None:
        """Return the verified address of an account, if the provider is known to be the authority for it."""
        return None

    def _granted(self, answer: Mapping[str, Any], account: Mapping[str, Any]) -> Token:
        return Token(
            access_token=answer["access_token"],
            refresh_token=answer.get("refresh_token"),
            expires_at=_expiry(answer),
            scopes=self.granted_scopes(answer),
            account=str(account[self._account_field]),
            email=self.email(account),
        )

    def _client(self) -> AsyncOAuth2Client:
        return AsyncOAuth2Client(
            self._client_id,
            self._client_secret.get_secret_value(),
            token_endpoint_auth_method=self._client_authentication,
            revocation_endpoint_auth_method=self._client_authentication,
            timeout=CALL_TIMEOUT,
        )


_JSON = {"Accept": "application/json"}
_HEADERS = {**_JSON, "Content-Type": "application/x-www-form-urlencoded;charset=UTF-8"}


def _expiry(answer: Mapping[str, Any]) -> datetime | None:
    return datetime.fromtimestamp(answer["expires_at"], UTC) if answer.get("expires_at") is not None else None


class _ClientSettings(Settings):
    client_id: str
    client_secret: SecretStr


def _settings(name: str, label: str) -> type[_ClientSettings]:
    class ClientSettings(_ClientSettings):
        model_config = SettingsConfigDict(env_prefix=f"{name.upper()}_")

        client_id: str = Field(description=f"It is the client ID of an OAuth app at {label}.")
        client_secret: SecretStr = Field(description=f"It is the client secret of that app at {label}.")

    return ClientSettings
