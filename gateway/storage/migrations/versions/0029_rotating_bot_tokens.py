"""Add the lease of the process that refreshes the bot token of an installation."""

import sqlalchemy as sa
from alembic import op

from oauth.store.columns import Timestamp

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("oauth_installations", sa.Column("refreshing_until", Timestamp(), nullable=True))
