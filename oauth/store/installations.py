"""The workspaces that installed an app, with their bot tokens."""

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
    """An app's installation in one workspace.

    Args:
        bot_token: authenticates calls of the platform's API.
        bot_user_id: the bot's own user id in the workspace.
    """

    channel: str
    tenant: str
    bot_token: str = field(repr=False)
    bot_user_id: str | None


class InstallationStore:
    """The bot tokens of the workspaces that installed the app, encrypted, with the row's key as associated data.

    A workspace whose organization installed the app as a whole uses the organization's token.
    """

    def __init__(self, database: Database, keyring: Keyring) -> None:
        self._database = database
        self._keyring = keyring

    def new_state(self, channel: str) -> str:
        """Return a state for an installation: signed, valid for ten minutes, and not stored.

        Anybody may ask for a state, so a cookie has to bind it to the browser that it was made for.
        """
        return self._serializer(channel).dumps(secrets.token_urlsafe(16))

    def is_state(self, channel: str, state: str) -> bool:
        """Return whether `new_state` made a state less than ten minutes ago."""
        try:
            self._serializer(channel).loads(state, max_age=int(AUTHORIZATION_LIFETIME.total_seconds()))
        except BadData:
            return False
        return True

    async def save(self, installation: Installation) -> None:
        """Store an installation, in place of an earlier one."""
        content = {"bot_token": installation.bot_token, "bot_user_id": installation.bot_user_id}
        await self._save(installation.channel, installation.tenant, content)

    async def save_member(self, channel: str, tenant: str, organization: str) -> None:
        """Note that a workspace uses its organization's installation."""
        await self._save(channel, tenant, {"organization": organization})

    async def load(self, channel: str, tenant: str) -> Installation | None:
        """Return a workspace's installation, or its organization's; `None` if there is none.

        Raises:
            DecryptionError: if no key of UNDERSTUDY_SECRET_KEY decrypts the row.
        """
        async with self._database.read() as connection:
            found = await self._content(connection, channel, tenant)
            if found is not None and "organization" in found:
                found = await self._content(connection, channel, found["organization"])
        return None if found is None else Installation(channel, tenant, found["bot_token"], found["bot_user_id"])

    async def delete(self, channel: str, tenant: str) -> None:
        """Delete a workspace's own installation, or the note that it uses its organization's."""
        async with self._database.write() as connection:
            await connection.execute(delete(oauth_installations).where(_is_of(channel, tenant)))

    async def revoke(self, channel: str, tenant: str) -> bool:
        """Delete the installation that a workspace uses, even if it is its organization's.

        Returns:
            Whether there was one.
        """
        async with self._database.write() as connection:
            try:
                found = await self._content(connection, channel, tenant)
            except DecryptionError:
                found = {}  # the row is deleted like any other
            tenants = {tenant} if found is None else {tenant, found.get("organization", tenant)}
            for each in tenants:
                await connection.execute(delete(oauth_installations).where(_is_of(channel, each)))
        return found is not None

    def _serializer(self, channel: str) -> URLSafeTimedSerializer:
        return URLSafeTimedSerializer(self._keyring.signing_keys(), salt=f"state of an installation: {channel}")

    async def _save(self, channel: str, tenant: str, content: Mapping[str, Any]) -> None:
        key = {"channel": channel, "tenant": tenant}
        ciphertext = self._keyring.encrypt(json.dumps(content).encode(), *associated(oauth_installations, key))
        values = {"ciphertext": ciphertext, "installed_at": datetime.now(UTC)}
        row = self._database.upsert(oauth_installations).values(**key, **values)
        async with self._database.write() as connection:
            await connection.execute(
                row.on_conflict_do_update(index_elements=oauth_installations.primary_key.columns, set_=values)
            )

    async def _content(self, connection: AsyncConnection, channel: str, tenant: str) -> dict[str, Any] | None:
        """Return the decrypted content of a workspace's row; `None` if it has none."""
        row = (await connection.execute(select(oauth_installations).where(_is_of(channel, tenant)))).first()
        if row is None:
            return None
        plaintext = self._keyring.decrypt(row.ciphertext, *associated(oauth_installations, row._asdict()))
        content: dict[str, Any] = json.loads(plaintext)
        return content


def _is_of(channel: str, tenant: str) -> ColumnElement[bool]:
    return and_(oauth_installations.c.channel == channel, oauth_installations.c.tenant == tenant)
