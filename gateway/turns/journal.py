"""Record the progress of a turn until it ends, so that another run of the turn repeats nothing."""

import asyncio
import json
import logging
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from pydantic_core import from_json
from sqlalchemy import Executable, Row, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.cancellation import unless
from gateway.inbox.claims import ClaimedMessage, LeaseLostError, TurnStoppedError, check_claimed
from gateway.runs.calls import with_outer
from gateway.runs.events import ToolEnded, ToolOutcome, ToolStarted
from gateway.runs.journal import RAISED, Ask, RecordedCall
from gateway.storage.database import Database, DatabaseUnavailableError
from gateway.storage.tables import QuestionKind, QuestionStatus, questions, tool_calls, turn_responses
from toolkits.text import storable, storable_json

MOST_RESULT_CHARACTERS = 300  # of a call's result, in the history of a turn that did not finish

T = TypeVar("T")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RecordedQuestion:
    """A question of the turn, and its answer.

    Args:
        asked: of an approval, the tool and its arguments as JSON; of another question, its text, the labels of its
            choices, and whether any text is an answer.
        choice: the index of the chosen choice; `None` if the answer is a text, or there is none.
        decided_by: who decided it: see `gateway.storage.tables.decider`.
    """

    kind: QuestionKind
    asked: tuple[object, ...] = field(repr=False)
    status: QuestionStatus
    choice: int | None
    answer: str | None = field(repr=False)
    decided_by: str | None


