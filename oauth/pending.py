import json
import re
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from hmac import compare_digest
from typing import Any

from sqlalchemy import Row, Select, and_, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from oauth.database import Database
from oauth.identity import Identity
from oauth.keyring import Keyring
from oauth.tables import PendingStatus, associated, is_of, oauth_pending
from oauth.token import Token

CODE_LIFETIME = timedelta(minutes=10)
TRIES = 5
MOST_AT_ONCE = 100

_CODE = re.compile(r"(\d{4})[ -]?(\d{4})")


def code_in(text: str) -> str | None:
    """The eight digits of a text that is a code and nothing else."""
    found = _CODE.fullmatch(text.strip())
    return found[1] + found[2] if found is not None and found[0].isascii() else None


@dataclass(frozen=True, slots=True)
class Entered:
    """What became of a code that a person sent.

    Args:
        provider: of the account that it connects; `None` if the code is wrong.
        token: what is theirs now; `None` also if the code came before.
        tries_left: before nothing is connected.
        dropped: what is to be revoked, after too many wrong codes.
    """

    provider: str | None = None
    account: str = ""
    token: Token | None = field(repr=False, default=None)
    tries_left: int = 0
    dropped: tuple[tuple[str, Token], ...] = field(repr=False, default=())


class PendingStore:
    """Tokens that are nobody's until the person in the chat has sent the code that the browser showed.

    Whoever opens a sign-in link has their account there, also where the link was handed to them. The code brings it to
    a person only if both talk to each other and want that.
    """

    def __init__(self, database: Database, keyring: Keyring) -> None:
        self._database = database
        self._keyring = keyring

    async def add(self, connection: AsyncConnection, identity: Identity, provider: str, token: Token) -> str:
        """Stores a token; returns the code, which is good for ten minutes."""
        code = f"{secrets.randbelow(10**8):08}"
        values = {
            "account": token.account,
            "status": PendingStatus.WAITING,
            "ciphertext": self._sealed(identity, provider, code, token),
            "tries_left": TRIES,
            "expires_at": datetime.now(UTC) + CODE_LIFETIME,
        }
        row = self._database.upsert(oauth_pending).values(**asdict(identity), provider=provider, **values)
        await connection.execute(
            row.on_conflict_do_update(index_elements=oauth_pending.primary_key.columns, set_=values)
        )
        return code

    async def take(self, connection: AsyncConnection, identity: Identity, provider: str) -> Token | None:
        """Removes what is pending of a person's; returns the token, if it waits for its code."""
        taken = delete(oauth_pending).where(is_of(oauth_pending, identity), oauth_pending.c.provider == provider)
        row = (await connection.execute(taken.returning(oauth_pending))).first()
        return None if row is None else self._token(row)

    async def providers(self, identity: Identity) -> Sequence[str]:
        """The names of the providers of what is pending of a person's."""
        mine = select(oauth_pending.c.provider).where(is_of(oauth_pending, identity))
        async with self._database.read() as connection:
            return (await connection.execute(mine)).scalars().all()

    async def waits(self, identity: Identity) -> bool:
        """Whether a person is to send a code."""
        waiting = _expected(identity).where(oauth_pending.c.status == PendingStatus.WAITING)
        async with self._database.read() as connection:
            return (await connection.execute(waiting.limit(1))).first() is not None

    async def enter(self, connection: AsyncConnection, identity: Identity, code: str) -> Entered | None:
        """Takes a code; `None` if none is expected of this person."""
        rows = (await connection.execute(_expected(identity).with_for_update())).all()
        for row in rows:
            if compare_digest(self._opened(row)["code"], code):
                return await self._take_code(connection, identity, row)
        waiting = [row for row in rows if row.status == PendingStatus.WAITING]
        if not waiting:
            return None
        dropped = []
        for row in waiting:
            mine = and_(is_of(oauth_pending, identity), oauth_pending.c.provider == row.provider)
            if row.tries_left > 1:
                await connection.execute(update(oauth_pending).where(mine).values(tries_left=row.tries_left - 1))
            elif (token := self._token(row)) is not None:
                dropped.append((row.provider, token))
                await connection.execute(delete(oauth_pending).where(mine))
        return Entered(tries_left=max(row.tries_left - 1 for row in waiting), dropped=tuple(dropped))

    async def any_expired(self) -> bool:
        async with self._database.read() as connection:
            return (await connection.execute(_expired().limit(1))).first() is not None

    async def expire(self, connection: AsyncConnection) -> list[tuple[str, Token]]:
        """Removes what was not confirmed in time; returns it, by provider."""
        expired = []
        for row in (await connection.execute(_expired().with_for_update(skip_locked=True))).all():
            identity = Identity(row.channel, row.tenant, row.user_id)
            await connection.execute(
                delete(oauth_pending).where(is_of(oauth_pending, identity), oauth_pending.c.provider == row.provider)
            )
            if (token := self._token(row)) is not None:
                expired.append((row.provider, token))
        return expired

    async def uses(self, connection: AsyncConnection, provider: str, account: str) -> bool:
        """Whether somebody is about to connect this account."""
        found = select(oauth_pending.c.provider).where(
            oauth_pending.c.provider == provider,
            oauth_pending.c.account == account,
            oauth_pending.c.status == PendingStatus.WAITING,
        )
        return (await connection.execute(found.limit(1))).first() is not None

    async def _take_code(self, connection: AsyncConnection, identity: Identity, row: Row[Any]) -> Entered:
        opened, token = self._opened(row), self._token(row)
        if token is not None:
            sealed = self._sealed(identity, row.provider, opened["code"], None)
            await connection.execute(
                update(oauth_pending)
                .where(is_of(oauth_pending, identity), oauth_pending.c.provider == row.provider)
                .values(status=PendingStatus.CONFIRMED, ciphertext=sealed)
            )
        return Entered(row.provider, row.account, token)

    def _sealed(self, identity: Identity, provider: str, code: str, token: Token | None) -> bytes:
        held = {"code": code, "token": token.to_json().decode() if token is not None else None}
        bound_to = associated(oauth_pending, asdict(identity) | {"provider": provider})
        return self._keyring.encrypt(json.dumps(held).encode(), *bound_to)

    def _opened(self, row: Row[Any]) -> dict[str, str]:
        bound_to = associated(oauth_pending, row._asdict())
        opened: dict[str, str] = json.loads(self._keyring.decrypt(row.ciphertext, *bound_to))
        return opened

    def _token(self, row: Row[Any]) -> Token | None:
        held = self._opened(row)["token"]
        return Token.from_json(held.encode()) if held is not None else None


def _expected(identity: Identity) -> Select[Any]:
    is_valid = oauth_pending.c.expires_at > datetime.now(UTC)
    return select(oauth_pending).where(is_of(oauth_pending, identity), is_valid)


def _expired() -> Select[Any]:
    return select(oauth_pending).where(oauth_pending.c.expires_at <= datetime.now(UTC)).limit(MOST_AT_ONCE)
