"""Add the lease and the owner of a message, for takeover by another worker; create procrastinate's tables."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("inbox", sa.Column("lease", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("inbox", sa.Column("owner", sa.BigInteger(), nullable=True))
    if op.get_bind().dialect.name == "postgresql":
        from procrastinate.schema import SchemaManager  # only PostgreSQL needs this library

        # The driver's own cursor accepts several statements, and percent signs that are not parameters.
        op.get_bind().connection.cursor().execute(SchemaManager.get_schema())
