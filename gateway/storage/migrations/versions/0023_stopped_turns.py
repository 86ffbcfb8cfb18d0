"""Add the time at which somebody stopped a turn."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

STOPPED = sa.text("status = 'running' AND stopped_at IS NOT NULL")


def upgrade() -> None:
    op.add_column("inbox", sa.Column("stopped_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index("inbox_stopped", "inbox", ["id"], sqlite_where=STOPPED, postgresql_where=STOPPED)