class TurnJournal:
    """The journal of one turn. It is written only while this process holds the lease of the turn's row.

    Attributes:
        private: whether a call of an earlier run returned private data.
        ambiguous: the names of tools with a call that may or may not have taken effect.
        stop: ends the run of the turn for a reason, even if the engine swallows the exception. Before the run, it ends
            the preparation of the run: see `unless_stopped`.
        stopped: returns the reason for which the run was ended; `None` if it was not. After that no call begins, no
            model is asked, and no response of a model is recorded, because the response may be based on an error that
            will not occur when the turn runs again.
        calls: the calls that are running.
        tool_raised: whether a tool that is not read-only raised in this run, so that another run would not help.

    Args:
        is_rerun: whether the turn has run before under the same claim.
    """

    def __init__(self, database: Database, row: ClaimedMessage, *, is_rerun: bool = False) -> None:
        self._database = database
        self._row = row
        self._calls: dict[str, RecordedCall] = {}
        self._questions: dict[str, RecordedQuestion] = {}
        self._responses: dict[tuple[str, int], str] = {}
        self._written = is_rerun or row.lease > 1
        self._read_only: set[str] = set()
        self._made: set[str] = set()  # the keys of the calls that may have taken effect
        self._made_since: dict[tuple[str, int], set[str]] = {}  # the same, since each response of this run
        self._reason: Exception | None = None
        self._is_stopping = asyncio.Event()
        self.stop: Callable[[Exception], object] = self._stop_before_run
        self.stopped: Callable[[], Exception | None] = lambda: self._reason
        self.calls = CallsInFlight()
        self.private = False
        self.ambiguous: list[str] = []
        self.tool_raised = False

    def rerun(self) -> "TurnJournal":
        """Return the journal for another run of the turn in the same claim."""
        return TurnJournal(self._database, self._row, is_rerun=True)

    async def load(self) -> None:
        """Load the records of earlier runs."""
        if not self._written:
            return
        async with self._database.read() as connection:
            of_turn = tool_calls.c.inbox_id == self._row.id
            calls = await connection.execute(select(tool_calls).where(of_turn).order_by(tool_calls.c.began_at))
            for row in calls:
                self._calls[row.key] = to_call(row)
                self.private = self.private or row.private
                self._made.add(row.key)
            responses = await connection.execute(
                select(turn_responses).where(turn_responses.c.inbox_id == self._row.id)
            )
            for row in responses:
                self._responses[row.scope, row.number] = row.data
            for row in await connection.execute(select(questions).where(questions.c.inbox_id == self._row.id)):
                self._questions[row.key] = _recorded(row)

    @property
    def recorded(self) -> Sequence[RecordedCall]:
        """The calls of earlier runs, in the order in which they began."""
        return list(self._calls.values())

    async def unless_stopped(self, step: Coroutine[Any, Any, T]) -> T:
        """Await a step that prepares the run, and return its result. If the turn is stopped, the step is cancelled.

        Raises:
            Exception: the reason for which the turn was stopped.
        """
        result = await unless(step, self._is_stopping.wait())
        self._check_not_stopped()
        assert result is not None
        return result

    def _stop_before_run(self, reason: Exception) -> None:
        self._reason = self._reason or reason
        self._is_stopping.set()

    def call(self, key: str) -> RecordedCall | None:
        return self._calls.get(key)

    def response(self, scope: str, number: int) -> str | None:
        """Return what is recorded under a number. Engines call this before they ask a model.

        Raises:
            Exception: the reason for which the run was stopped, so that no model is asked after that.
        """
        self._check_not_stopped()
        return self._responses.get((scope, number))

    def is_approved(self, key: str, tool: str, arguments: str) -> bool | None:
        """Return whether the person approved a call with exactly these arguments; `None` if they have not decided."""
        recorded = self._questions.get(key)
        if recorded is None or recorded.asked != (tool, arguments) or recorded.status is not QuestionStatus.ANSWERED:
            return None
        return recorded.choice == 0

    def answer(self, key: str, ask: Ask) -> RecordedQuestion | None:
        """Return the record of a closed question; `None` if it is open, was not asked, or was another question."""
        recorded = self._questions.get(key)
        if recorded is None or recorded.asked != (ask.question, ask.choices, ask.free_text):
            return None
        return None if recorded.status in (QuestionStatus.QUEUED, QuestionStatus.ASKED) else recorded

    def decided_by(self, key: str) -> str | None:
        """Return who approved or declined a call; `None` if nobody was asked."""
        recorded = self._questions.get(key)
        return recorded.decided_by if recorded is not None and recorded.kind is QuestionKind.APPROVAL else None

    def running(self, key: str) -> AbstractContextManager[None]:
        return self.calls.running(key)

    async def others_ended(self, key: str) -> None:
        await self.calls.others_ended(key)

    async def add_response(self, scope: str, number: int, data: str) -> None:
        """Record a model's response, before any of its calls is made. It replaces an earlier one with the same number.

        Raises:
            Exception: the reason for which the run was stopped.
            LeaseLostError: if another worker has taken the turn over.
        """
        self._check_not_stopped()
        upsert = self._database.upsert(turn_responses).values(
            inbox_id=self._row.id, scope=scope, number=number, data=data
        )
        await self._write(
            upsert.on_conflict_do_update(index_elements=["inbox_id", "scope", "number"], set_={"data": data})
        )
        replaced = (scope, number) in self._responses
        self._responses[scope, number] = data
        self._made_since[scope, number] = self._made if replaced else set()

    async def add_answer(self, scope: str, number: int, data: str) -> None:
        """Record the answer of a whole run. The record is never retracted."""
        await self.add_response(scope, number, data)
        del self._made_since[scope, number]

    async def retract(self) -> None:
        """Delete the responses of this run after which no call has been made.

        When the turn runs again, the model is asked again, and may have other tools.
        """
        for (scope, number), made in self._made_since.items():
            if not any(key.startswith(scope) for key in made):
                await self._write(
                    delete(turn_responses).where(
                        turn_responses.c.inbox_id == self._row.id,
                        turn_responses.c.scope == scope,
                        turn_responses.c.number == number,
                    )
                )

    async def begin(self, started: ToolStarted) -> None:
        """Record that a call is about to begin. Of a read-only call, only the end is recorded.

        Raises:
            Exception: the reason for which the run was stopped.
            LeaseLostError: if another worker has taken the turn over.
        """
        self._check_not_stopped()
        if started.read_only:
            self._read_only.add(started.call_id)
            return
        row = self._database.upsert(tool_calls).values(
            inbox_id=self._row.id,
            key=started.call_id,
            tool=started.tool,
            private=started.private,
            began_at=datetime.now(UTC),
        )
        await self._write(row.on_conflict_do_nothing())
        self._note_made(started.call_id)

    def _check_not_stopped(self) -> None:
        if (reason := self.stopped()) is not None:
            raise reason

    def _note_made(self, key: str) -> None:
        for made in (self._made, *self._made_since.values()):
            made.add(key)

    async def end(self, connection: AsyncConnection, ended: ToolEnded, *, private: bool) -> None:
        """Record the end of a call in the caller's transaction.

        Args:
            private: whether only the sender may see the result.
        """
        read_only = ended.call_id in self._read_only
        mine = (tool_calls.c.inbox_id == self._row.id, tool_calls.c.key == ended.call_id)
        if ended.outcome is ToolOutcome.CANCELLED:
            return  # nobody knows how the call ended
        if isinstance(self.stopped(), LeaseLostError):
            return  # another worker writes the journal now
        if ended.outcome in (ToolOutcome.SIGN_IN, ToolOutcome.ASKED, ToolOutcome.NOT_BEGUN):
            await connection.execute(delete(tool_calls).where(*mine))  # the call is made when the turn runs again
            for made in (self._made, *self._made_since.values()):
                made.discard(ended.call_id)
            return
        if ended.outcome is ToolOutcome.ERROR and ended.error is None:
            if read_only:
                return  # the call is made again
            self.tool_raised = True
        self._written = True
        self._note_made(ended.call_id)
        error = (ended.error or RAISED) if ended.outcome is ToolOutcome.ERROR else ended.error
        values = {
            "outcome": ended.outcome,
            "private": private,
            "result": storable_json(ended.result) if ended.outcome is ToolOutcome.OK else None,
            "error": storable(error) if error is not None else None,
        }
        if read_only:
            row = self._database.upsert(tool_calls).values(
                inbox_id=self._row.id, key=ended.call_id, tool=ended.tool, began_at=datetime.now(UTC), **values
            )
            await connection.execute(row.on_conflict_do_update(index_elements=["inbox_id", "key"], set_=values))
        else:
            await connection.execute(update(tool_calls).where(*mine).values(values))

    async def forget(self, connection: AsyncConnection) -> None:
        """Remove the journal, in the transaction that ends the turn."""
        if self._written:
            await forget(connection, self._row.id)

    async def _write(self, statement: Executable) -> None:
        """Write to the journal, in a transaction that holds the lease of the turn's row.

        Raises:
            LeaseLostError: if another worker has taken the turn over.
            TurnStoppedError: if the turn was stopped.
        """
        self._written = True

        async def work(connection: AsyncConnection) -> None:
            await check_claimed(connection, self._row, shared=True)
            await connection.execute(statement)

        try:
            await self._database.run_write(work)
        except (LeaseLostError, TurnStoppedError, DatabaseUnavailableError) as reason:
            self.stop(reason)
            raise


