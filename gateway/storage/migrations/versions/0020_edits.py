"""Add the columns by which an edit finds its message."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

HAS_KEY = sa.text("message_key IS NOT NULL")


def upgrade() -> None:
    for table in ("inbox", "pieces"):
        for name in ("message_key", "author", "content"):
            op.add_column(table, sa.Column(name, sa.String(), nullable=True))
        op.add_column(table, sa.Column("revision", sa.BigInteger(), nullable=True))
        op.create_index(f"{table}_message", table, ["message_key"], sqlite_where=HAS_KEY, postgresql_where=HAS_KEY)
