"""Dead letters: messages and deliveries that failed for good."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import FromClause, Row, Select, Table, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.operations.reading import reading
from gateway.runs.journal import RAISED
from gateway.storage.database import Database
from gateway.storage.tables import InboxStatus, OutboxStatus, conversations, inbox, is_any, outbox, tool_calls
from gateway.turns.audit import Audit
from gateway.turns.journal import forget
from oauth import Identity, SettingError

MESSAGE, DELIVERY = "message", "delivery"
SHOWN = "deadletters --content"  # in the audit, as the tool


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that was not answered, or a delivery that did not reach its conversation.

    Args:
        id: `m` and a number for a message, `d` and a number for a delivery.
        kind: "message" or "delivery".
        reference: the reference id that the person was given and that is in the log.
        person: the user id of the person who wrote the message, or whom the delivery is for; empty if
            that is not known.
        at: when the message arrived, or the delivery was stored; aware, in UTC.
        tries: how many times it was tried.
        reason: why it became a dead letter.
        delivery_status: what the platform last reported about the delivery; `-` if it reported nothing.
        content: the payload of the message as it arrived, or the body of the delivery, as JSON; empty unless it was
            asked for.
    """

    id: str
    kind: str
    reference: str
    channel: str
    tenant: str
    conversation: str
    person: str
    at: datetime
    tries: int
    status: str
    reason: str
    delivery_status: str
    content: str = field(repr=False)


