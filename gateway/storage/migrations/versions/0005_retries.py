"""Add retries, dead letters, and messages that the bot sends on its own initiative or later."""

import sqlalchemy as sa
from alembic import op

from oauth.store.columns import Timestamp

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("inbox", sa.Column("due_at", Timestamp(), nullable=True))
    op.add_column("inbox", sa.Column("renewed_at", Timestamp(), nullable=True))
    op.add_column("inbox", sa.Column("error", sa.Text(), nullable=True))
    _partial_index("inbox_due", "inbox", ["due_at"], "status = 'retrying'")
    _partial_index("inbox_dead", "inbox", ["id"], "status IN ('dead', 'expired')")

    for name in ("outbox_conversation", "outbox_unsent", "outbox_held"):
        op.drop_index(name, table_name="outbox")
    with op.batch_alter_table("outbox") as batch:  # SQLite has to copy the table
        batch.alter_column(
            "inbox_id", existing_type=sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        )
        batch.add_column(sa.Column("due_at", Timestamp(), nullable=True))
        batch.add_column(sa.Column("renewed_at", Timestamp(), nullable=True))
        batch.add_column(sa.Column("ambiguous", sa.Boolean(), nullable=False, server_default=sa.false()))
        batch.add_column(sa.Column("reference", sa.String(), nullable=True))
        batch.add_column(sa.Column("error", sa.Text(), nullable=True))
    op.create_index("outbox_conversation", "outbox", ["conversation_id", "id"])
    _partial_index("outbox_unsent", "outbox", ["conversation_id", "id"], "status IN ('waiting', 'sending', 'retrying')")
    _partial_index("outbox_held", "outbox", ["recipient_user_id"], "status = 'held'")
    _partial_index("outbox_due", "outbox", ["due_at"], "status IN ('retrying', 'scheduled')")
    _partial_index("outbox_dead", "outbox", ["id"], "status = 'dead'")

    op.add_column("conversations", sa.Column("last_accepted_at", Timestamp(), nullable=True))
    op.create_table(
        "pauses",
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("until", Timestamp(), nullable=False),
        sa.PrimaryKeyConstraint("channel", "tenant"),
    )


def _partial_index(name: str, table: str, columns: list[str], condition: str) -> None:
    op.create_index(name, table, columns, sqlite_where=sa.text(condition), postgresql_where=sa.text(condition))
