"""Add the people whose connected accounts are not used until an operator decides."""

import sqlalchemy as sa
from alembic import op

from oauth.store.columns import Timestamp

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "oauth_suspensions",
        sa.Column("channel", sa.String(), primary_key=True),
        sa.Column("tenant", sa.String(), primary_key=True),
        sa.Column("user_id", sa.String(), primary_key=True),
        sa.Column("suspended_at", Timestamp(), nullable=False),
    )
