"""Connect an account once the person in the browser is known to be the person in the chat."""

import logging
from collections.abc import Callable
from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncConnection

from oauth.consent.hooks import ConsentHooks, Grant
from oauth.consent.providers import ProviderRegistry
from oauth.identity import Identity
from oauth.store.authorizations import Authorization
from oauth.store.pending import CodeEntry, code_in
from oauth.store.stores import ConsentStores
from oauth.token import Token

log = logging.getLogger(__name__)


class AccountConfirmation:
    """Connects an account at once where the person's platform vouches for its address, and else by a code.

    See `PendingStore` for why a code is needed.
    """

    def __init__(self, stores: ConsentStores, providers: ProviderRegistry, hooks: ConsentHooks) -> None:
        self._stores = stores
        self._providers = providers
        self._hooks = hooks

    async def connect_or_ask(self, authorization: Authorization, token: Token) -> str | None:
        """Connect an account to its person, or keep its token apart until they have sent a code.

        Returns:
            The code that they have to send; `None` if the account is connected.
        """
        identity, provider = authorization.identity, authorization.provider
        if not await self._is_vouched_for(identity, token):
            async with self._stores.database.write() as connection:
                await self._stores.drop_pending(connection, identity, provider)
                return await self._stores.pending.add(connection, identity, provider, token)
        async with self._stores.database.write() as connection:
            await self._stores.drop_pending(connection, identity, provider)
            after_commit = await self._connect(connection, identity, provider, token)
        after_commit()
        return None

    async def awaits_code(self, identity: Identity) -> bool:
        """Return whether a person has to send a code."""
        return await self._stores.pending.waits(identity)

    async def confirm(self, identity: Identity, text: str) -> CodeEntry | None:
        """Connect the account whose code a person sent, and resume what waits for it.

        Args:
            text: what the person wrote to the bot where nobody else reads it.

        Returns:
            What came of it; `None` if the text is no code, or no code is expected of this person.
        """
        code = code_in(text)
        if code is None:
            return None
        async with self._stores.database.write() as connection:
            entry = await self._stores.pending.enter(connection, identity, code)
            if entry is None:
                return None
            for provider, dropped in entry.dropped:
                await self._stores.revocations.add(connection, provider, dropped)
            if entry.provider is None or entry.token is None:
                return entry
            after_commit = await self._connect(connection, identity, entry.provider, entry.token)
        after_commit()
        return entry

    async def _connect(
        self, connection: AsyncConnection, identity: Identity, provider: str, token: Token
    ) -> Callable[[], None]:
        """Store a token as its person's; return what to call after the commit.

        A token of another account is revoked. One of the same account is added to, where the provider does so.
        """
        stores = self._stores
        earlier = await stores.tokens.find_usable(connection, identity, provider)
        if earlier is not None and earlier.token.account != token.account:
            await stores.revocations.add(connection, provider, earlier.token)
        elif earlier is not None and self._providers.is_incremental(provider):
            scopes = token.scopes | earlier.token.scopes
            token = replace(token, scopes=scopes, declined=(token.declined | earlier.token.declined) - scopes)
        await stores.tokens.save(connection, identity, provider, token)
        grant = Grant(identity, provider, token.scopes | token.declined)
        after_commit = await self._hooks.on_grant(connection, grant)
        log.info("%s connected %s", identity, provider)
        return after_commit

    async def _is_vouched_for(self, identity: Identity, token: Token) -> bool:
        if self._hooks.vouch is None or token.email is None:
            return False
        return _is_same_address(await self._hooks.vouch(identity) or "", token.email)


def _is_same_address(one: str, other: str) -> bool:
    """Return whether two e-mail addresses are the same. An address with other letters than ASCII's equals none.

    Unicode has several letters for one lower-case letter, like the Kelvin sign for `k`: two mailboxes, not one.
    """
    return bool(one) and one.isascii() and other.isascii() and one.lower() == other.lower()