class DeadLetters:
    """Lists, retries and drops dead letters. A running gateway or worker picks up a retried one within a second."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._audit = Audit(database)

    async def find(self, limit: int | None = None, *, content: bool = False) -> list[DeadLetter]:
        """Return the newest `limit` dead letters, or all of them, oldest first.

        Args:
            content: whether to include what people wrote. The audit then records that an operator has read it.
        """
        return await self._shown(await self._find(limit), content=content)

    async def get(self, name: str, *, content: bool = False) -> list[DeadLetter]:
        """Return the dead letters whose id or reference is `name`.

        Args:
            content: as for `find`.

        Raises:
            SettingError: if there are none.
        """
        found = [letter for letter in await self._find(None) if name in (letter.id, letter.reference)]
        if not found:
            raise SettingError(f"There is no dead letter {name}. `understudy deadletters list` lists all dead letters.")
        return await self._shown(found, content=content)

    async def count(self) -> int:
        """Return how many dead letters there are."""
        each = [select(func.count()).select_from(_newest(table, None).subquery()) for table in (inbox, outbox)]
        async with self._database.read() as connection:
            return sum([int(await connection.scalar(number) or 0) for number in each])

    async def _find(self, limit: int | None) -> list[DeadLetter]:
        async with self._database.read() as connection:
            found = [
                *(_letter(MESSAGE, row) for row in (await connection.execute(_newest(inbox, limit))).all()),
                *(_letter(DELIVERY, row) for row in (await connection.execute(_newest(outbox, limit))).all()),
            ]
        found.sort(key=lambda letter: letter.at)
        return found if limit is None else found[-limit:]

    async def _shown(self, letters: list[DeadLetter], *, content: bool) -> list[DeadLetter]:
        if not content:
            return [replace(letter, content="") for letter in letters]
        for letter in letters:
            person = Identity(letter.channel, letter.tenant, letter.person)
            await self._audit.add(reading(SHOWN, person, letter.conversation, letter.reference))
        return letters

    async def retry(self, letters: Sequence[DeadLetter]) -> list[DeadLetter]:
        """Queue letters to be tried again, as often as new messages and deliveries are, in one transaction.

        Returns:
            The letters that were changed. Letters that are no longer dead are skipped.
        """
        now = datetime.now(UTC)
        again = {"attempts": 0, "due_at": now, "renewed_at": now}
        message = {"status": InboxStatus.RETRYING, "turn_id": None, "stopped_at": None, "ended_at": None, **again}
        delivery = {"status": OutboxStatus.RETRYING, "ambiguous": False, **again}

        async def tidy(connection: AsyncConnection, inbox_id: int) -> None:
            await _change_joined(connection, inbox_id, InboxStatus.JOINED)
            await _forget_raised(connection, inbox_id)

        return await self._change(letters, message, delivery, tidy)

    async def drop(self, letters: Sequence[DeadLetter]) -> list[DeadLetter]:
        """Mark letters as dropped, in one transaction. They are not listed any more.

        Returns:
            The letters that were changed. Letters that are no longer dead are skipped.
        """

        async def tidy(connection: AsyncConnection, inbox_id: int) -> None:
            await _change_joined(connection, inbox_id, InboxStatus.DROPPED)
            await forget(connection, inbox_id)

        return await self._change(letters, {"status": InboxStatus.DROPPED}, {"status": OutboxStatus.DROPPED}, tidy)

    async def _change(
        self,
        letters: Sequence[DeadLetter],
        message: dict[str, Any],
        delivery: dict[str, Any],
        tidy: Callable[[AsyncConnection, int], Awaitable[None]],
    ) -> list[DeadLetter]:
        """Change the letters that are still dead, and call `tidy` for each message among them."""
        unique = {letter.id: letter for letter in letters}
        changed = []
        async with self._database.write() as connection:
            for _, letter in sorted(unique.items()):  # a fixed order, so that two operators cannot deadlock
                table, values = (inbox, message) if letter.kind == MESSAGE else (outbox, delivery)
                row_id = int(letter.id[1:])
                update_dead = update(table).where(table.c.id == row_id, _is_dead(table)).values(values)
                if (await connection.execute(update_dead.returning(table.c.id))).first() is None:
                    continue
                changed.append(letter)
                if letter.kind == MESSAGE:
                    await tidy(connection, row_id)
        return changed


async def _change_joined(connection: AsyncConnection, inbox_id: int, status: InboxStatus) -> None:
    """Change the messages that joined the turn of a dead letter.

    They are not listed as dead letters themselves: a retry of each one would repeat the tool calls of that turn.
    """
    joined = update(inbox).where(inbox.c.turn_id == inbox_id, _is_dead(inbox))
    await connection.execute(joined.values(status=status))


async def _forget_raised(connection: AsyncConnection, inbox_id: int) -> None:
    """Delete the tool calls that raised from the journal, so that they are made again. Finished calls stay."""
    raised = (tool_calls.c.inbox_id == inbox_id, tool_calls.c.error == RAISED)
    await connection.execute(delete(tool_calls).where(*raised))


def _is_dead(table: FromClause) -> Any:
    if table is outbox:
        return is_any(outbox.c.status, OutboxStatus.DEAD)
    return is_any(table.c.status, InboxStatus.DEAD, InboxStatus.EXPIRED)


def _newest(table: Table, limit: int | None) -> Select[Any]:
    where = (conversations.c.channel, conversations.c.tenant, conversations.c.key)
    writer = func.coalesce(inbox.c.sender_user_id, inbox.c.author)
    person = writer if table is inbox else func.coalesce(outbox.c.recipient_user_id, writer)
    joined = select(table, *where, person.label("person")).join(
        conversations, conversations.c.id == table.c.conversation_id
    )
    if table is outbox:
        joined = joined.outerjoin(inbox, inbox.c.id == outbox.c.inbox_id)
    letters = joined.where(_is_dead(table)).order_by(table.c.id.desc()).limit(limit)
    if table is inbox:
        lead = inbox.alias()
        dead_leads = select(lead.c.id).where(lead.c.id == inbox.c.turn_id, _is_dead(lead))
        return letters.where(~dead_leads.exists())
    return letters


def _letter(kind: str, row: Row[Any]) -> DeadLetter:
    is_message = kind == MESSAGE
    return DeadLetter(
        id=f"{kind[0]}{row.id}",
        kind=kind,
        reference=row.reference or "-",
        channel=row.channel,
        tenant=row.tenant,
        conversation=row.key,
        person=row.person or "",
        at=row.accepted_at if is_message else row.created_at,
        tries=row.attempts,
        status=row.status,
        reason=row.error or "-",
        delivery_status=(not is_message and row.delivery_status) or "-",
        content=row.payload if is_message else row.body,
    )
