import json

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.interface import TranscriptEntry
from gateway.tables import conversations, inbox, outbox
from toolkits import Conversation

MOST_MESSAGES = 50


async def load_transcript(connection: AsyncConnection, conversation: Conversation) -> list[TranscriptEntry]:
    """The last messages of a conversation and what was sent in answer to each, oldest first."""
    messages = (
        select(inbox.c.id, inbox.c.payload)
        .join(conversations, conversations.c.id == inbox.c.conversation_id)
        .where(
            conversations.c.channel == conversation.channel,
            conversations.c.tenant == conversation.tenant,
            conversations.c.key == conversation.id,
        )
        .order_by(inbox.c.id.desc())
        .limit(MOST_MESSAGES)
    )
    received = (await connection.execute(messages)).all()
    sent = await connection.execute(
        select(outbox).where(outbox.c.inbox_id.in_([row.id for row in received])).order_by(outbox.c.id)
    )
    answers: dict[int, list[TranscriptEntry]] = {}
    for row in sent.all():
        body = json.loads(row.body)
        entry = TranscriptEntry(f"out-{row.id}", text=body.get("text"), provider=body.get("provider"))
        answers.setdefault(row.inbox_id, []).append(entry)
    entries = []
    for row in reversed(received):
        entries.append(TranscriptEntry(f"in-{row.id}", payload=row.payload))
        entries += answers.get(row.id, [])
    return entries
