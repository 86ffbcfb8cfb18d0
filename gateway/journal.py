"""What a turn has done so far, kept until it ends: so that one that is run again does nothing twice."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NoReturn

from pydantic_core import from_json
from sqlalchemy import Executable, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.credentials import with_outer
from gateway.database import Database, DatabaseUnavailableError
from gateway.events import EventHandler, ToolEnded, ToolOutcome, ToolStarted
from gateway.inbox import Claimed, LeaseLost
from gateway.tables import ApprovalStatus, InboxStatus, approvals, inbox, is_any, tool_calls, turn_responses
from toolkits import ToolError
from toolkits.text import storable, storable_json

AMBIGUOUS = (
    "It is not known whether this call was done: it was interrupted. It was not repeated. "
    "Say so, and do not call it again unless you are asked to."
)

RAISED = "It failed, and was not repeated."

log = logging.getLogger(__name__)


class CallNotRepeated(Exception):  # noqa: N818
    """A tool was called in an earlier run of the turn, and its framework lets us neither repeat nor replace that."""

    def __init__(self, tool: str) -> None:
        super().__init__(f"{tool} was called in an earlier run of this turn, and is not called again")


class ApprovalRequired(Exception):  # noqa: N818
    """A call waits for the yes of the person whose turn it is. The turn ends there, and goes on when they answer.

    Args:
        key: what the call is known by in the turn.
        arguments: as JSON.
        action: what it is to do, in markdown, for them to read.

    Attributes:
        accounts: the accounts that it is to act as, as far as that is known.
    """

    def __init__(self, key: str, tool: str, arguments: str, action: str) -> None:
        super().__init__(f"{tool} waits for a yes")
        self.key = key
        self.tool = tool
        self.arguments = arguments
        self.action = action
        self.accounts: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class KeptApproval:
    """What a person answered, to which call."""

    tool: str
    arguments: str = field(repr=False)
    status: ApprovalStatus


@dataclass(frozen=True, slots=True)
class KeptCall:
    """A call of an earlier run of the same turn.

    Args:
        outcome: how it ended; `None` if it began, and nothing more is known.
        result: what it returned, as JSON has it.
        error: what the model was told instead.
    """

    tool: str
    outcome: ToolOutcome | None
    result: Any = field(repr=False, default=None)
    error: str | None = field(repr=False, default=None)


class TurnJournal:
    """The journal of one turn. It is written only while the turn's row is this process's to play.

    Attributes:
        private: whether a call of an earlier run returned something for the sender alone.
        ambiguous: the tools of which it is not known whether a call of theirs was done.
        stop: ends the run of the turn, whatever its engine makes of the reason.
        stopped: returns why the run was ended, if it was. From then on no call begins and no answer of a model is kept:
            the model may have been told of an error that is no longer there when the turn is played again.
        calls: those that run now.
        tool_raised: whether a tool that is not read-only raised in this run: running the turn again would not help.

    Args:
        is_rerun: whether this claim has run the turn before.
    """

    def __init__(self, database: Database, row: Claimed, *, is_rerun: bool = False) -> None:
        self._database = database
        self._row = row
        self._calls: dict[str, KeptCall] = {}
        self._approvals: dict[str, KeptApproval] = {}
        self._responses: dict[tuple[str, int], str] = {}
        self._written = is_rerun or row.lease > 1
        self._read_only: set[str] = set()
        self._made: set[str] = set()  # the keys of the calls that may have done something
        self._since: dict[tuple[str, int], set[str]] = {}  # of those, by response, the ones that came after it
        self.stop: Callable[[Exception], object] = lambda _: None
        self.stopped: Callable[[], Exception | None] = lambda: None
        self.calls = CallsInFlight()
        self.private = False
        self.ambiguous: list[str] = []
        self.tool_raised = False

    async def load(self) -> None:
        """Reads what earlier runs have left."""
        if not self._written:
            return
        async with self._database.read() as connection:
            calls = await connection.execute(select(tool_calls).where(tool_calls.c.inbox_id == self._row.id))
            for row in calls:
                outcome = ToolOutcome(row.outcome) if row.outcome is not None else None
                result = from_json(row.result) if row.result is not None else None
                self._calls[row.key] = KeptCall(row.tool, outcome, result, row.error)
                self.private = self.private or row.private
                self._made.add(row.key)
            responses = await connection.execute(
                select(turn_responses).where(turn_responses.c.inbox_id == self._row.id)
            )
            for row in responses:
                self._responses[row.scope, row.number] = row.data
            for row in await connection.execute(select(approvals).where(approvals.c.inbox_id == self._row.id)):
                self._approvals[row.key] = KeptApproval(row.tool, row.arguments, ApprovalStatus(row.status))

    def call(self, key: str) -> KeptCall | None:
        return self._calls.get(key)

    def response(self, scope: str, number: int) -> str | None:
        return self._responses.get((scope, number))

    def approval(self, key: str, tool: str, arguments: str) -> ApprovalStatus | None:
        """What the person answered to a call, with these arguments and no others; `None` if they were not asked."""
        kept = self._approvals.get(key)
        return kept.status if kept is not None and (kept.tool, kept.arguments) == (tool, arguments) else None

    async def add_response(self, scope: str, number: int, data: str) -> None:
        """Keeps what a model answered, before anything is done of it; in place of what was kept under that number.

        Raises:
            Exception: the reason, if the run was stopped.
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
        self._since[scope, number] = self._made if replaced else set()

    async def add_answer(self, scope: str, number: int, data: str) -> None:
        """Keeps what a whole run came to, which is not retracted."""
        await self.add_response(scope, number, data)
        del self._since[scope, number]

    async def retract(self) -> None:
        """Forgets the last answer of each model if nothing was done of it: asked anew, it may have other tools."""
        for (scope, number), made in self._since.items():
            if not any(key.startswith(scope) for key in made):
                await self._write(
                    delete(turn_responses).where(
                        turn_responses.c.inbox_id == self._row.id,
                        turn_responses.c.scope == scope,
                        turn_responses.c.number == number,
                    )
                )

    async def begin(self, started: ToolStarted) -> None:
        """Notes that a tool is called, before it is. Of one that only reads it is enough to note the end.

        Raises:
            Exception: the reason, if the run was stopped.
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
        for made in (self._made, *self._since.values()):
            made.add(key)

    async def end(self, connection: AsyncConnection, ended: ToolEnded, *, private: bool) -> None:
        """Notes in the caller's transaction how a call ended."""
        read_only = ended.call_id in self._read_only
        mine = (tool_calls.c.inbox_id == self._row.id, tool_calls.c.key == ended.call_id)
        if ended.outcome is ToolOutcome.CANCELLED:
            return  # it began, and that is all that is known
        if isinstance(self.stopped(), LeaseLost):
            return  # the journal is another worker's by now
        if ended.outcome in (ToolOutcome.SIGN_IN, ToolOutcome.ASKED, ToolOutcome.NOT_BEGUN):
            await connection.execute(delete(tool_calls).where(*mine))  # it is called anew when the turn is played again
            for made in (self._made, *self._since.values()):
                made.discard(ended.call_id)
            return
        if ended.outcome is ToolOutcome.ERROR and ended.error is None:
            if read_only:
                return  # it is called again
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
        """Removes it, in the transaction that ends the turn."""
        if self._written:
            await forget(connection, self._row.id)

    async def _write(self, statement: Executable) -> None:
        """Writes to the journal, in a transaction in which the turn's row stays this process's.

        Raises:
            LeaseLost: if it is not.
        """
        self._written = True
        held = select(inbox.c.id).where(
            inbox.c.id == self._row.id, is_any(inbox.c.status, InboxStatus.RUNNING), inbox.c.lease == self._row.lease
        )

        async def work(connection: AsyncConnection) -> None:
            if (await connection.execute(held.with_for_update(read=True))).first() is None:
                raise LeaseLost
            await connection.execute(statement)

        try:
            await self._database.transact(work)
        except (LeaseLost, DatabaseUnavailableError) as reason:
            self.stop(reason)
            raise


