"""Add the newest revision of the oldest code that runs over the schema, to the table in which alembic has its version.

Alembic allows more columns there: https://alembic.sqlalchemy.org/en/latest/changelog.html#change-1.14.0
"""

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("alembic_version", sa.Column("oldest", sa.String(), nullable=False, server_default=revision))
