"""Add messages that arrive in pieces."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

GATHERING = sa.text("status = 'gathering'")
INCOMPLETE = sa.text("status IN ('held', 'gathering')")
IN_PIECES = sa.text("group_key IS NOT NULL")


def upgrade() -> None:
    op.add_column("inbox", sa.Column("group_key", sa.String(), nullable=True))
    op.add_column("inbox", sa.Column("piece", sa.BigInteger(), nullable=True))
    op.create_table(
        "pieces",
        sa.Column("inbox_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("inbox_id", "number"),
    )
    for name, columns, condition in (
        ("inbox_gathering", ["conversation_id", "place"], GATHERING),
        ("inbox_incomplete", ["due_at"], INCOMPLETE),
        ("inbox_group", ["group_key"], IN_PIECES),
    ):
        op.create_index(name, "inbox", columns, sqlite_where=condition, postgresql_where=condition)
