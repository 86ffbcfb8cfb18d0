"""What an engine knows of earlier runs of the same turn, so that it goes on there and repeats nothing.

A turn runs again after a crash, a sign-in or an answer. Its journal holds what the models answered and how the tool
calls ended.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, NoReturn, Protocol

from gateway.runs.events import EventHandler, ToolEnded, ToolOutcome, ToolStarted
from oauth import ConsentRequiredError
from oauth.errors import UnderstudyError
from toolkits import ToolError

log = logging.getLogger(__name__)

AMBIGUOUS = (
    "This call was interrupted, and it is not known whether it took effect. It was not repeated. "
    "Tell the user so, and do not call it again unless they ask you to."
)  # for the model

RAISED = "It failed, and was not repeated."  # for the model; stored, and looked for in the stored journal


@dataclass(frozen=True, slots=True)
class Ask:
    """What a person is asked: see `TurnContext.ask`.

    Args:
        question: in markdown.
        free_text: whether any text is an answer.
        within: how long they have.
    """

    question: str
    choices: tuple[str, ...]
    free_text: bool
    within: timedelta


class CallNotRepeatedError(UnderstudyError):
    """An earlier run of the turn made this call, and the framework can neither repeat it nor take its recorded result.

    The turn fails.
    """

    def __init__(self, tool: str) -> None:
        super().__init__(f"{tool} was called in an earlier run of this turn, and is not called again")


class AnswerRequiredError(UnderstudyError):
    """The turn waits for its person's answer to a question. It ends, and runs again when they have answered.

    Args:
        key: the key of the call that asks (see `EngineJournal.key`); empty if no call does.
    """

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(reason)
        self.key = key


class ApprovalRequiredError(AnswerRequiredError):
    """A call waits for the approval of the turn's person.

    Args:
        arguments: as JSON.
        action: what the call is about to do, in markdown, for the person to read.

    Attributes:
        accounts: the accounts that the call would use, as far as they are known.
    """

    def __init__(self, key: str, tool: str, arguments: str, action: str) -> None:
        super().__init__(key, f"{tool} waits for an approval")
        self.tool = tool
        self.arguments = arguments
        self.action = action
        self.accounts: Sequence[str] = ()


class AskRequiredError(AnswerRequiredError):
    """A tool, a flow or a command waits for what the turn's person answers to its question.

    Args:
        ask: the question.
        number: tells the questions of one call apart.
        private: whether nobody else may read the question.
    """

    def __init__(self, key: str, ask: Ask, *, number: int = 1, private: bool = False) -> None:
        super().__init__(key, "a question waits for its answer")
        self.ask = ask
        self.question_key = ask_key(key, number)
        self.private = private


def ask_key(key: str, number: int) -> str:
    """Return the key of a question: see `AskRequiredError`."""
    return f"{key}?{number}"


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """A tool call of an earlier run of the turn.

    Args:
        outcome: how it ended; `None` if only its beginning is recorded.
        result: what it returned, as read from JSON.
        error: what the model was told instead of a result.
    """

    tool: str
    outcome: ToolOutcome | None
    result: Any = field(repr=False, default=None)
    error: str | None = field(repr=False, default=None)


class Journal(Protocol):
    """The journal of one turn, as `EngineJournal` uses it. Engines are given an `EngineJournal`.

    A tool call is recorded when the turn's handler receives its `ToolStarted` and its `ToolEnded`, under their
    `call_id`.

    Attributes:
        ambiguous: the tools with a call of which nobody knows whether it took effect. The person is told so.
        stop: ends the run for a reason, even if the engine or a tool swallows the exception.
    """

    ambiguous: list[str]
    stop: Callable[[Exception], object]

    def call(self, key: str) -> RecordedCall | None:
        """Return how a call ended in an earlier run; `None` if it is not recorded."""
        ...

    def response(self, scope: str, number: int) -> str | None:
        """Return what `add_response` or `add_answer` recorded under a number; `None` if nothing is recorded."""
        ...

    def is_approved(self, key: str, tool: str, arguments: str) -> bool | None:
        """Return whether the person approved a call with exactly these arguments; `None` if they have not decided."""
        ...

    async def add_response(self, scope: str, number: int, data: str) -> None:
        """Record what a model answered, before any of the calls in it is made.

        It replaces what is recorded under the number. It may be retracted while nothing has been done of it.
        """
        ...

    async def add_answer(self, scope: str, number: int, data: str) -> None:
        """Record the answer of a whole run, which is never retracted."""
        ...

    def running(self, key: str) -> AbstractContextManager[None]:
        """Return a context manager: the call counts as running while its block runs."""
        ...

    async def others_ended(self, key: str) -> None:
        """Wait until the only running calls are those that wait here, and the calls that they were made in."""
        ...


@dataclass(frozen=True, slots=True)
class EngineJournal:
    """The part of a turn's journal that belongs to one run of an agent.

    An engine uses it in two places:

    - Before each request to the model it looks up `response(number)`. If there is one, it takes that instead of asking
      the model. Otherwise it asks, and awaits `add_response(number, …)` before it makes the calls in the response. A
      response without tool calls need not be recorded.
    - It makes each tool call by `call(key, …)`. `gateway.engines.tools.AgentTool` does that.

    Args:
        turn: the journal of the turn; `None` if the run is not recorded. Then nothing is found and nothing is kept.
        scope: tells the runs of a turn apart. That of the lead is empty, and each time that a member is asked has its
            own: see `within`.
    """

    turn: Journal | None = None
    scope: str = ""

    @property
    def is_kept(self) -> bool:
        """Return whether the run is recorded."""
        return self.turn is not None

    def key(self, call_id: str) -> str:
        """Return the key of a call: it is unique in the turn, and the `call_id` of the call's events.

        Args:
            call_id: tells the calls of this run apart, and is the same whenever the turn runs again. Models repeat the
                ids that they give to calls, so the number of the model's response belongs into it.
        """
        return f"{self.scope}{call_id}"

    def within(self, key: str) -> "EngineJournal":
        """Return the journal for the run of a member that a call asks."""
        return EngineJournal(self.turn, f"{key}/")

    def running(self, key: str) -> AbstractContextManager[None]:
        """Return a context manager: the call counts as running while its block runs."""
        return self.turn.running(key) if self.turn is not None else nullcontext()

    async def others_ended(self, key: str) -> None:
        """Wait until the only running calls are those that wait here, and the calls that they were made in."""
        if self.turn is not None:
            await self.turn.others_ended(key)

    def is_approved(self, key: str, tool: str, arguments: str) -> bool | None:
        """Return whether the person approved a call with exactly these arguments; `None` if they have not decided.

        Args:
            arguments: as JSON.
        """
        return self.turn.is_approved(key, tool, arguments) if self.turn is not None else None

    async def ask(self, key: str, tool: str, arguments: str, action: str) -> NoReturn:
        """Stop the turn until its person has approved or denied a call. The run must be recorded.

        Other running calls end first.

        Args:
            arguments: as JSON.
            action: what the call is about to do, in markdown.

        Raises:
            ApprovalRequiredError: always.
        """
        assert self.turn is not None
        required = ApprovalRequiredError(key, tool, arguments, action)
        await self.turn.others_ended(key)
        self.turn.stop(required)
        raise required

    def response(self, number: int) -> str | None:
        """Return what an earlier run recorded under a number; `None` if nothing is recorded."""
        return self.turn.response(self.scope, number) if self.turn is not None else None

    async def add_response(self, number: int, data: str) -> None:
        """Record what the model answered, before any of the calls in it is made.

        Args:
            number: the number of the request in this run. What is recorded under it is replaced.
            data: in a form of the engine's choice.
        """
        if self.turn is not None:
            await self.turn.add_response(self.scope, number, data)

    async def add_answer(self, number: int, data: str) -> None:
        """Record the answer of the whole run."""
        if self.turn is not None:
            await self.turn.add_answer(self.scope, number, data)

    def was_called(self, key: str) -> bool:
        """Return whether an earlier run made a call, whether or not it ended."""
        return self.turn is not None and self.turn.call(key) is not None

    async def recall(
        self, key: str, tool: str, arguments: Mapping[str, Any], handler: EventHandler, *, read_only: bool
    ) -> RecordedCall | None:
        """Return how a call ended in an earlier run; `None` if it is to be made now.

        A call that began and did not end is made again if it is read-only. Otherwise the handler and the model are told
        that it is ambiguous.
        """
        recorded = self.turn.call(key) if self.turn is not None else None
        if self.turn is None or recorded is None or (recorded.outcome is None and read_only):
            return None
        if recorded.outcome is None:
            log.warning("a call of %s was interrupted: it may have taken effect, and is not repeated", tool)
            await handler(ToolStarted(key, tool, arguments))
            await handler(ToolEnded(key, tool, ToolOutcome.AMBIGUOUS, error=AMBIGUOUS))
            recorded = RecordedCall(tool, ToolOutcome.AMBIGUOUS, error=AMBIGUOUS)
        if recorded.outcome is ToolOutcome.AMBIGUOUS:
            self.turn.ambiguous.append(tool)
        return recorded

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
        """Make a call, unless an earlier run made it: then return what it returned, or raise what it raised.

        Frameworks cancel the calls that run beside one that raises, and a call that is cancelled is ambiguous. So a
        call that has to wait for a sign-in raises only when the other running calls have ended.

        Args:
            key: see `key`.
            handler: the handler of the run.
            make: makes the call, and tells the handler of its beginning and end, with the key as `call_id`.
            read_only: whether the call changes nothing, and may be made again if it did not end.

        Raises:
            ToolError: if an earlier run's call ended in one, or nobody knows whether it took effect.
            Exception: what `make` raises.
        """
        with self.running(key):
            recorded = await self.recall(key, tool, arguments, handler, read_only=read_only)
            if recorded is None:
                try:
                    return await make()
                except ConsentRequiredError:
                    await self.others_ended(key)
                    raise
        if recorded.error is not None:
            raise ToolError(recorded.error)
        return recorded.result


NO_JOURNAL = EngineJournal()