class CallsInFlight:
    """The tool calls of a turn that run now: for one that stops the turn, and lets the others end before."""

    def __init__(self) -> None:
        self._running: set[str] = set()
        self._stopping: set[str] = set()
        self._alone = asyncio.Event()

    @contextmanager
    def running(self, key: str) -> Iterator[None]:
        self._running.add(key)
        try:
            yield
        finally:
            self._running.discard(key)
            self._stopping.discard(key)
            self._look()

    async def others_ended(self, key: str) -> None:
        """Returns when nothing runs but calls which wait for this, too, and those that these were made in."""
        self._stopping.add(key)
        await asyncio.sleep(0)  # what was called at the same time begins
        self._look()
        await self._alone.wait()

    def _look(self) -> None:
        waits = {outer for key in self._stopping for outer in with_outer(key)}
        if self._stopping and self._running <= waits:
            self._alone.set()


async def forget(connection: AsyncConnection, inbox_id: int) -> None:
    """Removes the journal of a turn."""
    await connection.execute(delete(tool_calls).where(tool_calls.c.inbox_id == inbox_id))
    await connection.execute(delete(turn_responses).where(turn_responses.c.inbox_id == inbox_id))
    await connection.execute(delete(approvals).where(approvals.c.inbox_id == inbox_id))


