"""Who plays a message, so that another worker may take it over; and procrastinate's tables."""

import sqlalchemy as sa
from alembic import op
from procrastinate.schema import SchemaManager

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("inbox", sa.Column("lease", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("inbox", sa.Column("owner", sa.BigInteger(), nullable=True))
    if op.get_bind().dialect.name == "postgresql":
        # Many statements, with percent signs that are no parameters.
        op.get_bind().connection.cursor().execute(SchemaManager.get_schema())
