"""Add what platforms report about messages that they took."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

HAS_KEY = sa.text("delivery_key IS NOT NULL")
UNREPORTED = sa.text("status = 'sent' AND delivery_status = 'queued'")


def upgrade() -> None:
    op.add_column("outbox", sa.Column("delivery_key", sa.String(), nullable=True))
    op.add_column("outbox", sa.Column("delivery_status", sa.String(), nullable=True))
    op.create_index(
        "outbox_delivery", "outbox", ["delivery_key"], unique=True, sqlite_where=HAS_KEY, postgresql_where=HAS_KEY
    )
    op.create_index(
        "outbox_unreported",
        "outbox",
        ["conversation_id", "sent_at"],
        sqlite_where=UNREPORTED,
        postgresql_where=UNREPORTED,
    )
