"""Stop turns: mark the row of the message, and notify the process that plays the turn."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import String, bindparam, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.storage.database import Database
from gateway.storage.tables import InboxStatus, conversations, find_conversation, inbox, is_any
from oauth.store.columns import Timestamp
from toolkits import Conversation

_is_running = is_any(inbox.c.status, InboxStatus.RUNNING)
_is_unanswered = is_any(inbox.c.status, InboxStatus.RUNNING, InboxStatus.WAITING, InboxStatus.RETRYING)

# A turn that ran while its conversation was moved may still be in the row of the old id.
_here = select(conversations.c.id).where(
    or_(conversations.c.id == bindparam("conversation_id"), conversations.c.moved_to == bindparam("conversation_id"))
)
_FIRST = (
    select(inbox.c.id)
    .where(
        inbox.c.conversation_id.in_(_here),
        inbox.c.author == bindparam("by"),
        inbox.c.place < bindparam("before"),
        _is_unanswered,
    )
    .order_by(_is_running.desc(), inbox.c.place)
    .limit(1)
)
_MARK = (
    update(inbox)
    .where(inbox.c.id == bindparam("row_id"), _is_unanswered)  # it may have ended since it was read
    .values(stopped_at=func.coalesce(inbox.c.stopped_at, bindparam("now", type_=Timestamp())))
    .returning(inbox.c.id)
)
_JOIN = (
    update(inbox)
    .where(inbox.c.conversation_id == bindparam("in_conversation"), inbox.c.place == bindparam("at_place"))
    .values(status=InboxStatus.JOINED, turn_id=bindparam("of_turn"))
)
_MARKED = select(inbox.c.id).where(_is_running, inbox.c.stopped_at.is_not(None))
_PLAYED_FOR = (
    select(conversations)
    .join(inbox, inbox.c.conversation_id == conversations.c.id)
    .where(
        _is_running,
        inbox.c.author == bindparam("by", type_=String),
        conversations.c.channel == bindparam("channel"),
        conversations.c.tenant == bindparam("tenant"),
    )
)
_LAST_PLACE = 2**63 - 1


class Stops:
    """Stops turns, and keeps track of the turns that run in this process.

    A stop applies to one message of a person in a conversation: the message that is being answered, or if there is
    none, the first that waits. Its mark is stored, so that a process that takes over the message does not continue it.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._running: dict[int, Callable[[], object]] = {}

    async def stop(self, conversation: Conversation, author: str) -> bool:
        """Stop a person's turn in a conversation.

        Args:
            author: the platform's id of the person, as in `Event.author`.

        Returns:
            Whether there was a turn to stop.
        """

        async def work(connection: AsyncConnection) -> int | None:
            found = (await connection.execute(find_conversation(conversation))).scalar_one_or_none()
            return None if found is None else await self._mark_first(connection, found, author, _LAST_PLACE)

        stopped = await self._database.run_write(work)
        self.tell([] if stopped is None else [stopped])
        return stopped is not None

    async def take(self, connection: AsyncConnection, conversation_id: int, place: int, author: str) -> int | None:
        """Handle a message that asks to stop, in the transaction that stores it. Join it to the turn that it stops.

        Args:
            place: the place of the message in its conversation.
            author: the platform's id of its author.

        Returns:
            The id of the message whose turn has to stop, for `tell`; `None` if there is none.
        """
        stopped = await self._mark_first(connection, conversation_id, author, place)
        if stopped is not None:
            here = {"in_conversation": conversation_id, "at_place": place}
            await connection.execute(_JOIN, {**here, "of_turn": stopped})
        return stopped

    async def played_for(self, channel: str, tenant: str, author: str) -> Sequence[Conversation]:
        """Return the conversations of a tenant in which a message of a person is being answered."""
        async with self._database.read() as connection:
            found = await connection.execute(_PLAYED_FOR, {"by": author, "channel": channel, "tenant": tenant})
            return [Conversation(row.channel, row.tenant, row.key, row.shared) for row in found]

    @contextmanager
    def told(self, row_id: int, stop: Callable[[], object]) -> Iterator[None]:
        """Call `stop` if the turn of a message has to stop while the block runs."""
        self._running[row_id] = stop
        try:
            yield
        finally:
            del self._running[row_id]

    def tell(self, row_ids: Sequence[int]) -> None:
        """Stop the turns of these messages that run in this process."""
        for row_id in row_ids:
            if (stop := self._running.get(row_id)) is not None:
                stop()

    async def look(self) -> None:
        """Stop the turns of this process that another process has marked."""
        if self._running:
            self.tell(await self._database.run_read(_marked))

    async def _mark_first(
        self, connection: AsyncConnection, conversation_id: int, author: str, before: int
    ) -> int | None:
        of_author = {"conversation_id": conversation_id, "by": author, "before": before}
        first = (await connection.execute(_FIRST, of_author)).scalar_one_or_none()
        if first is None:
            return None
        marked = await connection.execute(_MARK, {"row_id": first, "now": datetime.now(UTC)})
        return None if marked.first() is None else int(first)


async def _marked(connection: AsyncConnection) -> Sequence[Any]:
    return (await connection.execute(_MARKED)).scalars().all()
