"""Refresh people's tokens before they expire, once for all turns and processes."""

import logging
from datetime import UTC, datetime, timedelta

from oauth.errors import GrantRevokedError
from oauth.identity import Identity
from oauth.provider import OAuthProvider
from oauth.store.refreshing import RefreshedRow, SingleRefresh
from oauth.store.tokens import StoredToken, TokenStore
from oauth.timings import OAuthTimings
from oauth.token import Token

log = logging.getLogger(__name__)


class TokenRenewal:
    """Refreshes a person's token once, however many turns and processes ask for it at the same time."""

    def __init__(self, tokens: TokenStore, timings: OAuthTimings) -> None:
        self._tokens = tokens
        self._timings = timings
        self._single = SingleRefresh(timings)

    def is_fresh(self, token: Token) -> bool:
        """Return whether a token outlasts a turn that begins now."""
        margin = timedelta(seconds=self._timings.refresh_margin)
        return token.expires_at is None or token.expires_at - margin > datetime.now(UTC)

    async def renew(self, identity: Identity, provider: OAuthProvider, old: Token) -> Token:
        """Return a token that is newer than `old`: refreshed here, or by another turn or process.

        Raises:
            GrantRevokedError: if the provider no longer grants access, or the person has disconnected the account.
            TimeoutError: if nobody refreshed the token in time (`OAuthTimings.refresh_wait`).
        """

        def is_renewed(token: Token) -> bool:
            return token.access_token != old.access_token and self.is_fresh(token)

        row = _PersonsToken(self._tokens, identity, provider)
        return await self._single.run((identity, provider.name), row, is_renewed)


class _PersonsToken(RefreshedRow[StoredToken, Token]):
    def __init__(self, tokens: TokenStore, identity: Identity, provider: OAuthProvider) -> None:
        self._tokens = tokens
        self._identity = identity
        self._provider = provider

    def token(self, stored: StoredToken) -> Token:
        return stored.token

    async def load(self) -> StoredToken | None:
        return await self._tokens.load(self._identity, self._provider.name)

    async def begin_refresh(self, known: StoredToken, lease: timedelta) -> bool:
        return await self._tokens.begin_refresh(self._identity, known, lease)

    async def refresh(self, token: Token) -> Token:
        return await self._provider.refresh(token)

    async def replace(self, known: StoredToken, renewed: Token) -> bool:
        return await self._tokens.replace(self._identity, known, renewed)

    async def give_up_refresh(self, known: StoredToken) -> None:
        await self._tokens.give_up_refresh(self._identity, known)

    async def end(self, known: StoredToken, reason: GrantRevokedError) -> None:
        log.info("%s no longer grants access for %s", self._provider.name, self._identity)
        await self._tokens.forget(self._identity, known)
