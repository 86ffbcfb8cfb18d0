"""Sign-ins that have begun: the states and PKCE verifiers of authorization requests."""

import secrets
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

from itsdangerous import BadData, URLSafeTimedSerializer
from sqlalchemy import and_, delete, insert, select

from oauth.errors import AuthorizationFailedError
from oauth.identity import Identity
from oauth.store.database import Database
from oauth.store.keyring import DecryptionError, Keyring
from oauth.store.tables import associated, oauth_authorizations

AUTHORIZATION_LIFETIME = timedelta(minutes=10)
MOST_OPEN = 20  # sign-ins of one person at one provider: each link that is shown begins one

EXPIRED = "This sign-in link has expired or was used before. Write to the bot again to get a new one."


@dataclass(frozen=True, slots=True)
class Authorization:
    """One attempt of one person to connect one provider.

    Args:
        name: what the channel shows for the person.
        scopes: what the person is asked for.
        verifier: the PKCE verifier (RFC 7636).
    """

    identity: Identity
    provider: str
    name: str
    scopes: frozenset[str]
    verifier: str


class AuthorizationStore:
    """States: signed, single-use, bound to one person, good for ten minutes (RFC 6749, section 10.12)."""

    def __init__(self, database: Database, keyring: Keyring) -> None:
        self._database = database
        self._keyring = keyring
        self._serializer = URLSafeTimedSerializer(keyring.signing_keys(), salt="oauth state")

    async def begin(self, identity: Identity, provider: str, name: str, scopes: frozenset[str]) -> tuple[str, str]:
        """Return the state for an authorization request, and the PKCE verifier that is stored with it.

        The oldest states are removed, where a person has more than twenty for one provider.
        """
        key, verifier = secrets.token_urlsafe(24), secrets.token_urlsafe(64)
        row = {"id": key, "provider": provider, **asdict(identity)}
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
        return self._serializer.dumps(key), verifier

    async def take(self, state: str, provider: str) -> Authorization:
        """End the authorization that a state stands for, and return it.

        Raises:
            AuthorizationFailedError: if the state is forged, expired, used before, or of another provider.
        """
        try:
            key = self._serializer.loads(state, max_age=int(AUTHORIZATION_LIFETIME.total_seconds()))
        except BadData:
            raise AuthorizationFailedError(EXPIRED) from None
        table = oauth_authorizations
        async with self._database.write() as connection:
            taken = await connection.execute(
                delete(table).where(table.c.id == key, table.c.provider == provider).returning(table)
            )
            row = taken.first()
        if row is None or row.expires_at < datetime.now(UTC):
            raise AuthorizationFailedError(EXPIRED)
        identity = Identity(row.channel, row.tenant, row.user_id)
        try:
            verifier = self._keyring.decrypt(row.verifier_ciphertext, *associated(table, row._asdict()))
        except DecryptionError:
            raise AuthorizationFailedError(EXPIRED) from None
        scopes = frozenset(row.scopes.split())
        return Authorization(identity, provider, row.name, scopes, verifier.decode())
