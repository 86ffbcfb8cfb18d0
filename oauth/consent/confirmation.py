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
    """Connects an account at once if the chat platform vouches for its address, and otherwise once a code is sent.

    See `PendingStore` for why a code is needed.
    """

    def __init__(self, stores: ConsentStores, providers: ProviderRegistry, hooks: ConsentHooks) -> None:
        self._stores = stores
        self._providers = providers
        self._hooks = hooks

    async def connect_or_ask(self, authorization: Authorization, token: Token) -> str | None:
        """Connect an account to its person, or store its token as pending until they send a code.

        Returns:
            The code that the person has to send; `None` if the account is connected.
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
        """Connect the account whose code a person sent, and resume the turns that wait for it.

        Args:
            text: what the person wrote to the bot, in a place where nobody else reads it.

        Returns:
            The result of checking the code; `None` if the text is not a code, or no code is expected from this person.
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
        """Store a person's token; return the function to call after the commit.

        If the person had connected another account, its token is revoked. If they had connected the same account and
        the provider is incremental, the new token has the scopes of both consents.
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
    """Return whether two e-mail addresses are the same. An address that is not ASCII equals no other.

    Different Unicode letters, like `K` and the Kelvin sign, can have the same lower case: two mailboxes, not one.
    """
    return bool(one) and one.isascii() and other.isascii() and one.lower() == other.lower()
