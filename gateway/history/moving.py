"""Move conversations: give them other ids, and merge each with the conversation that has its new id already.

A moved conversation keeps its row. Another row keeps the old id, with `moved_to`, so that events and messages that name
the old id find the conversation. If two conversations are merged, that is the row of the one that had the new id.
"""

from typing import Any

from sqlalchemy import ColumnElement, Row, Table, and_, bindparam, delete, exists, func, insert, literal, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.runs.items import Role
from gateway.storage.tables import (
    InboxStatus,
    OutboxStatus,
    QuestionStatus,
    conversations,
    feedback,
    inbox,
    is_any,
    outbox,
    pauses,
    questions,
    session_items,
)
from toolkits import Conversation

_NOT_BEGUN = is_any(inbox.c.status, InboxStatus.WAITING, InboxStatus.GATHERING, InboxStatus.HELD)

_RENAME = update(conversations).where(conversations.c.id == bindparam("row_id")).values(key=bindparam("new_key"))
_older = conversations.alias()
has_leftovers = (
    exists()
    .where(_older.c.moved_to == conversations.c.id, inbox.c.conversation_id == _older.c.id)
    .correlate(conversations)
    .label("has_leftovers")
)
"""Whether messages of a conversation are still in the row of its old id, because one of them was being answered."""


async def move(connection: AsyncConnection, conversation: Conversation, conversation_id: str) -> list[int]:
    """Give a shared conversation, and those in it like the threads of a channel, another id: see `Host.move`.

    If messages of both ids are being answered, those with the new id that were not begun are merged at once, and the
    rest by `gather` or `gather_leftovers` when the answer is complete. The caller has locked the conversations.

    Returns:
        The ids of the rows to drain.
    """
    of_tenant = (conversations.c.channel == conversation.channel) & (conversations.c.tenant == conversation.tenant)
    both = _is_in(conversations.c.key, conversation.id) | _is_in(conversations.c.key, conversation_id)
    rows = (await connection.execute(select(conversations).where(of_tenant, conversations.c.shared, both))).all()
    known = {row.key: row for row in rows}
    to_drain: list[int] = []
    renamed, kept = list[dict[str, Any]](), list[dict[str, Any]]()
    moved = [row for row in rows if row.moved_to is None and not _names(conversation_id, row.key)]
    for row in moved:
        key = conversation_id + row.key.removeprefix(conversation.id)
        if (other := known.get(key)) is not None:
            await _merge(connection, row, other)
            to_drain += [row.id, other.id]
        else:
            renamed.append({"row_id": row.id, "new_key": key})
            old = {"channel": row.channel, "tenant": row.tenant, "key": row.key, "shared": True, "last_place": 0}
            kept.append({**old, "moved_to": row.id})
    if renamed:
        await connection.execute(_RENAME, renamed)
        await connection.execute(insert(conversations), kept)
    if moved:
        await _rename(connection, conversation, conversation_id)
    return to_drain


async def gather(connection: AsyncConnection, old_id: int, new_id: int) -> None:
    """Merge all that is stored in the row of an old id into the row of its conversation.

    Args:
        old_id: the row of the old id. Nothing of it may be being answered or sent.
    """
    await _take_messages(connection, old_id, new_id)
    await _forget_summaries(connection, old_id, new_id)
    for table in (outbox, session_items, questions):
        here = update(table).where(table.c.conversation_id == old_id)
        await connection.execute(here.values(conversation_id=new_id))


async def gather_leftovers(connection: AsyncConnection, conversation_id: int) -> bool:
    """Merge what is left in the rows of a conversation's old ids. Return `False` if some of it is being answered."""
    left = select(conversations.c.id).where(
        conversations.c.moved_to == conversation_id, exists().where(inbox.c.conversation_id == conversations.c.id)
    )
    for old_id in (await connection.execute(left)).scalars().all():
        if await _is_busy(connection, old_id):
            return False
        await gather(connection, old_id, conversation_id)
    return True


async def _merge(connection: AsyncConnection, row: Row[Any], other: Row[Any]) -> None:
    """Merge a conversation with another one, whose id it gets."""
    await connection.execute(_with_id(other.id).values(key=f"moved:{other.id}"))  # so that no two rows have one key
    heard = max((at for at in (row.last_accepted_at, other.last_accepted_at) if at is not None), default=None)
    await connection.execute(_with_id(row.id).values(key=other.key, last_accepted_at=heard))
    await connection.execute(_with_id(other.id).values(key=row.key, moved_to=row.id))
    of_other = update(conversations).where(conversations.c.moved_to == other.id)
    await connection.execute(of_other.values(moved_to=row.id))
    if await _is_busy(connection, other.id):
        await _take_messages(connection, other.id, row.id, _NOT_BEGUN)
    else:
        await gather(connection, other.id, row.id)


