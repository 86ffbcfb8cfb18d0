"""Check what arrives in a channel against the policy of the channel, before anything is stored."""

from collections.abc import Collection, Mapping

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.access.entries import AccessList, is_listed
from gateway.access.pairing import AccessRequests
from gateway.channels.errors import EventNotAcceptedError
from gateway.channels.event import Change, Event
from gateway.channels.interface import AccessPolicy, Interface
from gateway.channels.question import Press
from gateway.storage.database import Database
from gateway.storage.tables import conversations, questions
from oauth import Identity
from toolkits import Conversation


class Gate:
    """Decides who may use a channel.

    Args:
        interfaces: the channels, by name.
        approvers: the people whom the operator has named in UNDERSTUDY_APPROVERS. They may use their channel.
    """

    def __init__(
        self, database: Database, interfaces: Mapping[str, Interface], approvers: Collection[Identity]
    ) -> None:
        self._database = database
        self._interfaces = interfaces
        self._approvers = frozenset(approvers)
        self._requests = AccessRequests(database)
        self._list = AccessList(database)

    async def lets_in(self, event: Event) -> bool:
        """Return whether the author of an event may use the channel. If not, tell them once if they write directly.

        Raises:
            EventNotAcceptedError: if the database did not answer.
        """
        if event.change is Change.DELETED:  # it adds nothing, and people may always take back what they wrote
            return True
        try:
            if await self._admits(event.conversation.channel, event.sender, event.conversation):
                return True
            if event.sender is not None and not event.conversation.shared and event.change is None:
                await self._refuse(event.sender, event.conversation)
        except (SQLAlchemyError, OSError) as error:
            raise EventNotAcceptedError() from error
        return False

    async def admits(self, identity: Identity, conversation: Conversation | None = None) -> bool:
        """Return whether a person may use a channel: see `Host.admits`."""
        return await self._admits(identity.channel, identity, conversation)

    async def admits_press(self, press: Press) -> bool:
        """Return whether a person may answer a question with a button, in the conversation of the question."""
        if self._interfaces[press.identity.channel].access is AccessPolicy.OPEN:
            return True
        async with self._database.read() as connection:
            place = await _place_of(connection, press.question_id)
        return await self.admits(press.identity, place)

    async def move(self, chat: Conversation, new_id: str) -> None:
        """Give a chat on the access list another id: see `Host.move`."""
        await self._list.move(chat, new_id)

    async def _admits(self, channel: str, identity: Identity | None, conversation: Conversation | None) -> bool:
        """Return whether a person may use a channel; if nobody knows who it is, only the place counts."""
        interface = self._interfaces.get(channel)  # a channel that is gone answers nobody: its messages are given up
        if interface is None or interface.access is AccessPolicy.OPEN or identity in self._approvers:
            return True
        async with self._database.read() as connection:
            return await is_listed(connection, identity, conversation)

    async def _refuse(self, identity: Identity, conversation: Conversation) -> None:
        interface = self._interfaces[conversation.channel]
        pairing = interface.access is AccessPolicy.PAIRING
        await self._requests.refuse(identity, conversation, interface.presenter, pairing=pairing)


async def _place_of(connection: AsyncConnection, question_id: str) -> Conversation | None:
    """Return the conversation of a question; `None` if there is no such question."""
    found = select(conversations).join(questions, questions.c.conversation_id == conversations.c.id)
    row = (await connection.execute(found.where(questions.c.id == question_id))).first()
    return None if row is None else Conversation(row.channel, row.tenant, row.key, row.shared)
