"""The stores of the consent loop on one database, so that one transaction can write to several."""

from dataclasses import dataclass
from typing import Self

from sqlalchemy.ext.asyncio import AsyncConnection

from oauth.identity import Identity
from oauth.store.authorizations import AuthorizationStore
from oauth.store.database import Database
from oauth.store.keyring import Keyring
from oauth.store.pending import PendingStore
from oauth.store.revocations import RevocationStore
from oauth.store.tokens import TokenStore
from oauth.timings import OAuthTimings


@dataclass(frozen=True, slots=True)
class ConsentStores:
    """The stores that a consent passes through: authorizations, pending tokens, tokens and revocations."""

    database: Database
    authorizations: AuthorizationStore
    pending: PendingStore
    tokens: TokenStore
    revocations: RevocationStore

    @classmethod
    def on(cls, database: Database, keyring: Keyring, timings: OAuthTimings) -> Self:
        """Return the stores on a database."""
        return cls(
            database,
            AuthorizationStore(database, keyring),
            PendingStore(database, keyring, timings.code),
            TokenStore(database, keyring),
            RevocationStore(database, keyring, timings.revocation_retry),
        )

    async def drop_pending(self, connection: AsyncConnection, identity: Identity, provider: str) -> None:
        """Remove a person's token that waits for its code, if there is one, and have it revoked."""
        token = await self.pending.take(connection, identity, provider)
        if token is not None:
            await self.revocations.add(connection, provider, token)
