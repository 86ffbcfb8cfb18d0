"""The schema: its version, the migrations to the newest one, and which versions of the code run over it.

An upgrade may happen beneath running processes of the release before, so migrations expand the schema: code that knows
nothing of them still runs. One that contracts it waits for a later release, and says so with `require_code`.
"""

from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from pathlib import Path

from sqlalchemy import Connection, Update, column, inspect, select, table, update

# https://alembic.sqlalchemy.org/en/latest/api/runtime.html#alembic.runtime.environment.EnvironmentContext.configure.params.version_table
# The migration `oldest_code` adds `oldest`, the newest revision of the oldest code that runs over the schema.
VERSION = table("alembic_version", column("version_num"), column("oldest"))


class Difference(Enum):
    """The difference between the schema of a database and the one that this code makes."""

    #: There are no tables yet, or migrations are missing.
    OLDER = "older"
    NONE = "none"
    #: A newer version has upgraded it, and this code still runs over it.
    NEWER = "newer"
    #: A newer version has upgraded it, and this code no longer runs over it.
    TOO_NEW = "too new"


@dataclass(frozen=True)
class Schema:
    """The schema that a folder of migrations makes."""

    migrations: Path

    @cached_property
    def newest(self) -> str:
        """The newest revision: the name of the last of the migrations' files begins with it."""
        return max(self.migrations.glob("versions/[0-9]*.py")).name.partition("_")[0]

    def migrate(self, connection: Connection) -> None:
        """Upgrade an older schema to the newest revision."""
        from alembic import command  # imported here, because a schema that is current does not need it
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(self.migrations))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")

    def compare(self, connection: Connection) -> Difference:
        """Compare the schema of a database with the newest revision."""
        current = _current(connection)
        if current is None or current < self.newest:
            return Difference.OLDER
        if current == self.newest:
            return Difference.NONE
        return Difference.NEWER if oldest_code(connection) <= self.newest else Difference.TOO_NEW


SCHEMA = Schema(Path(__file__).parent / "migrations")


def has_schema(connection: Connection) -> bool:
    """Return whether the database has the gateway's tables, in any version."""
    return _current(connection) is not None


def oldest_code(connection: Connection) -> str:
    """Return the newest revision of the oldest code that runs over the schema of a database.

    The schema must have the revision `oldest_code`, or a later one.
    """
    return str(connection.scalar(select(VERSION.c.oldest)))


def require_code(revision: str) -> Update:
    """Return the statement with which a migration declares that it contracts the schema.

    Args:
        revision: the newest revision of the earliest release whose code no longer uses what the migration removes.
    """
    return update(VERSION).where(VERSION.c.oldest < revision).values(oldest=revision)


def _current(connection: Connection) -> str | None:
    has_version = inspect(connection).has_table(VERSION.name)
    return connection.scalar(select(VERSION.c.version_num)) if has_version else None
