"""The people whose connected accounts are not used until an operator decides."""

from dataclasses import asdict
from datetime import UTC, datetime

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from oauth.identity import Identity
from oauth.store.database import Database
from oauth.store.tables import is_of, oauth_suspensions, oauth_tokens


class SuspensionStore:
    """Suspends all accounts of a person, those that they connect later included. No token is deleted or revoked."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def is_suspended(self, identity: Identity) -> bool:
        """Return whether a person's accounts are suspended."""
        found = select(oauth_suspensions.c.user_id).where(is_of(oauth_suspensions, identity))
        async with self._database.read() as connection:
            return (await connection.execute(found)).first() is not None

    async def add(self, connection: AsyncConnection, identity: Identity) -> list[str]:
        """Suspend a person's accounts, in the caller's transaction.

        Returns:
            The accounts, as `PROVIDER ACCOUNT`; none if the person has none, or they were suspended before.
        """
        mine = select(oauth_tokens.c.provider, oauth_tokens.c.account).where(is_of(oauth_tokens, identity))
        accounts = [f"{row.provider} {row.account or ''}".rstrip() for row in await connection.execute(mine)]
        if not accounts:
            return []
        row = self._database.upsert(oauth_suspensions).values(**asdict(identity), suspended_at=datetime.now(UTC))
        added = await connection.execute(row.on_conflict_do_nothing().returning(oauth_suspensions.c.user_id))
        return accounts if added.first() is not None else []

    async def remove(self, connection: AsyncConnection, identity: Identity) -> bool:
        """End the suspension of a person's accounts, in the caller's transaction; return whether there was one."""
        ended = delete(oauth_suspensions).where(is_of(oauth_suspensions, identity))
        return (await connection.execute(ended.returning(oauth_suspensions.c.user_id))).first() is not None
