"""Add joined messages, which are answered in the turn of another message."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

JOINED = sa.text("status = 'joined'")


def upgrade() -> None:
    op.add_column("inbox", sa.Column("turn_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True))
    op.create_index("inbox_joined", "inbox", ["turn_id"], sqlite_where=JOINED, postgresql_where=JOINED)
