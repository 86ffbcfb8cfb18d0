"""List and disconnect the accounts that a person has connected."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from oauth.consent.providers import ProviderRegistry
from oauth.identity import Identity
from oauth.store.stores import ConsentStores

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Account:
    """An account that a person has connected, as they see it themselves.

    Args:
        provider: the name of the provider: `google`.
        label: the provider's name as people know it: `Google`.
        account: the account's name at the provider: at Google, an e-mail address.
        connected_at: an aware datetime in UTC; `None` if an older version stored the token.
        permissions: what the agent may do, in words that people read.
    """

    provider: str
    label: str
    account: str
    connected_at: datetime | None
    permissions: Sequence[str]


class ConnectedAccounts:
    """Lists and disconnects a person's accounts."""

    def __init__(self, stores: ConsentStores, providers: ProviderRegistry) -> None:
        self._stores = stores
        self._providers = providers

    async def of(self, identity: Identity) -> list[Account]:
        """Return the accounts that a person has connected."""
        accounts = []
        for provider in await self._stores.tokens.providers(identity):
            stored = await self._stores.tokens.load_usable(identity, provider)
            if stored is not None:
                label, permissions = (
                    self._providers.label(provider),
                    self._providers.permissions(provider, stored.token),
                )
                accounts.append(Account(provider, label, stored.token.account, stored.connected_at, permissions))
        return accounts

    async def disconnect(self, identity: Identity, provider: str) -> str | None:
        """Delete a person's token, and have it revoked: see `OAuthCoordinator.disconnect`."""
        async with self._stores.database.write() as connection:
            await self._stores.drop_pending(connection, identity, provider)
            stored = await self._stores.tokens.find_usable(connection, identity, provider)
            await self._stores.tokens.delete(connection, identity, provider)
            if stored is None:
                return None
            await self._stores.revocations.add(connection, provider, stored.token)
        log.info("%s disconnected %s", identity, provider)
        return stored.token.account

    async def disconnect_all(self, identity: Identity) -> int:
        """Disconnect all accounts of a person; return how many there were."""
        connected = await self._stores.tokens.providers(identity)
        pending = await self._stores.pending.providers(identity)
        accounts = [await self.disconnect(identity, name) for name in sorted({*connected, *pending})]
        return len([account for account in accounts if account is not None])
