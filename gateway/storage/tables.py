from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Select,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    literal_column,
    select,
    tuple_,
)
from sqlalchemy.sql.elements import ColumnElement

from oauth.store.columns import Timestamp
from toolkits import Conversation

metadata = MetaData()

# SQLite numbers a row by itself only where the type is exactly INTEGER.
Id = BigInteger().with_variant(Integer, "sqlite")


def is_any(column: ColumnElement[str], *values: StrEnum) -> ColumnElement[bool]:
    """Whether a column has one of the values, written out in the statement.

    A planner that sees a parameter cannot tell that a partial index has the row.
    https://www.sqlite.org/partialindex.html#queries_using_partial_indexes
    """
    literals: list[ColumnElement[str]] = [literal_column(f"'{value}'") for value in values]
    return column == literals[0] if len(literals) == 1 else column.in_(literals)


class InboxStatus(StrEnum):
    #: Accepted and not played yet, or resumed.
    WAITING = "waiting"
    #: A turn plays it.
    RUNNING = "running"
    #: Its turn failed and is tried again at `due_at`; others of its conversation go on.
    RETRYING = "retrying"
    #: Answered together with the message whose turn is `turn_id`, and ends as that does.
    JOINED = "joined"
    #: Waits for its sender's consent; others of its conversation go on.
    PARKED = "parked"
    #: Waits for its sender's yes or no to what a tool is about to do; others of its conversation go on.
    ASKED = "asked"
    #: Answered.
    DONE = "done"
    #: Given up: its sender was told so, with the reference.
    DEAD = "dead"
    #: Waited so long that no answer is expected any more.
    EXPIRED = "expired"
    #: A dead letter that an operator dropped.
    DROPPED = "dropped"


class ApprovalStatus(StrEnum):
    #: CredentialUse as soon as the person has answered another question.
    QUEUED = "queued"
    #: The person is asked, and has not answered.
    ASKED = "asked"
    #: They said yes.
    APPROVED = "approved"
    #: They said no.
    DENIED = "denied"


class OutboxStatus(StrEnum):
    #: Not sent yet.
    WAITING = "waiting"
    #: The platform is being called: after a crash it is not known whether it was reached.
    SENDING = "sending"
    #: The platform did not take it: tried again at `due_at`, and what follows in the conversation waits.
    RETRYING = "retrying"
    #: To be sent at `due_at`; others of its conversation go on.
    SCHEDULED = "scheduled"
    #: The platform took it.
    SENT = "sent"
    #: For one person alone, who cannot be reached: sent when they write to the bot directly.
    HELD = "held"
    #: Given up: the platform refused it, or was not to be had for too long.
    DEAD = "dead"
    #: A dead letter that an operator dropped.
    DROPPED = "dropped"


class OutboxKind(StrEnum):
    #: Text, as the platform takes it.
    TEXT = "text"
    #: Text for one person alone.
    PRIVATE_TEXT = "private_text"
    #: Says that an answer went to one person alone.
    PRIVATE_NOTE = "private_note"
    #: Says that something could not be delivered.
    NOTICE = "notice"
    #: A sign-in link, made when it is sent, so that none is at rest.
    SIGN_IN = "sign_in"


conversations = Table(
    "conversations",
    metadata,
    Column("id", Id, primary_key=True),
    Column("channel", String, nullable=False),
    Column("tenant", String, nullable=False),
    Column("key", String, nullable=False),
    Column("shared", Boolean, nullable=False),
    Column("last_place", BigInteger, nullable=False),
    # When somebody last wrote there.
    Column("last_accepted_at", Timestamp),
    UniqueConstraint("channel", "tenant", "key"),
)


def find_conversation(conversation: Conversation) -> Select[int]:
    """The id of a conversation, if it was heard of."""
    return select(conversations.c.id).where(
        tuple_(conversations.c.channel, conversations.c.tenant, conversations.c.key)
        == (conversation.channel, conversation.tenant, conversation.id)
    )


def _partial(condition: ColumnElement[bool]) -> dict[str, Any]:
    return {"sqlite_where": condition, "postgresql_where": condition}


# The keys of what was accepted. They outlive the inbox rows.
dedupe_keys = Table(
    "dedupe_keys",
    metadata,
    Column("channel", String, primary_key=True),
    Column("tenant", String, primary_key=True),
    Column("key", String, primary_key=True),
    Column("accepted_at", Timestamp, nullable=False),
)

