"""Add the confirmation of accounts, a lock for refreshing tokens, and revocations."""

import sqlalchemy as sa
from alembic import op

from oauth.store.columns import Timestamp

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("oauth_tokens", sa.Column("account", sa.String(), nullable=True))
    op.add_column("oauth_tokens", sa.Column("connected_at", Timestamp(), nullable=True))
    op.add_column("oauth_tokens", sa.Column("refreshing_until", Timestamp(), nullable=True))
    for name, kind in (("name", sa.String()), ("scopes", sa.Text())):
        op.add_column("oauth_authorizations", sa.Column(name, kind, nullable=False, server_default=""))
    op.create_table(
        "oauth_pending",
        sa.Column("channel", sa.String(), primary_key=True),
        sa.Column("tenant", sa.String(), primary_key=True),
        sa.Column("user_id", sa.String(), primary_key=True),
        sa.Column("provider", sa.String(), primary_key=True),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("ciphertext", sa.LargeBinary(), nullable=False),
        sa.Column("tries_left", sa.Integer(), nullable=False),
        sa.Column("expires_at", Timestamp(), nullable=False, index=True),
    )
    op.create_table(
        "oauth_revocations",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("ciphertext", sa.LargeBinary(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", Timestamp(), nullable=False, index=True),
    )
