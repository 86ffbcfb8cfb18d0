"""Look at the database: whether it can be opened, its schema, connections, workers, key, disk and mode."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import func, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from gateway.app.gateway import Gateway
from gateway.channels.diagnosis import Finding, ok, problem, warning
from gateway.channels.interface import BotProfile, Interface
from gateway.operations.status import ALIVE_FOR
from gateway.private_files import warning_if_open
from gateway.settings import GatewaySettings
from gateway.storage.connect import connect
from gateway.storage.database import Database
from gateway.storage.tables import processes
from oauth import Keyring, SettingError
from oauth.store.installations import InstallationStore
from oauth.store.rotation import check_keys

MEGABYTE = 2**20  # bytes
FEWEST_PROCESSES = 2  # one that serves, and a worker
_ALLOWED_CONNECTIONS = text(
    "SELECT current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer"
)
LITTLE_ROOM, NO_ROOM = 1000 * MEGABYTE, 100 * MEGABYTE

Channels = Sequence[tuple[Interface, BotProfile]]


async def check_storage(
    settings: GatewaySettings, gateway: Gateway | None, channels: Channels
) -> AsyncIterator[Finding]:
    """Open the database, without creating or upgrading it, and look at what is in it.

    Args:
        gateway: the gateway; `None` if there is none, or it could not be built.
        channels: the channels, whose installations are tried.
    """
    try:
        database = gateway.parts.backend.database if gateway is not None else connect(settings.database_url)
    except SettingError:
        return  # it is one of the settings' errors
    if not database.shared:
        path = Path(str(make_url(settings.database_url).database))
        for finding in await asyncio.to_thread(lambda: list(_look_at_file(path))):
            yield finding
        if not await asyncio.to_thread(path.is_file):
            return
    try:
        await database.open_alongside()
    except SettingError as error:
        yield (problem if database.shared else warning)("database", str(error))
        return
    except (SQLAlchemyError, OSError) as error:
        yield problem("database", f"The database cannot be read ({error}): restore it, or name another one.")
        return
    try:
        yield ok("database", "It can be opened, and its tables are up to date.")
        if database.shared:
            yield await _look_at_connections(database)
        if gateway is not None and database.shared:
            yield await _count_workers(gateway)
        if settings.secret_key is not None:
            async for finding in _look_at_tokens(database, settings.secret_key.get_secret_value(), channels):
                yield finding
    finally:
        await database.close()


async def _look_at_connections(database: Database) -> Finding:
    from gateway.storage.postgres import MOST_CONNECTIONS

    alive = select(func.count()).where(processes.c.seen_at > datetime.now(UTC) - ALIVE_FOR)
    async with database.read() as connection:
        allowed = int((await connection.execute(_ALLOWED_CONNECTIONS)).scalar_one())
        running = int((await connection.execute(alive)).scalar_one())
    room, needed = allowed // MOST_CONNECTIONS, max(running, FEWEST_PROCESSES)
    if room >= needed:
        return ok("connections", f"PostgreSQL allows {allowed}, which is enough for {room} processes.")
    return warning(
        "connections",
        f"PostgreSQL allows {allowed}, and each process opens up to {MOST_CONNECTIONS} under load. That is enough for "
        f"{room} of {needed} processes, so that messages may wait: raise max_connections.",
    )


async def _count_workers(gateway: Gateway) -> Finding:
    if workers := await gateway.parts.backend.dispatcher.count_workers():
        return ok("workers", f"Alive: {workers}.")
    return warning("workers", "None is alive, so that messages wait: start one with `understudy worker FILE`.")


async def _look_at_tokens(database: Database, key: str, channels: Channels) -> AsyncIterator[Finding]:
    try:
        keyring = Keyring.parse(key)
    except SettingError:
        return  # it is one of the settings' errors
    try:
        await check_keys(database, keyring)
    except SettingError as error:
        yield problem("secret key", str(error))
        return
    yield ok("secret key", "It opens what is stored.")
    for interface, profile in channels:
        async for finding in interface.diagnose_installations(profile, InstallationStore(database, keyring)):
            yield finding


def _look_at_file(path: Path) -> Iterator[Finding]:
    """Look at a SQLite file and its folder."""
    folder = path.resolve().parent
    if not folder.is_dir():
        yield problem("database", f"The folder {folder} does not exist: create it, or correct UNDERSTUDY_DATABASE_URL.")
        return
    if not os.access(folder, os.W_OK) or (path.exists() and not os.access(path, os.W_OK)):
        yield problem("database", f"This user cannot write {path} or its folder: change their owner or their mode.")
    elif not path.exists():
        yield ok("database", f"{path} does not exist yet: the first start creates it.")
    elif sentence := warning_if_open(path):
        yield warning("database", sentence)
    free = shutil.disk_usage(folder).free
    if free >= LITTLE_ROOM:
        yield ok("disk", f"{free // MEGABYTE} MB are free.")
    else:
        mark = problem if free < NO_ROOM else warning
        yield mark("disk", f"Only {free // MEGABYTE} MB are free at {folder}: make room.")
