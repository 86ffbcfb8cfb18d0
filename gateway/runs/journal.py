import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, NoReturn, Protocol

from gateway.runs.events import EventHandler, ToolEnded, ToolOutcome, ToolStarted
from oauth.errors import UnderstudyError
from toolkits import ToolError

log = logging.getLogger(__name__)

AMBIGUOUS = (
    "It is not known whether this call was done: it was interrupted. It was not repeated. "
    "Say so, and do not call it again unless you are asked to."
)


RAISED = "It failed, and was not repeated."


class CallNotRepeatedError(UnderstudyError):
    """A tool was called in an earlier run of the turn, and its framework lets us neither repeat nor replace that."""

    def __init__(self, tool: str) -> None:
        super().__init__(f"{tool} was called in an earlier run of this turn, and is not called again")


class ApprovalRequiredError(UnderstudyError):
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
class RecordedCall:
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


class Journal(Protocol):
    """The journal of a turn as the runs of its agents use it.

    Attributes:
        ambiguous: the tools of which it is not known whether a call of theirs was done.
        stop: ends the run of the turn for a reason, whatever its engine makes of it.
    """

    ambiguous: list[str]
    stop: Callable[[Exception], object]

    def call(self, key: str) -> RecordedCall | None:
        """Return how a call ended in an earlier run; `None` if none is recorded."""
        ...

    def response(self, scope: str, number: int) -> str | None:
        """Return what a model answered in an earlier run; `None` if nothing is recorded."""
        ...

    def is_approved(self, key: str, tool: str, arguments: str) -> bool | None:
        """Return whether the person approved a call with exactly these arguments; `None` if they have not decided."""
        ...

    async def add_response(self, scope: str, number: int, data: str) -> None:
        """Record what a model answered before anything of it is done."""
        ...

    async def add_answer(self, scope: str, number: int, data: str) -> None:
        """Record what a whole run came to."""
        ...

    def running(self, key: str) -> AbstractContextManager[None]:
        """Return a block in which a call counts as running."""
        ...

    async def others_ended(self, key: str) -> None:
        """Return when only calls run that wait for this, too, or that such calls were made in."""
        ...


@dataclass(frozen=True, slots=True)
class EngineJournal:
    """What one run of an agent sees of the journal of its turn; nothing, where the turn has none.

    Args:
        scope: tells the runs of a turn apart: the lead's, and one of a member for each time that it is asked.
    """

    turn: Journal | None = None
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

    def within(self, key: str) -> "EngineJournal":
        """That of a member which is asked by a call."""
        return EngineJournal(self.turn, f"{key}/")

    def running(self, key: str) -> AbstractContextManager[None]:
        """While a call runs."""
        return self.turn.running(key) if self.turn is not None else nullcontext()

    def is_approved(self, key: str, tool: str, arguments: str) -> bool | None:
        """Whether the person of the turn agreed to a call with these arguments; `None` if they were not asked."""
        return self.turn.is_approved(key, tool, arguments) if self.turn is not None else None

    async def ask(self, key: str, tool: str, arguments: str, action: str) -> NoReturn:
        """Stops the turn until its person has said whether a call may be made.

        Args:
            action: what it is to do, in markdown.

        Raises:
            ApprovalRequiredError: always.
        """
        assert self.turn is not None
        required = ApprovalRequiredError(key, tool, arguments, action)
        await self.turn.others_ended(key)
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
    ) -> RecordedCall | None:
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
            kept = RecordedCall(tool, ToolOutcome.AMBIGUOUS, error=AMBIGUOUS)
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


NO_JOURNAL = EngineJournal()
