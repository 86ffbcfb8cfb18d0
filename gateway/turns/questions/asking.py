"""Ask people questions, in the transaction that parks the message that waits for the answer."""

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

POST_KEY = "post"  # the key of the question whether to post a private answer


@dataclass(frozen=True, slots=True)
class Place:
    """The conversation in which a card is sent, and the message that the card is about.

    Args:
        id: the id of the message.
        conversation_id: the id of the conversation, which need not be the message's own.
        reference: the reference of the message.
    """

    id: int
    conversation_id: int
    reference: str


class Asking:
    """Asks people questions. A person has one open question at a time in each place; the answer releases the next.

    Args:
        presenters: by channel.
        approvers: the people who may decide approvals besides the person of the turn.
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

        If the person has an open question in the same place, the new one waits until that one is closed.

        Args:
            message: the message as the turn has read it.

        Returns:
            The ids of the conversations to resume.
        """
        asked_for = _values(required)
        same = (questions.c.inbox_id == row.id, questions.c.key == asked_for["key"])
        await connection.execute(delete(questions).where(*same))  # an earlier question of the call, with other content
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
        """Offer the sender of a message to post the private answer in the conversation where the sender asked.

        Returns:
            The card for the note in that conversation. Only the press of its button answers it.
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
        """Ask a person the next question in each place without an open one.

        If the person's channel is no longer configured, nothing is asked, and the questions expire.

        Returns:
            The ids of the conversations to resume.
        """
        if identity.channel not in self._presenters:
            return []
        busy = {_place_of(row) for row in await connection.execute(_of(identity, QuestionStatus.ASKED))}
        resumed: list[int] = []
        for row in (await connection.execute(_of(identity, QuestionStatus.QUEUED))).all():
            if _place_of(row) not in busy:
                busy.add(_place_of(row))
                resumed += await self._ask(connection, row, identity)
        return resumed

    async def _ask(self, connection: AsyncConnection, row: Row[Any], identity: Identity) -> list[int]:
        asking = update(questions).where(questions.c.id == row.id)
        await connection.execute(asking.values(status=QuestionStatus.ASKED, asked_at=datetime.now(UTC)))
        place = Place(row.inbox_id, row.conversation_id, row.reference)
        recipient = identity if row.shared and not row.place_key else None
        await self._add_card(connection, row, place, identity.channel, asked(row), recipient)
        if recipient is not None:
            await self._outbox.add_private_note(connection, place, recipient, row.message_id)
        if row.asked_at is not None or row.kind != QuestionKind.APPROVAL:  # asked again: approvers have their cards
            return [row.conversation_id]
        return [row.conversation_id, *await self._ask_approvers(connection, row, identity)]

    async def _ask_approvers(self, connection: AsyncConnection, row: Row[Any], identity: Identity) -> list[int]:
        """Send each approver a card, in the approver's direct conversation with the bot."""
        resumed = []
        for approver in self._approvers:
            if approver == identity or approver.channel not in self._presenters:
                continue
            # This conversation only determines the order of deliveries: the channel finds the approver's real one.
            direct = Conversation(approver.channel, approver.tenant, approver.user_id, shared=False)
            place = Place(row.inbox_id, await self._inbox.conversation_id(connection, direct), row.reference)
            await self._add_card(connection, row, place, approver.channel, asked(row, of_other=True), approver)
            resumed.append(place.conversation_id)
        return resumed

    async def _add_card(
        self,
        connection: AsyncConnection,
        row: Row[Any],
        place: Place,
        channel: str,
        markdown: str,
        recipient: Identity | None,
    ) -> None:
        choices = choices_of(row)
        card = QuestionCard(row.id, "", choices, row.until)
        parts = _parts(self._presenters[channel], storable(markdown), choices)
        await self._outbox.add_question(connection, place, card, parts, row.message_id, recipient)


async def lock(connection: AsyncConnection, identity: Identity) -> None:
    """Lock a person's open questions, so that no other transaction asks or answers one until this one ends."""
    is_open = is_any(questions.c.status, QuestionStatus.QUEUED, QuestionStatus.ASKED)
    mine = select(questions.c.id).where(is_of(questions, identity), is_open).order_by(questions.c.id)
    await connection.execute(mine.with_for_update())


def _about(row: ClaimedMessage, message: Message) -> dict[str, Any]:
    """Return the columns that say who is asked, and about which message."""
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
    """Return the columns that say what is asked."""
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
    """Return the parts of a question's text. The last part leaves room to add the choices as words to type."""
    parts = rendered_at_once(presenter, markdown)
    with_words = rendered_at_once(presenter, f"{markdown}\n\n{in_words(choices)}")
    return parts if len(with_words) == len(parts) else [*parts, *presenter.parts(CARD_OF_LONG_TEXT)]


def _of(identity: Identity, status: QuestionStatus) -> Select[Any]:
    """Select a person's questions that a message may answer, each with `shared` of the conversation it came from."""
    return (
        select(questions, conversations.c.shared)
        .join(conversations, conversations.c.id == questions.c.conversation_id)
        .where(is_of(questions, identity), is_any(questions.c.status, status), questions.c.place_key.is_not(None))
        .order_by(questions.c.inbox_id)
    )


def _place_of(row: Row[Any]) -> tuple[str, str]:
    return row.place_tenant, row.place_key
