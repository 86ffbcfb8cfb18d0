"""The tokens of all people, encrypted."""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Row, and_, delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.elements import ColumnElement

from oauth.identity import Identity
from oauth.store.database import Database
from oauth.store.keyring import DecryptionError, Keyring
from oauth.store.tables import associated, is_of, is_row, oauth_suspensions, oauth_tokens
from oauth.token import Token

MOST_AT_ONCE = 100  # rows that one call of `name_accounts` fills in

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StoredToken:
    """A token as it was read from its row. `ciphertext` shows whether the row has changed since."""

    provider: str
    token: Token
    connected_at: datetime | None
    ciphertext: bytes = field(repr=False)


class TokenStore:
    """Each person's tokens, encrypted, with the row's key as associated data."""

    def __init__(self, database: Database, keyring: Keyring) -> None:
        self._database = database
        self._keyring = keyring

    async def load(self, identity: Identity, provider: str) -> StoredToken | None:
        """Return a person's token for a provider; `None` if they have not connected it.

        Raises:
            DecryptionError: if no key of UNDERSTUDY_SECRET_KEY decrypts the row.
        """
        async with self._database.read() as connection:
            return await self.find(connection, identity, provider)

    async def find(self, connection: AsyncConnection, identity: Identity, provider: str) -> StoredToken | None:
        """Load a token in the caller's transaction: see `load`."""
        row = (await connection.execute(select(oauth_tokens).where(_row(identity, provider)))).first()
        return None if row is None else self._opened(row)

    async def load_usable(self, identity: Identity, provider: str) -> StoredToken | None:
        """Load a token as `load` does. If no key decrypts it, log that as an error and return `None`."""
        async with self._database.read() as connection:
            return await self.find_usable(connection, identity, provider)

    async def find_usable(self, connection: AsyncConnection, identity: Identity, provider: str) -> StoredToken | None:
        """Load a token in the caller's transaction: see `load_usable`."""
        try:
            return await self.find(connection, identity, provider)
        except DecryptionError:
            log.error(  # noqa: TRY400
                "no key of UNDERSTUDY_SECRET_KEY decrypts the %s token of %s: add the key that it was encrypted with",
                provider,
                identity,
            )
            return None

    async def providers(self, identity: Identity) -> Sequence[str]:
        """Return the names of the providers that a person has connected."""
        mine = select(oauth_tokens.c.provider).where(is_of(oauth_tokens, identity)).order_by(oauth_tokens.c.provider)
        async with self._database.read() as connection:
            return (await connection.execute(mine)).scalars().all()

    async def save(self, connection: AsyncConnection, identity: Identity, provider: str, token: Token) -> None:
        """Store a token in the caller's transaction, in place of an earlier one."""
        now = datetime.now(UTC)
        values = self._values(identity, provider, token) | {"connected_at": now, "updated_at": now}
        row = self._database.upsert(oauth_tokens).values(**asdict(identity), provider=provider, **values)
        await connection.execute(
            row.on_conflict_do_update(index_elements=oauth_tokens.primary_key.columns, set_=values)
        )

    async def begin_refresh(self, identity: Identity, known: StoredToken, lease: timedelta) -> bool:
        """Take the lease to refresh a token; return whether this process has got it.

        It gets no lease while another process has it, or if the row has changed since it was read.
        """
        now = datetime.now(UTC)
        is_free = or_(oauth_tokens.c.refreshing_until.is_(None), oauth_tokens.c.refreshing_until < now)
        begun = update(oauth_tokens).where(_is(identity, known), is_free).values(refreshing_until=now + lease)
        async with self._database.write() as connection:
            return (await connection.execute(begun.returning(oauth_tokens.c.provider))).first() is not None

    async def give_up_refresh(self, identity: Identity, known: StoredToken) -> None:
        """Release the lease after a refresh that failed."""
        async with self._database.write() as connection:
            await connection.execute(update(oauth_tokens).where(_is(identity, known)).values(refreshing_until=None))

    async def replace(self, identity: Identity, known: StoredToken, renewed: Token) -> bool:
        """Store a refreshed token, unless the row has changed since it was read; return whether it was stored."""
        values = self._values(identity, known.provider, renewed) | {"updated_at": datetime.now(UTC)}
        replaced = update(oauth_tokens).where(_is(identity, known)).values(values).returning(oauth_tokens.c.provider)
        async with self._database.write() as connection:
            return (await connection.execute(replaced)).first() is not None

    async def forget(self, identity: Identity, known: StoredToken) -> None:
        """Delete a token, unless the row has changed since it was read."""
        async with self._database.write() as connection:
            await connection.execute(delete(oauth_tokens).where(_is(identity, known)))

    async def delete(self, connection: AsyncConnection, identity: Identity, provider: str) -> None:
        """Delete a person's token, in the caller's transaction."""
        await connection.execute(delete(oauth_tokens).where(_row(identity, provider)))

    async def uses(self, connection: AsyncConnection, provider: str, account: str) -> bool:
        """Return whether somebody has, or may have, connected this account: see `name_accounts`."""
        same = or_(oauth_tokens.c.account == account, oauth_tokens.c.account.is_(None))
        found = select(oauth_tokens.c.provider).where(oauth_tokens.c.provider == provider, same).limit(1)
        return (await connection.execute(found)).first() is not None

    async def name_accounts(self) -> int:
        """Fill in the accounts of tokens that an older version stored, 100 at most; return how many there were."""
        nameless = select(oauth_tokens).where(oauth_tokens.c.account.is_(None)).limit(MOST_AT_ONCE)
        async with self._database.read() as connection:
            rows = (await connection.execute(nameless)).all()
        for row in rows:
            try:
                account = self._opened(row).token.account
            except DecryptionError:
                account = ""  # unknown: no key decrypts the token
            same = is_row(oauth_tokens, row)
            async with self._database.write() as connection:
                await connection.execute(update(oauth_tokens).where(same).values(account=account))
        return len(rows)

    def _values(self, identity: Identity, provider: str, token: Token) -> dict[str, object]:
        bound_to = associated(oauth_tokens, asdict(identity) | {"provider": provider})
        ciphertext = self._keyring.encrypt(token.to_json(), *bound_to)
        return {"ciphertext": ciphertext, "account": token.account, "refreshing_until": None}

    def _opened(self, row: Row[Any]) -> StoredToken:
        plaintext = self._keyring.decrypt(row.ciphertext, *associated(oauth_tokens, row._asdict()))
        return StoredToken(row.provider, Token.from_json(plaintext), row.connected_at, row.ciphertext)


