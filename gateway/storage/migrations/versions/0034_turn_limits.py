"""Add how many turns people have begun."""

import sqlalchemy as sa
from alembic import op

from oauth.store.columns import Timestamp

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "turn_counts",
        sa.Column("channel", sa.String(), primary_key=True),
        sa.Column("tenant", sa.String(), primary_key=True),
        sa.Column("user_id", sa.String(), primary_key=True),
        sa.Column("minute_turns", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("minute_until", Timestamp(), nullable=True),
        sa.Column("day_turns", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("day_until", Timestamp(), nullable=True),
        sa.Column("told_until", Timestamp(), nullable=True),
    )
