"""The journal of a turn, as engines use it: a run resumes from the earlier runs of its turn, and repeats nothing.

A turn runs again after a crash, a sign-in or an answer to a question. Its journal holds the responses of the models and
the outcomes of the tool calls.
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
)  # the model reads this

RAISED = "It failed, and was not repeated."  # the model reads this; it is stored, and searched for in the journal


@dataclass(frozen=True, slots=True)
class Ask:
    """A question to a person: see `TurnContext.ask`.

    Args:
        question: the question, in markdown.
        free_text: whether any text is an answer.
        within: how long the person has to answer.
    """

    question: str
    choices: tuple[str, ...]
    free_text: bool
    within: timedelta


class CallNotRepeatedError(UnderstudyError):
    """A call was made in an earlier run, and the framework can neither repeat it nor use its recorded result.

    The turn fails.
    """

    def __init__(self, tool: str) -> None:
        super().__init__(f"{tool} was called in an earlier run of this turn, and is not called again")


class AnswerRequiredError(UnderstudyError):
    """The turn needs its person's answer to a question. The run ends, and the turn runs again with the answer.

    Args:
        key: the key of the call that asks (see `EngineJournal.key`); empty if no call asks.
    """

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(reason)
        self.key = key


class ApprovalRequiredError(AnswerRequiredError):
    """A call waits for the approval of the turn's person.

    Args:
        arguments: the arguments of the call, as JSON.
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
    """A tool, a flow or a command waits for the answer of the turn's person to its question.

    Args:
        ask: the question.
        number: the number of the question among those of its call, from 1.
        private: whether only the person may read the question.
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
        result: the result, as read from JSON.
        error: what the model was told instead of a result.
    """

    tool: str
    outcome: ToolOutcome | None
    result: Any = field(repr=False, default=None)
    error: str | None = field(repr=False, default=None)


class Journal(Protocol):
    """The journal of one turn. Engines do not use it directly: they get an `EngineJournal`.

    A tool call is recorded under its `call_id` when the turn's handler receives the `ToolStarted` and the `ToolEnded`
    of the call.

    Attributes:
        ambiguous: the names of tools with a call that may or may not have taken effect. The person is told about them.
        stop: ends the run with the given exception, even if the engine or a tool swallows the exception.
    """

    ambiguous: list[str]
    stop: Callable[[Exception], object]

    def call(self, key: str) -> RecordedCall | None:
        """Return the record of a call from an earlier run; `None` if there is none."""
        ...

    def response(self, scope: str, number: int) -> str | None:
        """Return what `add_response` or `add_answer` recorded under a number; `None` if there is no record."""
        ...

    def is_approved(self, key: str, tool: str, arguments: str) -> bool | None:
        """Return whether the person approved a call with exactly these arguments; `None` if they have not decided."""
        ...

    async def add_response(self, scope: str, number: int, data: str) -> None:
        """Record a model's response, before any tool call in it is made.

        It replaces an earlier record with the same number. The record may be retracted until one of the calls is made.
        """
        ...

    async def add_answer(self, scope: str, number: int, data: str) -> None:
        """Record the answer of a whole run. The record is never retracted."""
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

    - Before each request to the model, the engine looks up `response(number)`. If there is a recorded response, it is
      used instead of asking the model. Otherwise the engine asks the model, and awaits `add_response(number, …)` before
      it makes the calls in the response. A response without tool calls need not be recorded.
    - The engine makes each tool call with `call(key, …)`. `gateway.engines.tools.AgentTool` does that.

    Args:
        turn: the journal of the turn; `None` if the run is not recorded. Then nothing is found, and nothing is kept.
        scope: a prefix of keys that tells the runs of agents in a turn apart. It is empty for the lead, and different
            for each call that asks a member: see `within`.
    """

    turn: Journal | None = None
    scope: str = ""

    @property
    def is_kept(self) -> bool:
        """Whether the run is recorded."""
        return self.turn is not None

    def key(self, call_id: str) -> str:
        """Return the key of a call. It is unique in the turn, and the `call_id` of the call's events.

        Args:
            call_id: an id that is unique among the calls of this run, and the same whenever the turn runs again. It
                should include the number of the model's response, because models reuse the ids of calls.
        """
        return f"{self.scope}{call_id}"

    def within(self, key: str) -> "EngineJournal":
        """Return the journal for the run of a member, which the call with this key asks."""
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
            arguments: the arguments of the call, as JSON.
        """
        return self.turn.is_approved(key, tool, arguments) if self.turn is not None else None

    async def ask(self, key: str, tool: str, arguments: str, action: str) -> NoReturn:
        """Stop the turn until its person has approved or denied a call. The run must be recorded.

        The turn stops after the other running calls have ended.

        Args:
            arguments: the arguments of the call, as JSON.
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
        """Return what an earlier run recorded under a number; `None` if there is no record."""
        return self.turn.response(self.scope, number) if self.turn is not None else None

    async def add_response(self, number: int, data: str) -> None:
        """Record the model's response, before any tool call in it is made.

        Args:
            number: the number of the request in this run. An earlier record with this number is replaced.
            data: the response, in the engine's own format.
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
        """Return the record of a call from an earlier run; `None` if the call is to be made now.

        A call that began and did not end is made again if it is read-only. Otherwise it is ambiguous: the handler gets
        its events, and the record has an error that tells the model.
        """
        recorded = self.turn.call(key) if self.turn is not None else None
        if self.turn is None or recorded is None or (recorded.outcome is None and read_only):
            return None
        if recorded.outcome is None:
            log.warning("a call of %s was interrupted: it may have taken effect, so it is not repeated", tool)
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
        """Make a call. If an earlier run made it, return its recorded result or raise its recorded error instead.

        Frameworks cancel the other running calls when one raises, and a cancelled call is ambiguous. So a call that
        needs a sign-in raises only after the other running calls have ended.

        Args:
            key: the key of the call: see `key`.
            handler: the handler of the run.
            make: makes the call, and passes its `ToolStarted` and `ToolEnded`, with the key as `call_id`, to the
                handler.
            read_only: whether the call changes nothing, so that it may be made again if it did not end.

        Raises:
            ToolError: if the call failed in an earlier run, or nobody knows whether it took effect.
            Exception: whatever `make` raises.
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
