"""Migrations expand the schema, so that the release before runs over it while processes are replaced one by one."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, update
from support.schemas.contraction import Shape
from support.schemas.later import EXPANDING, later_schema

from gateway.storage.schema import SCHEMA, VERSION, Schema, oldest_code
from gateway.testing.databases import make_migrated

# The migration since which the schema says which code runs over it. All processes of older releases have to stop.
(FIRST,) = (path.name.partition("_")[0] for path in SCHEMA.migrations.glob("versions/*_oldest_code.py"))
UNDECLARED = ""


@pytest.fixture
def migrated(tmp_path: Path) -> Iterator[Connection]:
    """A connection to a database with the newest schema."""
    make_migrated(tmp_path / "migrated.db")
    engine = create_engine(f"sqlite:///{tmp_path}/migrated.db")
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def contractions(connection: Connection, schema: Schema) -> list[str]:
    """Upgrade a database one migration at a time, and return what breaks code that a migration does not exclude."""
    config = Config()
    config.set_main_option("script_location", str(schema.migrations))
    config.attributes["connection"] = connection
    command.upgrade(config, FIRST)
    found, shape = [], Shape(connection)
    for script in reversed(list(ScriptDirectory(str(schema.migrations)).iterate_revisions("head", FIRST))):
        connection.execute(update(VERSION).values(oldest=UNDECLARED))
        command.upgrade(config, script.revision)
        before, shape = shape, Shape(connection)
        if not UNDECLARED < oldest_code(connection) < script.revision:
            found += before.contractions(shape)
    return found


def test_no_migration_breaks_the_code_of_the_release_before(empty_database_url: str) -> None:
    engine = create_engine(empty_database_url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        assert contractions(connection, SCHEMA) == []
    engine.dispose()


def test_migrations_that_contract_the_schema_are_found(migrated: Connection, tmp_path: Path) -> None:
    schema = later_schema(
        tmp_path / "later",
        'op.drop_table("feedback")',
        'op.rename_table("pauses", "breaks")',
        'op.execute("ALTER TABLE known_people RENAME COLUMN address TO number")',
        'op.drop_index("inbox_running", "inbox")',
        'with op.batch_alter_table("inbox") as batch:',
        '    batch.drop_column("error")',
        '    batch.alter_column("reference", type_=sa.Integer())',
        '    batch.alter_column("began_at", nullable=False)',
        '    batch.alter_column("lease", server_default=None)',
        'with op.batch_alter_table("leases") as batch:',
        '    batch.add_column(sa.Column("needed", sa.String(), nullable=False))',
        '    batch.create_check_constraint("positive", "renewals > 0")',
        '    batch.create_unique_constraint("one", ["holder"])',
        'op.create_table("notes", sa.Column("inbox_id", sa.Integer(), sa.ForeignKey("inbox.id"), primary_key=True))',
    )
    found = contractions(migrated, schema)
    assert set(found) >= {
        "feedback: no longer column rating VARCHAR",
        "pauses: no longer column channel VARCHAR",
        "known_people: no longer column address VARCHAR",
        "inbox: no longer unique conversation_id where status = 'running'",
        "inbox: no longer column error TEXT",
        "inbox: no longer column reference VARCHAR",
        "inbox: no longer began_at null",
        "inbox: no longer lease with a default",
        "leases: now needed needed",
        "leases: now check renewals > 0",
        "leases: now unique holder",
        "inbox: now foreign key of notes to inbox: inbox_id, which keeps rows from being deleted",
    }
    assert {each.partition(":")[0] for each in found} == {"feedback", "inbox", "known_people", "leases", "pauses"}


@pytest.mark.parametrize(
    "statements",
    [EXPANDING, (f'op.execute(require_code("{FIRST}"))', 'op.drop_table("feedback")')],
    ids=["expanding", "declared"],
)
def test_a_migration_may_expand_the_schema_or_say_which_code_it_needs(
    migrated: Connection, tmp_path: Path, statements: tuple[str, ...]
) -> None:
    assert contractions(migrated, later_schema(tmp_path / "later", *statements)) == []


def test_a_migration_that_needs_its_own_release_cannot_be_rolled_out(migrated: Connection, tmp_path: Path) -> None:
    schema = later_schema(
        tmp_path / "later", f'op.execute(require_code("{int(SCHEMA.newest) + 1:04}"))', 'op.drop_table("feedback")'
    )
    assert contractions(migrated, schema) != []
