from collections.abc import Mapping
from datetime import datetime

from gateway.database import Database
from gateway.inbox import Inbox
from gateway.interface import Presenter
from gateway.outbox import Outbox
from oauth import SettingError
from toolkits import Conversation


class Sender:
    """Writes to conversations first, or later."""

    def __init__(self, database: Database, inbox: Inbox, outbox: Outbox, presenters: Mapping[str, Presenter]) -> None:
        self._database = database
        self._inbox = inbox
        self._outbox = outbox
        self._presenters = presenters

    async def send(
        self, conversation: Conversation, text: str, *, at: datetime | None = None, key: str | None = None
    ) -> str | None:
        """See `Gateway.send`."""
        if conversation.channel not in self._presenters:
            there = ", ".join(self._presenters) or "none"
            raise SettingError(f"There is no channel {conversation.channel!r} here to send to, only {there}.")
        if at is not None and at.tzinfo is None:
            raise ValueError("send(at=…) needs a time with a time zone")
        parts = self._presenters[conversation.channel].parts(text)
        if not parts:
            raise ValueError("send(): there is nothing in the text that can be seen")
        async with self._database.write() as connection:
            if key is not None and not await self._inbox.take_key(connection, conversation, f"send:{key}"):
                return None
            conversation_id = await self._inbox.conversation_id(connection, conversation)
            reference = await self._outbox.add_message(connection, conversation_id, parts, at)
            committed = await self._inbox.resume(connection, [conversation_id] if at is None else [])
        committed()
        return reference
