"""Find the questions that a message may answer."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.channels.event import Event
from gateway.channels.presenter import Presenter
from gateway.storage.database import Database
from gateway.storage.tables import (
    OutboxKind,
    OutboxStatus,
    QuestionKind,
    QuestionStatus,
    conversations,
    find_conversation,
    is_any,
    outbox,
    questions,
)
from gateway.turns.questions.question import Question, choices_of
from oauth import Identity
from oauth.store.pending import code_in
from oauth.store.tables import is_of
from toolkits import Conversation, Message

_IS_TEXT = is_any(
    outbox.c.kind, OutboxKind.TEXT, OutboxKind.PRIVATE_TEXT, OutboxKind.QUESTION, OutboxKind.PRIVATE_QUESTION
)
_TO_PERSON = is_any(
    outbox.c.kind,
    OutboxKind.PRIVATE_TEXT,
    OutboxKind.PRIVATE_FILES,
    OutboxKind.PRIVATE_QUESTION,
    OutboxKind.SIGN_IN,
)


class OpenQuestions:
    """Finds the questions that people were asked and have not answered.

    The place of a question is the conversation in which it is asked. This is the conversation of the message that waits
    for the answer; or the person's direct conversation with the bot, if the question is private and other people read
    the message's conversation.

    Args:
        presenters: by channel.
    """

    def __init__(self, database: Database, presenters: Mapping[str, Presenter]) -> None:
        self._database = database
        self._presenters = presenters

    async def of(self, message: Message, conversation_id: int) -> list[Question]:
        """Return the questions that the sender of a message was asked, in any place, and has not answered.

        Args:
            conversation_id: the id of the message's conversation.
        """
        author, where = message.sender, message.conversation
        return await self._database.run_read(lambda connection: self._asked(connection, author, where, conversation_id))

    async def _asked(
        self, connection: AsyncConnection, identity: Identity, conversation: Conversation, conversation_id: int
    ) -> list[Question]:
        """Return the questions that a person who writes in a conversation was asked: see `of`."""
        here, root = self._place(identity, conversation), None
        if not conversation.shared:
            root = self._presenters[identity.channel].thread_root(conversation)
        asked = (
            select(questions)
            .where(
                is_of(questions, identity),
                is_any(questions.c.status, QuestionStatus.ASKED),
                questions.c.place_key.is_not(None),
            )
            .order_by(questions.c.inbox_id)
        )
        rows = (await connection.execute(asked)).all()
        return [await _question(connection, row, identity, here, root, conversation_id) for row in rows]

    async def is_answer(self, message: Message, conversation_id: int) -> bool:
        """Return whether a message answers a question that its sender was asked in the same place.

        Args:
            conversation_id: the id of the message's conversation.
        """
        if message.anonymous or message.command is not None or code_in(message.text) is not None:
            return False
        found = await self.of(message, conversation_id)
        return any(question.is_here and question.answer_in(message.text) is not None for question in found)

    async def is_answered_by(self, connection: AsyncConnection, event: Event) -> bool:
        """Return whether an event that is being accepted answers a question that its author has read.

        Its conversation is stored already.
        """
        if event.sender is None or event.command is not None or code_in(event.text) is not None:
            return False
        conversation_id = (await connection.execute(find_conversation(event.conversation))).scalar_one()
        found = await self._asked(connection, event.sender, event.conversation, conversation_id)
        was_read = [each for each in found if each.is_here and each.read_since is not None and not each.is_lost]
        return any(question.answer_in(event.text) is not None for question in was_read)

    def place(self, message: Message, *, private: bool = False) -> tuple[str, str]:
        """Return the tenant and the key of the place where the sender of a message writes, or is asked.

        The key is empty for the sender's direct conversation with the bot.

        Args:
            private: whether the question is private, so that it is not asked where other people read it.
        """
        return self._place(message.sender, message.conversation, private=private)

    def _place(self, identity: Identity, conversation: Conversation, *, private: bool = False) -> tuple[str, str]:
        is_direct = private
        if not conversation.shared:
            is_direct = self._presenters[identity.channel].is_direct(identity, conversation)
        return conversation.tenant, "" if is_direct else conversation.id


async def _question(
    connection: AsyncConnection,
    row: Row[Any],
    identity: Identity,
    here: tuple[str, str],
    root: str | None,
    conversation_id: int,
) -> Question:
    """Return a question, seen from the conversation in which its person writes now.

    Args:
        here: the place of this conversation.
        root: the platform's id of the message that this conversation replies to; `None` if there is none.
    """
    same = (outbox.c.recipient_tenant == identity.tenant) & (outbox.c.recipient_user_id == identity.user_id)
    to_them = outbox.c.recipient_user_id.is_(None) | same
    of_question = (outbox.c.question_id == row.id, _IS_TEXT, to_them)
    parts = (await connection.execute(select(outbox).where(*of_question))).all()
    place = (row.place_tenant, row.place_key)
    is_in_place, read_since, is_last = place == here, None, False
    is_reply = root is not None and here[0] == row.place_tenant and root in {part.platform_id for part in parts}
    if parts and all(part.status == OutboxStatus.SENT for part in parts):
        read_since = max(part.sent_at or part.created_at for part in parts)
        has_more = is_in_place and not row.place_key
        is_last = await _is_last(connection, row, identity if has_more else None, conversation_id, read_since)
    return Question(
        id=row.id,
        kind=QuestionKind(row.kind),
        inbox_id=row.inbox_id,
        conversation_id=row.conversation_id,
        identity=identity,
        message_text=row.message_text,
        choices=choices_of(row),
        free_text=row.free_text,
        is_here=is_in_place or is_reply,
        read_since=read_since,
        is_last=is_last,
        is_lost=row.until <= datetime.now(UTC)
        or any(part.status in (OutboxStatus.DEAD, OutboxStatus.DROPPED) for part in parts),
    )


async def _is_last(
    connection: AsyncConnection, row: Row[Any], person: Identity | None, conversation_id: int, read_since: datetime
) -> bool:
    """Return whether nothing else was sent in a conversation after a question.

    Args:
        person: the person whose direct conversation it is, if it is one: private messages about other conversations are
            sent there as well.
    """
    sent_here = outbox.c.conversation_id == conversation_id
    if person is not None:
        to_person = (outbox.c.recipient_tenant == person.tenant) & (outbox.c.recipient_user_id == person.user_id)
        in_channel = outbox.c.conversation_id.in_(
            select(conversations.c.id).where(conversations.c.channel == person.channel)
        )
        sent_here |= to_person & _TO_PERSON & in_channel
    sent_since = select(outbox.c.id).where(
        sent_here,
        outbox.c.inbox_id.is_distinct_from(row.inbox_id),
        outbox.c.kind != OutboxKind.CLOSED_QUESTION,
        outbox.c.sent_at >= read_since,
    )
    return (await connection.execute(sent_since.limit(1))).first() is None
