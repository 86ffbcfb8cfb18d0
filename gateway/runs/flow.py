"""Flows: plain async functions in which agents are called, alone or in phases."""

import asyncio
import logging
import time
import warnings
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from pydantic import TypeAdapter

from gateway.runs.calls import NoCredentials
from gateway.runs.engine import TURN_TIMEOUT, Answer, RunnableAgent, load_engine
from gateway.runs.events import EventHandler, PhaseEnded, PhaseStarted, TurnEvent, TurnHandler
from gateway.runs.items import Role, SessionItem
from gateway.runs.journal import NO_JOURNAL, EngineJournal
from gateway.runs.session import PhaseSession, Session
from oauth import Identity, SettingError
from toolkits import Conversation, Message, TurnContext

Flow = Callable[[Message], Awaitable[Any]]
"""Answers a message: what it returns, as text."""

current_session: ContextVar[Session | None] = ContextVar("current_session", default=None)
"""The history of the turn that a flow runs in."""
current_handler: ContextVar[Callable[[TurnEvent], Any] | None] = ContextVar("current_handler", default=None)
"""What is told of what happens in it."""
current_phase_session: ContextVar[PhaseSession | None] = ContextVar("current_phase_session", default=None)
"""The history of the phase at hand, if that is shared."""
current_in_phase: ContextVar[bool] = ContextVar("current_in_phase", default=False)
"""Whether a phase is at hand."""

_current_turn: ContextVar["FlowTurn | None"] = ContextVar("current_turn", default=None)
_phase_history: ContextVar[Sequence[SessionItem]] = ContextVar("phase_history", default=())  # of one that is not shared

_ANSWER = -1  # the number of a call's whole answer in its journal

log = logging.getLogger(__name__)


class FlowTurn:
    """The turn that a flow runs in. It is looked up where an agent is called, and passed on from there.

    Args:
        streams: whether its handler wants text as it is written.
        given: what `current_handler` is, if it is another one.
        team: the agents that the gateway knows it to call; any, unless given.
    """

    def __init__(
        self,
        context: TurnContext,
        handler: EventHandler,
        journal: EngineJournal,
        *,
        streams: bool,
        given: Callable[[TurnEvent], Any] | None = None,
        team: Sequence[RunnableAgent] | None = None,
    ) -> None:
        self.context = context
        self.handler = handler
        self.given = given or handler
        self.team = team
        self.journal = journal
        self.streams = streams
        self.over = False
        self._agents = list(team or ())
        self._calls: Counter[str] = Counter()

    def journal_of(self, agent: RunnableAgent, text: str) -> EngineJournal:
        """Return the journal of the next call of an agent with a text.

        Calls that are made side by side may be made in another order when the turn is played again, so a call is known
        by the agent and the text, and numbered only among calls that have both in common. Agents of one name are told
        apart by their order in the team, and after these by the order in which they are called first.
        """
        if agent not in self._agents:
            self._agents.append(agent)
        namesakes = [each for each in self._agents if each.name == agent.name]
        call = sha256(repr((agent.name, namesakes.index(agent), text)).encode()).hexdigest()[:32]
        self._calls[call] += 1
        return self.journal.within(f"{call}.{self._calls[call]}")


_ANSWER_ADAPTER = TypeAdapter(Answer)


@dataclass(frozen=True, slots=True)
class _Place:
    """What a call reads, and the history that it writes to, if it writes."""

    read: Callable[[], Sequence[SessionItem]]
    written: Session | None


