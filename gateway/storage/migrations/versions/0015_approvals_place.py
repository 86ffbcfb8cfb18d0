"""Record in which conversation the question of an approval is asked."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

# Set the place of existing approvals. They were asked in the person's direct conversation if the message came from
# there or from a shared conversation. The key of a direct conversation is empty here.
_PLACES = """
    UPDATE approvals
    SET place_tenant = conversations.tenant,
        place_key = CASE
            WHEN conversations.shared
                OR (conversations.channel = 'slack' AND conversations.key NOT LIKE '%/%')
                OR (conversations.channel = 'telegram' AND conversations.key = approvals.user_id)
            THEN '' ELSE conversations.key
        END
    FROM inbox JOIN conversations ON conversations.id = inbox.conversation_id
    WHERE inbox.id = approvals.inbox_id
"""


def upgrade() -> None:
    op.add_column("outbox", sa.Column("platform_id", sa.String(), nullable=True))
    op.add_column("approvals", sa.Column("place_tenant", sa.String(), nullable=False, server_default=""))
    op.add_column("approvals", sa.Column("place_key", sa.String(), nullable=False, server_default=""))
    op.execute(_PLACES)
    op.drop_index("approvals_asked", "approvals")
    asked = sa.text("status = 'asked'")
    op.create_index(
        "approvals_asked",
        "approvals",
        ["channel", "tenant", "user_id", "place_tenant", "place_key"],
        unique=True,
        sqlite_where=asked,
        postgresql_where=asked,
    )
