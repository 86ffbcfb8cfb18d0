"""Revoke tokens that nobody uses any more, at their providers."""

import logging

from oauth.consent.providers import ProviderRegistry
from oauth.store.keyring import DecryptionError
from oauth.store.revocations import Revocation
from oauth.store.stores import ConsentStores

log = logging.getLogger(__name__)


class TokenRevoker:
    """Drops sign-ins that were not confirmed in time, and revokes tokens, with retries.

    Args:
        attempts: how often to try a revocation before giving up.
    """

    def __init__(self, stores: ConsentStores, providers: ProviderRegistry, attempts: int) -> None:
        self._stores = stores
        self._providers = providers
        self._attempts = attempts
        self._accounts_known = False  # whether `name_accounts` has nothing left to do

    async def run(self) -> None:
        """Drop the sign-ins that have expired, and try the revocations that are due."""
        stores = self._stores
        self._accounts_known = self._accounts_known or not await stores.tokens.name_accounts()
        if await stores.pending.any_expired():
            async with stores.database.write() as connection:
                for provider, token in await stores.pending.expire(connection):
                    await stores.revocations.add(connection, provider, token)
        for revocation in await stores.revocations.take_due():
            if await self._is_in_use(revocation) or await self._revoke(revocation):
                await stores.revocations.done(revocation)

    async def _is_in_use(self, revocation: Revocation) -> bool:
        """Return whether somebody has connected the same account, or is about to: they would lose access, too."""
        account = (revocation.provider, revocation.account)
        async with self._stores.database.read() as connection:
            tokens, pending = self._stores.tokens, self._stores.pending
            return await tokens.uses(connection, *account) or await pending.uses(connection, *account)

    async def _revoke(self, revocation: Revocation) -> bool:
        """Try to revoke a token at its provider; return whether it is revoked, or this was the last attempt."""
        is_last = revocation.attempts >= self._attempts
        provider = self._providers.get(revocation.provider)
        if provider is None:
            log.warning("cannot revoke a token of %s: no toolkit uses this provider any more", revocation.provider)
            return is_last
        try:
            await provider.revoke(self._stores.revocations.open(revocation))
        except DecryptionError:
            log.error("cannot revoke a token of %s: no key of UNDERSTUDY_SECRET_KEY decrypts it", revocation.provider)  # noqa: TRY400
            return is_last
        except Exception as error:  # noqa: BLE001 - after any error of a provider's library it is retried
            log.warning("%s did not revoke a token: %s", revocation.provider, type(error).__name__)
            return is_last
        log.info("%s revoked a token", revocation.provider)
        return True
