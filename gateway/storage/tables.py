"""The tables of the gateway. The values of their status and kind columns are in `gateway.storage.statuses`."""

from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Select,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    func,
    literal_column,
    select,
    tuple_,
)
from sqlalchemy.sql.elements import ColumnElement

from gateway.storage.statuses import DeliveryStatus as DeliveryStatus
from gateway.storage.statuses import InboxStatus as InboxStatus
from gateway.storage.statuses import OutboxKind as OutboxKind
from gateway.storage.statuses import OutboxStatus as OutboxStatus
from gateway.storage.statuses import QuestionKind as QuestionKind
from gateway.storage.statuses import QuestionStatus as QuestionStatus
from oauth import Identity
from oauth.store.columns import Timestamp
from toolkits import Conversation

metadata = MetaData()

# SQLite assigns ids automatically only if the type is exactly INTEGER.
Id = BigInteger().with_variant(Integer, "sqlite")


def is_any(column: ColumnElement[str], *values: StrEnum) -> ColumnElement[bool]:
    """Return the condition that a column has one of the values, with the values as literals in the statement.

    With parameters instead of literals, the planner could not use a partial index:
    https://www.sqlite.org/partialindex.html#queries_using_partial_indexes
    """
    literals: list[ColumnElement[str]] = [literal_column(f"'{value}'") for value in values]
    return column == literals[0] if len(literals) == 1 else column.in_(literals)


conversations = Table(
    "conversations",
    metadata,
    Column("id", Id, primary_key=True),
    Column("channel", String, nullable=False),
    Column("tenant", String, nullable=False),
    Column("key", String, nullable=False),
    Column("shared", Boolean, nullable=False),
    Column("last_place", BigInteger, nullable=False),
    # When the last message or press of a button was accepted.
    Column("last_accepted_at", Timestamp),
    # Of a conversation that has another id now: its row. This row keeps the old id: see gateway.history.moving.
    Column("moved_to", Id),
    UniqueConstraint("channel", "tenant", "key"),
)


def decider(identity: Identity) -> str:
    """Return the value of `decided_by` for the person who decided a question."""
    return f"{identity.channel}/{identity.tenant}/{identity.user_id}"


def find_conversation(conversation: Conversation) -> Select[int]:
    """Select the row id of a conversation, also by an old id. There is no row if the conversation is unknown."""
    return select(func.coalesce(conversations.c.moved_to, conversations.c.id)).where(
        tuple_(conversations.c.channel, conversations.c.tenant, conversations.c.key)
        == (conversation.channel, conversation.tenant, conversation.id)
    )


def _partial(condition: ColumnElement[bool]) -> dict[str, Any]:
    return {"sqlite_where": condition, "postgresql_where": condition}


Index("conversations_moved", conversations.c.moved_to, **_partial(conversations.c.moved_to.is_not(None)))

# The keys of accepted events. They outlive the inbox rows.
dedupe_keys = Table(
    "dedupe_keys",
    metadata,
    Column("channel", String, primary_key=True),
    Column("tenant", String, primary_key=True),
    Column("key", String, primary_key=True),
    Column("accepted_at", Timestamp, nullable=False),
)


def _version_columns() -> list[Column[Any]]:
    """Return the columns by which an edit finds the message that it replaces."""
    return [
        # The platform's id of the message, unique in the tenant.
        Column("message_key", String),
        # The platform's id of its author.
        Column("author", String),
        # A digest of the content.
        Column("content", String),
        # The number of the last edit.
        Column("revision", BigInteger),
    ]


