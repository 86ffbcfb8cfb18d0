"""The one object through which the gateway uses the consent loop."""

from collections.abc import Iterable

from oauth.consent.accounts import Account, ConnectedAccounts
from oauth.consent.confirmation import AccountConfirmation
from oauth.consent.cookies import ConsentCookies
from oauth.consent.credentials import AccountCredentials, CredentialLoader
from oauth.consent.hooks import ConsentHooks, ReturnLink
from oauth.consent.providers import ProviderRegistry
from oauth.consent.renewal import TokenRenewal
from oauth.consent.revoking import TokenRevoker
from oauth.consent.sign_in import Consent, SignInFlow
from oauth.consent.tickets import SignInTickets
from oauth.identity import Identity
from oauth.provider import OAuthProvider
from oauth.store.database import Database
from oauth.store.keyring import Keyring
from oauth.store.pending import CodeEntry
from oauth.store.stores import ConsentStores
from oauth.store.suspensions import SuspensionStore
from oauth.timings import DEFAULT_OAUTH_TIMINGS, OAuthTimings

NO_HOOKS = ConsentHooks()


class OAuthCoordinator:
    """Connects people's accounts, keeps their tokens and hands them to their turns.

    One coordinator serves a whole process and is shared by every turn. It keeps no tokens in memory.

    Args:
        base_url: the address of the gateway, to which providers send people back; `None` until `serve_at` sets it.
        hooks: what the gateway does when a person consents or declines.
    """

    def __init__(
        self,
        database: Database,
        keyring: Keyring,
        base_url: str | None,
        hooks: ConsentHooks = NO_HOOKS,
        timings: OAuthTimings = DEFAULT_OAUTH_TIMINGS,
    ) -> None:
        stores = ConsentStores.on(database, keyring, timings)
        self._providers = ProviderRegistry(base_url)
        self._tickets = SignInTickets(keyring, self._providers)
        self._confirmation = AccountConfirmation(stores, self._providers, hooks)
        self._sign_in = SignInFlow(stores, self._providers, self._confirmation, hooks)
        renewal = TokenRenewal(stores.tokens, timings)
        self._credentials = CredentialLoader(stores.tokens, SuspensionStore(database), self._providers, renewal)
        self._accounts = ConnectedAccounts(stores, self._providers)
        self._revoker = TokenRevoker(stores, self._providers, timings.revocation_attempts)
        self.cookies = ConsentCookies(keyring, timings.code)

    def register(self, provider: OAuthProvider, scopes: Iterable[str]) -> None:
        """Register a provider, or more scopes of one. A single consent covers all registered scopes of a provider."""
        self._providers.register(provider, scopes)

    @property
    def base_url(self) -> str:
        """The address of the gateway, in sign-in links.

        Raises:
            SettingError: if it is not known.
        """
        return self._providers.base_url

    def serve_at(self, base_url: str) -> None:
        """Set the address of the gateway. Call it before the first sign-in link is made."""
        self._providers.base_url = base_url

    @property
    def providers(self) -> list[str]:
        """The names of the providers that are registered, sorted."""
        return self._providers.names()

    def label(self, provider: str) -> str:
        """Return what people call a provider."""
        return self._providers.label(provider)

    def redirect_uri(self, provider: str) -> str:
        """Return the address to which a provider sends people back."""
        return self._providers.redirect_uri(provider)

    async def sign_in_link(self, identity: Identity, provider: str, name: str) -> str:
        """Return a short sign-in link for one person, valid once and for ten minutes. It must reach nobody else.

        Args:
            name: the person's name as the channel shows it.

        Raises:
            SettingError: if the provider is not registered.
        """
        return await self._sign_in.link(identity, provider, name)

    async def authorization_url(self, token: str) -> str:
        """Return the address of the provider's page to which the sign-in link with this token leads.

        Raises:
            AuthorizationFailedError: if the link has expired or was used.
        """
        return await self._sign_in.authorization_url(token)

    def ticket(self, identity: Identity, provider: str) -> str:
        """Return a ticket that anybody may see, but that only `identity` can exchange for a sign-in link.

        It has at most 64 characters: letters, digits, `-` and `_`.
        """
        return self._tickets.issue(identity, provider)

    def redeem(self, ticket: str, identity: Identity) -> str | None:
        """Return the provider that a ticket is for; `None` if the ticket was not issued for `identity`."""
        return self._tickets.redeem(ticket, identity)

    async def complete(self, provider: str, state: str, code: str) -> Consent:
        """Exchange the code of a callback for a token.

        If the chat platform vouches for the account's address, the account is connected, and the turns that wait for
        it resume. Otherwise the token stays pending until the person sends a code in the chat: see `confirm`.

        Raises:
            AuthorizationFailedError: with one plain sentence for the person in the browser.
        """
        return await self._sign_in.complete(provider, state, code)

    async def recall(self, provider: str, state: str, cookie: str) -> Consent | None:
        """Return the consent of an earlier callback, for a browser that reloads the page.

        Args:
            cookie: what `cookies.seal` returned for the callback.

        Returns:
            The consent in its current state; `None` if the cookie is not valid, or the code has expired or was
            replaced.
        """
        consent = self.cookies.open(provider, state, cookie)
        return None if consent is None else await self._sign_in.renew(provider, consent)

    async def refuse(self, provider: str, state: str) -> ReturnLink | None:
        """End an authorization that the person declined, and return the way back to the chat, if there is one.

        Raises:
            AuthorizationFailedError: if the state is not valid.
        """
        return await self._sign_in.refuse(provider, state)

    async def awaits_code(self, identity: Identity) -> bool:
        """Return whether a person has to send a code."""
        return await self._confirmation.awaits_code(identity)

    async def confirm(self, identity: Identity, text: str) -> CodeEntry | None:
        """Connect the account whose code a person sent to the bot privately, and resume the turns that wait for it.

        Returns:
            The result of checking the code; `None` if the text is not a code, or no code is expected from this person.
        """
        return await self._confirmation.confirm(identity, text)

    async def credentials(
        self, identity: Identity, provider: str, scopes: Iterable[str], *, renew: bool = False
    ) -> AccountCredentials:
        """Return a person's credentials.

        Args:
            scopes: the scopes that the caller needs. A token that covers only some of them is not used.
            renew: refresh the token even if it has not expired, because the provider has just rejected it.

        Raises:
            ConsentRequiredError: if the person has to sign in (again).
            CredentialsRefusedError: if the person's accounts are suspended.
            PermissionDeclinedError: if the person was asked for one of the scopes and did not grant it.
            SettingError: if the provider is not registered.
            TimeoutError: if nobody refreshed the token in time (`OAuthTimings.refresh_wait`).
        """
        return await self._credentials.load(identity, provider, scopes, renew=renew)

    async def is_connected(self, identity: Identity, provider: str, scopes: Iterable[str]) -> bool:
        """Return whether a person has a token that covers the scopes."""
        return await self._credentials.covers(identity, provider, scopes)

    async def accounts(self, identity: Identity) -> list[Account]:
        """Return the accounts that a person has connected."""
        return await self._accounts.of(identity)

    async def disconnect(self, identity: Identity, provider: str) -> str | None:
        """Delete a person's token. It is revoked soon after, unless somebody else has connected the same account.

        Returns:
            The account's name; `None` if no account was connected.
        """
        return await self._accounts.disconnect(identity, provider)

    async def disconnect_all(self, identity: Identity) -> int:
        """Disconnect all accounts of a person; return how many there were."""
        return await self._accounts.disconnect_all(identity)

    async def clean_up(self) -> None:
        """Drop sign-ins that were not confirmed in time, and revoke tokens that nobody uses any more."""
        await self._revoker.run()
