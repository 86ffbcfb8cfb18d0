"""The workspaces that installed an app, with their bot tokens."""

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from itsdangerous import BadData, URLSafeTimedSerializer
from sqlalchemy import ColumnElement, and_, delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from oauth.store.authorizations import AUTHORIZATION_LIFETIME
from oauth.store.database import Database
from oauth.store.keyring import DecryptionError, Keyring
from oauth.store.tables import associated, oauth_installations


@dataclass(frozen=True, slots=True)
class Installation:
    """An app's installation in one workspace.

    Args:
        tenant: the workspace, or the organization that installed the app for its workspaces.
        bot_token: authenticates calls of the platform's API.
        bot_user_id: the bot's own user id in the workspace.
        refresh_token: gets the next bot token; `None` if the bot token does not expire.
        expires_at: when the bot token expires; an aware datetime in UTC, or `None` if it does not.
        problem: why the platform issues no bot token any more; `None` if it does.
    """

    channel: str
    tenant: str
    bot_token: str = field(repr=False)
    bot_user_id: str | None
    refresh_token: str | None = field(default=None, repr=False)
    expires_at: datetime | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class StoredInstallation:
    """An installation as it was read from its row. `ciphertext` shows whether the row has changed since."""

    installation: Installation
    ciphertext: bytes = field(repr=False)


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
        await self._save(installation.channel, installation.tenant, _content_of(installation))

    async def save_member(self, channel: str, tenant: str, organization: str) -> None:
        """Note that a workspace uses its organization's installation."""
        await self._save(channel, tenant, {"organization": organization})

    async def load(self, channel: str, tenant: str) -> Installation | None:
        """Return a workspace's installation, or its organization's; `None` if there is none.

        Raises:
            DecryptionError: if no key of UNDERSTUDY_SECRET_KEY decrypts the row.
        """
        found = await self.find(channel, tenant)
        return None if found is None else found.installation

    async def tenants(self, channel: str) -> Sequence[str]:
        """Return the workspaces and organizations with the app, also those that use an organization's token."""
        table = oauth_installations
        with_app = select(table.c.tenant).where(table.c.channel == channel).order_by(table.c.tenant)
        async with self._database.read() as connection:
            return (await connection.execute(with_app)).scalars().all()

    async def find(self, channel: str, tenant: str) -> StoredInstallation | None:
        """Load an installation as `load` does, with what shows later whether its row has changed."""
        async with self._database.read() as connection:
            found = await self._read(connection, channel, tenant)
            if found is not None and "organization" in found[0]:
                tenant = found[0]["organization"]
                found = await self._read(connection, channel, tenant)
        return None if found is None else StoredInstallation(_installation(channel, tenant, found[0]), found[1])

    async def begin_refresh(self, known: StoredInstallation, lease: timedelta) -> bool:
        """Take the lease to refresh a bot token; return whether this process has got it: see `RefreshedRow`."""
        now = datetime.now(UTC)
        until = oauth_installations.c.refreshing_until
        return await self._update(known, {"refreshing_until": now + lease}, or_(until.is_(None), until < now))

    async def give_up_refresh(self, known: StoredInstallation) -> None:
        """Release the lease after a refresh that failed."""
        await self._update(known, {"refreshing_until": None})

    async def replace(self, known: StoredInstallation, renewed: Installation) -> bool:
        """Store an installation anew, unless the row has changed since it was read; return whether it was stored."""
        ciphertext = self._encrypted(renewed.channel, renewed.tenant, _content_of(renewed))
        return await self._update(known, {"ciphertext": ciphertext, "refreshing_until": None})

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
                found = await self._read(connection, channel, tenant)
            except DecryptionError:
                found = {}, b""  # the row is deleted like any other
            tenants = {tenant} if found is None else {tenant, found[0].get("organization", tenant)}
            for each in tenants:
                await connection.execute(delete(oauth_installations).where(_is_of(channel, each)))
        return found is not None

    def _serializer(self, channel: str) -> URLSafeTimedSerializer:
        return URLSafeTimedSerializer(self._keyring.signing_keys(), salt=f"state of an installation: {channel}")

    async def _save(self, channel: str, tenant: str, content: Mapping[str, Any]) -> None:
        ciphertext = self._encrypted(channel, tenant, content)
        values = {"ciphertext": ciphertext, "installed_at": datetime.now(UTC), "refreshing_until": None}
        row = self._database.upsert(oauth_installations).values(channel=channel, tenant=tenant, **values)
        async with self._database.write() as connection:
            await connection.execute(
                row.on_conflict_do_update(index_elements=oauth_installations.primary_key.columns, set_=values)
            )

    async def _update(self, known: StoredInstallation, values: Mapping[str, Any], *conditions: Any) -> bool:
        """Change a row, unless it has changed since it was read; return whether it was changed."""
        same = oauth_installations.c.ciphertext == known.ciphertext
        changed = update(oauth_installations).where(
            _is_of(known.installation.channel, known.installation.tenant), same, *conditions
        )
        async with self._database.write() as connection:
            found = await connection.execute(changed.values(values).returning(oauth_installations.c.tenant))
            return found.first() is not None

    def _encrypted(self, channel: str, tenant: str, content: Mapping[str, Any]) -> bytes:
        key = {"channel": channel, "tenant": tenant}
        return self._keyring.encrypt(json.dumps(content).encode(), *associated(oauth_installations, key))

    async def _read(
        self, connection: AsyncConnection, channel: str, tenant: str
    ) -> tuple[Mapping[str, Any], bytes] | None:
        """Return the content of a workspace's row, decrypted and encrypted; `None` if it has none."""
        row = (await connection.execute(select(oauth_installations).where(_is_of(channel, tenant)))).first()
        if row is None:
            return None
        plaintext = self._keyring.decrypt(row.ciphertext, *associated(oauth_installations, row._asdict()))
        return json.loads(plaintext), row.ciphertext


def _content_of(installation: Installation) -> dict[str, Any]:
    content = asdict(installation)
    del content["channel"], content["tenant"]
    expires_at = installation.expires_at
    return content | {"expires_at": None if expires_at is None else expires_at.isoformat()}


def _installation(channel: str, tenant: str, content: Mapping[str, Any]) -> Installation:
    expires_at = content.get("expires_at")  # an older version stored neither it nor what follows
    return Installation(
        channel,
        tenant,
        content["bot_token"],
        content["bot_user_id"],
        content.get("refresh_token"),
        None if expires_at is None else datetime.fromisoformat(expires_at),
        content.get("problem"),
    )


def _is_of(channel: str, tenant: str) -> ColumnElement[bool]:
    return and_(oauth_installations.c.channel == channel, oauth_installations.c.tenant == tenant)