inbox = Table(
    "inbox",
    metadata,
    Column("id", Id, primary_key=True),
    Column("conversation_id", Id, ForeignKey("conversations.id"), nullable=False),
    Column("place", BigInteger, nullable=False),
    Column("payload", Text, nullable=False),
    Column("status", String, nullable=False),
    Column("attempts", Integer, nullable=False),
    # Counts its claims: who claimed it before cannot end it any more.
    Column("lease", BigInteger, nullable=False, server_default="0"),
    # The worker that claimed it last, where there are several.
    Column("owner", BigInteger),
    Column("reference", String, nullable=False),
    Column("accepted_at", Timestamp, nullable=False),
    # When it is tried again.
    Column("due_at", Timestamp),
    # When a consent or an operator made it wait anew: from then on its age counts.
    Column("renewed_at", Timestamp),
    # Why it failed last.
    Column("error", Text),
    # Of a joined row: the row whose turn answers it.
    Column("turn_id", Id),
    # Who wrote it, as far as it has been read.
    Column("sender_tenant", String),
    Column("sender_user_id", String),
    # Of a parked row: what its sender has to consent to.
    Column("provider", String),
    Column("scopes", Text),
    UniqueConstraint("conversation_id", "place"),
)
Index("inbox_waiting", inbox.c.conversation_id, inbox.c.place,
      **_partial(is_any(inbox.c.status, InboxStatus.WAITING)))  # fmt: skip
Index("inbox_running", inbox.c.conversation_id, unique=True, **_partial(is_any(inbox.c.status, InboxStatus.RUNNING)))
Index("inbox_parked", inbox.c.provider, inbox.c.sender_tenant, inbox.c.sender_user_id,
      **_partial(is_any(inbox.c.status, InboxStatus.PARKED)))  # fmt: skip

Index("inbox_joined", inbox.c.turn_id, **_partial(is_any(inbox.c.status, InboxStatus.JOINED)))
Index("inbox_due", inbox.c.due_at, **_partial(is_any(inbox.c.status, InboxStatus.RETRYING)))
Index("inbox_done", inbox.c.accepted_at, **_partial(is_any(inbox.c.status, InboxStatus.DONE, InboxStatus.DROPPED)))
Index("inbox_dead", inbox.c.id, **_partial(is_any(inbox.c.status, InboxStatus.DEAD, InboxStatus.EXPIRED)))

