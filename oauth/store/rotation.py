"""Change the key that encrypts the stored secrets, while the gateway runs."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Row, Table, func, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from oauth.errors import SettingError
from oauth.store.database import Database
from oauth.store.keyring import DecryptionError, Keyring
from oauth.store.tables import SEALED, associated, is_row, oauth_installations, oauth_tokens

BATCH = 100  # rows that one transaction encrypts


async def check_keys(database: Database, keyring: Keyring) -> None:
    """Check that the keys decrypt at least one of the tokens in the database, if it has any.

    Raises:
        SettingError: if they decrypt none.
    """
    found = 0
    for table in (oauth_tokens, oauth_installations):
        last: Sequence[Any] | None = None
        while True:
            async with database.read() as connection:
                rows = await _batch(connection, table, last)
            for row in rows:
                found += 1
                try:
                    values = row._asdict()
                    keyring.decrypt(values[SEALED[table][0]], *associated(table, values))
                except DecryptionError:
                    continue
                return
            if not rows:
                break
            last = [rows[-1]._asdict()[column.name] for column in table.primary_key]
    if found:
        raise SettingError(
            f"UNDERSTUDY_SECRET_KEY decrypts none of the {found} tokens in the database: it is not the key that they "
            "were encrypted with. Set that key, or both, separated by a comma, the new one first. If it is lost, "
            "delete all rows of oauth_tokens and oauth_installations: people have to connect their accounts again."
        )


def _ignore(total: int, more: int) -> None:
    return


async def rotate_keys(
    database: Database, keyring: Keyring, report: Callable[[int, int], None] = _ignore
) -> tuple[Mapping[str, int], int]:
    """Encrypt all stored secrets anew with the first key of the ring. An interrupted rotation can be run again.

    Args:
        report: is called with the number of all rows, and the number of rows that were done since the last call.

    Returns:
        The number of rows of each table that were encrypted anew, and the number of rows that no key decrypts.
    """
    async with database.read() as connection:
        counts = [await connection.scalar(select(func.count()).select_from(table)) for table in SEALED]
    total = sum(count or 0 for count in counts)
    rotated, unreadable = {}, 0
    for table in SEALED:
        rotated[table.name], last = 0, None
        while True:
            async with database.write() as connection:
                rows = await _batch(connection, table, last)
                for row in rows:
                    try:
                        rotated[table.name] += await _rotate(connection, table, row, keyring)
                    except DecryptionError:
                        unreadable += 1
            if not rows:
                break
            report(total, len(rows))
            last = [rows[-1]._asdict()[column.name] for column in table.primary_key]
    return rotated, unreadable


async def _batch(connection: AsyncConnection, table: Table, last: Sequence[Any] | None) -> Sequence[Row[Any]]:
    keys = list(table.primary_key)
    statement = select(table).order_by(*keys).limit(BATCH)
    if last is not None:
        statement = statement.where(tuple_(*keys) > tuple_(*last))
    return (await connection.execute(statement)).all()


async def _rotate(connection: AsyncConnection, table: Table, row: Row[Any], keyring: Keyring) -> bool:
    column, values = table.c[SEALED[table][0]], row._asdict()
    old = values[column.name]
    new = keyring.rotate(old, *associated(table, values))
    if new is None:
        return False
    same = update(table).where(is_row(table, row), column == old)
    changed = await connection.execute(same.values({column: new}).returning(column))
    return changed.first() is not None
