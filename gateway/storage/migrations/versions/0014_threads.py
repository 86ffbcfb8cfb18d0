"""Add threads, the conversations that people begin and name themselves."""

import sqlalchemy as sa
from alembic import op

from oauth.store.columns import Timestamp

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "threads",
        sa.Column("id", Id, primary_key=True),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("created_at", Timestamp(), nullable=False),
        sa.UniqueConstraint("channel", "tenant", "key"),
    )
    op.create_index("threads_person", "threads", ["channel", "tenant", "user_id", "id"])
