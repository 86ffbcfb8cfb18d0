"""Tokens that nobody uses any more and that their provider has yet to revoke."""

import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from oauth.store.database import Database
from oauth.store.keyring import Keyring
from oauth.store.tables import associated, oauth_revocations
from oauth.token import Token

MOST_AT_ONCE = 20  # revocations that one process takes


@dataclass(frozen=True, slots=True)
class Revocation:
    """A token that is to be revoked. `attempts` includes the current attempt."""

    id: str
    provider: str
    account: str
    attempts: int
    ciphertext: bytes = field(repr=False)


class RevocationStore:
    """Tokens to revoke, each kept until its provider has revoked it: a provider may be away for a while.

    Args:
        retry_after: seconds between two attempts at one revocation.
    """

    def __init__(self, database: Database, keyring: Keyring, retry_after: float) -> None:
        self._database = database
        self._keyring = keyring
        self._retry_after = timedelta(seconds=retry_after)

    async def add(self, connection: AsyncConnection, provider: str, token: Token) -> None:
        """Add a token, in the transaction that takes it from its person."""
        row = {"id": secrets.token_urlsafe(16), "provider": provider, "account": token.account}
        ciphertext = self._keyring.encrypt(token.to_json(), *associated(oauth_revocations, row))
        await connection.execute(
            insert(oauth_revocations).values(**row, ciphertext=ciphertext, attempts=0, due_at=datetime.now(UTC))
        )

    async def take_due(self) -> list[Revocation]:
        """Take revocations that are due, each for one process. One that does not become `done` is due again later."""
        now = datetime.now(UTC)
        due = select(oauth_revocations.c.id).where(oauth_revocations.c.due_at <= now).limit(MOST_AT_ONCE)
        async with self._database.read() as connection:
            if (await connection.execute(due.limit(1))).first() is None:
                return []
        taken = (
            update(oauth_revocations)
            .where(oauth_revocations.c.id.in_(due.with_for_update(skip_locked=True)))
            .values(due_at=now + self._retry_after, attempts=oauth_revocations.c.attempts + 1)
            .returning(oauth_revocations)
        )
        async with self._database.write() as connection:
            rows = (await connection.execute(taken)).all()
        return [Revocation(row.id, row.provider, row.account, row.attempts, row.ciphertext) for row in rows]

    def open(self, revocation: Revocation) -> Token:
        """Return the token of a revocation.

        Raises:
            DecryptionError: if no key of UNDERSTUDY_SECRET_KEY decrypts it.
        """
        bound_to = associated(oauth_revocations, {"id": revocation.id, "provider": revocation.provider})
        return Token.from_json(self._keyring.decrypt(revocation.ciphertext, *bound_to))

    async def done(self, revocation: Revocation) -> None:
        """Remove a revocation that succeeded, is no longer wanted, or was given up."""
        async with self._database.write() as connection:
            await connection.execute(delete(oauth_revocations).where(oauth_revocations.c.id == revocation.id))