@dataclass(slots=True, eq=False)
class AgentCall(Coroutine[Any, Any, str]):
    """A call of an agent, which is made when it is awaited: then a fresh copy of the agent runs.

    It is a coroutine, also for `asyncio.create_task` and `asyncio.TaskGroup`. What it returns is the answer, in
    markdown. Each modifier gives a new call, in place of the one that it modifies. A call belongs to the turn and the
    phase in which it is written; outside a turn, or when that is over, it has no identity, no account is used for it,
    and it writes nothing.
    """

    agent: RunnableAgent
    text: str
    turn: FlowTurn | None
    place: _Place
    streams: bool = False
    is_silent: bool = False
    limit: int | None = None
    _coroutine: Coroutine[Any, Any, str] | None = field(default=None, init=False)
    _is_used: bool = field(default=False, init=False)

    def __repr__(self) -> str:  # no text, and nothing of whose turn it is: it may come into a prompt by mistake
        return f"<call of the agent {self.agent.name!r}>"

    def __del__(self) -> None:
        if not self._is_used:
            message = f"a call of the agent {self.agent.name!r} was never awaited"
            warnings.warn(message, RuntimeWarning, stacklevel=2, source=self)

    def isolated(self) -> "AgentCall":
        """Reads nothing of what was said, and writes nothing."""
        return self._modified(place=_Place(tuple, None))

    def snapshot(self) -> "AgentCall":
        """Reads what was said up to now, and writes nothing."""
        frozen = tuple(self.place.read())
        return self._modified(place=_Place(lambda: frozen, None))

    def stream(self) -> "AgentCall":
        """Shows the text as it is written, where the channel can."""
        return self._modified(streams=True)

    def silent(self) -> "AgentCall":
        """Shows nothing of what it does. What it reads and writes stays the same."""
        return self._modified(is_silent=True)

    def max_turns(self, limit: int) -> "AgentCall":
        """Asks the model so many times at most.

        Raises:
            MaxTurnsExceededError: from the call, if that is not enough.
        """
        self._is_used = True
        if limit < 1:
            raise ValueError(f"max_turns({limit}) leaves no turn: give it 1 or more")
        return self._modified(limit=limit)

    def __await__(self) -> Generator[Any, None, str]:
        self._is_used = True
        return self._run().__await__()

    def send(self, value: Any) -> Any:
        return self._started().send(value)

    def throw(self, *error: Any) -> Any:
        return self._started().throw(*error)

    def close(self) -> None:
        self._is_used = True
        if self._coroutine is not None:
            self._coroutine.close()

    def _started(self) -> Coroutine[Any, Any, str]:
        self._is_used = True
        if self._coroutine is None:
            self._coroutine = self._run()
        return self._coroutine

    def _modified(self, **changes: Any) -> "AgentCall":
        self._is_used = True
        return replace(self, **changes)

    async def _run(self) -> str:
        # Up to the first await nothing else runs: calls that are made side by side read the same.
        history = list(self.place.read())
        turn = self.turn if self.turn is not None and not self.turn.over else None
        block = self.place.written.begin() if self.place.written is not None and turn is not None else []
        journal = turn.journal_of(self.agent, self.text) if turn is not None else NO_JOURNAL
        stored = journal.response(_ANSWER)
        if stored is not None:
            answer = _ANSWER_ADAPTER.validate_json(stored)
        else:
            answer = await self._ask(turn, history, journal)
            if turn is not None and turn.over:  # it went on in a task for which nobody waited
                return answer.text
            await journal.add_answer(_ANSWER, _ANSWER_ADAPTER.dump_json(answer).decode())
        block.extend(answer.items)
        return answer.text

    async def _ask(self, turn: FlowTurn | None, history: Sequence[SessionItem], journal: EngineJournal) -> Answer:
        is_unknown = turn is not None and turn.team is not None and self.agent not in turn.team
        if is_unknown and any(member.needs_gateway for member in self.agent.team()):
            raise SettingError(
                f"A flow calls the agent {self.agent.name!r}, which the gateway has not found in it. It needs an "
                "account, an approval or a server, so give it to the flow: Agent(flow, members=[…])."
            )
        copy = self.agent.deep_copy()
        handler: EventHandler = turn.handler if turn is not None else _ignore
        if self.is_silent:
            handler = handler.note if isinstance(handler, TurnHandler) else handler
        async with asyncio.timeout(TURN_TIMEOUT.total_seconds()):
            # Of an agent that the gateway did not find in the flow, which may be the first one of its engine.
            engine = await asyncio.to_thread(load_engine, copy.engine) if is_unknown else load_engine(copy.engine)
            return await engine.run(
                copy,
                self.text,
                turn.context if turn is not None else nobody(self.text),
                history,
                handler,
                stream=self.streams and not self.is_silent and turn is not None and turn.streams,
                journal=journal,
                max_turns=self.limit,
            )


