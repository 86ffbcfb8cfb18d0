"""Add approvals of tool calls, and the time at which an outbox row was sent."""

import sqlalchemy as sa
from alembic import op

from oauth.store.columns import Timestamp

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "approvals",
        sa.Column("inbox_id", Id, primary_key=True, autoincrement=False),
        sa.Column("key", sa.String(), primary_key=True),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("message_id", sa.String(), nullable=False),
        sa.Column("message_text", sa.Text(), nullable=False),
        sa.Column("tool", sa.String(), nullable=False),
        sa.Column("arguments", sa.Text(), nullable=False),
        sa.Column("accounts", sa.String(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("asked_at", Timestamp(), nullable=True),
    )
    asked = sa.text("status = 'asked'")
    op.create_index(
        "approvals_asked",
        "approvals",
        ["channel", "tenant", "user_id"],
        unique=True,
        sqlite_where=asked,
        postgresql_where=asked,
    )
    op.add_column("outbox", sa.Column("sent_at", Timestamp(), nullable=True))
