"""Ask people questions, in the transactions that park the messages which wait for the answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from secrets import token_urlsafe
from typing import Any

from sqlalchemy import Row, Select, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.channels.presenter import Presenter
from gateway.channels.question import Choice, QuestionCard, in_words
from gateway.inbox.claims import ClaimedMessage
from gateway.inbox.inbox import RESUMABLE_FOR
from gateway.outbox.outbox import HELD_FOR
from gateway.outbox.rendering import rendered_at_once
from gateway.runs.journal import AnswerRequiredError, ApprovalRequiredError, AskRequiredError
from gateway.storage.tables import QuestionKind, QuestionStatus, conversations, is_any, questions
from gateway.turns.questions.question import choices_of, stored_choices
from gateway.turns.questions.reading import OpenQuestions
from gateway.turns.questions.sentences import APPROVE, CARD_OF_LONG_TEXT, DECLINE, POST_HERE, asked
from gateway.turns.stores import Stores
from oauth import Identity
from oauth.store.tables import is_of
from toolkits import Conversation, Message
from toolkits.text import storable

POST_KEY = "post"  # of the question whether a turn's answer is posted


@dataclass(frozen=True, slots=True)
class Place:
    """The conversation of the outbox in which something is sent, for the message that it is about."""

    id: int
    conversation_id: int
    reference: str


class Asking:
    """Asks people. Each place has one open question at a time; the next one follows the answer.

    Args:
        presenters: by channel.
        approvers: who may decide approvals besides the person whose turn it is.
    """

    def __init__(
        self,
        stores: Stores,
        presenters: Mapping[str, Presenter],
        open_questions: OpenQuestions,
        approvers: Sequence[Identity],
    ) -> None:
        self._inbox = stores.inbox
        self._outbox = stores.outbox
        self._presenters = presenters
        self._open = open_questions
        self._approvers = approvers

    async def add(
        self, connection: AsyncConnection, row: ClaimedMessage, message: Message, required: AnswerRequiredError
    ) -> list[int]:
        """Ask the sender of a message, in the transaction that parks the message.

        Where another question is open in that place, this one waits until that one is answered.

        Args:
            message: as it was played.

        Returns:
            The ids of the conversations that go on.
        """
        asked_for = _values(required)
        same = (questions.c.inbox_id == row.id, questions.c.key == asked_for["key"])
        await connection.execute(delete(questions).where(*same))  # what was answered to something else
        private = not isinstance(required, AskRequiredError) or required.private
        place_tenant, place_key = self._open.place(message, private=private)
        await connection.execute(
            questions.insert().values(
                id=token_urlsafe(16),
                message_text=message.text,
                place_tenant=place_tenant,
                place_key=place_key,
                status=QuestionStatus.QUEUED,
                **_about(row, message),
                **asked_for,
            )
        )
        await lock(connection, message.sender)
        return await self.ask_next(connection, message.sender)

    async def offer_to_post(self, connection: AsyncConnection, row: ClaimedMessage, message: Message) -> QuestionCard:
        """Offer the sender of a message to have its private answer posted in the conversation, where they asked.

        Returns:
            The card for the note that stands there. Only a press answers it.
        """
        card = QuestionCard(token_urlsafe(16), "", [POST_HERE], datetime.now(UTC) + HELD_FOR)
        offered = {
            "id": card.id,
            "kind": QuestionKind.POST_HERE,
            "key": POST_KEY,
            "prompt": "",
            "message_text": "",
            "choices": stored_choices(card.choices),
            "free_text": False,
            "status": QuestionStatus.ASKED,
            "asked_at": datetime.now(UTC),
            "until": card.until,
        }
        await connection.execute(questions.insert().values(**_about(row, message), **offered))
        return card

    async def ask_next(self, connection: AsyncConnection, identity: Identity) -> list[int]:
        """Ask the next question in each place that has none open; return the ids of the conversations that go on."""
        busy = {_place_of(row) for row in await connection.execute(_of(identity, QuestionStatus.ASKED))}
        going_on: list[int] = []
        for row in (await connection.execute(_of(identity, QuestionStatus.QUEUED))).all():
            if _place_of(row) not in busy:
                busy.add(_place_of(row))
                going_on += await self._ask(connection, row, identity)
        return going_on

    async def _ask(self, connection: AsyncConnection, row: Row[Any], identity: Identity) -> list[int]:
        asking = update(questions).where(questions.c.id == row.id)
        await connection.execute(asking.values(status=QuestionStatus.ASKED, asked_at=datetime.now(UTC)))
        place = Place(row.inbox_id, row.conversation_id, row.reference)
        alone = identity if row.shared and not row.place_key else None
        await self._add_card(connection, row, place, identity.channel, asked(row), alone)
        if alone is not None:
            await self._outbox.add_private_note(connection, place, alone, row.message_id)
        if row.asked_at is not None or row.kind != QuestionKind.APPROVAL:  # the approvers have their cards already
            return [row.conversation_id]
        return [row.conversation_id, *await self._ask_approvers(connection, row, identity)]

    async def _ask_approvers(self, connection: AsyncConnection, row: Row[Any], identity: Identity) -> list[int]:
        """Give each approver a card in their own direct conversation with the bot."""
        going_on = []
        for approver in self._approvers:
            if approver == identity or approver.channel not in self._presenters:
                continue
            # Only the order of what is sent is that of this conversation: the channel finds the person's own.
            direct = Conversation(approver.channel, approver.tenant, approver.user_id, shared=False)
            place = Place(row.inbox_id, await self._inbox.conversation_id(connection, direct), row.reference)
            await self._add_card(connection, row, place, approver.channel, asked(row, of_other=True), approver)
            going_on.append(place.conversation_id)
        return going_on

    async def _add_card(
        self,
        connection: AsyncConnection,
        row: Row[Any],
        place: Place,
        channel: str,
        markdown: str,
        alone: Identity | None,
    ) -> None:
        choices = choices_of(row)
        card = QuestionCard(row.id, "", choices, row.until)
        parts = _parts(self._presenters[channel], storable(markdown), choices)
        await self._outbox.add_question(connection, place, card, parts, row.message_id, alone)


async def lock(connection: AsyncConnection, identity: Identity) -> None:
    """Have no other transaction ask a person, or take an answer of theirs, until this one ends."""
    is_open = is_any(questions.c.status, QuestionStatus.QUEUED, QuestionStatus.ASKED)
    mine = select(questions.c.id).where(is_of(questions, identity), is_open).order_by(questions.c.id)
    await connection.execute(mine.with_for_update())


def _about(row: ClaimedMessage, message: Message) -> dict[str, Any]:
    """Return the columns of a question that say who is asked, and about which message."""
    return {
        "inbox_id": row.id,
        "conversation_id": row.conversation_id,
        "reference": row.reference,
        "message_id": message.id,
        "channel": message.sender.channel,
        "tenant": message.sender.tenant,
        "user_id": message.sender.user_id,
        "name": message.sender_name,
    }


def _values(required: AnswerRequiredError) -> dict[str, Any]:
    """Return the columns of a question that say what is asked."""
    now = datetime.now(UTC)
    if isinstance(required, ApprovalRequiredError):
        return {
            "kind": QuestionKind.APPROVAL,
            "key": required.key,
            "tool": required.tool,
            "arguments": required.arguments,
            "accounts": ", ".join(required.accounts),
            "prompt": storable(required.action),
            "choices": stored_choices([APPROVE, DECLINE]),
            "free_text": False,
            "until": now + RESUMABLE_FOR,
        }
    assert isinstance(required, AskRequiredError)
    ask = required.ask
    return {
        "kind": QuestionKind.ASK,
        "key": required.question_key,
        "prompt": ask.question,
        "choices": stored_choices([Choice(label) for label in ask.choices]),
        "free_text": ask.free_text,
        "until": now + ask.within,
    }


def _parts(presenter: Presenter, markdown: str, choices: Sequence[Choice]) -> list[str]:
    """Return a question as the platform takes it. The last part has room for the choices, as words to type."""
    parts = rendered_at_once(presenter, markdown)
    with_words = rendered_at_once(presenter, f"{markdown}\n\n{in_words(choices)}")
    return parts if len(with_words) == len(parts) else [*parts, *presenter.parts(CARD_OF_LONG_TEXT)]


def _of(identity: Identity, status: QuestionStatus) -> Select[Any]:
    """Select the questions of a person in a status that a message may answer, each with its conversation."""
    return (
        select(questions, conversations.c.shared)
        .join(conversations, conversations.c.id == questions.c.conversation_id)
        .where(is_of(questions, identity), is_any(questions.c.status, status), questions.c.place_key.is_not(None))
        .order_by(questions.c.inbox_id)
    )


def _place_of(row: Row[Any]) -> tuple[str, str]:
    return row.place_tenant, row.place_key
