import logging
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from hmac import compare_digest
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Row, Select, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from oauth.identity import Identity
from oauth.store.database import Database
from oauth.store.keyring import DecryptionError, Keyring
from oauth.store.tables import PendingStatus, associated, is_of, is_row, oauth_pending
from oauth.token import Token

CODE_LIFETIME = timedelta(minutes=10)
TRIES = 5
MOST_AT_ONCE = 100

log = logging.getLogger(__name__)

_CODE = re.compile(r"(\d{4})[ -]?(\d{4})")


def code_in(text: str) -> str | None:
    """The eight digits of a text that is a code and nothing else."""
    found = _CODE.fullmatch(text.strip())
    return found[1] + found[2] if found is not None and found[0].isascii() else None


@dataclass(frozen=True, slots=True)
class CodeEntry:
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


@dataclass(frozen=True, slots=True)
class _Held:
    """What is sealed of a row; the token until it is its person's."""

    code: str = field(repr=False)
    token: Token | None = field(repr=False)


_adapter = TypeAdapter(_Held)


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
        key = {**asdict(identity), "provider": provider}
        values = {
            "account": token.account,
            "status": PendingStatus.WAITING,
            "ciphertext": self._sealed(key, _Held(code, token)),
            "tries_left": TRIES,
            "expires_at": datetime.now(UTC) + CODE_LIFETIME,
        }
        row = self._database.upsert(oauth_pending).values(**key, **values)
        await connection.execute(
            row.on_conflict_do_update(index_elements=oauth_pending.primary_key.columns, set_=values)
        )
        return code

    async def take(self, connection: AsyncConnection, identity: Identity, provider: str) -> Token | None:
        """Removes what is pending of a person's; returns the token, if it waits for its code."""
        taken = delete(oauth_pending).where(is_of(oauth_pending, identity), oauth_pending.c.provider == provider)
        row = (await connection.execute(taken.returning(oauth_pending))).first()
        return None if row is None else self._opened(row).token

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

    async def enter(self, connection: AsyncConnection, identity: Identity, code: str) -> CodeEntry | None:
        """Takes a code; `None` if none is expected of this person."""
        rows = (await connection.execute(_expected(identity).with_for_update())).all()
        for row in rows:
            held = self._opened(row)
            if compare_digest(held.code, code):
                return await self._take_code(connection, row, held)
        waiting = [row for row in rows if row.status == PendingStatus.WAITING]
        if not waiting:
            return None
        dropped = []
        for row in waiting:
            if row.tries_left > 1:
                one_less = update(oauth_pending).where(is_row(oauth_pending, row)).values(tries_left=row.tries_left - 1)
                await connection.execute(one_less)
                continue
            await connection.execute(delete(oauth_pending).where(is_row(oauth_pending, row)))
            if (token := self._opened(row).token) is not None:
                dropped.append((row.provider, token))
        return CodeEntry(tries_left=max(row.tries_left - 1 for row in waiting), dropped=tuple(dropped))

    async def any_expired(self) -> bool:
        async with self._database.read() as connection:
            return (await connection.execute(_expired().limit(1))).first() is not None

    async def expire(self, connection: AsyncConnection) -> list[tuple[str, Token]]:
        """Removes what was not confirmed in time; returns it, by provider."""
        expired = []
        for row in (await connection.execute(_expired().with_for_update(skip_locked=True))).all():
            await connection.execute(delete(oauth_pending).where(is_row(oauth_pending, row)))
            if (token := self._opened(row).token) is not None:
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

    async def _take_code(self, connection: AsyncConnection, row: Row[Any], held: _Held) -> CodeEntry:
        if held.token is not None:
            sealed = self._sealed(row._asdict(), _Held(held.code, None))
            confirmed = update(oauth_pending).where(is_row(oauth_pending, row))
            await connection.execute(confirmed.values(status=PendingStatus.CONFIRMED, ciphertext=sealed))
        return CodeEntry(row.provider, row.account, held.token)

    def _sealed(self, row: Mapping[str, Any], held: _Held) -> bytes:
        return self._keyring.encrypt(_adapter.dump_json(held), *associated(oauth_pending, row))

    def _opened(self, row: Row[Any]) -> _Held:
        """What a row holds: nothing that can be used, if its key is gone."""
        try:
            plaintext = self._keyring.decrypt(row.ciphertext, *associated(oauth_pending, row._asdict()))
        except DecryptionError:
            log.error("no key of UNDERSTUDY_SECRET_KEY opens a %s sign-in that waits for its code", row.provider)  # noqa: TRY400
            return _Held("", None)
        return _adapter.validate_json(plaintext)


def _expected(identity: Identity) -> Select[Any]:
    is_valid = oauth_pending.c.expires_at > datetime.now(UTC)
    return select(oauth_pending).where(is_of(oauth_pending, identity), is_valid)


def _expired() -> Select[Any]:
    return select(oauth_pending).where(oauth_pending.c.expires_at <= datetime.now(UTC)).limit(MOST_AT_ONCE)
