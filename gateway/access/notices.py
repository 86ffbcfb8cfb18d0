"""Messages to people whose own message is not stored."""

import json
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import func, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.storage.database import Database
from gateway.storage.tables import OutboxKind, OutboxStatus, conversations, outbox
from toolkits import Conversation


async def heard_in(database: Database, connection: AsyncConnection, conversation: Conversation) -> int:
    """Note that somebody wrote in a conversation, and return its row id.

    Like every message, it opens the time in which the platform takes messages to the person.
    """
    now = datetime.now(UTC)
    upsert = database.upsert(conversations).values(
        channel=conversation.channel,
        tenant=conversation.tenant,
        key=conversation.id,
        shared=conversation.shared,
        last_place=0,
        last_accepted_at=now,
    )
    made = await connection.execute(
        upsert.on_conflict_do_update(
            index_elements=["channel", "tenant", "key"], set_={"last_accepted_at": now}
        ).returning(func.coalesce(conversations.c.moved_to, conversations.c.id))
    )
    return int(made.scalar_one())


async def add_notice(connection: AsyncConnection, conversation_id: int, parts: Sequence[str]) -> None:
    """Add a message to the outbox. A process that plays turns sends it within a second: see `DueWork`.

    Args:
        parts: the text, rendered for the platform.
    """
    now, reference = datetime.now(UTC), secrets.token_hex(4)
    rows = [
        {
            "conversation_id": conversation_id,
            "kind": OutboxKind.TEXT,
            "body": json.dumps({"text": part, "reply_to": ""}, ensure_ascii=False),
            "status": OutboxStatus.SCHEDULED,
            "attempts": 0,
            "created_at": now,
            "due_at": now,
            "reference": reference,
        }
        for part in parts
    ]
    await connection.execute(insert(outbox), rows)
