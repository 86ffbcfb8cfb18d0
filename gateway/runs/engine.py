"""The contract between the gateway and the engines that run agents.

An engine is a class that implements `Engine` and has a constructor without arguments. An entry point of the group
`understudy.engines` names it. An entry point of the group `understudy.native_agents` maps the full name of a
framework's agent class to the engine, for agents that are written for the framework.

Engines share some modules: `gateway.engines.tools` and `gateway.engines.remote_tools` provide the tools of an agent,
and `gateway.engines.watching` reports the calls of a framework's own tools.
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
from oauth.settings import PLACEHOLDER, uses_placeholders
from toolkits import Attachment, File, Function, QuotedMessage, Toolkit, Transcriber, TurnContext
from toolkits.mcp import MCPServer


class TurnTimeoutError(UnderstudyError, TimeoutError):
    """The turn took too long. A `TimeoutError` that a tool raises has another type."""


class RunnableAgent(Protocol):
    """An agent as engines see it; `gateway.Agent` implements it.

    An agent is either a template, which never runs and lives as long as the process, or a copy of it for one turn. An
    engine builds some things once for an agent, like the schemas of its tools, and caches them by the template. From
    the copy it reads what differs from turn to turn: the instructions, and the toolkits with a person's credentials.

    Attributes:
        native: the agent that is written for the engine's framework, or the flow; `None` if the agent is made of a
            model and instructions.
        model: a model object of the framework, or a string like "openai:gpt-5.2"; `None` if the agent is native.
        instructions: the instructions for the model; empty if there are none.
        name: the name of the agent for people and other agents.
        description: a sentence that says what the agent is for, which the lead of its team reads.
        engine: the name of the engine that runs it.
        mcp_servers: the servers whose tools the agent may call, besides those of its toolkits.
        make_context: turns the `TurnContext` into the context object for a native agent's tools; if it is `None`, they
            get the `TurnContext` itself.
        transcriber: transcribes recordings that come with a message; `None` for no transcription.
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
        """The agents that this one may ask; in a copy, copies of them."""
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
        """Whether the agent needs an account, an approval or a server, which only a gateway sets up."""
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
"""A file that a model returned, in the form in which the journal records it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of a run.

    Args:
        text: the answer, in markdown.
        items: the items that the run adds to the history.
        unread: a sentence for the person about each attachment that the model was not given.
        files: the files that the model returned. They are sent with the text.
    """

    text: str
    items: Sequence[SessionItem]
    unread: Sequence[str] = ()
    files: Sequence[RecordedFile] = ()


class MaxTurnsExceededError(UnderstudyError):
    """The model was asked as often as the call allows, and the agent still has no answer."""

    def __init__(self, agent: RunnableAgent, limit: int | None) -> None:
        super().__init__(f"{agent.name} has no answer after {limit} turns")


class Engine(Protocol):
    """Runs agents. A process has one instance of each engine, which serves all turns and keeps no state of a run."""

    def check(self, agent: RunnableAgent) -> None:
        """Check at start-up that an agent can run, and prepare what would otherwise delay its first run.

        Members are checked by their own engines.

        Args:
            agent: a template.

        Raises:
            SettingError: if the agent cannot run, for example because the engine does not know its model.
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
            agent: a copy for this turn.
            text: the text of the message.
            context: the context to pass to every tool of the agent and of its members: it says for whom they act.
            history: the earlier items of the conversation. An engine reads an item from its `data` if it wrote the
                item itself, and otherwise from its `text`.
            handler: receives a `ToolStarted` and a `ToolEnded` for each tool call; if `stream` is set, a `TextDelta`
                for each piece of text; and a `TokensUsed` at the end. `gateway.runs.events.report` passes it a
                `ModelStarted` and a `ModelEnded` for each request to a model.
            stream: whether the handler wants the text as it is written.
            attachments: the attachments of the message: see `gateway.attachments.prompt.read_prompt`.
            quoted: the messages that the message refers to. `read_prompt` marks them as quoted, and
                `gateway.engines.quoted` keeps them apart in the history.
            journal: the record of earlier runs of the turn, from which this run resumes: see `EngineJournal`.
            max_turns: the most requests to the model; by default the framework's own limit.

        Returns:
            The answer. Its items begin with the quoted messages, if there are any, and the message itself.

        Raises:
            ConsentRequiredError: if a tool needs an account that the person has not connected. An engine whose
                framework catches the exceptions of tools need not raise it: the gateway ends the run all the same.
            MaxTurnsExceededError: if the model was asked `max_turns` times and there is no answer.
        """
        ...


@cache
def load_engine(name: str) -> Engine:
    """Return the engine with a name. Importing it may take seconds.

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


def check_engine(agent: RunnableAgent) -> None:
    """Check that an agent's engine can run it. It is not checked if the model is a placeholder.

    Raises:
        SettingError: as `load_engine`, or if the engine cannot use the agent's model.
    """
    if not uses_placeholders() and agent.model != PLACEHOLDER:
        load_engine(agent.engine).check(agent)