async def _is_busy(connection: AsyncConnection, row_id: int) -> bool:
    """Return whether a message of a row is being answered, or an answer sent."""
    running = exists().where(inbox.c.conversation_id == row_id, is_any(inbox.c.status, InboxStatus.RUNNING))
    sending = exists().where(outbox.c.conversation_id == row_id, is_any(outbox.c.status, OutboxStatus.SENDING))
    return bool((await connection.execute(select(running | sending))).scalar_one())


async def _take_messages(connection: AsyncConnection, old_id: int, new_id: int, *which: ColumnElement[bool]) -> None:
    """Give the messages of a row the places behind those of another row, in their order."""
    is_running = is_any(inbox.c.status, InboxStatus.RUNNING)  # one may have begun since
    of_old = (inbox.c.conversation_id == old_id, ~is_running, *which)
    count = (await connection.execute(select(func.max(inbox.c.place)).where(*of_old))).scalar_one()
    if count is None:
        return
    taken = _with_id(new_id).values(last_place=conversations.c.last_place + count)
    last = (await connection.execute(taken.returning(conversations.c.last_place))).scalar_one()
    placed = update(inbox).where(*of_old).values(conversation_id=new_id, place=inbox.c.place + (last - count))
    await connection.execute(placed)


async def _forget_summaries(connection: AsyncConnection, old_id: int, new_id: int) -> None:
    """Delete the summaries that would hide items of the other row. The next turns make new ones."""
    items, is_summary = session_items.c, session_items.c.role == Role.SUMMARY
    first = select(func.min(items.id)).where(items.conversation_id == old_id).scalar_subquery()
    hides = (items.conversation_id == new_id) & (items.summary_until >= first)
    await connection.execute(delete(session_items).where(is_summary, hides | (items.conversation_id == old_id)))


async def _rename(connection: AsyncConnection, conversation: Conversation, conversation_id: str) -> None:
    """Replace the ids of moved conversations where tables other than `conversations` have them."""

    def is_moved(table: Table, key: ColumnElement[Any], tenant: ColumnElement[Any]) -> ColumnElement[bool]:
        of_channel = table.c.channel == conversation.channel
        return and_(of_channel, tenant == conversation.tenant, _is_in(key, conversation.id))

    def renamed(key: ColumnElement[Any]) -> ColumnElement[str]:
        return literal(conversation_id) + func.substr(key, len(conversation.id) + 1)

    # A person has one open question in each place: the one with the old id is asked again after the other.
    is_asked = is_any(questions.c.status, QuestionStatus.ASKED)
    other = questions.alias()
    clashes = exists().where(
        other.c.channel == questions.c.channel,
        other.c.tenant == questions.c.tenant,
        other.c.user_id == questions.c.user_id,
        other.c.place_tenant == questions.c.place_tenant,
        other.c.place_key == renamed(questions.c.place_key),
        is_any(other.c.status, QuestionStatus.ASKED),
    )
    of_questions = is_moved(questions, questions.c.place_key, questions.c.place_tenant)
    again = update(questions).where(of_questions, is_asked, clashes)
    await connection.execute(again.values(status=QuestionStatus.QUEUED))
    await connection.execute(update(questions).where(of_questions).values(place_key=renamed(questions.c.place_key)))
    rated = update(feedback).where(is_moved(feedback, feedback.c.conversation, feedback.c.tenant))
    await connection.execute(rated.values(conversation=renamed(feedback.c.conversation)))
    newer = pauses.alias()
    is_paused = exists().where(
        newer.c.channel == pauses.c.channel, newer.c.tenant == pauses.c.tenant, newer.c.key == renamed(pauses.c.key)
    )
    paused = update(pauses).where(is_moved(pauses, pauses.c.key, pauses.c.tenant), ~is_paused)
    await connection.execute(paused.values(key=renamed(pauses.c.key)))


def _with_id(row_id: int) -> Any:
    return update(conversations).where(conversations.c.id == row_id)


def _names(conversation_id: str, key: str) -> bool:
    """Return whether a key is that of a conversation, or of one in it, like a thread of a channel."""
    return key == conversation_id or key.startswith(f"{conversation_id}/")


def _is_in(key: ColumnElement[Any], conversation_id: str) -> ColumnElement[bool]:
    """Do the same as `_names` in SQL. `LIKE` ignores the case in SQLite."""
    begin = f"{conversation_id}/"
    return (key == conversation_id) | (func.substr(key, 1, len(begin)) == begin)
