from datetime import UTC, datetime

from sqlalchemy import and_, delete, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.elements import ColumnElement

from oauth.database import Database
from oauth.identity import Identity
from oauth.keyring import Keyring
from oauth.tables import oauth_tokens
from oauth.token import Token


class TokenStore:
    """Each person's tokens, encrypted, with the row's own keys as associated data."""

    def __init__(self, database: Database, keyring: Keyring) -> None:
        self._database = database
        self._keyring = keyring

    async def load(self, identity: Identity, provider: str) -> Token | None:
        """This person's token for a provider, or `None` if they have not connected it.

        Raises:
            DecryptionError: if no key of UNDERSTUDY_SECRET_KEY opens the row.
        """
        async with self._database.read() as connection:
            row = (await connection.execute(select(oauth_tokens.c.ciphertext).where(_row(identity, provider)))).first()
        if row is None:
            return None
        return Token.from_json(self._keyring.decrypt(row.ciphertext, *_associated(identity, provider)))

    async def save(self, connection: AsyncConnection, identity: Identity, provider: str, token: Token) -> None:
        """Stores a token in the caller's transaction, in place of the one that was there."""
        values = {
            "ciphertext": self._keyring.encrypt(token.to_json(), *_associated(identity, provider)),
            "updated_at": datetime.now(UTC),
        }
        row = self._database.upsert(oauth_tokens).values(
            channel=identity.channel, tenant=identity.tenant, user_id=identity.user_id, provider=provider, **values
        )
        await connection.execute(
            row.on_conflict_do_update(index_elements=oauth_tokens.primary_key.columns, set_=values)
        )

    async def delete(self, connection: AsyncConnection, identity: Identity, provider: str) -> None:
        await connection.execute(delete(oauth_tokens).where(_row(identity, provider)))


def _row(identity: Identity, provider: str) -> ColumnElement[bool]:
    columns = oauth_tokens.c
    return and_(
        columns.channel == identity.channel,
        columns.tenant == identity.tenant,
        columns.user_id == identity.user_id,
        columns.provider == provider,
    )


def _associated(identity: Identity, provider: str) -> tuple[str, ...]:
    return (oauth_tokens.name, identity.channel, identity.tenant, identity.user_id, provider)
