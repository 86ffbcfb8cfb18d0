"""What was said in a conversation, for a channel that shows it again."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.storage.tables import OutboxStatus, conversations, inbox, outbox
from toolkits import Conversation

MOST_MESSAGES = 50


@dataclass(frozen=True, slots=True)
class TranscriptEntry:
    """One message in (`payload`) or one part of an answer out (`text`, or `provider` for a sign-in link).

    Args:
        at: when it was accepted, or written; aware, in UTC.
    """

    id: str
    at: datetime
    payload: str | None = None
    text: str | None = None
    provider: str | None = None


async def load_transcript(connection: AsyncConnection, conversation: Conversation) -> list[TranscriptEntry]:
    """Return the last messages of a conversation and what was last sent there, oldest first."""
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
        .limit(MOST_MESSAGES)
    )
    received = (await connection.execute(messages)).all()
    answers = (
        select(outbox)
        .join(conversations, conversations.c.id == outbox.c.conversation_id)
        .where(*where, outbox.c.status != OutboxStatus.SCHEDULED)
        .order_by(outbox.c.id.desc())
        .limit(2 * MOST_MESSAGES)
    )
    sent = (await connection.execute(answers)).all()
    accepted_at = {row.id: row.accepted_at for row in received}
    entries = [TranscriptEntry(f"in-{row.id}", row.accepted_at, payload=row.payload) for row in reversed(received)]
    # Two processes' clocks differ: no answer comes before its message.
    entries += [_sent(row, accepted_at.get(row.inbox_id)) for row in reversed(sent)]
    return sorted(entries, key=lambda entry: entry.at)


def _sent(row: Row[Any], answered_at: datetime | None) -> TranscriptEntry:
    body, at = json.loads(row.body), row.renewed_at or row.created_at
    at = max(at, answered_at) if answered_at is not None else at
    return TranscriptEntry(f"out-{row.id}", at, text=body.get("text"), provider=body.get("provider"))
