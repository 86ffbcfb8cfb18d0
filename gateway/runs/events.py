"""The events of a turn. One handler receives them in order."""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from toolkits.text import readable, storable


@dataclass(frozen=True, slots=True)
class TextDelta:
    """A piece of the answer's text, to append to the pieces before it."""

    text: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", storable(self.text))


class ToolOutcome(StrEnum):
    OK = "ok"
    #: The tool raised, or told the model that it could not do what it was asked.
    ERROR = "error"
    #: The tool needs an account that the person has not connected.
    SIGN_IN = "sign_in"
    #: The call waits for the person's approval and has done nothing, or it waits for the person's answer to a question
    #: and is made again with it.
    ASKED = "asked"
    #: The person did not approve the call. It has done nothing.
    DENIED = "denied"
    #: The turn ended before the call did.
    CANCELLED = "cancelled"
    #: The turn ended before the call began. It has done nothing.
    NOT_BEGUN = "not_begun"
    #: The process died during the call, and nobody knows whether it took effect. It is not repeated.
    AMBIGUOUS = "ambiguous"


@dataclass(frozen=True, slots=True)
class ToolStarted:
    """A tool call begins.

    Args:
        call_id: the id of the call, unique in the turn. The `ToolEnded` of the call has the same id.
        arguments: what the model passes to the tool.
        private: whether only the sender may see the result.
        provider: the provider whose account the tool uses, if its toolkit names one.
        read_only: whether the tool changes nothing, so that the call may be repeated.
        label: what people see of the call; they see neither its arguments nor its result. By default the name of the
            tool in words.
    """

    call_id: str
    tool: str
    arguments: Mapping[str, Any] = field(default_factory=dict, repr=False)
    private: bool = False
    provider: str | None = None
    read_only: bool = False
    label: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "label", self.label or readable(self.tool))


@dataclass(frozen=True, slots=True)
class ToolEnded:
    """A tool call has ended.

    Args:
        error: what the model was told if the tool could not do what it was asked.
    """

    call_id: str
    tool: str
    outcome: ToolOutcome = ToolOutcome.OK
    result: Any = field(default=None, repr=False)
    error: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class PhaseStarted:
    """A phase of a flow begins."""

    label: str


@dataclass(frozen=True, slots=True)
class PhaseEnded:
    """A phase of a flow has ended, normally or with an exception.

    Args:
        elapsed_ms: how long it took, in milliseconds.
    """

    label: str
    elapsed_ms: int


@dataclass(frozen=True, slots=True)
class SignInNeeded:
    """The turn waits for its person to connect an account."""

    provider: str


@dataclass(frozen=True, slots=True)
class ApprovalNeeded:
    """The turn waits for its person to approve or deny a tool call.

    Args:
        action: what the tool is about to do, in markdown.
    """

    tool: str
    action: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class AnswerNeeded:
    """The turn waits for its person to answer a question, which is in markdown."""

    question: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class TokensUsed:
    """A run of an engine has ended.

    Args:
        count: how many tokens its model has read and written; 0 if the model does not tell.
    """

    count: int


@dataclass(frozen=True, slots=True)
class ModelStarted:
    """A model is asked. A response that an earlier run of the turn recorded is used without asking.

    Args:
        call_id: the id of the request, unique in the turn. Its `ModelEnded` has the same id.
        agent: the name of the agent that asks.
        model: the name of the model; empty if it is not known.
    """

    call_id: str
    agent: str
    model: str = ""


@dataclass(frozen=True, slots=True)
class ModelEnded:
    """A model has responded, or failed.

    Args:
        tokens: how many tokens it has read and written; 0 if it does not tell.
        error: why it failed; `None` if it did not.
    """

    call_id: str
    tokens: int = 0
    error: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class RunStarted:
    """A run of the turn begins. A turn runs again after it has waited, failed for a while, or been interrupted.

    Args:
        reference: the reference of the turn.
        agent: the name of the agent that answers.
    """

    reference: str
    agent: str


@dataclass(frozen=True, slots=True)
class RunFailed:
    """A run of the turn has ended without an answer, and waits for nothing."""

    error: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Answered:
    """The turn has its answer, in markdown."""

    text: str = field(repr=False)


TurnEvent = (
    TextDelta
    | ToolStarted
    | ToolEnded
    | PhaseStarted
    | PhaseEnded
    | SignInNeeded
    | ApprovalNeeded
    | AnswerNeeded
    | TokensUsed
    | ModelStarted
    | ModelEnded
    | RunStarted
    | RunFailed
    | Answered
)

EventHandler = Callable[[TurnEvent], Coroutine[Any, Any, None]]


class TurnHandler:
    """A handler in two parts: `note` also receives the events of silent calls, and those of `report`.

    Args:
        note: receives every event, for the journal, the audit and developers.
        show: receives the events that are shown to people.
    """

    def __init__(self, note: EventHandler, show: EventHandler) -> None:
        self.note = note
        self._show = show

    async def __call__(self, event: TurnEvent) -> None:
        await self.note(event)
        await self._show(event)


async def report(handler: EventHandler, event: ModelStarted | ModelEnded | RunStarted | RunFailed) -> None:
    """Pass an event to the `note` of a handler, and to nobody else: people do not see the requests to models."""
    if isinstance(handler, TurnHandler):
        await handler.note(event)


class TextSoFar:
    """The text of a running turn's answer so far. Text before a tool call or a phase is not part of the answer."""

    def __init__(self) -> None:
        self._pieces: list[str] = []

    def note(self, event: TurnEvent) -> None:
        """Append the text of an event, or start over at a tool call or a phase."""
        if isinstance(event, TextDelta):
            self._pieces.append(event.text)
        elif isinstance(event, (ToolStarted, PhaseStarted)):
            self._pieces.clear()

    @property
    def text(self) -> str:
        return "".join(self._pieces)


async def ignore(_: TurnEvent) -> None:
    """Handle an event by doing nothing."""
