"""Add the rows of the old ids of conversations."""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

IS_MOVED = sa.text("moved_to IS NOT NULL")


def upgrade() -> None:
    op.add_column("conversations", sa.Column("moved_to", Id, nullable=True))
    op.create_index(
        "conversations_moved", "conversations", ["moved_to"], sqlite_where=IS_MOVED, postgresql_where=IS_MOVED
    )
