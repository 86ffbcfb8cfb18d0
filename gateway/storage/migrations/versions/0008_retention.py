"""Allow the removal of old messages while the history of their conversation stays."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

DONE = sa.text("status IN ('done', 'dropped')")


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.drop_constraint("session_items_inbox_id_fkey", "session_items", type_="foreignkey")
    else:
        # In SQLite the constraint has no name, and the table has to be copied.
        names = {"fk": "fk_%(table_name)s_%(column_0_name)s"}
        with op.batch_alter_table("session_items", naming_convention=names) as batch:
            batch.drop_constraint("fk_session_items_inbox_id", type_="foreignkey")
    op.create_index("inbox_done", "inbox", ["accepted_at"], sqlite_where=DONE, postgresql_where=DONE)
    op.create_index("outbox_inbox", "outbox", ["inbox_id"])