@dataclass(frozen=True, slots=True)
class RunJournal:
    """What one run of an agent sees of the journal of its turn; nothing, where the turn has none.

    Args:
        scope: tells the runs of a turn apart: the lead's, and one of a member for each time that it is asked.
    """

    turn: TurnJournal | None = None
    scope: str = ""

    @property
    def is_kept(self) -> bool:
        return self.turn is not None

    def key(self, call_id: str) -> str:
        """What a call is known by in the turn.

        Args:
            call_id: the same in each run of the turn.
        """
        return f"{self.scope}{call_id}"

    def within(self, key: str) -> "RunJournal":
        """That of a member which is asked by a call."""
        return RunJournal(self.turn, f"{key}/")

    def running(self, key: str) -> AbstractContextManager[None]:
        """While a call runs."""
        return self.turn.calls.running(key) if self.turn is not None else nullcontext()

    def is_approved(self, key: str, tool: str, arguments: str) -> bool | None:
        """Whether the person of the turn agreed to a call with these arguments; `None` if they were not asked."""
        status = self.turn.approval(key, tool, arguments) if self.turn is not None else None
        return {ApprovalStatus.APPROVED: True, ApprovalStatus.DENIED: False}.get(status) if status else None

    async def ask(self, key: str, tool: str, arguments: str, action: str) -> NoReturn:
        """Stops the turn until its person has said whether a call may be made.

        Args:
            action: what it is to do, in markdown.

        Raises:
            ApprovalRequired: always.
        """
        assert self.turn is not None
        required = ApprovalRequired(key, tool, arguments, action)
        await self.turn.calls.others_ended(key)
        self.turn.stop(required)
        raise required

    def response(self, number: int) -> str | None:
        """What the model answered to this run's request of that number in an earlier run of the turn."""
        return self.turn.response(self.scope, number) if self.turn is not None else None

    async def add_response(self, number: int, data: str) -> None:
        if self.turn is not None:
            await self.turn.add_response(self.scope, number, data)

    async def add_answer(self, number: int, data: str) -> None:
        if self.turn is not None:
            await self.turn.add_answer(self.scope, number, data)

    async def recall(
        self, key: str, tool: str, arguments: Mapping[str, Any], handler: EventHandler, *, read_only: bool
    ) -> KeptCall | None:
        """How a call ended in an earlier run of the turn; `None` if it is to be made.

        One that began and did not end is reported as ambiguous, unless it only reads.
        """
        kept = self.turn.call(key) if self.turn is not None else None
        if self.turn is None or kept is None or (kept.outcome is None and read_only):
            return None
        if kept.outcome is None:
            log.warning("it is not known whether a call of %s was done, and it is not repeated", tool)
            await handler(ToolStarted(key, tool, arguments))
            await handler(ToolEnded(key, tool, ToolOutcome.AMBIGUOUS, error=AMBIGUOUS))
            kept = KeptCall(tool, ToolOutcome.AMBIGUOUS, error=AMBIGUOUS)
        if kept.outcome is ToolOutcome.AMBIGUOUS:
            self.turn.ambiguous.append(tool)
        return kept

    async def call(
        self,
        key: str,
        tool: str,
        arguments: Mapping[str, Any],
        handler: EventHandler,
        make: Callable[[], Awaitable[Any]],
        *,
        read_only: bool = False,
    ) -> Any:
        """Makes a call, unless it was made in an earlier run of the turn: then it ends as it did there.

        Raises:
            ToolError: if it ended in one, or it is not known whether it was done; and what `make` raises.
        """
        kept = await self.recall(key, tool, arguments, handler, read_only=read_only)
        if kept is None:
            return await make()
        if kept.error is not None:
            raise ToolError(kept.error)
        return kept.result


NO_JOURNAL = RunJournal()
