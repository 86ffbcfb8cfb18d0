"""Add people's opt-outs and the ids by which platforms know people, and index late deliveries as unsent ones."""

import sqlalchemy as sa
from alembic import op

from oauth.store.columns import Timestamp

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

UNSENT = sa.text("status IN ('waiting', 'sending', 'retrying', 'late')")


def upgrade() -> None:
    op.create_table(
        "known_people",
        sa.Column("channel", sa.String(), primary_key=True),
        sa.Column("tenant", sa.String(), primary_key=True),
        sa.Column("platform_id", sa.String(), primary_key=True),
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=True),
        sa.Column("first_seen_at", Timestamp(), nullable=False),
        sa.UniqueConstraint("channel", "tenant", "user_id"),
    )
    op.create_index("known_people_address", "known_people", ["channel", "tenant", "address"])
    op.create_table(
        "opt_outs",
        sa.Column("channel", sa.String(), primary_key=True),
        sa.Column("tenant", sa.String(), primary_key=True),
        sa.Column("user_id", sa.String(), primary_key=True),
        sa.Column("opted_out_at", Timestamp(), nullable=False),
    )
    op.drop_index("outbox_unsent", "outbox")
    op.create_index("outbox_unsent", "outbox", ["conversation_id", "id"], sqlite_where=UNSENT, postgresql_where=UNSENT)
