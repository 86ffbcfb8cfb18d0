"""The contract between the gateway and the engines that run agents."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from importlib.metadata import entry_points
from typing import Any, Protocol, Self

from gateway.runs.events import EventHandler
from gateway.runs.items import SessionItem
from gateway.runs.journal import NO_JOURNAL, EngineJournal
from gateway.runs.native import ENGINES
from gateway.timings import DEFAULT_TIMINGS
from oauth import SettingError
from oauth.errors import UnderstudyError
from toolkits import Function, Toolkit, TurnContext
from toolkits.mcp import MCPServer

TURN_TIMEOUT = timedelta(seconds=DEFAULT_TIMINGS.turn)


class TurnTimeoutError(UnderstudyError, TimeoutError):
    """A turn took too long. A `TimeoutError` that a tool raises is something else."""


class RunnableAgent(Protocol):
    """An agent as an engine sees it: `gateway.Agent` is the only implementation.

    Attributes:
        native: a flow or an agent that is written for a framework, else `None`.
        model: what the engine takes as a model; `None` for a native agent.
        catalog: each tool's name, with the place of its toolkit in `toolkits` and the tool.
    """

    native: Any
    model: Any
    instructions: str
    name: str
    description: str
    engine: str
    mcp_servers: tuple[MCPServer, ...]
    make_context: Any
    catalog: Mapping[str, tuple[int, Function]]

    @property
    def toolkits(self) -> list[Toolkit]:
        """The toolkits of the agent; in a copy, its clones of them."""
        ...

    @property
    def members(self) -> Sequence["RunnableAgent"]:
        """The agents that this one may ask; in a copy, its copies of them."""
        ...

    @property
    def template(self) -> Self:
        """The agent that this one is a copy of; the agent itself if it is not a copy."""
        ...

    @property
    def tool_name(self) -> str:
        """The name of the tool with which the lead of a team asks this agent."""
        ...

    @property
    def needs_gateway(self) -> bool:
        """Whether the agent needs an account, an approval or a server, which only a gateway sets up."""
        ...

    def deep_copy(self) -> Self:
        """Return a copy for one turn, with cloned toolkits."""
        ...

    def function(self, name: str) -> Function:
        """Return a tool of the agent's own toolkits, bound to them."""
        ...

    def team(self) -> Iterator["RunnableAgent"]:
        """Yield this agent, its members and their members."""
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """What a run came to: the text, in markdown, and the items it adds to the history."""

    text: str
    items: Sequence[SessionItem]


class MaxTurnsExceededError(UnderstudyError):
    """A call was to ask its model so many times at most, and there is no answer yet."""

    def __init__(self, agent: RunnableAgent, limit: int | None) -> None:
        super().__init__(f"{agent.name} has no answer after {limit} turns")


class Engine(Protocol):
    """Runs agents on messages. One serves a whole process and keeps nothing of any run."""

    def check(self, agent: RunnableAgent) -> None:
        """Proves, at start-up, that the agent can run. Its members are checked by their own engines.

        Raises:
            SettingError: naming what stands against it, like a model that cannot be had.
        """
        ...

    async def run(
        self,
        agent: RunnableAgent,
        text: str,
        context: TurnContext,
        history: Sequence[SessionItem],
        handler: EventHandler,
        *,
        stream: bool,
        journal: EngineJournal = NO_JOURNAL,
        max_turns: int | None = None,
    ) -> Answer:
        """Runs a copy of an agent.

        Args:
            agent: a deep copy, for this turn alone.
            text: the message.
            context: handed to every tool that asks for it.
            history: what went before in the conversation.
            handler: is told what happens.
            stream: whether the handler wants the text as it is written.
            journal: what earlier runs of the same turn have done: the engine goes on from there, and repeats no call.
            max_turns: how often the model is asked at most; as the framework has it, unless given.

        Raises:
            ConsentRequiredError: if a tool needs an account that the person has not connected. An engine that makes a
                result for the model of what a tool raises is stopped by the turn, which knows.
            MaxTurnsExceededError: if the model was asked `max_turns` times, and there is no answer.
        """
        ...


@cache
def load_engine(name: str) -> Engine:
    """The engine of that name, imported now: that may take a second.

    Raises:
        SettingError: if no installed package has it, or a package that it needs is not installed.
    """
    for found in entry_points(group=ENGINES, name=name):
        try:
            engine: Engine = found.load()()
        except ImportError as error:
            raise SettingError(
                f"The engine {name!r} needs a package that is not installed ({error}): "
                f"pip install 'understudy[{name}]'."
            ) from error
        return engine
    installed = ", ".join(sorted(found.name for found in entry_points(group=ENGINES)))
    raise SettingError(f"There is no engine called {name!r}, only {installed}: Agent(engine=…) names one of these.")
