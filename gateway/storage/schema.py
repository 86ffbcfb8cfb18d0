"""The version of the schema, and the migration to the newest version."""

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

MIGRATIONS = Path(__file__).parent / "migrations"


def migrate(connection: Connection) -> None:
    """Upgrade the schema to the newest version."""
    if is_current(connection):
        return
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def has_schema(connection: Connection) -> bool:
    """Return whether the database has the gateway's tables, in any version."""
    return MigrationContext.configure(connection).get_current_revision() is not None


def is_current(connection: Connection) -> bool:
    """Return whether the schema has the newest version."""
    return MigrationContext.configure(connection).get_current_revision() == _newest()


@cache
def _newest() -> str | None:
    """Return the newest revision, which is in the last of the migrations' files."""
    return ScriptDirectory(str(MIGRATIONS)).get_current_head()
