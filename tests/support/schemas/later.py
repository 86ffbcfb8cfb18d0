"""Later releases of the gateway: its code as it is, with more migrations."""

import shutil
from pathlib import Path

from gateway.storage.schema import SCHEMA, Schema

ROOT = Path(__file__).parents[3]
INSTALLED = {"gateway", "interfaces", "oauth", "toolkits", "understudy_command.py"}

MIGRATION = '''"""{revision}"""

import sqlalchemy as sa
from alembic import op

from gateway.storage.schema import require_code

revision = "{revision}"
down_revision = "{down_revision}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    {statements}
'''

# What a release may do to the tables that every message needs.
EXPANDING = (
    'for table in ("conversations", "dedupe_keys", "inbox", "outbox", "session_items"):',
    '    op.add_column(table, sa.Column("later", sa.String(), nullable=True))',
    '    op.add_column(table, sa.Column("later_still", sa.Boolean(), nullable=False, server_default=sa.false()))',
    '    op.create_index(f"{table}_later", table, ["later"])',
    'op.create_table("later", sa.Column("id", sa.Integer(), primary_key=True))',
)


def later_schema(directory: Path, *statements: str, after: Schema = SCHEMA) -> Schema:
    """Return the schema of the release after another one.

    Args:
        directory: where its migrations are written. It must not exist.
        statements: the lines of the body of its migration.
        after: the schema of the release before.
    """
    shutil.copytree(after.migrations, directory, ignore=shutil.ignore_patterns("__pycache__"))
    revision = f"{int(after.newest) + 1:04}"
    (directory / "versions" / f"{revision}_later.py").write_text(
        MIGRATION.format(revision=revision, down_revision=after.newest, statements="\n    ".join(statements))
    )
    return Schema(directory)


def later_release(directory: Path, *statements: str) -> Path:
    """Return a folder with the packages of the next release, for PYTHONPATH.

    Args:
        statements: the lines of the body of its migration.
    """
    shutil.copytree(ROOT, directory, ignore=lambda folder, names: _not_installed(Path(folder), names))
    migrations = directory / SCHEMA.migrations.relative_to(ROOT)
    shutil.rmtree(migrations)
    later_schema(migrations, *statements)
    return directory


def _not_installed(folder: Path, names: list[str]) -> set[str]:
    return set(names) - INSTALLED if folder == ROOT else set()
