"""The schema, and the migrations that make it."""

from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine
from support.stage import stage

from gateway.storage.schema import SCHEMA
from gateway.storage.tables import metadata as gateway_tables
from oauth.store.tables import metadata as oauth_tables


async def test_the_migrations_make_the_tables_that_the_code_uses(tmp_path: Path) -> None:
    async with stage(tmp_path).open():
        pass
    with create_engine(f"sqlite:///{tmp_path}/stage.db").connect() as connection:
        context = MigrationContext.configure(connection)
        differences = [
            found
            for tables in [[gateway_tables, oauth_tables]]
            for found in compare_metadata(context, tables)  # type: ignore[arg-type]
        ]
    assert differences == []


def test_the_newest_version_is_that_of_the_last_migration() -> None:
    assert SCHEMA.newest == ScriptDirectory(str(SCHEMA.migrations)).get_current_head()
