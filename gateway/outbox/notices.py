"""Messages that the gateway sends to people whose own message is not answered."""

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.inbox.accepting import new_reference
from gateway.outbox.outbox import add_row, private, public
from gateway.storage.tables import OutboxStatus
from oauth import Identity


async def add_notice(
    connection: AsyncConnection, conversation_id: int, parts: Sequence[str], recipient: Identity | None = None
) -> None:
    """Add a message to the outbox. A process that plays turns sends it within a second: see `DueWork`.

    The caller needs no dispatcher, so that an operator's command can call this function, too.

    Args:
        parts: the text, rendered for the platform.
        recipient: the only person who is to read it, if other people read the conversation.
    """
    reference, now = new_reference(), datetime.now(UTC)
    for place, part in enumerate(parts):
        kind, body = public(part, "") if recipient is None else private(part, place)
        await add_row(
            connection,
            conversation_id,
            None,
            kind,
            body,
            recipient,
            reference=reference,
            status=OutboxStatus.SCHEDULED,
            due_at=now,
        )
