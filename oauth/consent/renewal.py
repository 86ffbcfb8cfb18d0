"""Refresh tokens before they expire, once for all turns and processes."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from weakref import WeakValueDictionary

from oauth.errors import GrantRevokedError
from oauth.identity import Identity
from oauth.provider import OAuthProvider
from oauth.store.tokens import StoredToken, TokenStore
from oauth.timings import OAuthTimings
from oauth.token import Token

log = logging.getLogger(__name__)


class TokenRenewal:
    """Refreshes a person's token once, however many turns and processes ask for it at the same time.

    A provider that issues a new refresh token at every refresh treats a second use of the old one as theft
    (RFC 9700, section 4.14.2).
    """

    def __init__(self, tokens: TokenStore, timings: OAuthTimings) -> None:
        self._tokens = tokens
        self._timings = timings
        self._locks: WeakValueDictionary[tuple[Identity, str], asyncio.Lock] = WeakValueDictionary()

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
        lock = self._locks.setdefault((identity, provider.name), asyncio.Lock())
        lease = timedelta(seconds=self._timings.refresh_lease)
        async with asyncio.timeout(self._timings.refresh_wait), lock:
            while True:
                current = await self._tokens.load(identity, provider.name)
                if current is None:
                    raise GrantRevokedError
                if current.token.access_token != old.access_token and self.is_fresh(current.token):
                    return current.token
                if await self._tokens.begin_refresh(identity, current, lease):
                    return await self._refresh(identity, provider, current)
                await asyncio.sleep(self._timings.refresh_poll)

    async def _refresh(self, identity: Identity, provider: OAuthProvider, current: StoredToken) -> Token:
        try:
            renewed = await provider.refresh(current.token)
        except GrantRevokedError:
            log.info("%s no longer grants access for %s", provider.name, identity)
            await self._tokens.forget(identity, current)
            raise
        except Exception:
            await self._tokens.give_up_refresh(identity, current)
            raise
        while not await self._tokens.replace(identity, current, renewed):
            stored = await self._tokens.load(identity, provider.name)
            if stored is None:  # disconnected meanwhile
                raise GrantRevokedError
            if stored.token != current.token:  # connected anew meanwhile
                return stored.token
            current = stored  # encrypted with another key meanwhile
        return renewed
