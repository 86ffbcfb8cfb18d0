"""Tell people in the chat what it means that they declined to connect an account."""

from collections.abc import Mapping
from datetime import UTC, datetime

from sqlalchemy import select

from gateway.channels.presenter import Presenter
from gateway.inbox.inbox import RESUMABLE_FOR, Inbox
from gateway.outbox.outbox import Outbox
from gateway.storage.database import Database
from gateway.storage.tables import InboxStatus, conversations, inbox, is_any
from oauth import Identity

DENIED = "{label} was not connected, so I cannot answer what you asked. Ask me again to get a new link."


async def tell_of_denial(
    database: Database,
    waiting: Inbox,
    outbox: Outbox,
    presenters: Mapping[str, Presenter],
    identity: Identity,
    provider: str,
    label: str,
) -> None:
    """Tell a person alone that their last message which waits for an account stays unanswered.

    The message goes on waiting: they may still connect the account by another link.
    """
    parked = (
        select(inbox.c.id, inbox.c.conversation_id, inbox.c.reference, conversations.c.shared)
        .join(conversations, conversations.c.id == inbox.c.conversation_id)
        .where(
            is_any(inbox.c.status, InboxStatus.PARKED),
            inbox.c.provider == provider,
            inbox.c.sender_tenant == identity.tenant,
            inbox.c.sender_user_id == identity.user_id,
            inbox.c.accepted_at >= datetime.now(UTC) - RESUMABLE_FOR,
            conversations.c.channel == identity.channel,
        )
        .order_by(inbox.c.id.desc())
        .limit(1)
    )
    parts = presenters[identity.channel].parts(DENIED.format(label=label))
    async with database.write() as connection:
        row = (await connection.execute(parked)).first()
        if row is None:
            return
        if row.shared:
            await outbox.add_private_texts(connection, row, identity, parts, "")
        else:
            await outbox.add_texts(connection, row, parts, "")
        committed = await waiting.resume(connection, [row.conversation_id])
    committed()
