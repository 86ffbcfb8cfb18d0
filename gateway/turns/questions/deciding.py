"""Close questions: with a press, with a message, or because nobody answered."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.channels.presenter import Presenter
from gateway.channels.question import Press, PressOutcome, PressResult
from gateway.channels.sentences import QUESTION_CLOSED
from gateway.outbox.rendering import rendered_at_once
from gateway.runs.items import Role, SessionItem
from gateway.storage.tables import QuestionKind, QuestionStatus, decider, is_any, questions, tool_calls
from gateway.turns.journal import calls_made, forget, to_call
from gateway.turns.questions import sentences
from gateway.turns.questions.asking import Asking, Place, lock
from gateway.turns.questions.question import GivenAnswer, Question, choices_of
from gateway.turns.stores import Stores
from oauth import Identity
from toolkits.text import storable

MOST_EXPIRED = 100  # questions that one call of `expire` closes
NOT_DONE = "The user did not say yes, so it was not done."  # the model reads this in the history

_is_open = is_any(questions.c.status, QuestionStatus.QUEUED, QuestionStatus.ASKED)


class Deciding:
    """Takes answers to questions. The first answer decides a question.

    Args:
        presenters: by channel.
        approvers: the people who may decide approvals besides the person of the turn.
    """

    def __init__(
        self, stores: Stores, presenters: Mapping[str, Presenter], asking: Asking, approvers: Sequence[Identity]
    ) -> None:
        self._database = stores.database
        self._inbox = stores.inbox
        self._outbox = stores.outbox
        self._sessions = stores.sessions
        self._presenters = presenters
        self._asking = asking
        self._approvers = frozenset(approvers)

    async def press(self, press: Press) -> PressResult:
        """Take the press of a button: see `Host.press`."""
        async with self._database.write() as connection:
            result, committed = await self._press(connection, press)
        committed()
        return result

    async def take(
        self, connection: AsyncConnection, question: Question, answer: GivenAnswer | None, name: str
    ) -> list[int]:
        """Take an answer, in the transaction that ends the turn of the message with the answer.

        Args:
            answer: the answer; `None` to ask the question again, because the message may answer something else.
            name: the name that the channel shows for the person.

        Returns:
            The ids of the conversations to resume.
        """
        await lock(connection, question.identity)
        if answer is not None:
            return await self._close(connection, question.id, question.identity, name, answer) or []
        again = update(questions).where(questions.c.id == question.id, _is_open).values(status=QuestionStatus.QUEUED)
        await connection.execute(again)
        return await self._asking.ask_next(connection, question.identity)

    async def withdraw(self, question: Question) -> None:
        """Close a question to which the person wrote something else, or that the person cannot answer any more."""
        closed = (QuestionStatus.WITHDRAWN, sentences.WITHDRAWN)
        if question.is_lost:
            closed = (QuestionStatus.EXPIRED, sentences.EXPIRED)
        async with self._database.write() as connection:
            await lock(connection, question.identity)
            resumed = await self._give_up(connection, question.id, *closed)
            committed = await self._inbox.resume(connection, resumed)
        committed()

    async def stop(self, connection: AsyncConnection, inbox_id: int, identity: Identity) -> list[int]:
        """Withdraw the open questions of a turn, in the transaction that ends the turn as stopped.

        Args:
            identity: the person of the turn.

        Returns:
            The ids of the conversations to resume.
        """
        await lock(connection, identity)
        resumed = list[int]()
        asked = select(questions.c.id).where(questions.c.inbox_id == inbox_id, _is_open)
        for question_id in (await connection.execute(asked)).scalars().all():
            if (row := await _end(connection, question_id, QuestionStatus.WITHDRAWN)) is not None:
                resumed += await self._replace_cards(connection, row, sentences.STOPPED)
        return [*resumed, *await self._asking.ask_next(connection, identity)]

    async def expire(self) -> None:
        """Close the questions that nobody answered in time."""
        due = questions.c.until <= datetime.now(UTC)
        found = select(questions).where(_is_open, due).order_by(questions.c.until).limit(MOST_EXPIRED)
        async with self._database.read() as connection:
            rows = (await connection.execute(found)).all()
        for row in rows:
            async with self._database.write() as connection:
                await lock(connection, _identity(row))
                resumed = await self._give_up(connection, row.id, QuestionStatus.EXPIRED, sentences.EXPIRED)
                committed = await self._inbox.resume(connection, resumed)
            committed()

    async def _press(self, connection: AsyncConnection, press: Press) -> tuple[PressResult, Callable[[], None]]:
        found = select(questions).where(questions.c.id == press.question_id)
        row = (await connection.execute(found)).first()
        if row is not None:
            await lock(connection, _identity(row))
            row = (await connection.execute(found)).first()  # another transaction may have changed it before the lock
        if row is None:
            return PressResult(PressOutcome.CLOSED, QUESTION_CLOSED), _nothing
        if press.identity not in self._deciders(row):
            return PressResult(PressOutcome.NOT_YOURS, sentences.NOT_YOURS), _nothing
        if row.status == QuestionStatus.ANSWERED:
            return PressResult(PressOutcome.DECIDED, row.decision or QUESTION_CLOSED), _nothing
        choices = choices_of(row)
        if row.until <= datetime.now(UTC) or not 0 <= press.choice < len(choices):
            return PressResult(PressOutcome.CLOSED, QUESTION_CLOSED), _nothing
        answer = GivenAnswer(choices[press.choice].label, press.choice)
        resumed = await self._close(connection, row.id, press.identity, press.name, answer)
        if resumed is None:
            return PressResult(PressOutcome.CLOSED, QUESTION_CLOSED), _nothing
        if press.identity == _identity(row):
            await self._inbox.heard(connection, row.conversation_id)
        committed = await self._inbox.resume(connection, list(dict.fromkeys(resumed)))
        return PressResult(PressOutcome.TAKEN, sentences.taken(row.kind, press.choice)), committed

    def _deciders(self, row: Row[Any]) -> frozenset[Identity]:
        mine = frozenset({_identity(row)})
        return mine | self._approvers if row.kind == QuestionKind.APPROVAL else mine

    async def _close(
        self, connection: AsyncConnection, question_id: str, by: Identity, name: str, answer: GivenAnswer
    ) -> list[int] | None:
        """Close a question with an answer.

        Returns:
            The ids of the conversations to resume; `None` if the question was closed already.
        """
        now = datetime.now(UTC)
        decided = {
            "choice": answer.choice,
            "answer": storable(answer.text),
            "decided_by": decider(by),
            "decided_at": now,
        }
        row = await _end(connection, question_id, QuestionStatus.ANSWERED, questions.c.until > now, **decided)
        if row is None:
            return None
        choice = choices_of(row)[answer.choice] if answer.choice is not None else None
        decision = sentences.decision(row.kind, choice, storable(name), now)
        resumed = await self._replace_cards(connection, row, decision)
        if row.kind == QuestionKind.POST_HERE:
            place = Place(row.inbox_id, row.conversation_id, row.reference)
            await self._outbox.post_openly(connection, place, row.message_id, row.asked_at)
            return [*resumed, row.conversation_id]
        await self._inbox.go_on(connection, row.inbox_id, row.conversation_id)
        return [*resumed, row.conversation_id, *await self._asking.ask_next(connection, _identity(row))]

    async def _give_up(
        self, connection: AsyncConnection, question_id: str, status: QuestionStatus, decision: str
    ) -> list[int]:
        """Close a question without an answer.

        The turn of an approval ends without the call, and the history says so. The turn of another question resumes.

        Returns:
            The ids of the conversations to resume.
        """
        row = await _end(connection, question_id, status)
        if row is None:
            return []
        resumed = await self._replace_cards(connection, row, decision)
        if row.kind == QuestionKind.APPROVAL:
            await self._end_turn(connection, row)
        elif row.kind == QuestionKind.ASK:
            await self._inbox.go_on(connection, row.inbox_id, row.conversation_id)
        return [*resumed, row.conversation_id, *await self._asking.ask_next(connection, _identity(row))]

    async def _end_turn(self, connection: AsyncConnection, row: Row[Any]) -> None:
        done = await connection.execute(
            select(tool_calls).where(tool_calls.c.inbox_id == row.inbox_id).order_by(tool_calls.c.began_at)
        )
        asked = f"I asked whether I may do this:\n\n{row.prompt}"
        said = (*calls_made([to_call(call) for call in done]), asked, NOT_DONE)
        items = [SessionItem(Role.USER, row.message_text), SessionItem(Role.ASSISTANT, "\n\n".join(said))]
        place = (row.conversation_id, row.inbox_id)
        await self._sessions.add(connection, *place, _identity(row), row.name, items, private=True)
        await self._inbox.end_parked(connection, row.inbox_id)
        await forget(connection, row.inbox_id)

    async def _replace_cards(self, connection: AsyncConnection, row: Row[Any], decision: str) -> list[int]:
        await connection.execute(update(questions).where(questions.c.id == row.id).values(decision=decision))
        markdown = storable(f"{sentences.asked(row)}\n\n{sentences.escaped(decision)}")

        def text_in(channel: str) -> str | None:
            presenter = self._presenters.get(channel)
            return rendered_at_once(presenter, markdown)[-1] if presenter is not None else None

        return await self._outbox.close_question(connection, row.id, text_in)


async def _end(
    connection: AsyncConnection,
    question_id: str,
    status: QuestionStatus,
    *conditions: ColumnElement[bool],
    **values: object,
) -> Row[Any] | None:
    """Close a question, and return its row; `None` if it was closed already."""
    ended = update(questions).where(questions.c.id == question_id, _is_open, *conditions)
    found = await connection.execute(ended.values(status=status, **values).returning(questions))
    row: Row[Any] | None = found.first()
    return row


def _identity(row: Row[Any]) -> Identity:
    return Identity(row.channel, row.tenant, row.user_id)


def _nothing() -> None:
    return
