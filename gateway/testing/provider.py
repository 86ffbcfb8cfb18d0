"""A fake OAuth provider without a server, for the tests of toolkits that need an account."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from oauth import GrantRevokedError, Token


class FakeProvider:
    """A provider that exchanges the code `of-NAME` for a grant of the account NAME.

    Pass it to a toolkit as `auth`. The credentials that a tool gets are the access token, `SECRET-NAME`.

    Args:
        lifetime: how long access tokens are valid after the sign-in.

    Attributes:
        refreshed: how many times a token was refreshed.
        revoked: whether refreshes are refused, as if the grant was revoked at the provider.
        granted: the scopes that people grant.
        vouches: whether the provider vouches for its accounts' e-mail addresses, `NAME@fake.test`.
        is_down: whether the provider is unreachable when a token is to be revoked.
        revocations: the access tokens that it was asked to revoke.
    """

    name = "fake"
    label = "Fake"
    incremental = True

    def __init__(self, lifetime: timedelta = timedelta(hours=1)) -> None:
        self.lifetime = lifetime
        self.refreshed = 0
        self.revoked = False
        self.granted = frozenset({"read"})
        self.vouches = True
        self.is_down = False
        self.revocations: list[str] = []

    def authorization_url(self, *, state: str, verifier: str, redirect_uri: str, scopes: frozenset[str]) -> str:
        query = {"state": state, "redirect_uri": redirect_uri, "scope": " ".join(sorted(scopes))}
        return f"https://fake.test/authorize?{urlencode(query)}"

    async def exchange(self, *, code: str, verifier: str, redirect_uri: str) -> Token:
        account, expires_at = code.removeprefix("of-"), datetime.now(UTC) + self.lifetime
        email = f"{account}@fake.test" if self.vouches else None
        return Token(f"SECRET-{account}", f"REFRESH-{account}", expires_at, self.granted, account, email)

    async def refresh(self, token: Token) -> Token:
        if self.revoked:
            raise GrantRevokedError
        self.refreshed += 1
        await asyncio.sleep(0)
        return replace(token, access_token=f"{token.access_token}+", expires_at=datetime.now(UTC) + timedelta(hours=1))

    async def revoke(self, token: Token) -> None:
        if self.is_down:
            raise ConnectionError("the provider is down")
        self.revocations.append(token.access_token)

    def permission(self, scope: str) -> str:
        return f"{scope} things"

    def credentials(self, token: Token) -> str:
        return token.access_token

    def __deepcopy__(self, memo: Mapping[int, object]) -> "FakeProvider":
        raise AssertionError("a provider is shared by all copies of an agent, never copied")
