"""Add the record of previews, and pause conversations instead of tenants."""

import sqlalchemy as sa
from alembic import op

from oauth.store.columns import Timestamp

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "previews",
        sa.Column("id", Id, primary_key=True),
        sa.Column("inbox_id", Id, nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("platform_id", sa.String(), nullable=True),
        sa.Column("began_at", Timestamp(), nullable=False),
    )
    op.create_index("previews_inbox", "previews", ["inbox_id"])
    op.drop_table("pauses")  # pauses last for minutes, and the platform asks for them again if need be
    op.create_table(
        "pauses",
        sa.Column("channel", sa.String(), primary_key=True),
        sa.Column("tenant", sa.String(), primary_key=True),
        sa.Column("key", sa.String(), primary_key=True, server_default=""),
        sa.Column("until", Timestamp(), nullable=False),
    )
