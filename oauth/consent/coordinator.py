import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from itsdangerous import Signer
from sqlalchemy.ext.asyncio import AsyncConnection

from oauth.consent.cookies import Consent, ConsentCookies
from oauth.consent.renewal import TokenRenewal, is_fresh
from oauth.errors import AuthorizationFailedError, ConsentRequiredError, GrantRevokedError, PermissionDeclinedError
from oauth.identity import Identity
from oauth.provider import OAuthProvider
from oauth.settings import SettingError
from oauth.store.authorizations import Authorization, AuthorizationStore
from oauth.store.database import Database
from oauth.store.keyring import DecryptionError, Keyring
from oauth.store.pending import CodeEntry, PendingStore, code_in
from oauth.store.revocations import MOST_ATTEMPTS, Revocation, RevocationStore
from oauth.store.tokens import StoredToken, TokenStore
from oauth.token import Token

NO_PROVIDER = "There is nothing to connect here."

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Grant:
    """What a person has just consented to, or declined: `scopes` need not be asked for again."""

    identity: Identity
    provider: str
    scopes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Granted:
    """A person's credentials, as the provider's client library takes them, and whose account they are of."""

    account: str
    credentials: Any = field(repr=False)


@dataclass(frozen=True, slots=True)
class Account:
    """An account that a person has connected."""

    provider: str
    label: str
    account: str
    connected_at: datetime | None
    permissions: Sequence[str]


GrantHook = Callable[[AsyncConnection, Grant], Awaitable[Callable[[], None]]]
"""Called inside the transaction that stores a token; what it returns is called when that is committed."""

DenialHook = Callable[[Identity, str], Awaitable[None]]
"""Called with a person and a provider when the person has declined to connect it."""

Voucher = Callable[[Identity], Awaitable[str | None]]
"""Tells the e-mail address that a person's platform vouches for, if it does."""


