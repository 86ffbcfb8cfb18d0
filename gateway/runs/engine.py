"""The contract between the gateway and the engines that run agents.

An engine is a class that implements `Engine`, has a constructor without arguments, and is named by an entry point of
the group `understudy.engines`. One of the group `understudy.native_agents` maps the full name of a framework's agent
class to the engine, for agents that are already written for the framework.

What engines have in common is there: `gateway.engines.tools` and `gateway.engines.remote_tools` have the tools of an
agent, and `gateway.engines.watching` reports the calls of a framework's own tools.
"""

from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from typing import Annotated, Any, Protocol, Self

from pydantic import PlainSerializer, PlainValidator

from gateway.runs.events import EventHandler
from gateway.runs.items import SessionItem
from gateway.runs.journal import NO_JOURNAL, EngineJournal
from gateway.runs.native import ENGINES
from oauth import SettingError
from oauth.errors import UnderstudyError
from toolkits import Attachment, File, Function, QuotedMessage, Toolkit, Transcriber, TurnContext
from toolkits.mcp import MCPServer


class TurnTimeoutError(UnderstudyError, TimeoutError):
    """The turn took too long. A `TimeoutError` that a tool raises has another type."""


class RunnableAgent(Protocol):
    """An agent as engines see it; `gateway.Agent` implements it.

    An agent is either a template, which never runs and lives as long as the process, or a copy of it for one turn. What
    an engine builds once for an agent, like the schemas of its tools, it keeps by the template. What differs from turn
    to turn, it reads from the copy: the instructions, and the toolkits that hold a person's credentials.

    Attributes:
        native: the agent that is written for the engine's framework, or the flow; `None` if the agent has a model and
            instructions of its own.
        model: a model object of the framework, or a string like "openai:gpt-5.2"; `None` if the agent is native.
        instructions: what the model is told before every message; empty if there are none.
        name: what people and other agents call it.
        description: what it is for, in a sentence for the lead of its team.
        engine: the name of the engine that runs it.
        mcp_servers: the servers whose tools it may call, besides those of its toolkits.
        make_context: makes the object that a native agent's tools are given of the `TurnContext`; if it is `None`, they
            are given the `TurnContext`.
        transcriber: transcribes recordings that come with a message; `None` if nothing does.
        catalog: the tools of its toolkits by name, each with the index of its toolkit in `toolkits`.
    """

    native: Any
    model: Any
    instructions: str
    name: str
    description: str
    engine: str
    mcp_servers: tuple[MCPServer, ...]
    make_context: Callable[[TurnContext], Any] | None
    transcriber: Transcriber | None
    catalog: Mapping[str, tuple[int, Function]]

    @property
    def toolkits(self) -> list[Toolkit]:
        """The toolkits of the agent; in a copy, its own clones of them."""
        ...

    @property
    def members(self) -> Sequence["RunnableAgent"]:
        """The agents that this one may ask; in a copy, its own copies of them."""
        ...

    @property
    def template(self) -> Self:
        """The agent that this one is a copy of; the agent itself if it is a template."""
        ...

    @property
    def tool_name(self) -> str:
        """The name of the tool with which the lead of a team asks this agent."""
        ...

    @property
    def needs_gateway(self) -> bool:
        """Return whether the agent needs an account, an approval or a server, which only a gateway sets up."""
        ...

    def deep_copy(self) -> Self:
        """Return a copy for one turn, with cloned toolkits."""
        ...

    def function(self, name: str) -> Function:
        """Return a tool of the agent's toolkits, bound to them."""
        ...

    def team(self) -> Iterator["RunnableAgent"]:
        """Yield this agent, its members and their members."""
        ...


def _to_record(file: File) -> tuple[str, str, str]:
    assert isinstance(file.data, bytes)
    return file.name, file.media_type, b64encode(file.data).decode()


def _from_record(record: Any) -> File:
    name, media_type, data = record
    return File(b64decode(data), name=name, media_type=media_type)


RecordedFile = Annotated[File, PlainSerializer(_to_record), PlainValidator(_from_record)]
"""A file of a model's, as the journal records it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of a run.

    Args:
        text: the answer, in markdown.
        items: what it adds to the history.
        unread: a sentence for the person about each attachment that the model was not given.
        files: those that the model returned, which are sent with the text.
    """

    text: str
    items: Sequence[SessionItem]
    unread: Sequence[str] = ()
    files: Sequence[RecordedFile] = ()


class MaxTurnsExceededError(UnderstudyError):
    """The model was asked as often as the call allows, and the agent has no answer yet."""

    def __init__(self, agent: RunnableAgent, limit: int | None) -> None:
        super().__init__(f"{agent.name} has no answer after {limit} turns")


class Engine(Protocol):
    """Runs agents. There is one engine of a kind in a process: it serves all turns, and keeps nothing of any run."""

    def check(self, agent: RunnableAgent) -> None:
        """Check at start-up that an agent can run, and prepare what its first run would otherwise wait for.

        Members are checked by their own engines.

        Args:
            agent: a template.

        Raises:
            SettingError: naming what is wrong, like a model that the engine does not know.
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
        attachments: Sequence[Attachment] = (),
        quoted: Sequence[QuotedMessage] = (),
        journal: EngineJournal = NO_JOURNAL,
        max_turns: int | None = None,
    ) -> Answer:
        """Run an agent on a message to its answer.

        Args:
            agent: a copy, for this turn alone.
            text: the message.
            context: the context to pass to every tool of the agent, at every depth: it says for whom they act.
            history: what was said before in the conversation. An item is read from its `data` if its `engine` is this
                one, and otherwise from its `text`.
            handler: receives a `ToolStarted` and a `ToolEnded` for each tool call and, if `stream` is set, a
                `TextDelta` for each piece of text.
            stream: whether the handler wants the text as it is written.
            attachments: what was sent with the message: see `gateway.attachments.prompt.read_prompt`.
            quoted: what the message refers to. `read_prompt` marks it, and `gateway.engines.quoted` keeps it apart.
            journal: what earlier runs of the turn have done. The run goes on there: see `EngineJournal`.
            max_turns: how often the model is asked at most; the framework's own limit unless given.

        Returns:
            The answer. Its items begin with what was quoted, if anything was, and the message itself.

        Raises:
            ConsentRequiredError: if a tool needs an account that the person has not connected. Where a framework
                catches what tools raise, the gateway ends the run by itself.
            MaxTurnsExceededError: if the model was asked `max_turns` times and there is no answer.
        """
        ...


@cache
def load_engine(name: str) -> Engine:
    """Return the engine of a name. Importing it may take a second.

    Raises:
        SettingError: if no installed package has such an engine, or the engine needs a package that is not installed.
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
    raise SettingError(f"There is no engine called {name!r}. Agent(engine=…) takes one of these: {installed}.")
