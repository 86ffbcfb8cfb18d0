"""`understudy sessions …`: the histories of conversations."""

import asyncio
from dataclasses import dataclass
from datetime import datetime

import typer
from sqlalchemy import select

from gateway.cli.options import Channel, ConversationId, Tenant
from gateway.cli.terminal import open_database, print_json
from gateway.storage.tables import find_conversation, session_items
from oauth import SettingError
from toolkits import Conversation

app = typer.Typer(no_args_is_help=True, help="Export the histories of conversations.")


@app.command()
def export(channel: Channel, tenant: Tenant, conversation: ConversationId) -> None:
    """Print the history of a conversation, private items included: one JSON object per item, oldest first."""
    asyncio.run(_print_items(Conversation(channel, tenant, conversation, shared=True)))


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


async def _print_items(conversation: Conversation) -> None:
    columns = [session_items.c[name] for name in StoredItem.__slots__]
    async with open_database() as database, database.read() as connection:
        here = session_items.c.conversation_id.in_(find_conversation(conversation))
        found = (await connection.execute(select(*columns).where(here).order_by(session_items.c.id))).all()
    if not found:
        raise SettingError(
            f"The conversation {conversation.id!r} in {conversation.channel} {conversation.tenant} has no history: "
            "`understudy audit` shows the ids of conversations."
        )
    print_json([StoredItem(*row) for row in found])
