"""Tokens that wait for a code, which proves that the person in the browser is the person in the chat."""

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

TRIES = 5  # to send the right code
MOST_AT_ONCE = 100  # rows that one transaction removes

log = logging.getLogger(__name__)

_CODE = re.compile(r"(?:confirm +)?(\d{4})[ -]?(\d{4})", re.IGNORECASE)


def code_in(text: str) -> str | None:
    """Return the eight digits of a text that is only a code, or a `confirmation`; `None` for any other text."""
    found = _CODE.fullmatch(text.strip())
    return found[1] + found[2] if found is not None and found[0].isascii() else None


def confirmation(code: str) -> str:
    """Return a message that sends a code, and that cannot be mistaken for anything else."""
    return f"Confirm {code[:4]} {code[4:]}"


@dataclass(frozen=True, slots=True)
class CodeEntry:
    """The result of checking a code that a person sent.

    Args:
        provider: the provider of the account that the code connects; `None` if the code is wrong.
        account: the name of that account.
        token: the account's token; `None` if the code is wrong, or was sent before.
        tries_left: how many more codes the person may send, if this one was wrong.
        dropped: the providers and tokens that are to be revoked, after too many wrong codes.
    """

    provider: str | None = None
    account: str = ""
    token: Token | None = field(repr=False, default=None)
    tries_left: int = 0
    dropped: tuple[tuple[str, Token], ...] = field(repr=False, default=())


@dataclass(frozen=True, slots=True)
class _Secrets:
    """The encrypted part of a row. The token is `None` once the person has sent the code."""

    code: str = field(repr=False)
    token: Token | None = field(repr=False)


_adapter = TypeAdapter(_Secrets)


class PendingStore:
    """Tokens that belong to nobody until the person in the chat has sent the code that the browser showed.

    A sign-in link may be forwarded, and another person may sign in with their own account. The person in the chat does
    not get this account, unless its owner tells them the code.

    Args:
        code_lifetime: seconds for which a code is valid.
    """

    def __init__(self, database: Database, keyring: Keyring, code_lifetime: float) -> None:
        self._database = database
        self._keyring = keyring
        self._code_lifetime = timedelta(seconds=code_lifetime)

    async def add(self, connection: AsyncConnection, identity: Identity, provider: str, token: Token) -> str:
        """Store a token, in place of an earlier one of the same provider; return the code that confirms it."""
        code = f"{secrets.randbelow(10**8):08}"
        key = {**asdict(identity), "provider": provider}
        values = {
            "account": token.account,
            "status": PendingStatus.WAITING,
            "ciphertext": self._sealed(key, _Secrets(code, token)),
            "tries_left": TRIES,
            "expires_at": datetime.now(UTC) + self._code_lifetime,
        }
        row = self._database.upsert(oauth_pending).values(**key, **values)
        await connection.execute(
            row.on_conflict_do_update(index_elements=oauth_pending.primary_key.columns, set_=values)
        )
        return code

    async def take(self, connection: AsyncConnection, identity: Identity, provider: str) -> Token | None:
        """Remove a person's pending sign-in; return its token, if it still waits for the code."""
        taken = delete(oauth_pending).where(is_of(oauth_pending, identity), oauth_pending.c.provider == provider)
        row = (await connection.execute(taken.returning(oauth_pending))).first()
        return None if row is None else self._opened(row).token

    async def providers(self, identity: Identity) -> Sequence[str]:
        """Return the names of the providers for which a person has a pending sign-in."""
        mine = select(oauth_pending.c.provider).where(is_of(oauth_pending, identity))
        async with self._database.read() as connection:
            return (await connection.execute(mine)).scalars().all()

    async def waits(self, identity: Identity) -> bool:
        """Return whether a person has to send a code."""
        waiting = _expected(identity).where(oauth_pending.c.status == PendingStatus.WAITING)
        async with self._database.read() as connection:
            return (await connection.execute(waiting.limit(1))).first() is not None

    async def status(self, identity: Identity, provider: str, code: str) -> PendingStatus | None:
        """Return the status of a code; `None` if it is no longer valid."""
        expected = _expected(identity).where(oauth_pending.c.provider == provider)
        async with self._database.read() as connection:
            row = (await connection.execute(expected)).first()
        is_current = row is not None and compare_digest(self._opened(row).code, code)
        return PendingStatus(row.status) if row is not None and is_current else None

    async def enter(self, connection: AsyncConnection, identity: Identity, code: str) -> CodeEntry | None:
        """Check a code that a person sent, and count a wrong one; `None` if no code is expected from this person."""
        rows = (await connection.execute(_expected(identity).with_for_update())).all()
        for row in rows:
            opened = self._opened(row)
            if compare_digest(opened.code, code):
                return await self._confirm(connection, row, opened)
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
        """Return whether `expire` has anything to do."""
        async with self._database.read() as connection:
            return (await connection.execute(_expired().limit(1))).first() is not None

    async def expire(self, connection: AsyncConnection) -> list[tuple[str, Token]]:
        """Remove sign-ins that were not confirmed in time, 100 at most; return their providers and tokens."""
        expired = []
        for row in (await connection.execute(_expired().with_for_update(skip_locked=True))).all():
            await connection.execute(delete(oauth_pending).where(is_row(oauth_pending, row)))
            if (token := self._opened(row).token) is not None:
                expired.append((row.provider, token))
        return expired

    async def uses(self, connection: AsyncConnection, provider: str, account: str) -> bool:
        """Return whether somebody is about to connect this account."""
        found = select(oauth_pending.c.provider).where(
            oauth_pending.c.provider == provider,
            oauth_pending.c.account == account,
            oauth_pending.c.status == PendingStatus.WAITING,
        )
        return (await connection.execute(found.limit(1))).first() is not None

    async def _confirm(self, connection: AsyncConnection, row: Row[Any], opened: _Secrets) -> CodeEntry:
        if opened.token is not None:
            sealed = self._sealed(row._asdict(), _Secrets(opened.code, None))
            confirmed = update(oauth_pending).where(is_row(oauth_pending, row))
            await connection.execute(confirmed.values(status=PendingStatus.CONFIRMED, ciphertext=sealed))
        return CodeEntry(row.provider, row.account, opened.token)

    def _sealed(self, row: Mapping[str, Any], content: _Secrets) -> bytes:
        return self._keyring.encrypt(_adapter.dump_json(content), *associated(oauth_pending, row))

    def _opened(self, row: Row[Any]) -> _Secrets:
        """Return the secrets of a row; if no key decrypts them, no token and an empty code, which no code equals."""
        try:
            plaintext = self._keyring.decrypt(row.ciphertext, *associated(oauth_pending, row._asdict()))
        except DecryptionError:
            log.error("no key of UNDERSTUDY_SECRET_KEY decrypts a %s sign-in that waits for its code", row.provider)  # noqa: TRY400
            return _Secrets("", None)
        return _adapter.validate_json(plaintext)


def _expected(identity: Identity) -> Select[Any]:
    is_valid = oauth_pending.c.expires_at > datetime.now(UTC)
    return select(oauth_pending).where(is_of(oauth_pending, identity), is_valid)


def _expired() -> Select[Any]:
    return select(oauth_pending).where(oauth_pending.c.expires_at <= datetime.now(UTC)).limit(MOST_AT_ONCE)
