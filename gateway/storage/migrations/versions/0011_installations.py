"""Add the bot tokens of workspaces that installed the app."""

import sqlalchemy as sa
from alembic import op

from oauth.store.columns import Timestamp

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "oauth_installations",
        sa.Column("channel", sa.String(), primary_key=True),
        sa.Column("tenant", sa.String(), primary_key=True),
        sa.Column("ciphertext", sa.LargeBinary(), nullable=False),
        sa.Column("installed_at", Timestamp(), nullable=False),
    )
