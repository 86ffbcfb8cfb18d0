import asyncio
import logging
from datetime import UTC, datetime, timedelta
from weakref import WeakValueDictionary

from oauth.errors import GrantRevokedError
from oauth.identity import Identity
from oauth.provider import OAuthProvider
from oauth.store.tokens import StoredToken, TokenStore
from oauth.token import Token

REFRESH_MARGIN = timedelta(minutes=6)  # longer than a turn may take, so that no token expires inside one
LEASE = timedelta(seconds=30)  # longer than a provider may take
LOOK_EVERY = 0.1  # seconds, while another process refreshes it
WAIT_TIMEOUT = 60.0  # seconds

log = logging.getLogger(__name__)


def is_fresh(token: Token) -> bool:
    return token.expires_at is None or token.expires_at - REFRESH_MARGIN > datetime.now(UTC)


class TokenRenewal:
    """Refreshes a person's token once, for however many turns and processes ask at the same time.

    Providers that give a new refresh token each time take the same one twice for a theft (RFC 9700, section 4.14.2).
    """

    def __init__(self, tokens: TokenStore) -> None:
        self._tokens = tokens
        self._locks: WeakValueDictionary[tuple[Identity, str], asyncio.Lock] = WeakValueDictionary()

    async def renew(self, identity: Identity, provider: OAuthProvider, old: Token) -> Token:
        """A token that came after `old`.

        Raises:
            GrantRevokedError: if there is none any more.
            TimeoutError: if another process began to refresh it and did not end.
        """
        lock = self._locks.setdefault((identity, provider.name), asyncio.Lock())
        async with asyncio.timeout(WAIT_TIMEOUT), lock:
            while True:
                current = await self._tokens.load(identity, provider.name)
                if current is None:
                    raise GrantRevokedError
                if current.token.access_token != old.access_token and is_fresh(current.token):
                    return current.token
                if await self._tokens.begin_refresh(identity, current, LEASE):
                    return await self._refresh(identity, provider, current)
                await asyncio.sleep(LOOK_EVERY)

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
