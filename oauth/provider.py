from typing import Any, Protocol, runtime_checkable

from oauth.token import Token


@runtime_checkable
class OAuthProvider(Protocol):
    """An authorization server that people connect their accounts at.

    A provider is shared by every copy of an agent: it holds the client's registration and nobody's token.
    """

    name: str
    """Stands in the callback address and in the store: `google`."""
    label: str
    """What people call it: `Google`."""
    incremental: bool
    """Whether a later consent to other scopes adds to what was granted before."""

    def authorization_url(self, *, state: str, verifier: str, redirect_uri: str, scopes: frozenset[str]) -> str:
        """The address a person consents at, with the PKCE challenge of `verifier` (RFC 7636)."""
        ...

    async def exchange(self, *, code: str, verifier: str, redirect_uri: str) -> Token:
        """Exchanges an authorization code for a token.

        Raises:
            AuthorizationFailedError: if the provider does not give one.
        """
        ...

    async def refresh(self, token: Token) -> Token:
        """A new access token for the same grant.

        Raises:
            GrantRevokedError: if the grant is gone, so that the person has to consent again.
        """
        ...

    async def revoke(self, token: Token) -> None:
        """Ends the grant at the provider (RFC 7009), which may be over already."""
        ...

    def permission(self, scope: str) -> str:
        """What a scope allows, in words that people read: `Read your mail`."""
        ...

    def credentials(self, token: Token) -> Any:
        """The token as the provider's own client library takes it, without the refresh token."""
        ...
