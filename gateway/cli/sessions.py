"""`understudy sessions …`, on an operator's terminal."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from gateway.cli.terminal import print_json, stored
from gateway.storage.tables import find_conversation, session_items
from oauth import SettingError
from toolkits import Conversation


@dataclass(frozen=True, slots=True)
class StoredItem:
    """One item of a conversation's history, as it is stored."""

    created_at: datetime
    owner_tenant: str
    owner_user_id: str
    owner_name: str
    role: str
    text: str
    private: bool
    engine: str
    data: str


async def export(conversation: Conversation) -> None:
    """Prints the history of a conversation, a JSON object per item, oldest first.

    Raises:
        SettingError: if nothing was said there.
    """
    columns = [session_items.c[name] for name in StoredItem.__slots__]
    async with stored() as database, database.read() as connection:
        here = session_items.c.conversation_id.in_(find_conversation(conversation))
        found = (await connection.execute(select(*columns).where(here).order_by(session_items.c.id))).all()
    if not found:
        raise SettingError(
            f"There is no history of the conversation {conversation.id!r} of {conversation.channel} "
            f"{conversation.tenant}: `understudy audit` shows what conversations are called."
        )
    print_json([StoredItem(*row) for row in found])
