"""`understudy sessions …`: the histories of conversations."""

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime

import typer
from sqlalchemy import select

from gateway.cli.options import Channel, ConversationId, Tenant, WithContent
from gateway.cli.terminal import open_database, print_json
from gateway.operations.reading import record_reading
from gateway.storage.tables import find_conversation, session_items
from gateway.turns.audit import Audit
from oauth import Identity, SettingError
from toolkits import Conversation

app = typer.Typer(no_args_is_help=True, help="Export the histories of conversations.")

SHOWN = "sessions export --content"  # in the audit, as the tool


@app.command()
def export(channel: Channel, tenant: Tenant, conversation: ConversationId, content: WithContent = False) -> None:
    """Print the history of a conversation, private items included: one JSON object per item, oldest first."""
    asyncio.run(_print_items(Conversation(channel, tenant, conversation, shared=True), content=content))


@dataclass(frozen=True, slots=True)
class StoredItem:
    """One item of a conversation's history.

    Args:
        text, data: what was said, and the same in the format of the engine; empty unless they were asked for.
    """

    created_at: datetime
    owner_tenant: str
    owner_user_id: str
    owner_name: str
    role: str
    text: str
    private: bool
    engine: str
    data: str


async def _print_items(conversation: Conversation, *, content: bool) -> None:
    columns = [session_items.c[name] for name in StoredItem.__slots__]
    async with open_database() as database, database.read() as connection:
        here = session_items.c.conversation_id.in_(find_conversation(conversation))
        found = (await connection.execute(select(*columns).where(here).order_by(session_items.c.id))).all()
        if content:
            owners = [Identity(conversation.channel, row.owner_tenant, row.owner_user_id) for row in found]
            await record_reading(Audit(database), SHOWN, [(owner, conversation.id) for owner in owners])
    if not found:
        raise SettingError(
            f"The conversation {conversation.id!r} in {conversation.channel} {conversation.tenant} has no history: "
            "`understudy audit` shows the ids of conversations."
        )
    items = [StoredItem(*row) for row in found]
    print_json(items if content else [replace(item, text="", data="") for item in items])
