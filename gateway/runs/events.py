"""What happens in a turn, as a stream of events to one handler."""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from toolkits.text import storable


@dataclass(frozen=True, slots=True)
class TextDelta:
    """More text of the answer."""

    text: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", storable(self.text))


class ToolOutcome(StrEnum):
    OK = "ok"
    #: It raised, or told the model that it could not.
    ERROR = "error"
    #: It needs an account that the person has not connected.
    SIGN_IN = "sign_in"
    #: It waits for the person's yes, and has done nothing.
    ASKED = "asked"
    #: The person did not agree: it has done nothing.
    DENIED = "denied"
    #: The turn was over before it ended.
    CANCELLED = "cancelled"
    #: The turn was over before it began: it has done nothing.
    NOT_BEGUN = "not_begun"
    #: It was interrupted when its process died, and it is not known whether it was done. It is not repeated.
    AMBIGUOUS = "ambiguous"


@dataclass(frozen=True, slots=True)
class ToolStarted:
    """A tool is called.

    Args:
        call_id: the same as in the `ToolEnded` of this call, unique in the turn.
        arguments: what the model passes to it.
        private: whether what it returns is for the sender alone.
        provider: the provider whose account it acts with, where its toolkit names one.
        read_only: whether it changes nothing, so that it may be called again.
    """

    call_id: str
    tool: str
    arguments: Mapping[str, Any] = field(default_factory=dict, repr=False)
    private: bool = False
    provider: str | None = None
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class ToolEnded:
    """A call has ended.

    Args:
        error: what the model is told, where the tool told it that it could not.
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
    """A phase of a flow has ended, in whatever way.

    Args:
        elapsed_ms: how long it took, in milliseconds.
    """

    label: str
    elapsed_ms: int


@dataclass(frozen=True, slots=True)
class SignInNeeded:
    """The turn waits until its person has connected an account."""

    provider: str


@dataclass(frozen=True, slots=True)
class ApprovalNeeded:
    """The turn waits for its person's yes or no.

    Args:
        action: what the tool is to do, in markdown.
    """

    tool: str
    action: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Answered:
    """The turn has its answer, in markdown."""

    text: str = field(repr=False)


TurnEvent = TextDelta | ToolStarted | ToolEnded | PhaseStarted | PhaseEnded | SignInNeeded | ApprovalNeeded | Answered

EventHandler = Callable[[TurnEvent], Coroutine[Any, Any, None]]


class TurnHandler:
    """A handler of two parts: what has to know of each event, and the display, which a silent call leaves out."""

    def __init__(self, note: EventHandler, show: EventHandler) -> None:
        self.note = note
        self._show = show

    async def __call__(self, event: TurnEvent) -> None:
        await self.note(event)
        await self._show(event)
