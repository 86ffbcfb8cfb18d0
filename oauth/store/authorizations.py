"""Sign-ins that have begun: the states and PKCE verifiers of authorization requests."""

import secrets
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from itsdangerous import BadData, URLSafeTimedSerializer
from sqlalchemy import Row, and_, delete, insert, select

from oauth.errors import AuthorizationFailedError
from oauth.identity import Identity
from oauth.store.database import Database
from oauth.store.keyring import DecryptionError, Keyring
from oauth.store.tables import associated, oauth_authorizations

AUTHORIZATION_LIFETIME = timedelta(minutes=10)
LINK_TOKEN_BYTES = 16  # 128 bits, which nobody guesses in ten minutes
MOST_OPEN = 20  # open sign-ins of one person at one provider; every link that is shown begins one

EXPIRED = "This sign-in link has expired or was used before. Write to the bot again to get a new one."


@dataclass(frozen=True, slots=True)
class Authorization:
    """One attempt of one person to connect one provider.

    Args:
        name: the person's name as the channel shows it.
        scopes: the scopes that the person is asked for.
        verifier: the PKCE verifier (RFC 7636).
    """

    identity: Identity
    provider: str
    name: str
    scopes: frozenset[str]
    verifier: str = field(repr=False)


class AuthorizationStore:
    """Sign-ins that have begun, each valid for ten minutes, for one person and one provider.

    Each has a token. The short link contains it, and the state of the authorization request contains it with a
    signature (RFC 6749, section 10.12). The database has only its digest, from which nobody can make a link.
    """

    def __init__(self, database: Database, keyring: Keyring) -> None:
        self._database = database
        self._keyring = keyring
        self._serializer = URLSafeTimedSerializer(keyring.signing_keys(), salt="oauth state")

    async def begin(self, identity: Identity, provider: str, name: str, scopes: frozenset[str]) -> str:
        """Store a new authorization, and return its token: 22 letters, digits, `-` and `_`.

        If a person has more than twenty for one provider, the oldest are removed.
        """
        token, verifier = secrets.token_urlsafe(LINK_TOKEN_BYTES), secrets.token_urlsafe(64)
        row = {"id": _digest(token), "provider": provider, **asdict(identity)}
        sealed = self._keyring.encrypt(verifier.encode(), *associated(oauth_authorizations, row))
        now, table = datetime.now(UTC), oauth_authorizations
        of_person = and_(*(table.c[name] == value for name, value in row.items() if name != "id"))
        newest = select(table.c.id).where(of_person).order_by(table.c.expires_at.desc()).limit(MOST_OPEN - 1)
        async with self._database.write() as connection:
            await connection.execute(delete(table).where(table.c.expires_at < now))
            await connection.execute(delete(table).where(of_person, table.c.id.not_in(newest)))
            await connection.execute(
                insert(oauth_authorizations).values(
                    **row,
                    name=name,
                    scopes=" ".join(sorted(scopes)),
                    verifier_ciphertext=sealed,
                    expires_at=now + AUTHORIZATION_LIFETIME,
                )
            )
        return token

    async def find(self, token: str) -> Authorization:
        """Return the authorization of a token, without ending it.

        Raises:
            AuthorizationFailedError: if it has expired or ended, or never existed.
        """
        async with self._database.read() as connection:
            table = oauth_authorizations
            row = (await connection.execute(select(table).where(table.c.id == _digest(token)))).first()
        return self._opened(row)

    def state(self, token: str) -> str:
        """Return the state for the authorization request of a token."""
        return self._serializer.dumps(token)

    async def take(self, state: str, provider: str) -> Authorization:
        """End the authorization that a state belongs to, and return it.

        Raises:
            AuthorizationFailedError: if the state is forged, expired, used before, or of another provider.
        """
        try:
            token = self._serializer.loads(state, max_age=int(AUTHORIZATION_LIFETIME.total_seconds()))
        except BadData:
            raise AuthorizationFailedError(EXPIRED) from None
        table = oauth_authorizations
        async with self._database.write() as connection:
            taken = await connection.execute(
                delete(table).where(table.c.id == _digest(token), table.c.provider == provider).returning(table)
            )
            row = taken.first()
        return self._opened(row)

    def _opened(self, row: Row[Any] | None) -> Authorization:
        if row is None or row.expires_at < datetime.now(UTC):
            raise AuthorizationFailedError(EXPIRED)
        identity = Identity(row.channel, row.tenant, row.user_id)
        try:
            verifier = self._keyring.decrypt(row.verifier_ciphertext, *associated(oauth_authorizations, row._asdict()))
        except DecryptionError:
            raise AuthorizationFailedError(EXPIRED) from None
        scopes = frozenset(row.scopes.split())
        return Authorization(identity, row.provider, row.name, scopes, verifier.decode())


def _digest(token: str) -> str:
    return sha256(token.encode()).hexdigest()