class OAuthCoordinator:
    """Connects people's accounts: links out, callbacks in, tokens stored, refreshed and handed to turns.

    It keeps nobody's token in memory. One serves a whole process and is shared by every turn.

    Args:
        base_url: the public address that providers send people back to.
        on_grant: what else happens in the transaction that stores a token.
        vouch: by whose word a person needs to send no code; everybody does, unless given.
        on_denial: what happens when somebody declines.
    """

    def __init__(
        self,
        database: Database,
        keyring: Keyring,
        base_url: str,
        on_grant: GrantHook,
        vouch: Voucher | None = None,
        on_denial: DenialHook | None = None,
    ) -> None:
        self._database = database
        self._base_url = base_url
        self._on_grant = on_grant
        self._vouch = vouch
        self._on_denial = on_denial
        self.cookies = ConsentCookies(keyring)
        self._tokens = TokenStore(database, keyring)
        self._renewal = TokenRenewal(self._tokens)
        self._pending = PendingStore(database, keyring)
        self._revocations = RevocationStore(database, keyring)
        self._authorizations = AuthorizationStore(database, keyring)
        self._signing_keys = keyring.signing_keys()
        self._providers: dict[str, OAuthProvider] = {}
        self._scopes: dict[str, frozenset[str]] = {}
        self._named = False  # whether every token has its account beside it

    def register(self, provider: OAuthProvider, scopes: Iterable[str]) -> None:
        """Adds a provider, or scopes to one: a single consent covers all that were registered."""
        self._providers[provider.name] = provider
        self._scopes[provider.name] = self._scopes.get(provider.name, frozenset()) | frozenset(scopes)

    def label(self, provider: str) -> str:
        """What people call a provider."""
        known = self._providers.get(provider)
        return known.label if known is not None else provider

    async def authorization_url(self, identity: Identity, provider: str, name: str) -> str:
        """A sign-in link for one person, good once and for ten minutes. It must reach nobody else.

        It asks for what the person has not granted yet, where the provider adds that to what they have.

        Args:
            name: what the channel shows for them.

        Raises:
            SettingError: if no such provider is registered.
        """
        if provider not in self._scopes:
            raise SettingError(f"No toolkit needs an account of {provider!r}.")
        scopes = self._scopes[provider]
        if self._is_incremental(provider):
            stored = await self._load(identity, provider)
            granted = stored.token.scopes if stored is not None else frozenset()
            scopes = (scopes - granted) or scopes
        state, verifier = await self._authorizations.begin(identity, provider, name, scopes)
        return self._providers[provider].authorization_url(
            state=state, verifier=verifier, redirect_uri=self.redirect_uri(provider), scopes=scopes
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
            AuthorizationFailedError: if the state is not good.
        """
        if provider not in self._providers:
            raise AuthorizationFailedError(NO_PROVIDER)
        await self._deny(await self._authorizations.take(state, provider))

    async def complete(self, provider: str, state: str, code: str) -> Consent:
        """Exchanges the code that came with a callback for a token.

        Where the person's platform vouches for the account's address the token is stored as theirs, and what waits for
        it goes on. Else it is nobody's until they have sent a code in the chat: see `confirm`.

        Raises:
            AuthorizationFailedError: with one plain sentence for the person in the browser.
        """
        if provider not in self._providers:
            raise AuthorizationFailedError(NO_PROVIDER)
        authorization = await self._authorizations.take(state, provider)
        token = await self._providers[provider].exchange(
            code=code, verifier=authorization.verifier, redirect_uri=self.redirect_uri(provider)
        )
        identity, granted = authorization.identity, authorization.scopes & token.scopes
        if authorization.scopes and not granted:
            log.info("%s granted nothing of what %s was asked for", identity, provider)
            async with self._database.write() as connection:
                await self._revocations.add(connection, provider, token)
            await self._deny(authorization)
            raise AuthorizationFailedError(
                "No permission was granted, so nothing was connected. "
                "Write to the bot again to get a new link, and leave the permissions ticked that you agree with."
            )
        token = replace(token, declined=authorization.scopes - token.scopes)
        confirmation = None if await self._is_vouched_for(identity, token) else await self._ask(authorization, token)
        if confirmation is None:
            async with self._database.write() as connection:
                earlier = await self._pending.take(connection, identity, provider)
                if earlier is not None:
                    await self._revocations.add(connection, provider, earlier)
                committed = await self._connect(connection, identity, provider, token)
            committed()
        return Consent(
            self.label(provider),
            token.account,
            authorization.name,
            identity,
            self._permissions(provider, token),
            confirmation,
        )

    async def awaits_code(self, identity: Identity) -> bool:
        """Whether a person is to send a code."""
        return await self._pending.waits(identity)

    async def confirm(self, identity: Identity, text: str) -> CodeEntry | None:
        """Takes a code that a person sent to the bot directly: their account is connected, what waits for it goes on.

        Returns:
            What became of it; `None` if the text is no code, or none is expected of this person.
        """
        code = code_in(text)
        if code is None:
            return None
        async with self._database.write() as connection:
            entered = await self._pending.enter(connection, identity, code)
            if entered is None:
                return None
            for provider, dropped in entered.dropped:
                await self._revocations.add(connection, provider, dropped)
            if entered.provider is None or entered.token is None:
                return entered
            committed = await self._connect(connection, identity, entered.provider, entered.token)
        committed()
        return entered

    async def credentials(
        self, identity: Identity, provider: str, scopes: Iterable[str], *, renew: bool = False
    ) -> Granted:
        """This person's credentials.

        Args:
            scopes: what the caller needs; a token that covers less counts as none.
            renew: the provider has just rejected the last ones, so ask for new ones whatever their age.

        Raises:
            ConsentRequiredError: if the person has to sign in (again).
            PermissionDeclinedError: if they were asked for one of the scopes and did not grant it.
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
        stored = await self._load(identity, provider)
        return stored is not None and frozenset(scopes) <= stored.token.scopes

    async def accounts(self, identity: Identity) -> list[Account]:
        """What a person has connected."""
        accounts = []
        for provider in await self._tokens.providers(identity):
            stored = await self._load(identity, provider)
            if stored is not None:
                permissions = self._permissions(provider, stored.token)
                accounts.append(
                    Account(provider, self.label(provider), stored.token.account, stored.connected_at, permissions)
                )
        return accounts

    async def disconnect(self, identity: Identity, provider: str) -> str | None:
        """Deletes a person's token, which is revoked soon if nobody else has the account connected.

        Returns:
            The account; `None` if none was connected.
        """
        async with self._database.write() as connection:
            pending = await self._pending.take(connection, identity, provider)
            if pending is not None:
                await self._revocations.add(connection, provider, pending)
            stored = await self._find(connection, identity, provider)
            await self._tokens.delete(connection, identity, provider)
            if stored is None:
                return None
            await self._revocations.add(connection, provider, stored.token)
        log.info("%s disconnected %s", identity, provider)
        return stored.token.account

    async def disconnect_all(self, identity: Identity) -> int:
        """As `disconnect`, all that a person has connected; returns how many accounts that were."""
        providers = {*await self._tokens.providers(identity), *await self._pending.providers(identity)}
        return len([name for name in sorted(providers) if await self.disconnect(identity, name) is not None])

    async def clean_up(self) -> None:
        """Drops what was not confirmed in time, and tells providers what is not wanted any more."""
        self._named = self._named or not await self._tokens.name_accounts()
        if await self._pending.any_expired():
            async with self._database.write() as connection:
                for provider, token in await self._pending.expire(connection):
                    await self._revocations.add(connection, provider, token)
        for revocation in await self._revocations.take_due():
            async with self._database.read() as connection:
                account = (revocation.provider, revocation.account)
                in_use = await self._tokens.uses(connection, *account) or await self._pending.uses(connection, *account)
            if not in_use and not await self._revoke(revocation):
                continue
            await self._revocations.done(revocation)

    async def _ask(self, authorization: Authorization, token: Token) -> str:
        """Keeps a token apart; returns the code that makes it its person's."""
        identity, provider = authorization.identity, authorization.provider
        async with self._database.write() as connection:
            earlier = await self._pending.take(connection, identity, provider)
            if earlier is not None:
                await self._revocations.add(connection, provider, earlier)
            return await self._pending.add(connection, identity, provider, token)

    async def _connect(
        self, connection: AsyncConnection, identity: Identity, provider: str, token: Token
    ) -> Callable[[], None]:
        earlier = await self._find(connection, identity, provider)
        if earlier is not None and earlier.token.account != token.account:
            await self._revocations.add(connection, provider, earlier.token)
        elif earlier is not None and self._is_incremental(provider):
            scopes = token.scopes | earlier.token.scopes
            token = replace(token, scopes=scopes, declined=(token.declined | earlier.token.declined) - scopes)
        await self._tokens.save(connection, identity, provider, token)
        committed = await self._on_grant(connection, Grant(identity, provider, token.scopes | token.declined))
        log.info("%s connected %s", identity, provider)
        return committed

    async def _deny(self, authorization: Authorization) -> None:
        log.info("%s did not connect %s", authorization.identity, authorization.provider)
        if self._on_denial is not None:
            await self._on_denial(authorization.identity, authorization.provider)

    def _is_incremental(self, provider: str) -> bool:
        return provider in self._providers and self._providers[provider].incremental

    async def _is_vouched_for(self, identity: Identity, token: Token) -> bool:
        if self._vouch is None or token.email is None:
            return False
        vouched = await self._vouch(identity)
        return _is_same_address(vouched or "", token.email)

    async def _token(self, identity: Identity, provider: str, scopes: frozenset[str], *, renew: bool) -> Token:
        stored = await self._load(identity, provider)
        if stored is None:
            raise ConsentRequiredError(provider, scopes)
        missing = scopes - stored.token.scopes
        if missing & stored.token.declined:
            raise PermissionDeclinedError(self._declined(provider, missing & stored.token.declined))
        if missing:
            raise ConsentRequiredError(provider, scopes)
        if not renew and is_fresh(stored.token):
            return stored.token
        try:
            return await self._renewal.renew(identity, self._providers[provider], stored.token)
        except GrantRevokedError:
            raise ConsentRequiredError(provider, self._scopes[provider]) from None

    def _declined(self, provider: str, scopes: Iterable[str]) -> str:
        named = " and ".join(self._providers[provider].permission(scope) for scope in sorted(scopes))
        return (
            f"The person connected {self.label(provider)} without this permission: {named}. "
            f"To give it, they send /disconnect {provider} and ask again."
        )

    def _permissions(self, provider: str, token: Token) -> list[str]:
        known = self._providers.get(provider)
        wanted = token.scopes & self._scopes.get(provider, token.scopes)
        return [known.permission(scope) if known is not None else scope for scope in sorted(wanted)]

    async def _revoke(self, revocation: Revocation) -> bool:
        """Revokes a token at its provider; returns whether that is over."""
        given_up = revocation.attempts >= MOST_ATTEMPTS
        provider = self._providers.get(revocation.provider)
        if provider is None:
            log.warning("nothing here can revoke a token of %s", revocation.provider)
            return given_up
        try:
            await provider.revoke(self._revocations.open(revocation))
        except DecryptionError:
            log.error("no key of UNDERSTUDY_SECRET_KEY opens a token that is to be revoked")  # noqa: TRY400
            return given_up
        except Exception as error:  # noqa: BLE001 - whatever a provider's library raises: it is tried again
            log.warning("%s did not revoke a token: %s", revocation.provider, type(error).__name__)
            return given_up
        log.info("a token of %s was revoked", revocation.provider)
        return True

    async def _load(self, identity: Identity, provider: str) -> StoredToken | None:
        async with self._database.read() as connection:
            return await self._find(connection, identity, provider)

    async def _find(self, connection: AsyncConnection, identity: Identity, provider: str) -> StoredToken | None:
        try:
            return await self._tokens.find(connection, identity, provider)
        except DecryptionError:
            log.error("no key of UNDERSTUDY_SECRET_KEY opens the %s token of %s", provider, identity)  # noqa: TRY400
            return None

    def redirect_uri(self, provider: str) -> str:
        """Return the address that a provider sends people back to."""
        return f"{self._base_url}/oauth/{provider}/callback"

    def _ticket_signer(self, identity: Identity) -> Signer:
        salt = "\0".join(("sign-in ticket", identity.channel, identity.tenant, identity.user_id))
        return Signer(self._signing_keys, salt=salt)


def _is_same_address(one: str, other: str) -> bool:
    """Return whether two e-mail addresses are the same one. Those with other letters than ASCII's count as different.

    Unicode has several letters for one lower-case letter, like the Kelvin sign for `k`: two mailboxes, not one.
    """
    return bool(one) and one.isascii() and other.isascii() and one.lower() == other.lower()
