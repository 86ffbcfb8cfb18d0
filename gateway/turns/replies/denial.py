"""Tell people in the chat that their message stays unanswered after they declined to connect an account."""

from collections.abc import Mapping
from datetime import UTC, datetime

from sqlalchemy import Select, select

from gateway.channels.presenter import Presenter
from gateway.inbox.inbox import RESUMABLE_FOR
from gateway.storage.tables import InboxStatus, conversations, inbox, is_any
from gateway.turns.stores import Stores
from oauth import Identity

DENIED = "{label} was not connected, so I cannot answer what you asked. Ask me again to get a new link."


class DenialNotice:
    """Tells people that their last message that waits for an account stays unanswered.

    The message stays parked: the person may still connect the account with another link.

    Args:
        presenters: by channel.
    """

    def __init__(self, stores: Stores, presenters: Mapping[str, Presenter]) -> None:
        self._stores = stores
        self._presenters = presenters

    async def send(self, identity: Identity, provider: str, label: str) -> None:
        """Send the notice to a person, privately, if one of their messages waits for an account of this provider.

        Args:
            label: the name of the provider for people.
        """
        if identity.channel not in self._presenters:
            return
        outbox = self._stores.outbox
        parts = self._presenters[identity.channel].parts(DENIED.format(label=label))
        async with self._stores.database.write() as connection:
            row = (await connection.execute(_last_parked(identity, provider))).first()
            if row is None:
                return
            if row.shared:
                await outbox.add_private_parts(connection, row, identity, parts, "")
            else:
                await outbox.add_parts(connection, row, parts, "")
            committed = await self._stores.inbox.resume(connection, [row.conversation_id])
        committed()


def _last_parked(identity: Identity, provider: str) -> Select[tuple[int, int, str, bool]]:
    return (
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
