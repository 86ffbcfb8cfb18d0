"""Calls of agents in flows."""

import asyncio
import warnings
from collections.abc import Coroutine, Generator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from pydantic import TypeAdapter

from gateway.runs.anonymous import anonymous_context
from gateway.runs.engine import Answer, RunnableAgent, load_engine
from gateway.runs.events import EventHandler, TurnHandler, ignore
from gateway.runs.flow_turn import FlowTurn, HistoryAccess, history_access, running_turn
from gateway.runs.items import SessionItem
from gateway.runs.journal import NO_JOURNAL, EngineJournal
from gateway.timings import DEFAULT_TIMINGS
from oauth import SettingError
from toolkits import Attachment, Message, QuotedMessage

_ANSWER = -1  # the number of a call's whole answer in its journal
_ANSWER_ADAPTER = TypeAdapter(Answer)


@dataclass(frozen=True, slots=True)
class CallOptions:
    """The options that the modifiers of a call set, except its history.

    Args:
        streams: whether people see the text as it is written.
        is_silent: whether nothing of the call is shown.
        max_turns: the most requests to the model; by default the framework's own limit.
    """

    streams: bool = False
    is_silent: bool = False
    max_turns: int | None = None


@dataclass(slots=True, eq=False)
class AgentCall(Coroutine[Any, Any, str]):
    """A call of an agent. Awaiting it runs a fresh copy of the agent, and returns the answer in markdown.

    It is a coroutine, so it can be passed to `asyncio.create_task` and `asyncio.TaskGroup`. Each modifier returns a new
    call that replaces the old one. A call belongs to the turn and the phase in which it is created. Outside a turn, and
    after the turn has ended, it has no identity, uses no account and writes nothing.
    """

    agent: RunnableAgent
    text: str
    attachments: Sequence[Attachment]
    quoted: Sequence[QuotedMessage]
    turn: FlowTurn | None
    history: HistoryAccess
    options: CallOptions = CallOptions()
    _coroutine: Coroutine[Any, Any, str] | None = field(default=None, init=False)
    _is_used: bool = field(default=False, init=False)

    def __repr__(self) -> str:  # without the text and the person: a forgotten `await` can put it into a prompt
        return f"<call of the agent {self.agent.name!r}>"

    def __del__(self) -> None:
        if not self._is_used:
            message = f"a call of the agent {self.agent.name!r} was never awaited"
            warnings.warn(message, RuntimeWarning, stacklevel=2, source=self)

    def isolated(self) -> "AgentCall":
        """Make the call neither read nor write a history."""
        return self._modified(history=HistoryAccess())

    def snapshot(self) -> "AgentCall":
        """Make the call read the history as it is now, and write nothing."""
        frozen = tuple(self.history.read())
        return self._modified(history=HistoryAccess(lambda: frozen))

    def stream(self) -> "AgentCall":
        """Show the text of the call as it is written, if the channel can."""
        return self._modified(options=replace(self.options, streams=True))

    def silent(self) -> "AgentCall":
        """Show nothing of the call in the channel. It still reads and writes the history."""
        return self._modified(options=replace(self.options, is_silent=True))

    def max_turns(self, limit: int) -> "AgentCall":
        """Limit the number of requests to the model.

        Raises:
            ValueError: if the limit is below 1.
            MaxTurnsExceededError: when the call is awaited, if there is no answer after that many requests.
        """
        self._is_used = True
        if limit < 1:
            raise ValueError(f"max_turns({limit}): the limit must be 1 or more")
        return self._modified(options=replace(self.options, max_turns=limit))

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
        # The history is read before the first await, so that concurrent calls read the same one.
        history = list(self.history.read())
        turn = self.turn if self.turn is not None and not self.turn.is_over else None
        block = self.history.target.begin() if self.history.target is not None and turn is not None else []
        journal = turn.journal_of(self.agent, self.text) if turn is not None else NO_JOURNAL
        recorded = journal.response(_ANSWER)
        if recorded is not None:
            answer = _ANSWER_ADAPTER.validate_json(recorded)
        else:
            answer = await self._ask(turn, history, journal)
            if turn is not None and turn.is_over:  # the call ran on in a task that the flow did not wait for
                return answer.text
            await journal.add_answer(_ANSWER, _ANSWER_ADAPTER.dump_json(answer).decode())
        block.extend(answer.items)
        if turn is not None:
            turn.unread.update(dict.fromkeys(answer.unread))
            turn.files += answer.files
        return answer.text

    async def _ask(self, turn: FlowTurn | None, history: Sequence[SessionItem], journal: EngineJournal) -> Answer:
        is_unknown = turn is not None and turn.team is not None and self.agent not in turn.team
        if is_unknown and any(member.needs_gateway for member in self.agent.team()):
            raise SettingError(
                f"A flow calls the agent {self.agent.name!r}, which the gateway did not find in the flow's code. The "
                "agent needs an account, an approval or a server, which the gateway sets up when it starts: "
                "name it in Agent(flow, members=[…])."
            )
        copy, options = self.agent.deep_copy(), self.options
        handler: EventHandler = turn.handler if turn is not None else ignore
        if options.is_silent:
            handler = TurnHandler(handler.note, ignore) if isinstance(handler, TurnHandler) else handler
        async with asyncio.timeout(call_limit(turn)):
            # The engine of an unknown agent may not be imported yet, which takes seconds.
            engine = await asyncio.to_thread(load_engine, copy.engine) if is_unknown else load_engine(copy.engine)
            return await engine.run(
                copy,
                self.text,
                turn.context if turn is not None else anonymous_context(self.text),
                history,
                handler,
                attachments=self.attachments,
                quoted=self.quoted,
                stream=options.streams and not options.is_silent and turn is not None and turn.streams,
                journal=journal,
                max_turns=options.max_turns,
            )


def call_limit(turn: FlowTurn | None) -> float:
    """Return the time limit of a call in seconds: the rest of its turn's time, but at least the default of a turn."""
    if turn is None:
        return DEFAULT_TIMINGS.turn
    return max(DEFAULT_TIMINGS.turn, (turn.context.deadline - datetime.now(UTC)).total_seconds())


def call_agent(agent: RunnableAgent, message: Message | str) -> AgentCall:
    """Return a call of an agent in the current turn and phase."""
    if isinstance(message, str):
        return AgentCall(agent, message, (), (), running_turn(), history_access())
    return AgentCall(agent, message.text, message.attachments, message.quoted, running_turn(), history_access())
