"""The turn that a flow runs in, and the history that the calls in it read and write."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from gateway.runs.engine import RunnableAgent
from gateway.runs.events import EventHandler, TurnEvent
from gateway.runs.items import SessionItem
from gateway.runs.journal import EngineJournal
from gateway.runs.session import PhaseSession, Session
from toolkits import File, TurnContext

current_session: ContextVar[Session | None] = ContextVar("current_session", default=None)
"""The history of the turn that the flow runs in."""
current_handler: ContextVar[Callable[[TurnEvent], Any] | None] = ContextVar("current_handler", default=None)
"""The handler that receives the events of the turn."""
current_phase_session: ContextVar[PhaseSession | None] = ContextVar("current_phase_session", default=None)
"""The history of the innermost phase; `None` outside phases, and in a phase with `share_context=False`."""
current_in_phase: ContextVar[bool] = ContextVar("current_in_phase", default=False)
"""Whether the code runs in a phase."""

current_turn: ContextVar["FlowTurn | None"] = ContextVar("current_turn", default=None)
"""The turn itself. It is looked up only where the code makes a call or begins a phase, and passed on from there."""
unshared_history: ContextVar[Sequence[SessionItem]] = ContextVar("unshared_history", default=())
"""What calls read in a phase with `share_context=False`: the history as it was when the phase began."""


class FlowTurn:
    """The turn that a flow runs in.

    Args:
        handler: receives the events of the calls.
        journal: the journal of the flow's own run. Each call gets a part of it: see `journal_of`.
        streams: whether the handler wants text as it is written.
        team: the agents that the gateway has set up for the flow. If given, the flow may call other agents only if
            these need no setup.

    Attributes:
        is_over: whether the flow has returned. Calls that run on after that belong to no turn.
        unread: sentences about attachments that no model was given, collected from the calls without duplicates; the
            values are unused.
        files: the files that the models returned in the calls.
    """

    def __init__(
        self,
        context: TurnContext,
        handler: EventHandler,
        journal: EngineJournal,
        *,
        streams: bool,
        team: Sequence[RunnableAgent] | None = None,
    ) -> None:
        self.context = context
        self.handler = handler
        self.team = team
        self.journal = journal
        self.streams = streams
        self.unread: dict[str, None] = {}
        self.files: list[File] = []
        self.is_over = False
        self._agents = list(team or ())
        self._calls: Counter[str] = Counter()

    def journal_of(self, agent: RunnableAgent, text: str) -> EngineJournal:
        """Return the journal of the next call of an agent with a text.

        Concurrent calls may be made in another order when the turn runs again. So a call is identified by its agent and
        its text, and only calls with the same agent and text are numbered. Agents with the same name are told apart by
        their order in the team; agents outside the team follow it, in the order in which they are first called.
        """
        if agent not in self._agents:
            self._agents.append(agent)
        namesakes = [each for each in self._agents if each.name == agent.name]
        call = sha256(repr((agent.name, namesakes.index(agent), text)).encode()).hexdigest()[:32]
        self._calls[call] += 1
        return self.journal.within(f"{call}.{self._calls[call]}")


@dataclass(frozen=True, slots=True)
class HistoryAccess:
    """The history that a call reads, and the session that it writes to.

    Args:
        read: returns the items that the call reads.
        target: the session that the call writes to; `None` for none.
    """

    read: Callable[[], Sequence[SessionItem]] = tuple
    target: Session | None = None


def running_turn() -> FlowTurn | None:
    """Return the turn that the code runs in; `None` outside a turn and after its end."""
    turn = current_turn.get()
    return turn if turn is not None and not turn.is_over else None


def history_access() -> HistoryAccess:
    """Return what a call without modifiers, made here, reads and writes."""
    turn = current_turn.get()
    if turn is not None and turn.is_over:
        return HistoryAccess()
    phase_session = current_phase_session.get()
    if current_in_phase.get() and phase_session is None:
        before = unshared_history.get()
        return HistoryAccess(lambda: before)
    history = phase_session if phase_session is not None else current_session.get()
    return HistoryAccess(lambda: history.items, history) if history is not None else HistoryAccess()


@contextmanager
def context_variables(values: Mapping[ContextVar[Any], Any]) -> Iterator[None]:
    """Set context variables for the duration of a block."""
    tokens = [(variable, variable.set(value)) for variable, value in values.items()]
    try:
        yield
    finally:
        for variable, token in reversed(tokens):
            variable.reset(token)
