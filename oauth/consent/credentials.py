"""Load a person's credentials for the tools of their turns."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from oauth.consent.providers import ProviderRegistry
from oauth.consent.renewal import TokenRenewal
from oauth.errors import (
    ConsentRequiredError,
    CredentialsRefusedError,
    GrantRevokedError,
    PermissionDeclinedError,
    SettingError,
)
from oauth.identity import Identity
from oauth.provider import OAuthProvider
from oauth.store.suspensions import SuspensionStore
from oauth.store.tokens import TokenStore
from oauth.token import Token

SUSPENDED = "Your connected accounts are suspended here, so I cannot use them. Ask your administrator to resume them."


@dataclass(frozen=True, slots=True)
class AccountCredentials:
    """The name of an account, and its credentials in the form that the provider's client library takes."""

    account: str
    credentials: Any = field(repr=False)


class CredentialLoader:
    """Loads a person's token, refreshes it if necessary, and checks that it covers what a tool needs."""

    def __init__(
        self, tokens: TokenStore, suspensions: SuspensionStore, providers: ProviderRegistry, renewal: TokenRenewal
    ) -> None:
        self._tokens = tokens
        self._suspensions = suspensions
        self._providers = providers
        self._renewal = renewal

    async def load(
        self, identity: Identity, provider: str, scopes: Iterable[str], *, renew: bool = False
    ) -> AccountCredentials:
        """Return a person's credentials: see `OAuthCoordinator.credentials`."""
        known = self._providers.get(provider)
        if known is None:
            raise SettingError(
                f"A tool asks for credentials of {provider!r}, which is not a registered provider (registered: "
                f"{', '.join(self._providers.names()) or 'none'}). Pass the provider to its toolkit or Agent(auth=…)."
            )
        if await self._suspensions.is_suspended(identity):
            raise CredentialsRefusedError(SUSPENDED)
        token = await self._token(identity, known, frozenset(scopes), renew=renew)
        return AccountCredentials(token.account, known.credentials(token))

    async def covers(self, identity: Identity, provider: str, scopes: Iterable[str]) -> bool:
        """Return whether a person has a token that covers the scopes."""
        stored = await self._tokens.load_usable(identity, provider)
        if stored is None or not frozenset(scopes) <= stored.token.scopes:
            return False
        return not await self._suspensions.is_suspended(identity)

    async def _token(
        self, identity: Identity, provider: OAuthProvider, scopes: frozenset[str], *, renew: bool
    ) -> Token:
        stored = await self._tokens.load_usable(identity, provider.name)
        if stored is None:
            raise ConsentRequiredError(provider.name, scopes)
        missing = scopes - stored.token.scopes
        if missing & stored.token.declined:
            raise PermissionDeclinedError(_declined_message(provider, missing & stored.token.declined))
        if missing:
            raise ConsentRequiredError(provider.name, scopes)
        if not renew and self._renewal.is_fresh(stored.token):
            return stored.token
        try:
            return await self._renewal.renew(identity, provider, stored.token)
        except GrantRevokedError:
            raise ConsentRequiredError(provider.name, self._providers.scopes(provider.name)) from None


def _declined_message(provider: OAuthProvider, scopes: Iterable[str]) -> str:
    permissions = " and ".join(provider.permission(scope) for scope in sorted(scopes))
    return (
        f"The person connected {provider.label} without this permission: {permissions}. "
        f"To give it, they can send /disconnect {provider.name} and then ask again."
    )
