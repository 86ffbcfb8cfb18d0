"""Add the files that agents send and that people upload."""

import sqlalchemy as sa
from alembic import op

from oauth.store.columns import Timestamp

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "files",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("media_type", sa.String(), nullable=False),
        sa.Column("size", sa.BigInteger()),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("channel", sa.String()),
        sa.Column("tenant", sa.String()),
        sa.Column("user_id", sa.String()),
        sa.Column("outbox_id", Id),
        sa.Column("place", sa.Integer()),
        sa.Column("created_at", Timestamp(), nullable=False),
    )
    op.create_index("files_outbox", "files", ["outbox_id"])
    op.create_index("files_person", "files", ["user_id"])
    op.create_index("files_created", "files", ["created_at"])
    op.create_table(
        "file_chunks",
        sa.Column("file_id", sa.String(), primary_key=True),
        sa.Column("number", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
    )
