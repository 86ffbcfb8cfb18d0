"""The version of the schema, and the migration to the newest version."""

from functools import cache
from pathlib import Path

from sqlalchemy import Connection, column, inspect, select, table

MIGRATIONS = Path(__file__).parent / "migrations"

# https://alembic.sqlalchemy.org/en/latest/api/runtime.html#alembic.runtime.environment.EnvironmentContext.configure.params.version_table
VERSION = table("alembic_version", column("version_num"))


def migrate(connection: Connection) -> None:
    """Upgrade the schema to the newest version."""
    if is_current(connection):
        return
    from alembic import command  # imported here, because a schema that is current does not need it
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def has_schema(connection: Connection) -> bool:
    """Return whether the database has the gateway's tables, in any version."""
    return _current(connection) is not None


def is_current(connection: Connection) -> bool:
    """Return whether the schema has the newest version."""
    return _current(connection) == newest()


def _current(connection: Connection) -> str | None:
    has_version = inspect(connection).has_table(VERSION.name)
    return connection.scalar(select(VERSION.c.version_num)) if has_version else None


@cache
def newest() -> str:
    """Return the newest revision, which the name of the last of the migrations' files begins with."""
    return max(MIGRATIONS.glob("versions/[0-9]*.py")).name.partition("_")[0]