class CallsInFlight:
    """The running tool calls of a turn. A call that stops the turn waits here until the others have ended."""

    def __init__(self) -> None:
        self._running: set[str] = set()
        self._stopping: set[str] = set()
        self._others_ended = asyncio.Event()

    @contextmanager
    def running(self, key: str) -> Iterator[None]:
        self._running.add(key)
        try:
            yield
        finally:
            self._running.discard(key)
            self._stopping.discard(key)
            self._check()

    async def others_ended(self, key: str) -> None:
        """Wait until the only running calls are those that wait here, and the calls around them."""
        self._stopping.add(key)
        await asyncio.sleep(0)  # let calls begin that were made at the same time
        self._check()
        await self._others_ended.wait()

    def _check(self) -> None:
        waiting = {outer for key in self._stopping for outer in with_outer(key)}
        if self._stopping and self._running <= waiting:
            self._others_ended.set()


def to_call(row: Row[Any]) -> RecordedCall:
    """Return the call that a row of `tool_calls` records."""
    outcome = ToolOutcome(row.outcome) if row.outcome is not None else None
    result = from_json(row.result) if row.result is not None else None
    return RecordedCall(row.tool, outcome, result, row.error)


def calls_made(recorded: Sequence[RecordedCall]) -> list[str]:
    """Return a sentence about each call that has ended, for the history of a turn that did not finish."""
    ended = [call for call in recorded if call.outcome is not None]
    return [f"I called {call.tool}: {_told(call)[:MOST_RESULT_CHARACTERS]}" for call in ended]


def _told(call: RecordedCall) -> str:
    return call.error if call.error is not None else storable_json(call.result)


async def forget(connection: AsyncConnection, inbox_id: int) -> None:
    """Remove the journal of a turn."""
    await connection.execute(delete(tool_calls).where(tool_calls.c.inbox_id == inbox_id))
    await connection.execute(delete(turn_responses).where(turn_responses.c.inbox_id == inbox_id))
    # The other columns stay, so that whoever presses a button later learns what was decided.
    asked = update(questions).where(questions.c.inbox_id == inbox_id)
    await connection.execute(asked.values(message_text="", arguments="", answer=None))


def _recorded(row: Row[Any]) -> RecordedQuestion:
    kind, choices = QuestionKind(row.kind), json.loads(row.choices)
    is_approval = kind is QuestionKind.APPROVAL
    asked = (
        (row.tool, row.arguments) if is_approval else (row.prompt, tuple(label for label, _ in choices), row.free_text)
    )
    return RecordedQuestion(kind, asked, QuestionStatus(row.status), row.choice, row.answer, row.decided_by)
