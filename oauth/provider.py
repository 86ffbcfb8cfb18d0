"""The contract between the consent loop and a provider."""

from typing import Any, Protocol, runtime_checkable

from oauth.token import Token


@runtime_checkable
class OAuthProvider(Protocol):
    """An authorization server, where people have the accounts that they connect.

    All copies of an agent share it: it holds the client's registration, but no tokens.
    """

    name: str
    """The name in the callback address and in the store: `google`."""
    label: str
    """The provider's name as people know it: `Google`."""
    incremental: bool
    """Whether a later consent to other scopes adds to what was granted before."""

    def authorization_url(self, *, state: str, verifier: str, redirect_uri: str, scopes: frozenset[str]) -> str:
        """Return the address at which a person consents, with the PKCE challenge of `verifier` (RFC 7636)."""
        ...

    async def exchange(self, *, code: str, verifier: str, redirect_uri: str) -> Token:
        """Exchange an authorization code for a token.

        Raises:
            AuthorizationFailedError: if the provider issues none.
        """
        ...

    async def refresh(self, token: Token) -> Token:
        """Return a new access token for the same grant.

        Raises:
            GrantRevokedError: if the grant has ended, so that the person has to consent again.
        """
        ...

    async def revoke(self, token: Token) -> None:
        """End the grant at the provider (RFC 7009). A grant that has ended already is not an error."""
        ...

    def permission(self, scope: str) -> str:
        """Return what a scope allows, in words that people read: `read your mail`."""
        ...

    def credentials(self, token: Token) -> Any:
        """Return a token as the provider's own client library takes it, without the refresh token."""
        ...