inbox = Table(
    "inbox",
    metadata,
    Column("id", Id, primary_key=True),
    Column("conversation_id", Id, ForeignKey("conversations.id"), nullable=False),
    Column("place", BigInteger, nullable=False),
    Column("payload", Text, nullable=False),
    Column("status", String, nullable=False),
    Column("attempts", Integer, nullable=False),
    # The number of claims so far. A worker that lost its claim cannot end the turn, because this number has changed.
    Column("lease", BigInteger, nullable=False, server_default="0"),
    # The worker that claimed it last; null if one process plays all turns.
    Column("owner", BigInteger),
    Column("reference", String, nullable=False),
    Column("accepted_at", Timestamp, nullable=False),
    # When its turn began, for the last time; and when it was answered or given up.
    Column("began_at", Timestamp),
    Column("ended_at", Timestamp),
    # When it is tried again, removed, or regarded as complete: see `InboxStatus`.
    Column("due_at", Timestamp),
    # Of a message in pieces: the platform's id of the whole, and the number of the piece in `payload`.
    Column("group_key", String),
    Column("piece", BigInteger),
    *_version_columns(),
    # When a consent, for example, or an operator resumed it. Its age is counted from then.
    Column("renewed_at", Timestamp),
    # When its sender or an operator asked to stop its turn.
    Column("stopped_at", Timestamp),
    # The error of the last try.
    Column("error", Text),
    # Of a joined row: the row whose turn answers it.
    Column("turn_id", Id),
    # The sender, once a turn has parsed the payload.
    Column("sender_tenant", String),
    Column("sender_user_id", String),
    # Of a parked row: the consent that it waits for.
    Column("provider", String),
    Column("scopes", Text),
    UniqueConstraint("conversation_id", "place"),
)
Index("inbox_reference", inbox.c.reference)
Index("inbox_waiting", inbox.c.conversation_id, inbox.c.place,
      **_partial(is_any(inbox.c.status, InboxStatus.WAITING)))  # fmt: skip
Index("inbox_running", inbox.c.conversation_id, unique=True, **_partial(is_any(inbox.c.status, InboxStatus.RUNNING)))
Index("inbox_stopped", inbox.c.id,
      **_partial(is_any(inbox.c.status, InboxStatus.RUNNING) & inbox.c.stopped_at.is_not(None)))  # fmt: skip
Index("inbox_parked", inbox.c.provider, inbox.c.sender_tenant, inbox.c.sender_user_id,
      **_partial(is_any(inbox.c.status, InboxStatus.PARKED)))  # fmt: skip

Index("inbox_joined", inbox.c.turn_id, **_partial(inbox.c.turn_id.is_not(None)))
Index("inbox_due", inbox.c.due_at, **_partial(is_any(inbox.c.status, InboxStatus.RETRYING)))
Index("inbox_gathering", inbox.c.conversation_id, inbox.c.place,
      **_partial(is_any(inbox.c.status, InboxStatus.GATHERING)))  # fmt: skip
Index("inbox_incomplete", inbox.c.due_at, **_partial(is_any(inbox.c.status, InboxStatus.HELD, InboxStatus.GATHERING)))
Index("inbox_group", inbox.c.group_key, **_partial(inbox.c.group_key.is_not(None)))
Index("inbox_message", inbox.c.message_key, **_partial(inbox.c.message_key.is_not(None)))
Index("inbox_done", inbox.c.accepted_at, **_partial(is_any(inbox.c.status, InboxStatus.DONE, InboxStatus.DROPPED)))
Index("inbox_dead", inbox.c.id, **_partial(is_any(inbox.c.status, InboxStatus.DEAD, InboxStatus.EXPIRED)))

# The pieces of messages, except the piece of each message that arrived first.
pieces = Table(
    "pieces",
    metadata,
    Column("inbox_id", Id, primary_key=True, autoincrement=False),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("payload", Text, nullable=False),
    *_version_columns(),
)
Index("pieces_message", pieces.c.message_key, **_partial(pieces.c.message_key.is_not(None)))

