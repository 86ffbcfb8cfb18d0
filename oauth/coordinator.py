import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from weakref import WeakValueDictionary

from itsdangerous import Signer
from sqlalchemy.ext.asyncio import AsyncConnection

from oauth.authorizations import AuthorizationStore
from oauth.database import Database
from oauth.errors import AuthorizationFailed, ConsentRequired, GrantRevoked
from oauth.identity import Identity
from oauth.keyring import DecryptionError, Keyring
from oauth.provider import OAuthProvider
from oauth.settings import SettingError
from oauth.token import Token
from oauth.tokens import TokenStore

REFRESH_MARGIN = timedelta(minutes=6)  # longer than a turn may take, so that no token expires inside one

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Grant:
    """What a person has just consented to."""

    identity: Identity
    provider: str
    scopes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Granted:
    """A person's credentials, as the provider's client library takes them, and whose account they are of."""

    account: str
    credentials: Any = field(repr=False)


GrantHook = Callable[[AsyncConnection, Grant], Awaitable[Callable[[], None]]]
"""Called inside the transaction that stores a token; what it returns is called when that is committed."""


class OAuthCoordinator:
    """Connects people's accounts: links out, callbacks in, tokens stored, refreshed and handed to turns.

    It keeps nobody's token in memory. One serves a whole process and is shared by every turn.

    Args:
        base_url: the public address that providers send people back to.
        on_grant: what else happens in the transaction that stores a token.
    """

    def __init__(self, database: Database, keyring: Keyring, base_url: str, on_grant: GrantHook) -> None:
        self._database = database
        self._base_url = base_url
        self._on_grant = on_grant
        self._tokens = TokenStore(database, keyring)
        self._authorizations = AuthorizationStore(database, keyring)
        self._signing_keys = keyring.signing_keys()
        self._providers: dict[str, OAuthProvider] = {}
        self._scopes: dict[str, frozenset[str]] = {}
        self._refreshing: WeakValueDictionary[tuple[Identity, str], asyncio.Lock] = WeakValueDictionary()

    def register(self, provider: OAuthProvider, scopes: Iterable[str]) -> None:
        """Adds a provider, or scopes to one: a single consent covers all that were registered."""
        self._providers[provider.name] = provider
        self._scopes[provider.name] = self._scopes.get(provider.name, frozenset()) | frozenset(scopes)

    def label(self, provider: str) -> str:
        return self._providers[provider].label

    async def authorization_url(self, identity: Identity, provider: str) -> str:
        """A sign-in link for one person, good once and for ten minutes. It must reach nobody else."""
        state, verifier = await self._authorizations.begin(identity, provider)
        return self._providers[provider].authorization_url(
            state=state,
            verifier=verifier,
            redirect_uri=self._redirect_uri(provider),
            scopes=self._scopes[provider],
        )

    def ticket(self, identity: Identity, provider: str) -> str:
        """A word that may be seen by all and lets only `identity` ask for a sign-in link.

        Letters, digits, `-` and `_`, at most 64 of them, as a Telegram start parameter takes.
        """
        return f"{provider}-{self._ticket_signer(identity).get_signature(provider).decode()}"

    def redeem(self, ticket: str, identity: Identity) -> str | None:
        """The provider that a ticket is for, or `None` if it was not made for `identity`."""
        provider, _, signature = ticket.partition("-")
        if provider in self._providers and self._ticket_signer(identity).verify_signature(provider, signature):
            return provider
        return None

    async def refuse(self, provider: str, state: str) -> None:
        """Ends an authorization that the person declined.

        Raises:
            AuthorizationFailed: if the state is not good.
        """
        await self._authorizations.take(state, provider)

    async def complete(self, provider: str, state: str, code: str) -> Token:
        """Exchanges the code that came with a callback, stores the token and lets what waits for it go on.

        Raises:
            AuthorizationFailed: with one plain sentence for the person in the browser.
        """
        if provider not in self._providers:
            raise AuthorizationFailed("There is nothing to connect here.")
        authorization = await self._authorizations.take(state, provider)
        token = await self._providers[provider].exchange(
            code=code, verifier=authorization.verifier, redirect_uri=self._redirect_uri(provider)
        )
        if missing := self._scopes[provider] - token.scopes:
            log.info("consent of %s left out %s", authorization.identity, " ".join(sorted(missing)))
            raise AuthorizationFailed(
                "Some of the permissions were not granted, so nothing was connected. "
                "Write to the bot again to get a new link, and leave every permission ticked."
            )
        grant = Grant(authorization.identity, provider, token.scopes)
        async with self._database.write() as connection:
            await self._tokens.save(connection, authorization.identity, provider, token)
            committed = await self._on_grant(connection, grant)
        committed()
        log.info("%s connected %s", authorization.identity, provider)
        return token

    async def credentials(
        self, identity: Identity, provider: str, scopes: Iterable[str], *, renew: bool = False
    ) -> Granted:
        """This person's credentials.

        Args:
            scopes: what the caller needs; a token that covers less counts as none.
            renew: the provider has just rejected the last ones, so ask for new ones whatever their age.

        Raises:
            ConsentRequired: if the person has to sign in (again).
            SettingError: if no such provider is registered.
        """
        if provider not in self._providers:
            raise SettingError(
                f"A tool asks for credentials of {provider!r}, and nobody said what that is: give its toolkit, or "
                f"Agent(auth=…), the provider. There is {', '.join(sorted(self._providers)) or 'none'}."
            )
        token = await self._token(identity, provider, frozenset(scopes), renew=renew)
        return Granted(token.account, self._providers[provider].credentials(token))

    async def is_connected(self, identity: Identity, provider: str, scopes: Iterable[str]) -> bool:
        """Whether there is a token of this person's that covers the scopes."""
        token = await self._load(identity, provider)
        return token is not None and frozenset(scopes) <= token.scopes

    async def _token(self, identity: Identity, provider: str, scopes: frozenset[str], *, renew: bool) -> Token:
        token = await self._load(identity, provider)
        if token is None or not scopes <= token.scopes:
            raise ConsentRequired(provider, scopes)
        if not renew and _is_fresh(token):
            return token
        lock = self._refreshing.setdefault((identity, provider), asyncio.Lock())
        async with lock:
            current = await self._load(identity, provider)
            if current is not None and current != token and _is_fresh(current):
                return current
            return await self._refresh(identity, provider, token)

    async def _refresh(self, identity: Identity, provider: str, token: Token) -> Token:
        try:
            renewed = await self._providers[provider].refresh(token)
        except GrantRevoked:
            log.info("%s no longer grants access for %s", provider, identity)
            async with self._database.write() as connection:
                await self._tokens.delete(connection, identity, provider)
            raise ConsentRequired(provider, self._scopes[provider]) from None
        async with self._database.write() as connection:
            await self._tokens.save(connection, identity, provider, renewed)
        return renewed

    async def _load(self, identity: Identity, provider: str) -> Token | None:
        try:
            return await self._tokens.load(identity, provider)
        except DecryptionError:
            log.error("no key of UNDERSTUDY_SECRET_KEY opens the %s token of %s", provider, identity)  # noqa: TRY400
            return None

    def _redirect_uri(self, provider: str) -> str:
        return f"{self._base_url}/oauth/{provider}/callback"

    def _ticket_signer(self, identity: Identity) -> Signer:
        salt = "\0".join(("sign-in ticket", identity.channel, identity.tenant, identity.user_id))
        return Signer(self._signing_keys, salt=salt)


def _is_fresh(token: Token) -> bool:
    return token.expires_at - REFRESH_MARGIN > datetime.now(UTC)
