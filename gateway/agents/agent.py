"""The `Agent` class. An agent is a template, and a copy of it plays each turn."""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Self
from weakref import WeakSet

from gateway.agents.flow_members import values_named_in
from gateway.runs.agent_call import AgentCall, call_agent
from gateway.runs.native import engine_of, name_of
from gateway.settings import ModelSettings, TranscriptionSettings, WhenBusy
from oauth import SettingError
from toolkits import Function, Message, Toolkit, Transcriber, TurnContext
from toolkits.cloning import check_names, check_nothing_shared, clone_attributes
from toolkits.mcp import MCPServer

DEFAULT_ENGINE = "pydantic-ai"
DEFAULT_NAME = "assistant"
FLOW = "flow"

_SHARED = ("native", "model", "instructions", "name", "description", "engine", "auth", "scopes", "make_context",
           "mcp_servers", "when_busy", "summarizer", "transcriber", "prompts")  # fmt: skip
# The attributes that a copy builds on first use, and the catalog, which it shares with its template.
_OWN = ("_toolkits", "_members", "_template", "_clones", "catalog")
_KNOWN = frozenset((*_SHARED, *_OWN))

_checked: WeakSet["Agent"] = WeakSet()  # the templates that `check` found safe to copy


class Agent:
    """An agent: a model with instructions and toolkits, or a native agent, which is written for a framework.

    It is a template and never runs: a deep copy of it, with cloned toolkits, plays each turn.

    Args:
        native: a flow (an async function that gets a `Message` and calls agents), or an agent that is written for a
            framework: a pydantic-ai `Agent`, a compiled LangGraph graph or an `Agent` of the OpenAI Agents SDK. All
            copies share it. Its tools get the `TurnContext` as pydantic-ai's `deps`, LangGraph's run context or the
            Agents SDK's context.
        model: a model object of the engine's framework, or a provider and a model like "openai:gpt-5.2"
            (https://ai.pydantic.dev/models/overview/); by default UNDERSTUDY_MODEL. A native agent has its own.
        toolkits: the toolkits whose tools the agent may call.
        instructions: the instructions that the model gets before every message.
        name: the name of the agent in its team and in its greeting.
        description: what the agent is for, in a sentence for the lead of its team and for people who meet its bot.
        members: the agents that this agent may ask, each with its own toolkits. For a flow: agents that the flow calls
            but does not name in its code.
        mcp_servers: MCP servers whose tools the agent may call, too. All copies share the connections.
        engine: the engine that runs the agent: "pydantic-ai", "langgraph" or "openai-agents". A native agent's engine
            follows from its class.
        auth: the OAuth provider whose credentials the tools of a native agent ask for.
        scopes: the OAuth scopes that these tools ask for.
        make_context: makes an object from the `TurnContext`, which a native agent's tools get instead of it.
        when_busy: what to do with a message that arrives while the agent answers another one of the conversation.
            "queue": answer one after the other. "collect": answer all waiting messages of one person in one turn.
            "interrupt": cancel the running turn if it is the same person's, and answer both messages together.
        summarizer: the agent that summarizes the old part of a long conversation; by default an agent with the same
            model. A native agent and a flow have no model here: without a summarizer, the old part is left out.
        transcriber: transcribes the recordings that people send: an async function of the bytes, the name and the media
            type, which all copies share, or a model like "openai:gpt-4o-mini-transcribe"; by default
            UNDERSTUDY_TRANSCRIPTION_MODEL.
        prompts: suggestions for a first message. Channels that can show suggestions do.

    Raises:
        SettingError: if no model is given and UNDERSTUDY_MODEL is not set, if no engine runs `native`, if the model for
            transcriptions cannot be used, or if an argument is given that a native agent has itself.
    """

    _clone_shared_attrs: ClassVar[Collection[str]] = _SHARED

    def __init__(
        self,
        native: Any = None,
        *,
        model: Any = None,
        toolkits: Sequence[Toolkit] = (),
        instructions: str = "",
        name: str | None = None,
        description: str = "",
        members: Sequence["Agent"] = (),
        mcp_servers: Sequence[MCPServer] = (),
        engine: str | None = None,
        auth: Any = None,
        scopes: Collection[str] = (),
        make_context: Callable[[TurnContext], Any] | None = None,
        when_busy: str = "queue",
        summarizer: "Agent | None" = None,
        transcriber: Transcriber | str | None = None,
        prompts: Sequence[str] = (),
    ) -> None:
        if native is not None:
            engine = _check_native(native, model=model, instructions=instructions, engine=engine, members=members)
            if engine == FLOW:
                members = list(dict.fromkeys((*members, *_agents_named_in(native))))
            name = name or name_of(native)
        elif model is None:
            model = ModelSettings().model
        self.native = native
        self.model = model
        self.instructions = instructions
        self.name = name or DEFAULT_NAME
        self.description = description
        self.mcp_servers = tuple(mcp_servers)
        self.engine = engine or DEFAULT_ENGINE
        self.auth = auth
        self.scopes = frozenset(scopes)
        self.make_context = make_context
        self.when_busy = _when_busy(when_busy)
        self.summarizer = summarizer
        self.transcriber = _transcriber(transcriber)
        self.prompts = tuple(filter(str.strip, prompts))
        self._toolkits: list[Toolkit] | None = toolkits if isinstance(toolkits, list) else list(toolkits)
        self._members: list[Agent] | None = list(members)
        self._template: Self | None = None
        self._clones: dict[int, Toolkit] | None = None
        self.catalog = self._make_catalog()

    @property
    def toolkits(self) -> list[Toolkit]:
        """The toolkits of the agent; in a copy, its own clones of them."""
        if self._toolkits is None:
            self._toolkits = [self._toolkit(place) for place in range(len(self.template.toolkits))]
        return self._toolkits

    @property
    def members(self) -> list["Agent"]:
        """The members of the agent; in a copy, its own copies of them."""
        if self._members is None:
            self._members = [member.deep_copy() for member in self.template.members]
        return self._members

    @property
    def template(self) -> Self:
        """The agent that this one is a copy of; the agent itself if it is a template."""
        return self._template or self

    def deep_copy(self) -> Self:
        """Return a copy for one turn, with cloned toolkits and copied members, and the same model.

        A toolkit is cloned when the copy first uses it, so that a turn pays only for the toolkits that it uses.

        Raises:
            CloneError: naming the toolkit and the attribute that cannot be cloned.
        """
        if self.template not in _checked:
            self.check()
        return self._copy()

    def _copy(self) -> Self:
        template = self.template
        target = object.__new__(type(self))
        state = template.__dict__.copy()
        state["_template"] = template
        state["_toolkits"] = state["_members"] = None
        if not _KNOWN.issuperset(state):  # a subclass has added attributes
            clone_attributes(template, target, reset={}, shared=self._clone_shared_attrs, skip=_OWN)
            state |= target.__dict__
        target.__dict__ = state
        return target

    def function(self, name: str) -> Function:
        """Return a tool of the agent's toolkits, bound to them.

        Raises:
            CloneError: naming the attribute of the tool's toolkit that cannot be cloned.
        """
        place, function = self.template.catalog[name]
        return function.clone_for(self._toolkit(place))

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self.deep_copy()

    def own_values(self) -> list[Any]:
        """Return the values that a copy does not share with its template: toolkits, members, and added attributes."""
        added = [value for name, value in self.__dict__.items() if name not in _KNOWN]
        return [*self.toolkits, *self.members, *added]

    def __call__(self, message: Message | str) -> AgentCall:
        """Return a call of this agent, which a flow can await. The call belongs to the turn that creates it.

        Args:
            message: the message or the text that the agent answers.
        """
        return call_agent(self.template, message)

    @property
    def tool_name(self) -> str:
        """The name of the tool with which the lead of a team asks this agent."""
        return f"ask_{re.sub(r'[^a-zA-Z0-9]+', '_', self.name).strip('_').lower()}"

    def team(self) -> Iterator["Agent"]:
        """Yield this agent, its members and their members."""
        yield self
        for member in self.members:
            yield from member.team()

    @property
    def needs_gateway(self) -> bool:
        """True if the agent uses accounts, approvals or MCP servers, which work only in a gateway."""
        asks = any(function.needs_approval for _, function in self.catalog.values())
        has_account = self.auth is not None or any(toolkit.auth is not None for toolkit in self.toolkits)
        return asks or has_account or bool(self.mcp_servers)

    @property
    def may_be_private(self) -> bool:
        """True if an answer may be private, because an agent of the team has a private tool or uses accounts."""
        return any(
            agent.auth is not None
            or any(toolkit.private or toolkit.auth is not None for toolkit in agent.toolkits)
            or any(server.private for server in agent.mcp_servers)
            for agent in self.team()
        )

    def check(self) -> None:
        """Check that copies of the team share nothing that could hold a person's data. The gateway does so at start-up.

        Raises:
            CloneError: naming the toolkit and the attribute that a copy would share.
            SettingError: if two tools of one agent have the same name.
        """
        for agent in self.template.team():
            for toolkit in agent.toolkits:
                toolkit.check_clone()
            agent._check_names()
            agent.catalog = agent._make_catalog()  # the toolkits may have changed since
            check_names(agent)
            check_nothing_shared(agent, agent._copy(), agent._clone_shared_attrs, skip=_OWN)
            _checked.add(agent)

    def _make_catalog(self) -> Mapping[str, tuple[int, Function]]:
        """Return the tools by name, each with the index of its toolkit."""
        return {
            name: (place, function)
            for place, toolkit in enumerate(self.toolkits)
            for name, function in toolkit.functions.items()
        }

    def _check_names(self) -> None:
        if self.engine == FLOW:
            return  # a flow has no tools
        owned = [(name, type(toolkit).__name__) for toolkit in self.toolkits for name in toolkit.functions]
        owned += [(member.tool_name, f"its member {member.name!r}") for member in self.members]
        owners: dict[str, str] = {}
        for name, owner in owned:
            if name in owners:
                raise SettingError(
                    f"Agent {self.name!r} has two tools called {name!r}, of {owners[name]} and {owner}. "
                    "Give one of them another name: a tool with @tool(name=…), a member with Agent(name=…)."
                )
            owners[name] = owner

    def _toolkit(self, place: int) -> Toolkit:
        if self._template is None:
            return self.toolkits[place]
        if self._clones is None:
            self._clones = {}
        if place not in self._clones:
            self._clones[place] = self._template.toolkits[place].clone()
        return self._clones[place]


