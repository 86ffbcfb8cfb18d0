"""Add when turns began and ended, and find all that is stored about a reference."""

import sqlalchemy as sa
from alembic import op

from oauth.store.columns import Timestamp

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

UNASKED = sa.text("inbox_id IS NULL")


def upgrade() -> None:
    op.add_column("inbox", sa.Column("began_at", Timestamp(), nullable=True))
    op.add_column("inbox", sa.Column("ended_at", Timestamp(), nullable=True))
    op.create_index("inbox_reference", "inbox", ["reference"])
    op.create_index("audit_reference", "audit", ["trace_id"])
    op.create_index("outbox_unasked", "outbox", ["reference"], sqlite_where=UNASKED, postgresql_where=UNASKED)
