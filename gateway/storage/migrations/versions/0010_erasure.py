"""Allow the removal of one person's audit records, but of no others."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

REFUSAL = "the audit is only ever added to"
ERASED = (
    "SELECT 1 FROM audit_erasures WHERE audit_erasures.channel = OLD.channel "
    "AND audit_erasures.tenant = OLD.tenant AND audit_erasures.user_id = OLD.user_id"
)


def upgrade() -> None:
    op.create_table(
        "audit_erasures",
        sa.Column("channel", sa.String(), primary_key=True),
        sa.Column("tenant", sa.String(), primary_key=True),
        sa.Column("user_id", sa.String(), primary_key=True),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP TRIGGER audit_no_change ON audit")
        op.execute(
            "CREATE TRIGGER audit_no_change BEFORE UPDATE OR TRUNCATE ON audit "
            "FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()"
        )
        op.execute(
            "CREATE FUNCTION audit_refuse_delete() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN IF NOT EXISTS ({ERASED}) THEN RAISE EXCEPTION '{REFUSAL}'; END IF; RETURN OLD; END $$"
        )
        op.execute(
            "CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit FOR EACH ROW EXECUTE FUNCTION audit_refuse_delete()"
        )
        return
    op.execute("DROP TRIGGER audit_no_delete")
    op.execute(
        f"CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit WHEN NOT EXISTS ({ERASED}) "
        f"BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END"
    )