def _when_busy(value: str) -> WhenBusy:
    try:
        return WhenBusy(value)
    except ValueError:
        raise SettingError(f"Agent(when_busy={value!r}) is not valid: use one of {', '.join(WhenBusy)}.") from None


def _transcriber(given: Transcriber | str | None) -> Transcriber | None:
    chosen = given or TranscriptionSettings().transcription_model
    if not isinstance(chosen, str):
        return chosen
    # Imported here because the import takes a second.
    from gateway.attachments.openai_transcriber import OpenAITranscriber

    return OpenAITranscriber(chosen)


def _agents_named_in(flow: Any) -> list[Agent]:
    return [value for value in values_named_in(flow) if isinstance(value, Agent)]


def _check_native(native: Any, **given: Any) -> str:
    """Return the name of the engine that runs a native agent.

    Args:
        given: the arguments of `Agent` that a native agent cannot have.

    Raises:
        SettingError: if there is no such engine, or one of the arguments is given. A flow may have members.
    """
    engine = engine_of(native)
    if engine is None:
        kind = f"{type(native).__module__}.{type(native).__qualname__}"
        raise SettingError(
            f"Agent(…) got a {kind} object, which no engine runs. It takes a pydantic-ai Agent, a compiled LangGraph "
            "graph (call compile() on a StateGraph), an Agent of the OpenAI Agents SDK or an async function."
        )
    refused = [argument for argument, value in given.items() if value and (engine, argument) != (FLOW, "members")]
    if refused:
        raise SettingError(
            f"Agent(…, {refused[0]}=…) got an agent that is written for {engine}: set it in that agent instead."
        )
    return engine
