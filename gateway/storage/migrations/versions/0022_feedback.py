"""Add people's feedback on answers, and index answers by their platform ids."""

import sqlalchemy as sa
from alembic import op

from oauth.store.columns import Timestamp

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
HAS_PLATFORM_ID = sa.text("platform_id IS NOT NULL")


def upgrade() -> None:
    op.create_table(
        "feedback",
        sa.Column("id", Id, primary_key=True),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("conversation", sa.String(), nullable=False),
        sa.Column("reference", sa.String(), nullable=False),
        sa.Column("rating", sa.String(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=True),
        sa.Column("rated_at", Timestamp(), nullable=False),
        sa.UniqueConstraint("channel", "tenant", "user_id", "reference"),
    )
    op.create_index("feedback_rated", "feedback", ["rated_at"])
    op.create_index(
        "outbox_platform",
        "outbox",
        ["platform_id"],
        sqlite_where=HAS_PLATFORM_ID,
        postgresql_where=HAS_PLATFORM_ID,
    )
