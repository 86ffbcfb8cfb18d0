import json
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.interface import TranscriptEntry
from gateway.tables import OutboxStatus, conversations, inbox, outbox
from toolkits import Conversation

MOST_MESSAGES = 50


async def load_transcript(connection: AsyncConnection, conversation: Conversation) -> list[TranscriptEntry]:
    """The last messages of a conversation and what was sent in answer to each, oldest first."""
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
    first = (
        select(outbox)
        .join(conversations, conversations.c.id == outbox.c.conversation_id)
        .where(*where, outbox.c.inbox_id.is_(None), outbox.c.status != OutboxStatus.SCHEDULED)
        .order_by(outbox.c.id.desc())
        .limit(MOST_MESSAGES)
    )
    answers = select(outbox).where(outbox.c.inbox_id.in_([row.id for row in received])).order_by(outbox.c.id)
    groups = [(row.renewed_at or row.created_at, [_sent(row)]) for row in (await connection.execute(first)).all()]
    by_message: dict[int, list[TranscriptEntry]] = {
        row.id: [TranscriptEntry(f"in-{row.id}", row.accepted_at, payload=row.payload)] for row in received
    }
    for row in (await connection.execute(answers)).all():
        by_message[row.inbox_id].append(_sent(row))
    groups += [(row.accepted_at, by_message[row.id]) for row in received]
    groups.sort(key=lambda group: group[0])
    return [entry for _, entries in groups for entry in entries]


def _sent(row: Row[Any]) -> TranscriptEntry:
    body = json.loads(row.body)
    return TranscriptEntry(f"out-{row.id}", row.created_at, text=body.get("text"), provider=body.get("provider"))