def call(agent: RunnableAgent, message: Message | str) -> AgentCall:
    """A call of an agent in the turn and the phase at hand."""
    turn = _current_turn.get()
    text = message if isinstance(message, str) else message.text
    return AgentCall(agent, text, turn if turn is not None and not turn.over else None, _place())


def _place() -> _Place:
    turn = _current_turn.get()
    if turn is not None and turn.over:
        return _Place(tuple, None)
    phase, session = current_phase_session.get(), current_session.get()
    if current_in_phase.get() and phase is None:
        before = _phase_history.get()
        return _Place(lambda: before, None)
    history = phase if phase is not None else session
    return _Place(lambda: history.items, history) if history is not None else _Place(tuple, None)


@asynccontextmanager
async def phase(label: str, *, share_context: bool = True, persist: bool = False) -> AsyncIterator[PhaseSession | None]:
    """A part of a flow, shown by its label, whose calls read the history as it is when the phase begins.

    Args:
        share_context: whether its calls read each other, too, and write: to the phase alone. Then there is a
            `PhaseSession`, else `None`.
        persist: whether the last answer of the phase is in the history around it when it has ended.
    """
    around = _place()
    inner = PhaseSession(label, around.read()) if share_context else None
    tell, began = _teller(), time.monotonic()
    tokens = (
        (current_phase_session, current_phase_session.set(inner)),
        (current_in_phase, current_in_phase.set(True)),
        (_phase_history, _phase_history.set(tuple(around.read()))),
    )
    try:
        await tell(PhaseStarted(label))
        yield inner
        answers = [item for item in inner.added if item.role is Role.ASSISTANT] if inner is not None else []
        if persist and around.written is not None:
            around.written.begin().extend(answers[-1:])
    except BaseException:
        _reset(tokens)
        try:
            await tell(PhaseEnded(label, _milliseconds(began)))
        except Exception:  # what ended the phase is what is raised
            log.exception("the handler failed at the end of the phase %r", label)
        raise
    else:
        _reset(tokens)
        await tell(PhaseEnded(label, _milliseconds(began)))


async def play(flow: Flow, message: Message, turn: FlowTurn, session: Session | None) -> str:
    """Runs a flow on a message, in a turn; returns its answer.

    The session has the message then, and the answer, whatever its calls have written.
    """
    first = session.begin() if session is not None else []
    known = len(session.added) if session is not None else 0
    tokens: list[tuple[ContextVar[Any], Any]] = [
        (_current_turn, _current_turn.set(turn)),
        (current_session, current_session.set(session)),
        (current_handler, current_handler.set(turn.given)),
        (current_phase_session, current_phase_session.set(None)),
        (current_in_phase, current_in_phase.set(False)),
    ]
    try:
        result = await flow(message)
    finally:
        turn.over = True
        _reset(tokens)
    if isinstance(result, AgentCall):
        result.close()
        raise TypeError(f"the flow returned a {result!r} that it had not awaited: write `return await …`")
    answer = "" if result is None else str(result)
    if session is not None:
        added = session.added[known:]
        if not any(item.role is Role.USER and item.text == message.text for item in added):
            first.append(SessionItem(Role.USER, message.text))
        said = [item.text for item in added if item.role is Role.ASSISTANT]
        if said[-1:] != [answer]:
            session.begin().append(SessionItem(Role.ASSISTANT, answer))
    return answer


def nobody(text: str) -> TurnContext:
    """The turn of a call outside any turn: nobody's, with nobody's account."""
    sender, place = Identity("", "", ""), Conversation("", "", "", shared=False)
    message = Message(id="", text=text, sender=sender, sender_name="", conversation=place, anonymous=True)
    return TurnContext(
        identity=sender,
        conversation=place,
        message=message,
        deadline=datetime.now(UTC) + TURN_TIMEOUT,
        reference="",
        credential_source=NoCredentials(),
    )


def _teller() -> EventHandler:
    turn = _current_turn.get()
    return turn.handler if turn is not None and not turn.over else _ignore


def _reset(tokens: Sequence[tuple[ContextVar[Any], Any]]) -> None:
    for variable, token in reversed(tokens):
        variable.reset(token)


def _milliseconds(began: float) -> int:
    return round((time.monotonic() - began) * 1000)


async def _ignore(_: TurnEvent) -> None:
    return
