import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from itsdangerous import BadData, URLSafeTimedSerializer
from sqlalchemy import ColumnElement, and_, delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from oauth.store.authorizations import AUTHORIZATION_LIFETIME
from oauth.store.database import Database
from oauth.store.keyring import DecryptionError, Keyring
from oauth.store.tables import associated, oauth_installations


@dataclass(frozen=True, slots=True)
class Installation:
    """An app's place in one workspace: what it is called with there.

    Args:
        bot_token: what the platform's API is called with.
        bot_user_id: who the bot is there.
    """

    channel: str
    tenant: str
    bot_token: str = field(repr=False)
    bot_user_id: str | None


class InstallationStore:
    """The bot tokens of the workspaces that installed the app, encrypted, with the row's own keys as associated data.

    A workspace of an organization that installed the app as a whole has that one's token.
    """

    def __init__(self, database: Database, keyring: Keyring) -> None:
        self._database = database
        self._keyring = keyring

    def new_state(self, channel: str) -> str:
        """Return a state for an installation: signed, good for ten minutes, and stored nowhere.

        Anybody may ask for one. It has to be bound to the browser that it was made for, by a cookie.
        """
        return self._serializer(channel).dumps(secrets.token_urlsafe(16))

    def is_state(self, channel: str, state: str) -> bool:
        """Return whether a state is one of `new_state`, and not too old."""
        try:
            self._serializer(channel).loads(state, max_age=int(AUTHORIZATION_LIFETIME.total_seconds()))
        except BadData:
            return False
        return True

    async def save(self, installation: Installation) -> None:
        """Stores an installation, in place of the one that was there."""
        held = {"bot_token": installation.bot_token, "bot_user_id": installation.bot_user_id}
        await self._save(installation.channel, installation.tenant, held)

    async def save_member(self, channel: str, tenant: str, organization: str) -> None:
        """Notes that a workspace has its organization's installation."""
        await self._save(channel, tenant, {"organization": organization})

    async def load(self, channel: str, tenant: str) -> Installation | None:
        """A workspace's installation, or its organization's; `None` if there is none.

        Raises:
            DecryptionError: if no key of UNDERSTUDY_SECRET_KEY opens the row.
        """
        async with self._database.read() as connection:
            held = await self._held(connection, channel, tenant)
            if held is not None and "organization" in held:
                held = await self._held(connection, channel, held["organization"])
        return None if held is None else Installation(channel, tenant, held["bot_token"], held["bot_user_id"])

    async def delete(self, channel: str, tenant: str) -> None:
        """Forget a workspace: its own installation, or that it has its organization's."""
        async with self._database.write() as connection:
            await connection.execute(delete(oauth_installations).where(_is_of(channel, tenant)))

    async def revoke(self, channel: str, tenant: str) -> bool:
        """Delete the installation that a workspace has, which may be its organization's.

        Returns:
            Whether there was one.
        """
        async with self._database.write() as connection:
            try:
                held = await self._held(connection, channel, tenant)
            except DecryptionError:
                held = {}  # it is deleted like any other
            tenants = {tenant} if held is None else {tenant, held.get("organization", tenant)}
            for each in tenants:
                await connection.execute(delete(oauth_installations).where(_is_of(channel, each)))
        return held is not None

    def _serializer(self, channel: str) -> URLSafeTimedSerializer:
        return URLSafeTimedSerializer(self._keyring.signing_keys(), salt=f"state of an installation: {channel}")

    async def _save(self, channel: str, tenant: str, held: Mapping[str, Any]) -> None:
        key = {"channel": channel, "tenant": tenant}
        ciphertext = self._keyring.encrypt(json.dumps(held).encode(), *associated(oauth_installations, key))
        values = {"ciphertext": ciphertext, "installed_at": datetime.now(UTC)}
        row = self._database.upsert(oauth_installations).values(**key, **values)
        async with self._database.write() as connection:
            await connection.execute(
                row.on_conflict_do_update(index_elements=oauth_installations.primary_key.columns, set_=values)
            )

    async def _held(self, connection: AsyncConnection, channel: str, tenant: str) -> dict[str, Any] | None:
        row = (await connection.execute(select(oauth_installations).where(_is_of(channel, tenant)))).first()
        if row is None:
            return None
        held: dict[str, Any] = json.loads(
            self._keyring.decrypt(row.ciphertext, *associated(oauth_installations, row._asdict()))
        )
        return held


def _is_of(channel: str, tenant: str) -> ColumnElement[bool]:
    return and_(oauth_installations.c.channel == channel, oauth_installations.c.tenant == tenant)
