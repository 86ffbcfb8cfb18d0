"""`understudy accounts …`, `person …` and `keys rotate`, on an operator's terminal."""

import json
from collections.abc import Mapping
from datetime import datetime

from gateway.cli.terminal import print_json, print_table, stored
from gateway.operations.personal_data import PersonalData
from gateway.settings import GatewaySettings
from gateway.storage.database import Database
from oauth import Identity, Keyring, OAuthCoordinator, SettingError
from oauth.store.rotation import rotate_keys
from oauth.store.tokens import AccountRecord, list_accounts


async def print_accounts(wanted: Mapping[str, str | None], *, as_json: bool) -> None:
    """Prints what people have connected, one account a line."""
    async with stored() as database, database.read() as connection:
        found = await list_accounts(connection, **wanted)
    if as_json:
        print_json(found)
    else:
        print_table([_row(each) for each in found], "No account is connected that fits.")


async def revoke(identity: Identity, provider: str) -> str:
    """Disconnects an account for a person; returns what to tell the operator."""
    async with stored() as database:
        account = await _coordinator(database).disconnect(identity, provider)
    if account is None:
        raise SettingError(f"{identity} has no {provider} account connected: see `understudy accounts list`.")
    return f"{account} is disconnected. A gateway or a worker that runs revokes it at {provider} by itself."


async def print_person(identity: Identity) -> None:
    """Prints all that is stored about a person, as one JSON object."""
    async with stored() as database:
        found = await PersonalData(database, _coordinator(database)).export(identity)
    print(json.dumps(found, indent=2, ensure_ascii=False, default=datetime.isoformat))  # noqa: T201


async def erase(identity: Identity) -> str:
    """Removes all that is stored about a person; returns what to tell the operator."""
    async with stored() as database:
        removed = await PersonalData(database, _coordinator(database)).erase(identity)
    counts = ", ".join(f"{count} {what}" for what, count in removed.items() if count)
    return f"Erased of {identity}: {counts or 'nothing, as nothing was stored'}."


async def rotate() -> str:
    """Encrypts all under the first key; returns what to tell the operator.

    Raises:
        SettingError: if something stays that no key opens.
    """
    async with stored() as database:
        rotated, unreadable = await rotate_keys(database, _keyring())
    if unreadable:
        raise SettingError(
            f"{sum(rotated.values())} rows were encrypted anew, and {unreadable} are left that no key of "
            "UNDERSTUDY_SECRET_KEY opens: add the key that they were encrypted with, and run it again."
        )
    return f"{sum(rotated.values())} rows were encrypted anew. UNDERSTUDY_SECRET_KEY needs its first key alone now."


def _coordinator(database: Database) -> OAuthCoordinator:
    return OAuthCoordinator(database, _keyring(), base_url="")


def _keyring() -> Keyring:
    key = GatewaySettings().secret_key
    if key is None:
        raise SettingError("UNDERSTUDY_SECRET_KEY is not set: it is what the gateway runs with.")
    return Keyring.parse(key.get_secret_value())


def _row(found: AccountRecord) -> dict[str, str]:
    return {
        "person": f"{found.channel} {found.tenant} {found.user_id}",
        "provider": found.provider,
        "account": found.account or "-",
        "connected (UTC)": f"{found.connected_at:%Y-%m-%d %H:%M}" if found.connected_at is not None else "-",
        "refreshed (UTC)": f"{found.updated_at:%Y-%m-%d %H:%M}",
    }
