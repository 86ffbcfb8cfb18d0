"""Ask people before a tool does something in their name, and take their answers."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.channels.presenter import Presenter
from gateway.inbox.claims import ClaimedMessage
from gateway.inbox.inbox import RESUMABLE_FOR
from gateway.outbox.rendering import rendered
from gateway.runs.items import Role, SessionItem
from gateway.runs.journal import ApprovalRequiredError
from gateway.storage.tables import (
    ApprovalStatus,
    OutboxKind,
    OutboxStatus,
    approvals,
    conversations,
    inbox,
    is_any,
    outbox,
    tool_calls,
)
from gateway.turns.journal import forget
from gateway.turns.stores import Stores
from oauth import Identity
from oauth.store.tables import is_of
from toolkits import Message, preview
from toolkits.text import storable

NOT_DONE = "They did not say yes, so it was not done."
QUESTION = "May I do this{account}?\n\n{action}\n\nAnswer **yes** and I do it. If you answer anything else, I do not."
MOST_RESULT_CHARACTERS = 300  # of what a call returned, in the note on a turn that was not ended

_YES = re.compile(r"(yes|y|yes,? please)[.!]*", re.IGNORECASE)
_NO = re.compile(r"(no|n|no,? thanks|no,? thank you)[.!]*", re.IGNORECASE)


def answer_in(text: str) -> bool | None:
    """Return whether a text is a yes or a no; `None` if it is anything else."""
    if _YES.fullmatch(text.strip()):
        return True
    return False if _NO.fullmatch(text.strip()) else None


@dataclass(frozen=True, slots=True)
class Question:
    """A question that a person was asked and has not answered.

    Args:
        inbox_id: the id of the message whose turn waits for the answer.
        conversation_id: the id of that message's conversation.
        key: the key of the tool call in the turn.
        is_here: whether the question was asked in the conversation that the person writes in. An answer counts only
            there.
        read_since: when all parts of the question had been sent; `None` if they have not.
        is_last: whether nothing else was sent to the person since, where the question was asked.
        is_lost: whether the question will never be sent, or was sent so long ago that no answer is expected any more.
    """

    inbox_id: int
    conversation_id: int
    key: str
    identity: Identity
    message_text: str
    is_here: bool
    read_since: datetime | None
    is_last: bool
    is_lost: bool


class Approvals:
    """Asks people before tools do something in their name, and takes their answers.

    Each place has one open question at a time. The place of a question is the conversation of the message that waits;
    where others read that conversation, it is the person's direct conversation with the bot.

    Args:
        presenters: by channel.
    """

    def __init__(self, stores: Stores, presenters: Mapping[str, Presenter]) -> None:
        self._database = stores.database
        self._inbox = stores.inbox
        self._outbox = stores.outbox
        self._sessions = stores.sessions
        self._presenters = presenters

    async def add(
        self, connection: AsyncConnection, row: ClaimedMessage, message: Message, required: ApprovalRequiredError
    ) -> list[int]:
        """Ask the sender of a message about a call, in the transaction that parks the message.

        Where another question is open in that place, this one waits until that one is answered.

        Args:
            message: as it was played.

        Returns:
            The ids of the conversations that go on.
        """
        of_call = (approvals.c.inbox_id == row.id, approvals.c.key == required.key)
        await connection.execute(delete(approvals).where(*of_call))  # what was answered to other arguments
        place_tenant, place_key = self._place(message)
        await connection.execute(
            approvals.insert().values(
                inbox_id=row.id,
                key=required.key,
                channel=message.sender.channel,
                tenant=message.sender.tenant,
                user_id=message.sender.user_id,
                place_tenant=place_tenant,
                place_key=place_key,
                message_id=message.id,
                message_text=message.text,
                tool=required.tool,
                arguments=required.arguments,
                accounts=", ".join(required.accounts),
                action=storable(required.action),
                status=ApprovalStatus.QUEUED,
            )
        )
        return await self._ask_next(connection, message.sender)

    async def open(self, message: Message, conversation_id: int) -> list[Question]:
        """Return the questions that the sender of a message was asked, in any place, and has not answered.

        Args:
            conversation_id: the id of the message's conversation.
        """
        identity, here, root = message.sender, None, None
        if not message.conversation.shared:
            here, root = self._place(message), self._presenters[identity.channel].thread_root(message.conversation)

        async def work(connection: AsyncConnection) -> list[Question]:
            asked = (await connection.execute(_with_message(identity, ApprovalStatus.ASKED))).all()
            return [await _question(connection, row, identity, here, root, conversation_id) for row in asked]

        return await self._database.run_read(work)

    async def is_answer(self, message: Message, conversation_id: int) -> bool:
        """Return whether a message is a yes or a no where its sender was asked something.

        Args:
            conversation_id: the id of the message's conversation.
        """
        if message.anonymous or answer_in(message.text) is None:
            return False
        return any(question.is_here for question in await self.open(message, conversation_id))

    async def take(self, connection: AsyncConnection, question: Question, approved: bool | None) -> list[int]:
        """Take an answer, in the transaction that ends the turn of the message that gave it.

        Args:
            approved: `None` if the message may answer something else: then the question is asked once more.

        Returns:
            The ids of the conversations that go on.
        """
        status = {True: ApprovalStatus.APPROVED, False: ApprovalStatus.DENIED, None: ApprovalStatus.QUEUED}[approved]
        taken = await connection.execute(
            update(approvals).where(*_still_asked(question)).values(status=status).returning(approvals.c.key)
        )
        if taken.first() is None:
            return []
        if approved is None:
            return await self._ask_next(connection, question.identity)
        await self._inbox.go_on(connection, question.inbox_id, question.conversation_id)
        return [question.conversation_id, *await self._ask_next(connection, question.identity)]

    async def withdraw(self, question: Question, name: str) -> None:
        """End the turn that waits for an answer, without its call. The history says so.

        Args:
            name: the name that the channel shows for the person.
        """
        async with self._database.write() as connection:
            withdrawn = await connection.execute(
                update(approvals)
                .where(*_still_asked(question))
                .values(status=ApprovalStatus.DENIED)
                .returning(approvals.c.action)
            )
            action = withdrawn.scalar_one_or_none()
            if action is None:
                return
            done = await connection.execute(
                select(tool_calls).where(tool_calls.c.inbox_id == question.inbox_id).order_by(tool_calls.c.began_at)
            )
            items = [
                SessionItem(Role.USER, question.message_text),
                SessionItem(Role.ASSISTANT, _note(done.all(), action)),
            ]
            place = (question.conversation_id, question.inbox_id)
            await self._sessions.add(connection, *place, question.identity, name, items, private=True)
            await self._inbox.end_parked(connection, question.inbox_id)
            await forget(connection, question.inbox_id)
            going_on = await self._ask_next(connection, question.identity)
            committed = await self._inbox.resume(connection, going_on)
        committed()

    def _place(self, message: Message) -> tuple[str, str]:
        """Return the tenant and the key of the place in which the sender of a message is asked.

        The key is empty for their direct conversation with the bot.
        """
        conversation, presenter = message.conversation, self._presenters[message.sender.channel]
        is_direct = conversation.shared or presenter.is_direct(message.sender, conversation)
        return conversation.tenant, "" if is_direct else conversation.id

    async def _ask_next(self, connection: AsyncConnection, identity: Identity) -> list[int]:
        """Ask the next question in each place that has none open; return the ids of the conversations that go on."""
        asked = await connection.execute(_with_message(identity, ApprovalStatus.ASKED).with_for_update(of=approvals))
        busy, going_on = {_place_of(row) for row in asked}, []
        for row in (await connection.execute(_with_message(identity, ApprovalStatus.QUEUED))).all():
            if _place_of(row) not in busy:
                busy.add(_place_of(row))
                await self._ask(connection, row, identity)
                going_on.append(row.conversation_id)
        return going_on

    async def _ask(self, connection: AsyncConnection, row: Row[Any], identity: Identity) -> None:
        await connection.execute(
            update(approvals)
            .where(approvals.c.inbox_id == row.id, approvals.c.key == row.key)
            .values(status=ApprovalStatus.ASKED, asked_at=datetime.now(UTC))
        )
        account = f" as {preview.line(row.accounts)}" if row.accounts else ""
        question = QUESTION.format(account=account, action=row.action)
        parts = await rendered(self._presenters[identity.channel], question)
        if row.shared:
            await self._outbox.add_private_parts(connection, row, identity, parts, row.message_id)
        else:
            await self._outbox.add_parts(connection, row, parts, row.message_id)


def _with_message(identity: Identity, status: ApprovalStatus) -> Select[Any]:
    """Select the approvals of a person in a status, each with the row of its message."""
    return (
        select(approvals, inbox.c.id, inbox.c.conversation_id, inbox.c.reference, conversations.c.shared)
        .join(inbox, inbox.c.id == approvals.c.inbox_id)
        .join(conversations, conversations.c.id == inbox.c.conversation_id)
        .where(is_of(approvals, identity), is_any(approvals.c.status, status))
        .order_by(approvals.c.inbox_id)
    )


def _place_of(row: Row[Any]) -> tuple[str, str]:
    return row.place_tenant, row.place_key


async def _question(
    connection: AsyncConnection,
    row: Row[Any],
    identity: Identity,
    here: tuple[str, str] | None,
    root: str | None,
    conversation_id: int,
) -> Question:
    """Return a question as it looks from the conversation that its person writes in.

    Args:
        here: the place that this conversation is; `None` if others read the conversation.
        root: the platform's id of the message that this conversation replies to; `None` if it replies to none.
    """
    is_text = is_any(outbox.c.kind, OutboxKind.TEXT, OutboxKind.PRIVATE_TEXT)
    parts = (await connection.execute(select(outbox).where(outbox.c.inbox_id == row.id, is_text))).all()
    is_in_place, read_since, is_last = _place_of(row) == here, None, False
    posted = {part.platform_id for part in parts if part.created_at >= row.asked_at}  # not an earlier question's
    is_reply = root is not None and root in posted and here is not None and here[0] == row.place_tenant
    if parts and all(part.status == OutboxStatus.SENT for part in parts):
        read_since = max(part.sent_at or part.created_at for part in parts)
        has_more = is_in_place and not row.place_key
        is_last = await _is_last(connection, row, identity if has_more else None, conversation_id, read_since)
    return Question(
        inbox_id=row.id,
        conversation_id=row.conversation_id,
        key=row.key,
        identity=identity,
        message_text=row.message_text,
        is_here=is_in_place or is_reply,
        read_since=read_since,
        is_last=is_last,
        is_lost=row.asked_at < datetime.now(UTC) - RESUMABLE_FOR
        or any(part.status in (OutboxStatus.DEAD, OutboxStatus.DROPPED) for part in parts),
    )


async def _is_last(
    connection: AsyncConnection, row: Row[Any], person: Identity | None, conversation_id: int, read_since: datetime
) -> bool:
    """Return whether nothing else was sent in a conversation since a question could be read.

    Args:
        person: whose direct conversation it is. Private texts of other conversations are sent there, too.
    """
    sent_here = outbox.c.conversation_id == conversation_id
    if person is not None:
        to_person = (outbox.c.recipient_tenant == person.tenant) & (outbox.c.recipient_user_id == person.user_id)
        sent_here |= to_person & is_any(
            outbox.c.kind, OutboxKind.PRIVATE_TEXT, OutboxKind.PRIVATE_FILES, OutboxKind.SIGN_IN
        )
    sent_since = select(outbox.c.id).where(
        sent_here, outbox.c.inbox_id.is_distinct_from(row.id), outbox.c.sent_at >= read_since
    )
    return (await connection.execute(sent_since.limit(1))).first() is None


def _still_asked(question: Question) -> tuple[ColumnElement[bool], ...]:
    of_call = (approvals.c.inbox_id == question.inbox_id, approvals.c.key == question.key)
    return (*of_call, is_any(approvals.c.status, ApprovalStatus.ASKED))


def _note(calls: Sequence[Row[Any]], action: str) -> str:
    """Return what the history says of a turn that was not played to its end: what it did, and what it did not do."""
    done = [f"I called {call.tool}: {(call.error or call.result or '')[:MOST_RESULT_CHARACTERS]}" for call in calls]
    return "\n\n".join((*done, f"I asked whether I may do this:\n\n{action}", NOT_DONE))
