"""Add the recipient of private outbox rows."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("outbox", sa.Column("recipient_tenant", sa.String(), nullable=True))
    op.add_column("outbox", sa.Column("recipient_user_id", sa.String(), nullable=True))
    held = sa.text("status = 'held'")
    op.create_index("outbox_held", "outbox", ["recipient_user_id"], sqlite_where=held, postgresql_where=held)
