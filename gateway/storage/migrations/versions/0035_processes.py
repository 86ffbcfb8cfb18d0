"""Add the processes that run, and the last refused webhook of each channel."""

import sqlalchemy as sa
from alembic import op

from oauth.store.columns import Timestamp

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "processes",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("takes_events", sa.Boolean(), nullable=False),
        sa.Column("plays_turns", sa.Boolean(), nullable=False),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("started_at", Timestamp(), nullable=False),
        sa.Column("seen_at", Timestamp(), nullable=False),
    )
    op.create_table(
        "refusals",
        sa.Column("channel", sa.String(), primary_key=True),
        sa.Column("refused_at", Timestamp(), nullable=False),
        sa.Column("status_code", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
    )
