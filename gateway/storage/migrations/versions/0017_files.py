"""Record with which messages the model was given files, and index the messages that joined a turn."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

JOINED = sa.text("turn_id IS NOT NULL")


def upgrade() -> None:
    op.add_column("session_items", sa.Column("has_files", sa.Boolean(), nullable=False, server_default=sa.false()))
    # The new index also covers messages whose turn has ended.
    op.drop_index("inbox_joined", "inbox")
    op.create_index("inbox_joined", "inbox", ["turn_id"], sqlite_where=JOINED, postgresql_where=JOINED)