outbox = Table(
    "outbox",
    metadata,
    Column("id", Id, primary_key=True),
    Column("conversation_id", Id, ForeignKey("conversations.id"), nullable=False),
    # The message that it answers, if any.
    Column("inbox_id", Id, ForeignKey("inbox.id")),
    Column("kind", String, nullable=False),
    # JSON: see gateway.outbox.outbox.Outbox
    Column("body", Text, nullable=False),
    Column("status", String, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("created_at", Timestamp, nullable=False),
    # Of a private row or a sign-in link: the person.
    Column("recipient_tenant", String),
    Column("recipient_user_id", String),
    # When it is sent or tried again.
    Column("due_at", Timestamp),
    # When it became due, was released or was retried by an operator. Its age is counted from then.
    Column("renewed_at", Timestamp),
    # When the platform took it.
    Column("sent_at", Timestamp),
    # The platform's id of the message.
    Column("platform_id", String),
    # In a channel that reports deliveries: the key of the last try, which the reports name.
    Column("delivery_key", String),
    # What the platform reported last: see `DeliveryStatus`.
    Column("delivery_status", String),
    # The question whose text, card or closing it sends.
    Column("question_id", String),
    # Whether the platform may have taken it, although the gateway got no confirmation.
    Column("ambiguous", Boolean, nullable=False, server_default=false()),
    Column("reference", String),
    # The error of the last try.
    Column("error", Text),
)
is_unsent = is_any(
    outbox.c.status, OutboxStatus.WAITING, OutboxStatus.SENDING, OutboxStatus.RETRYING, OutboxStatus.LATE
)
Index("outbox_unsent", outbox.c.conversation_id, outbox.c.id,
      **_partial(is_unsent))  # fmt: skip
Index("outbox_held", outbox.c.recipient_user_id, **_partial(is_any(outbox.c.status, OutboxStatus.HELD)))
Index("outbox_due", outbox.c.due_at,
      **_partial(is_any(outbox.c.status, OutboxStatus.RETRYING, OutboxStatus.SCHEDULED)))  # fmt: skip
Index("outbox_dead", outbox.c.id, **_partial(is_any(outbox.c.status, OutboxStatus.DEAD)))
Index("outbox_inbox", outbox.c.inbox_id)
Index("outbox_unasked", outbox.c.reference, **_partial(outbox.c.inbox_id.is_(None)))
Index("outbox_question", outbox.c.question_id, **_partial(outbox.c.question_id.is_not(None)))
Index("outbox_conversation", outbox.c.conversation_id, outbox.c.id)
Index("outbox_platform", outbox.c.platform_id, **_partial(outbox.c.platform_id.is_not(None)))
Index("outbox_delivery", outbox.c.delivery_key, unique=True, **_partial(outbox.c.delivery_key.is_not(None)))
is_unreported = is_any(outbox.c.status, OutboxStatus.SENT) & is_any(outbox.c.delivery_status, DeliveryStatus.QUEUED)
Index("outbox_unreported", outbox.c.conversation_id, outbox.c.sent_at, **_partial(is_unreported))

# People's ratings of answers: the last one of each person for each answer.
feedback = Table(
    "feedback",
    metadata,
    Column("id", Id, primary_key=True),
    Column("channel", String, nullable=False),
    Column("tenant", String, nullable=False),
    Column("user_id", String, nullable=False),
    # The key of the answer's conversation, and the reference of its turn. Their rows may be gone.
    Column("conversation", String, nullable=False),
    Column("reference", String, nullable=False),
    Column("rating", String, nullable=False),
    Column("comment", Text),
    Column("rated_at", Timestamp, nullable=False),
    UniqueConstraint("channel", "tenant", "user_id", "reference"),
)
Index("feedback_rated", feedback.c.rated_at)

# The files that agents send and that people upload.
files = Table(
    "files",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("media_type", String, nullable=False),
    # In bytes. Null until all chunks are stored.
    Column("size", BigInteger),
    # The key that signs the addresses of the file.
    Column("secret", LargeBinary, nullable=False),
    # The person to whom the file belongs; null if it belongs to nobody.
    Column("channel", String),
    Column("tenant", String),
    Column("user_id", String),
    # The delivery that sends it, and its place among the files of that delivery.
    Column("outbox_id", Id),
    Column("place", Integer),
    Column("created_at", Timestamp, nullable=False),
)
Index("files_outbox", files.c.outbox_id)
Index("files_person", files.c.user_id)
Index("files_created", files.c.created_at)

file_chunks = Table(
    "file_chunks",
    metadata,
    Column("file_id", String, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("data", LargeBinary, nullable=False),
)

# The journal of turns that have not ended: the tool calls, and the responses of models.
tool_calls = Table(
    "tool_calls",
    metadata,
    Column("inbox_id", Id, primary_key=True, autoincrement=False),
    Column("key", String, primary_key=True),
    Column("tool", String, nullable=False),
    Column("private", Boolean, nullable=False),
    Column("began_at", Timestamp, nullable=False),
    # Null until the call has ended.
    Column("outcome", String),
    # JSON
    Column("result", Text),
    # The text that the model got instead of a result.
    Column("error", Text),
)
turn_responses = Table(
    "turn_responses",
    metadata,
    Column("inbox_id", Id, primary_key=True, autoincrement=False),
    Column("scope", String, primary_key=True),
    Column("number", Integer, primary_key=True),
    # The response, in a format that only the engine reads.
    Column("data", Text, nullable=False),
)

# Questions to people.
questions = Table(
    "questions",
    metadata,
    # Random, because buttons carry it and nobody may guess it.
    Column("id", String, primary_key=True),
    Column("kind", String, nullable=False),
    # The message whose turn asks, and its conversation.
    Column("inbox_id", Id, nullable=False),
    Column("conversation_id", Id, nullable=False),
    Column("reference", String, nullable=False),
    Column("message_id", String, nullable=False),
    Column("message_text", Text, nullable=False),
    # Unique among the questions of a turn. Of an approval: the key of the call in tool_calls.
    Column("key", String, nullable=False),
    # The person who is asked, and the name that the channel shows for that person.
    Column("channel", String, nullable=False),
    Column("tenant", String, nullable=False),
    Column("user_id", String, nullable=False),
    Column("name", String, nullable=False, server_default=""),
    # The conversation in which the person is asked. The key is empty for the person's direct conversation with the bot.
    # Both are null if no message can answer the question.
    Column("place_tenant", String),
    Column("place_key", String),
    # Of an approval: the tool, its arguments as JSON (a yes is valid only for these), and the accounts that it uses.
    Column("tool", String, nullable=False, server_default=""),
    Column("arguments", Text, nullable=False, server_default=""),
    Column("accounts", String, nullable=False, server_default=""),
    # The question, in markdown. Of an approval: what the call is about to do.
    Column("prompt", Text, nullable=False),
    # JSON: the label and the style of each choice.
    Column("choices", Text, nullable=False),
    # Whether any text is an answer.
    Column("free_text", Boolean, nullable=False),
    Column("status", String, nullable=False),
    Column("asked_at", Timestamp),
    Column("until", Timestamp, nullable=False),
    # The index of the choice, or null if the answer is a text; and the text or the label of the choice.
    Column("choice", Integer),
    Column("answer", Text),
    # The person who answered, which may be another one than the person who was asked, and when.
    Column("decided_by", String),
    Column("decided_at", Timestamp),
    # A sentence for people that says who decided what.
    Column("decision", Text),
    UniqueConstraint("inbox_id", "key"),
)
# A person has one open question at a time in each place, so that it is clear which question a message answers.
Index("questions_asked", questions.c.channel, questions.c.tenant, questions.c.user_id, questions.c.place_tenant,
      questions.c.place_key, unique=True,
      **_partial(is_any(questions.c.status, QuestionStatus.ASKED)))  # fmt: skip
Index("questions_queued", questions.c.user_id, **_partial(is_any(questions.c.status, QuestionStatus.QUEUED)))
Index("questions_until", questions.c.until,
      **_partial(is_any(questions.c.status, QuestionStatus.QUEUED, QuestionStatus.ASKED)))  # fmt: skip

# The previews of turns that have not ended.
previews = Table(
    "previews",
    metadata,
    Column("id", Id, primary_key=True),
    Column("inbox_id", Id, nullable=False),
    Column("kind", String, nullable=False),
    # The platform's id of the message. Null until it is known.
    Column("platform_id", String),
    Column("began_at", Timestamp, nullable=False),
)
Index("previews_inbox", previews.c.inbox_id)

# People whom the platform knows by an id besides the address at which they are reached, which may pass to others.
known_people = Table(
    "known_people",
    metadata,
    Column("channel", String, primary_key=True),
    Column("tenant", String, primary_key=True),
    Column("platform_id", String, primary_key=True),
    # The id that the gateway knows the person by: the first address, or the platform's id if another person has it.
    Column("user_id", String, nullable=False),
    # The address with which the person was first seen, if it is not the platform's id.
    Column("address", String),
    Column("first_seen_at", Timestamp, nullable=False),
    UniqueConstraint("channel", "tenant", "user_id"),
)
Index("known_people_address", known_people.c.channel, known_people.c.tenant, known_people.c.address)

# The people who want to get no messages.
opt_outs = Table(
    "opt_outs",
    metadata,
    Column("channel", String, primary_key=True),
    Column("tenant", String, primary_key=True),
    Column("user_id", String, primary_key=True),
    Column("opted_out_at", Timestamp, nullable=False),
)

# Who may use the channels that do not answer everybody: see gateway.access.
access_list = Table(
    "access_list",
    metadata,
    Column("channel", String, primary_key=True),
    Column("tenant", String, primary_key=True),
    # See `gateway.access.entries.Kind`.
    Column("kind", String, primary_key=True),
    # The id of the person or the chat; empty for a workspace.
    Column("key", String, primary_key=True),
    Column("added_at", Timestamp, nullable=False),
)

# The people who were told that they may not use a channel.
access_requests = Table(
    "access_requests",
    metadata,
    Column("channel", String, primary_key=True),
    Column("tenant", String, primary_key=True),
    Column("user_id", String, primary_key=True),
    # The code that an operator approves, and until when; null if there is none.
    Column("code", String, unique=True),
    Column("expires_at", Timestamp),
    # What the person is told after that: the parts of the text, rendered for the platform, as JSON.
    Column("welcome", Text, nullable=False),
    # The direct conversation of the person.
    Column("conversation_id", Id, ForeignKey("conversations.id"), nullable=False),
    Column("asked_at", Timestamp, nullable=False),
)

# How many turns people have begun: see gateway.access.limits.
turn_counts = Table(
    "turn_counts",
    metadata,
    Column("channel", String, primary_key=True),
    Column("tenant", String, primary_key=True),
    Column("user_id", String, primary_key=True),
    # In the minute and in the day that began with the first of them, and when these end.
    Column("minute_turns", Integer, nullable=False, server_default="0"),
    Column("minute_until", Timestamp),
    Column("day_turns", Integer, nullable=False, server_default="0"),
    Column("day_until", Timestamp),
    # Until when the person has to wait, as they were told last.
    Column("told_until", Timestamp),
)

# Until when nothing is sent to a place, because the platform asked the gateway to wait.
pauses = Table(
    "pauses",
    metadata,
    Column("channel", String, primary_key=True),
    Column("tenant", String, primary_key=True),
    # The id of the conversation, or of the chat that it is in. Empty if the pause is for the whole tenant.
    Column("key", String, primary_key=True, server_default=""),
    Column("until", Timestamp, nullable=False),
)

# The processes that do something which only one of all processes may do: see gateway/storage/leases.py.
leases = Table(
    "leases",
    metadata,
    Column("name", String, primary_key=True),
    # Random, and different in each process.
    Column("holder", String, nullable=False),
    # A number that changes while the holder lives.
    Column("renewals", BigInteger, nullable=False),
)

# The processes that run, for `understudy status`: see gateway/operations/presence.py.
processes = Table(
    "processes",
    metadata,
    # Random, and different in each process.
    Column("id", String, primary_key=True),
    Column("takes_events", Boolean, nullable=False),
    Column("plays_turns", Boolean, nullable=False),
    Column("host", String, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("version", String, nullable=False),
    Column("started_at", Timestamp, nullable=False),
    Column("seen_at", Timestamp, nullable=False),
)

# The last webhook of each channel that was refused.
refusals = Table(
    "refusals",
    metadata,
    Column("channel", String, primary_key=True),
    Column("refused_at", Timestamp, nullable=False),
    Column("status_code", Integer, nullable=False),
    # In fixed words, which contain nothing from the request.
    Column("reason", String, nullable=False),
)

session_items = Table(
    "session_items",
    metadata,
    Column("id", Id, primary_key=True),
    Column("conversation_id", Id, ForeignKey("conversations.id"), nullable=False),
    # The message whose turn added the item. Its row may be gone.
    Column("inbox_id", Id, nullable=False),
    Column("owner_tenant", String, nullable=False),
    Column("owner_user_id", String, nullable=False),
    Column("owner_name", String, nullable=False),
    Column("role", String, nullable=False),
    Column("text", Text, nullable=False),
    Column("private", Boolean, nullable=False),
    # The name of an engine, and the item in a format that only this engine reads.
    Column("engine", String, nullable=False),
    Column("data", Text, nullable=False),
    Column("created_at", Timestamp, nullable=False),
    # Whether the model was given files with the message.
    Column("has_files", Boolean, nullable=False, server_default=false()),
    # Of a summary: the last item that it replaces for its owner.
    Column("summary_until", Id),
)
Index("session_items_conversation", session_items.c.conversation_id, session_items.c.id)

# The conversations that people begin and name themselves, with the key of the conversation.
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

# Append-only: triggers reject the change or removal of a row, see gateway/storage/migrations.
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
    # The person who approved or declined the call: see `decider`.
    Column("decided_by", String),
    Column("arguments", Text),
    Column("result", Text),
)
Index("audit_person", audit.c.user_id, audit.c.id)
Index("audit_reference", audit.c.trace_id)

# The people whose audit records are being removed. The triggers allow the removal of no other record.
audit_erasures = Table(
    "audit_erasures",
    metadata,
    Column("channel", String, primary_key=True),
    Column("tenant", String, primary_key=True),
    Column("user_id", String, primary_key=True),
)
