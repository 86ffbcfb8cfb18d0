"""Add the people, chats and workspaces that may use a channel, and the people who asked to."""

import sqlalchemy as sa
from alembic import op

from oauth.store.columns import Timestamp

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "access_list",
        sa.Column("channel", sa.String(), primary_key=True),
        sa.Column("tenant", sa.String(), primary_key=True),
        sa.Column("kind", sa.String(), primary_key=True),
        sa.Column("key", sa.String(), primary_key=True),
        sa.Column("added_at", Timestamp(), nullable=False),
    )
    op.create_table(
        "access_requests",
        sa.Column("channel", sa.String(), primary_key=True),
        sa.Column("tenant", sa.String(), primary_key=True),
        sa.Column("user_id", sa.String(), primary_key=True),
        sa.Column("code", sa.String(), nullable=True, unique=True),
        sa.Column("expires_at", Timestamp(), nullable=True),
        sa.Column("welcome", sa.Text(), nullable=False),
        sa.Column("conversation_id", Id, sa.ForeignKey("conversations.id"), nullable=False),
        sa.Column("asked_at", Timestamp(), nullable=False),
    )
