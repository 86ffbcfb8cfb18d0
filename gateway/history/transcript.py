"""Transcripts of conversations, for channels that show a conversation again."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.storage.files import FileStore, StoredFile
from gateway.storage.tables import (
    InboxStatus,
    OutboxKind,
    OutboxStatus,
    QuestionStatus,
    conversations,
    inbox,
    is_any,
    outbox,
    questions,
)
from toolkits import Conversation

MAX_MESSAGES = 50  # in a transcript, with at most twice as many parts of answers

_QUESTIONS = (OutboxKind.QUESTION, OutboxKind.PRIVATE_QUESTION)


@dataclass(frozen=True, slots=True)
class TranscriptQuestion:
    """A question in a transcript.

    Args:
        id: see `QuestionCard`.
        choices: the label and the style of each choice.
        decided: a sentence with the decision; `None` while the question is open.
    """

    id: str
    choices: Sequence[tuple[str, str]]
    decided: str | None


@dataclass(frozen=True, slots=True)
class TranscriptEntry:
    """A message from a person (`payload`), or a part of an answer (`text`, or `provider` for a sign-in link).

    Args:
        at: when the message was accepted or the part was written; aware, in UTC.
        files: the files that were sent with the text.
        answers: the id of the entry with the message that this entry answers, if any.
        failed: whether this entry says that the message could not be answered.
        rated: in the last part of an agent's answer, the reference by which people rate the answer.
        question: the question, if the text is one.
    """

    id: str
    at: datetime
    payload: str | None = None
    text: str | None = None
    provider: str | None = None
    files: Sequence[StoredFile] = ()
    answers: str | None = None
    failed: bool = False
    rated: str | None = None
    question: TranscriptQuestion | None = None


async def load_transcript(
    connection: AsyncConnection, conversation: Conversation, store: FileStore
) -> list[TranscriptEntry]:
    """Return the last messages of a conversation and the last parts of its answers, oldest first."""
    where = (
        conversations.c.channel == conversation.channel,
        conversations.c.tenant == conversation.tenant,
        conversations.c.key == conversation.id,
    )
    messages = (
        select(inbox.c.id, inbox.c.payload, inbox.c.accepted_at)
        .join(conversations, conversations.c.id == inbox.c.conversation_id)
        .where(*where)
        .order_by(inbox.c.id.desc())
        .limit(MAX_MESSAGES)
    )
    received = (await connection.execute(messages)).all()
    is_due = (outbox.c.status != OutboxStatus.SCHEDULED) | (outbox.c.due_at <= datetime.now(UTC))
    answers = (
        select(outbox, inbox.c.status.label("message_status"))
        .join(conversations, conversations.c.id == outbox.c.conversation_id)
        .outerjoin(inbox, inbox.c.id == outbox.c.inbox_id)
        .where(*where, is_due, outbox.c.kind != OutboxKind.CLOSED_QUESTION)
        .order_by(outbox.c.id.desc())
        .limit(2 * MAX_MESSAGES)
    )
    sent = (await connection.execute(answers)).all()
    accepted_at = {row.id: row.accepted_at for row in received}
    entries = [TranscriptEntry(f"in-{row.id}", row.accepted_at, payload=row.payload) for row in reversed(received)]
    files = await store.load_sent(connection, [row.id for row in sent if row.kind == OutboxKind.FILES])
    decided = await _decided(connection, [row.question_id for row in sent if row.kind in _QUESTIONS])
    # The clocks of two processes may differ: do not place an answer before its message.
    entries += [_sent(row, accepted_at.get(row.inbox_id), files.get(row.id, ()), decided) for row in reversed(sent)]
    return sorted(entries, key=lambda entry: entry.at)


async def _decided(connection: AsyncConnection, question_ids: Sequence[str]) -> dict[str, str | None]:
    """Return the decisions of questions by id; `None` for open questions."""
    if not question_ids:
        return {}
    is_open = is_any(questions.c.status, QuestionStatus.QUEUED, QuestionStatus.ASKED)
    found = await connection.execute(
        select(questions.c.id, questions.c.decision, is_open.label("is_open")).where(questions.c.id.in_(question_ids))
    )
    return {row.id: None if row.is_open else row.decision or "" for row in found}


def _sent(
    row: Row[Any], answered_at: datetime | None, files: Sequence[StoredFile], decided: Mapping[str, str | None]
) -> TranscriptEntry:
    body, at = json.loads(row.body), row.renewed_at or row.created_at
    at = max(at, answered_at) if answered_at is not None else at
    question = None
    if row.kind in _QUESTIONS:
        choices = [(label, style) for label, style in body["choices"]]
        question = TranscriptQuestion(row.question_id, choices, decided.get(row.question_id, ""))
    return TranscriptEntry(
        f"out-{row.id}",
        at,
        text=body.get("text"),
        provider=body.get("provider"),
        files=files,
        answers=None if row.inbox_id is None else f"in-{row.inbox_id}",
        failed=row.kind == OutboxKind.TEXT and row.message_status == InboxStatus.DEAD,
        rated=row.reference if body.get("rated") else None,
        question=question,
    )