def _row(identity: Identity, provider: str) -> ColumnElement[bool]:
    return and_(is_of(oauth_tokens, identity), oauth_tokens.c.provider == provider)


def _is(identity: Identity, known: StoredToken) -> ColumnElement[bool]:
    return and_(_row(identity, known.provider), oauth_tokens.c.ciphertext == known.ciphertext)


@dataclass(frozen=True, slots=True)
class AccountRecord:
    """An account that somebody has connected, as an operator sees it."""

    channel: str
    tenant: str
    user_id: str
    provider: str
    account: str | None
    connected_at: datetime | None
    updated_at: datetime
    suspended_at: datetime | None = None


async def list_accounts(connection: AsyncConnection, **wanted: str | None) -> list[AccountRecord]:
    """Return the accounts that people have connected.

    Args:
        wanted: values of `channel`, `tenant`, `user_id`, `provider` or `account`. `None` matches any value.
    """
    names = [column.name for column in fields(AccountRecord)][:-1]
    columns = [*(oauth_tokens.c[name] for name in names), oauth_suspensions.c.suspended_at]
    same_person = and_(*(oauth_tokens.c[key.name] == key for key in oauth_suspensions.primary_key))
    conditions = [oauth_tokens.c[name] == value for name, value in wanted.items() if value is not None]
    with_suspensions = oauth_tokens.outerjoin(oauth_suspensions, same_person)
    found = await connection.execute(
        select(*columns).select_from(with_suspensions).where(*conditions).order_by(*oauth_tokens.primary_key)
    )
    return [AccountRecord(*row) for row in found]
