"""Replace approvals by questions, of which approvals are one kind, with cards that can be closed."""

import json
from datetime import UTC, datetime, timedelta
from secrets import token_urlsafe

import sqlalchemy as sa
from alembic import op

from oauth.store.columns import Timestamp

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

OPEN_FOR = timedelta(days=1)
CHOICES = json.dumps([["Approve", "primary"], ["Decline", "danger"]])
ANSWERS = {"approved": (0, "Approve"), "denied": (1, "Decline")}

ASKED = sa.text("status = 'asked'")
QUEUED = sa.text("status = 'queued'")
OPEN = sa.text("status IN ('queued', 'asked')")
HAS_QUESTION = sa.text("question_id IS NOT NULL")

_APPROVALS = sa.text(
    "SELECT approvals.*, inbox.conversation_id, inbox.reference FROM approvals "
    "JOIN inbox ON inbox.id = approvals.inbox_id"
).columns(asked_at=Timestamp())
_COPIED = ("inbox_id", "conversation_id", "reference", "message_id", "message_text", "key", "channel", "tenant",
           "user_id", "place_tenant", "place_key", "tool", "arguments", "accounts", "asked_at")  # fmt: skip


def upgrade() -> None:
    questions = op.create_table(
        "questions",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("inbox_id", Id, nullable=False),
        sa.Column("conversation_id", Id, nullable=False),
        sa.Column("reference", sa.String(), nullable=False),
        sa.Column("message_id", sa.String(), nullable=False),
        sa.Column("message_text", sa.Text(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False, server_default=""),
        sa.Column("place_tenant", sa.String(), nullable=True),
        sa.Column("place_key", sa.String(), nullable=True),
        sa.Column("tool", sa.String(), nullable=False, server_default=""),
        sa.Column("arguments", sa.Text(), nullable=False, server_default=""),
        sa.Column("accounts", sa.String(), nullable=False, server_default=""),
        sa.Column("prompt", sa.Text(), nullable=False),
        sa.Column("choices", sa.Text(), nullable=False),
        sa.Column("free_text", sa.Boolean(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("asked_at", Timestamp(), nullable=True),
        sa.Column("until", Timestamp(), nullable=False),
        sa.Column("choice", sa.Integer(), nullable=True),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("decided_by", sa.String(), nullable=True),
        sa.Column("decided_at", Timestamp(), nullable=True),
        sa.Column("decision", sa.Text(), nullable=True),
        sa.UniqueConstraint("inbox_id", "key"),
    )
    place = ["channel", "tenant", "user_id", "place_tenant", "place_key"]
    op.create_index("questions_asked", "questions", place, unique=True, sqlite_where=ASKED, postgresql_where=ASKED)
    op.create_index("questions_queued", "questions", ["user_id"], sqlite_where=QUEUED, postgresql_where=QUEUED)
    op.create_index("questions_until", "questions", ["until"], sqlite_where=OPEN, postgresql_where=OPEN)
    op.add_column("outbox", sa.Column("question_id", sa.String(), nullable=True))
    op.create_index(
        "outbox_question", "outbox", ["question_id"], sqlite_where=HAS_QUESTION, postgresql_where=HAS_QUESTION
    )
    op.add_column("audit", sa.Column("decided_by", sa.String(), nullable=True))
    _keep_approvals(questions)
    op.drop_table("approvals")


def _keep_approvals(questions: sa.Table) -> None:
    connection = op.get_bind()
    for row in connection.execute(_APPROVALS).mappings().all():
        choice, answer = ANSWERS.get(row["status"], (None, None))
        question = {name: row[name] for name in _COPIED}
        question |= {
            "id": token_urlsafe(16),
            "kind": "approval",
            "prompt": row["action"],
            "choices": CHOICES,
            "free_text": False,
            "status": "answered" if answer else row["status"],
            "until": (row["asked_at"] or datetime.now(UTC)) + OPEN_FOR,
            "choice": choice,
            "answer": answer,
        }
        connection.execute(questions.insert().values(question))
        if row["status"] == "asked":  # mark its outbox rows, which show whether the question has reached the person
            parts = sa.text(
                "UPDATE outbox SET question_id = :id WHERE inbox_id = :inbox_id AND created_at >= :asked_at "
                "AND kind IN ('text', 'private_text')"
            ).bindparams(sa.bindparam("asked_at", type_=Timestamp()))
            connection.execute(parts, {name: question[name] for name in ("id", "inbox_id", "asked_at")})
