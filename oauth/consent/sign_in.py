"""Make sign-in links, and handle the callbacks of providers."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from oauth.consent.confirmation import AccountConfirmation
from oauth.consent.hooks import ConsentHooks, ReturnLink
from oauth.consent.providers import ProviderRegistry
from oauth.errors import AuthorizationFailedError, SettingError
from oauth.identity import Identity
from oauth.store.authorizations import Authorization
from oauth.store.stores import ConsentStores
from oauth.store.tables import PendingStatus

UNKNOWN_PROVIDER = "The bot does not connect accounts of this kind. Write to the bot to get a link."
NOTHING_GRANTED = (
    "No permission was granted, so nothing was connected. To try again, write to the bot, open the new link, and leave "
    "the permissions ticked that you agree to."
)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Consent:
    """The result of a callback, for the page that the person in the browser reads.

    Args:
        label: the provider's name as people know it.
        account: the account that the person signed in with.
        name: the name of the person in the chat, as the channel shows it.
        identity: the person in the chat.
        permissions: what the agent may do, in words.
        code: the code to send in the chat, which proves that the person in the chat is the one in the browser; `None`
            if the account is connected.
        way_back: the link back to the chat, if there is one.
    """

    label: str
    account: str
    name: str
    identity: Identity
    permissions: Sequence[str]
    code: str | None = field(repr=False)
    way_back: ReturnLink | None = None


class SignInFlow:
    """Makes sign-in links, and turns the callback of a provider into a connected account."""

    def __init__(
        self,
        stores: ConsentStores,
        providers: ProviderRegistry,
        confirmation: AccountConfirmation,
        hooks: ConsentHooks,
    ) -> None:
        self._stores = stores
        self._providers = providers
        self._confirmation = confirmation
        self._hooks = hooks

    async def link(self, identity: Identity, provider: str, name: str) -> str:
        """Return a short sign-in link for one person, valid once and for ten minutes. It must reach nobody else.

        It leads to the provider's page, which asks for all registered scopes or, if the provider is incremental, only
        for those that are not granted yet.

        Args:
            name: the person's name as the channel shows it.

        Raises:
            SettingError: if the provider is not registered.
        """
        known = self._providers.get(provider)
        if known is None:
            raise SettingError(f"No toolkit needs an account at {provider!r}: give a toolkit this provider first.")
        scopes = self._providers.scopes(provider)
        if known.incremental:
            stored = await self._stores.tokens.load_usable(identity, provider)
            granted = stored.token.scopes if stored is not None else frozenset()
            scopes = (scopes - granted) or scopes
        return self._providers.sign_in_address(
            await self._stores.authorizations.begin(identity, provider, name, scopes)
        )

    async def authorization_url(self, token: str) -> str:
        """Return the address of the provider's page to which a sign-in link leads.

        A link may be opened any number of times before the sign-in ends: chat platforms fetch links to preview them.

        Args:
            token: the token in the sign-in link.

        Raises:
            AuthorizationFailedError: if the link has expired or was used.
        """
        authorization = await self._stores.authorizations.find(token)
        known = self._providers.get(authorization.provider)
        if known is None:
            raise AuthorizationFailedError(UNKNOWN_PROVIDER)
        return known.authorization_url(
            state=self._stores.authorizations.state(token),
            verifier=authorization.verifier,
            redirect_uri=self._providers.redirect_uri(authorization.provider),
            scopes=authorization.scopes,
        )

    async def complete(self, provider: str, state: str, code: str) -> Consent:
        """Exchange the code of a callback for a token, and connect the account or ask its person for a code.

        Raises:
            AuthorizationFailedError: with one plain sentence for the person in the browser.
        """
        known = self._providers.get(provider)
        if known is None:
            raise AuthorizationFailedError(UNKNOWN_PROVIDER)
        authorization = await self._stores.authorizations.take(state, provider)
        token = await known.exchange(
            code=code, verifier=authorization.verifier, redirect_uri=self._providers.redirect_uri(provider)
        )
        if authorization.scopes and not authorization.scopes & token.scopes:
            log.info("%s granted none of the permissions that %s was asked for", authorization.identity, provider)
            async with self._stores.database.write() as connection:
                await self._stores.revocations.add(connection, provider, token)
            await self._deny(authorization)
            raise AuthorizationFailedError(NOTHING_GRANTED)
        token = replace(token, declined=authorization.scopes - token.scopes)
        confirmation = await self._confirmation.connect_or_ask(authorization, token)
        return Consent(
            label=known.label,
            account=token.account,
            name=authorization.name,
            identity=authorization.identity,
            permissions=self._providers.permissions(provider, token),
            code=confirmation,
            way_back=await self._hooks.return_link(authorization.identity, confirmation),
        )

    async def renew(self, provider: str, consent: Consent) -> Consent | None:
        """Return a consent in its current state; `None` if its code is no longer valid."""
        if consent.code is None:
            return consent
        match await self._stores.pending.status(consent.identity, provider, consent.code):
            case PendingStatus.WAITING:
                return consent
            case PendingStatus.CONFIRMED:
                return replace(consent, code=None, way_back=await self._hooks.return_link(consent.identity, None))
        return None

    async def refuse(self, provider: str, state: str) -> ReturnLink | None:
        """End an authorization that the person declined, and return the way back to the chat, if there is one.

        Raises:
            AuthorizationFailedError: if the state is not valid.
        """
        if self._providers.get(provider) is None:
            raise AuthorizationFailedError(UNKNOWN_PROVIDER)
        authorization = await self._stores.authorizations.take(state, provider)
        await self._deny(authorization)
        return await self._hooks.return_link(authorization.identity, None)

    async def _deny(self, authorization: Authorization) -> None:
        log.info("%s did not connect %s", authorization.identity, authorization.provider)
        await self._hooks.on_denial(authorization.identity, authorization.provider)