outbox = Table(
    "outbox",
    metadata,
    Column("id", Id, primary_key=True),
    Column("conversation_id", Id, ForeignKey("conversations.id"), nullable=False),
    # The message that it answers, if it answers one.
    Column("inbox_id", Id, ForeignKey("inbox.id")),
    Column("kind", String, nullable=False),
    # JSON: see gateway/outbox.py
    Column("body", Text, nullable=False),
    Column("status", String, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("created_at", Timestamp, nullable=False),
    # Of what is for one person alone.
    Column("recipient_tenant", String),
    Column("recipient_user_id", String),
    # When it is sent, or tried again.
    Column("due_at", Timestamp),
    # When it became due, or an operator made it wait anew: from then on its age counts.
    Column("renewed_at", Timestamp),
    # When the platform had taken it.
    Column("sent_at", Timestamp),
    # The platform's id of it, where people can reply to it in a conversation of its own.
    Column("platform_id", String),
    # Whether it may have reached the platform without our knowing.
    Column("ambiguous", Boolean, nullable=False, server_default=false()),
    Column("reference", String),
    # Why it failed last.
    Column("error", Text),
)
is_unsent = is_any(outbox.c.status, OutboxStatus.WAITING, OutboxStatus.SENDING, OutboxStatus.RETRYING)
Index("outbox_unsent", outbox.c.conversation_id, outbox.c.id,
      **_partial(is_unsent))  # fmt: skip
Index("outbox_held", outbox.c.recipient_user_id, **_partial(is_any(outbox.c.status, OutboxStatus.HELD)))
Index("outbox_due", outbox.c.due_at,
      **_partial(is_any(outbox.c.status, OutboxStatus.RETRYING, OutboxStatus.SCHEDULED)))  # fmt: skip
Index("outbox_dead", outbox.c.id, **_partial(is_any(outbox.c.status, OutboxStatus.DEAD)))
Index("outbox_inbox", outbox.c.inbox_id)
Index("outbox_conversation", outbox.c.conversation_id, outbox.c.id)

# The journal of the turns that have not ended: what tools were called, and what models answered.
tool_calls = Table(
    "tool_calls",
    metadata,
    Column("inbox_id", Id, primary_key=True, autoincrement=False),
    Column("key", String, primary_key=True),
    Column("tool", String, nullable=False),
    Column("private", Boolean, nullable=False),
    Column("began_at", Timestamp, nullable=False),
    # Null while nothing is known but that it began.
    Column("outcome", String),
    # JSON
    Column("result", Text),
    # What the model was told instead.
    Column("error", Text),
)
turn_responses = Table(
    "turn_responses",
    metadata,
    Column("inbox_id", Id, primary_key=True, autoincrement=False),
    Column("scope", String, primary_key=True),
    Column("number", Integer, primary_key=True),
    # What only the engine reads.
    Column("data", Text, nullable=False),
)

# The calls of tools that need the yes of the person whose turn it is, until the turn ends.
approvals = Table(
    "approvals",
    metadata,
    Column("inbox_id", Id, primary_key=True, autoincrement=False),
    # As in tool_calls.
    Column("key", String, primary_key=True),
    Column("channel", String, nullable=False),
    Column("tenant", String, nullable=False),
    Column("user_id", String, nullable=False),
    # The conversation in which they are asked; the key is empty for their direct conversation with the bot.
    Column("place_tenant", String, nullable=False),
    Column("place_key", String, nullable=False),
    # The message of the turn, as it was played.
    Column("message_id", String, nullable=False),
    Column("message_text", Text, nullable=False),
    Column("tool", String, nullable=False),
    # JSON: a yes is for these.
    Column("arguments", Text, nullable=False),
    # The accounts that it is to act as.
    Column("accounts", String, nullable=False),
    # What the call is to do, in markdown, as the person reads it.
    Column("action", Text, nullable=False),
    Column("status", String, nullable=False),
    Column("asked_at", Timestamp),
)
# One question at a time in one place, so that a yes says what it is to.
Index("approvals_asked", approvals.c.channel, approvals.c.tenant, approvals.c.user_id, approvals.c.place_tenant,
      approvals.c.place_key, unique=True,
      **_partial(is_any(approvals.c.status, ApprovalStatus.ASKED)))  # fmt: skip

# Until when nothing is sent to a tenant, which asked for a pause.
pauses = Table(
    "pauses",
    metadata,
    Column("channel", String, primary_key=True),
    Column("tenant", String, primary_key=True),
    Column("until", Timestamp, nullable=False),
)

session_items = Table(
    "session_items",
    metadata,
    Column("id", Id, primary_key=True),
    Column("conversation_id", Id, ForeignKey("conversations.id"), nullable=False),
    # The message whose turn it is of, which may be gone.
    Column("inbox_id", Id, nullable=False),
    Column("owner_tenant", String, nullable=False),
    Column("owner_user_id", String, nullable=False),
    Column("owner_name", String, nullable=False),
    Column("role", String, nullable=False),
    Column("text", Text, nullable=False),
    Column("private", Boolean, nullable=False),
    # What only the engine of this name reads.
    Column("engine", String, nullable=False),
    Column("data", Text, nullable=False),
    Column("created_at", Timestamp, nullable=False),
    # Of a summary: the last item that its owner reads it in the place of.
    Column("summary_until", Id),
)
Index("session_items_conversation", session_items.c.conversation_id, session_items.c.id)

# The conversations that people begin and name themselves: the key is the conversation's.
threads = Table(
    "threads",
    metadata,
    Column("id", Id, primary_key=True),
    Column("channel", String, nullable=False),
    Column("tenant", String, nullable=False),
    Column("user_id", String, nullable=False),
    Column("key", String, nullable=False),
    Column("title", String, nullable=False),
    Column("created_at", Timestamp, nullable=False),
    UniqueConstraint("channel", "tenant", "key"),
)
Index("threads_person", threads.c.channel, threads.c.tenant, threads.c.user_id, threads.c.id)

# Triggers refuse to change or remove a row: see gateway/migrations.
audit = Table(
    "audit",
    metadata,
    Column("id", Id, primary_key=True),
    Column("started_at", Timestamp, nullable=False),
    Column("channel", String, nullable=False),
    Column("tenant", String, nullable=False),
    Column("user_id", String, nullable=False),
    Column("account", String),
    Column("tool", String, nullable=False),
    Column("conversation", String, nullable=False),
    Column("outcome", String, nullable=False),
    Column("duration_ms", Integer, nullable=False),
    Column("trace_id", String, nullable=False),
    Column("arguments", Text),
    Column("result", Text),
)
Index("audit_person", audit.c.user_id, audit.c.id)

# Whose records of the audit are being removed: none but these can be.
audit_erasures = Table(
    "audit_erasures",
    metadata,
    Column("channel", String, primary_key=True),
    Column("tenant", String, primary_key=True),
    Column("user_id", String, primary_key=True),
)
