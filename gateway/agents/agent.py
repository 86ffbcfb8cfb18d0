import inspect
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar, Self
from weakref import WeakSet

from gateway.runs.native import engine_of, name_of
from gateway.settings import ModelSettings, WhenBusy
from oauth import SettingError
from toolkits import Function, Message, Toolkit, TurnContext
from toolkits.clone import check_names, check_nothing_shared, clone_attributes
from toolkits.mcp import MCPServer

if TYPE_CHECKING:
    from gateway.runs.flow import AgentCall

DEFAULT_ENGINE = "pydantic-ai"
DEFAULT_NAME = "assistant"
FLOW = "flow"

_SHARED = ("native", "model", "instructions", "name", "description", "engine", "auth", "scopes", "make_context",
           "mcp_servers", "when_busy", "summarizer")  # fmt: skip
# What a copy makes for itself, of its template, when it is first used; and the template's catalog.
_OWN = ("_toolkits", "_members", "_template", "_clones", "catalog")
_KNOWN = frozenset((*_SHARED, *_OWN))

_checked: WeakSet["Agent"] = WeakSet()  # the templates of which `check` has proved that they can be copied


class Agent:
    """An agent: a model, instructions and toolkits, or one written for a framework. It is a template: it never runs.

    Every message is played by a deep copy of it, in which the toolkits are cloned.

    Args:
        native: a flow (an async function of a `Message` that calls agents), or an agent that is already written for a
            framework: a pydantic-ai `Agent`, a compiled graph of LangGraph or an `Agent` of the OpenAI Agents SDK. All
            copies share it; its tools are given a `TurnContext` as pydantic-ai's `deps`, LangGraph's run context, or
            the Agents SDK's context.
        model: what the engine takes: a model object, or a provider and a model like "openai:gpt-5.2"
            (https://ai.pydantic.dev/models/overview/). Else UNDERSTUDY_MODEL. A native agent has its own.
        toolkits: what its tools are methods of.
        instructions: what the model is told before every message.
        name: what it is called: by its team, and in its greeting.
        description: what it is for, in a sentence: its team's lead is told so.
        members: agents that this one may ask, each with toolkits of its own; of a flow, those that it calls and does
            not name itself.
        mcp_servers: servers whose tools it may call, too; connected once and shared by all copies.
        engine: which engine runs it: "pydantic-ai", "langgraph" or "openai-agents". A native agent's is known.
        auth: the OAuth provider whose credentials the tools of a native agent ask for, and `scopes` which permissions.
        make_context: makes what a native agent's tools are given of a `TurnContext`, where they want something else.
        when_busy: what becomes of messages that come while a conversation is busy. "queue": each is a turn, one after
            the other. "collect": those of one person are one turn. "interrupt": one of the same person cancels their
            running turn, and both are answered together.
        summarizer: what summarizes what is too long ago in a conversation; one with the agent's own model unless given.
            What is too long ago for a native agent or a flow is left out, unless it has one.

    Raises:
        SettingError: if no model is given and UNDERSTUDY_MODEL is not set, or `native` is no agent that is known.
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
    ) -> None:
        if native is not None:
            refused = {"model": model, "instructions": instructions, "engine": engine}
            kind = _engine_of(native, refused | ({"members": members} if engine_of(native) != FLOW else {}))
            if kind == FLOW:
                members = list(dict.fromkeys((*members, *_agents_in(native))))
            engine = kind
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
        self._toolkits: list[Toolkit] | None = toolkits if isinstance(toolkits, list) else list(toolkits)
        self._members: list[Agent] | None = list(members)
        self._template: Self | None = None
        self._clones: dict[int, Toolkit] | None = None
        self.catalog = self._make_catalog()

    @property
    def toolkits(self) -> list[Toolkit]:
        """The toolkits that were given; in a copy, its clones of them."""
        if self._toolkits is None:
            self._toolkits = [self._toolkit(place) for place in range(len(self.template.toolkits))]
        return self._toolkits

    @property
    def members(self) -> list["Agent"]:
        """The members that were given; in a copy, its copies of them."""
        if self._members is None:
            self._members = [member.deep_copy() for member in self.template.members]
        return self._members

    @property
    def template(self) -> Self:
        """What this is a copy of; itself, if it is none."""
        return self._template or self

    def deep_copy(self) -> Self:
        """A copy that serves one turn: toolkits cloned, members copied likewise, the model shared.

        A toolkit is cloned when the copy first uses it, so that a turn pays for what it touches.

        Raises:
            CloneError: naming a toolkit and the attribute of it that cannot be cloned.
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
        if not _KNOWN.issuperset(state):  # a subclass has attributes of its own
            clone_attributes(template, target, reset={}, shared=self._clone_shared_attrs, skip=_OWN)
            state |= target.__dict__
        target.__dict__ = state
        return target

    def function(self, name: str) -> Function:
        """A tool of its own toolkits, bound to them.

        Raises:
            CloneError: naming an attribute of the tool's toolkit that cannot be cloned.
        """
        place, function = self.template.catalog[name]
        return function.clone_for(self._toolkit(place))

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self.deep_copy()

    def own_values(self) -> list[Any]:
        """The values of the attributes that a copy has of its own."""
        added = [value for name, value in self.__dict__.items() if name not in _KNOWN]
        return [*self.toolkits, *self.members, *added]

    def __call__(self, message: Message | str) -> "AgentCall":
        """A call of this agent in the turn of the flow in which it is written: see `AgentCall`.

        Args:
            message: what it is to answer.
        """
        from gateway.runs.flow import call  # which calls agents

        return call(self.template, message)

    @property
    def tool_name(self) -> str:
        """What the lead of a team calls to ask this agent."""
        return f"ask_{re.sub(r'[^a-zA-Z0-9]+', '_', self.name).strip('_').lower()}"

    def team(self) -> Iterator["Agent"]:
        """This agent, its members and theirs."""
        yield self
        for member in self.members:
            yield from member.team()

    @property
    def needs_gateway(self) -> bool:
        """Whether something of it has to be set up before it runs: an account, somebody's yes, a server."""
        asks = any(function.needs_approval for _, function in self.catalog.values())
        has_account = self.auth is not None or any(toolkit.auth is not None for toolkit in self.toolkits)
        return asks or has_account or bool(self.mcp_servers)

    def check(self) -> None:
        """Proves, at start-up, that a copy shares nothing of any person with this template.

        Raises:
            CloneError: naming the toolkit and the attribute that stands against it.
            SettingError: if two tools of an agent have one name.
        """
        for agent in self.template.team():
            for toolkit in agent.toolkits:
                toolkit.check_clone()
            agent._check_names()
            agent.catalog = agent._make_catalog()  # of the toolkits that are there now
            check_names(agent)
            check_nothing_shared(agent, agent._copy(), agent._clone_shared_attrs, skip=_OWN)
            _checked.add(agent)

    def _make_catalog(self) -> Mapping[str, tuple[int, Function]]:
        """Each tool by name, with the place of its toolkit."""
        return {
            name: (place, function)
            for place, toolkit in enumerate(self.toolkits)
            for name, function in toolkit.functions.items()
        }

    def _check_names(self) -> None:
        if self.engine == FLOW:
            return  # it has no tools
        owned = [(name, type(toolkit).__name__) for toolkit in self.toolkits for name in toolkit.functions]
        owned += [(member.tool_name, f"its member {member.name!r}") for member in self.members]
        owners: dict[str, str] = {}
        for name, owner in owned:
            if name in owners:
                raise SettingError(
                    f"Agent {self.name!r} has two tools called {name!r}, of {owners[name]} and {owner}: "
                    "give one of them another name, a tool with @tool(name=…), a member with Agent(name=…)."
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
        raise SettingError(f"Agent(when_busy={value!r}) is none of {', '.join(WhenBusy)}.") from None


def _agents_in(flow: Any) -> Iterator[Agent]:
    """The agents that a flow names, and those that functions name which it calls, of the same module."""
    seen, waiting = set[Any](), [flow]
    while waiting:
        function = waiting.pop()
        if function in seen:
            continue
        seen.add(function)
        for value in _named_in(function):
            if isinstance(value, Agent):
                yield value
            elif inspect.isfunction(value) and value.__module__ == flow.__module__:
                waiting.append(value)


def _named_in(function: Any) -> Iterator[Any]:
    """The values of the globals and of the variables around it that a function names; of a method, its object's."""
    if inspect.ismethod(function):
        yield from getattr(function.__self__, "__dict__", {}).values()
        function = function.__func__
    codes = [function.__code__]
    for code in codes:
        codes += [constant for constant in code.co_consts if inspect.iscode(constant)]  # what is defined in it
        yield from (function.__globals__[name] for name in code.co_names if name in function.__globals__)
    for cell in function.__closure__ or ():
        with suppress(ValueError):  # it has no value yet
            yield cell.cell_contents


def _engine_of(native: Any, given: Mapping[str, Any]) -> str:
    refused = [argument for argument, value in given.items() if value]
    engine = engine_of(native)
    kind = f"{type(native).__module__}.{type(native).__qualname__}"
    if engine is None:
        raise SettingError(
            f"Agent({kind} object) cannot be run: it is no pydantic-ai Agent, no compiled LangGraph graph (call "
            "compile() on a StateGraph), no Agent of the OpenAI Agents SDK and no async function."
        )
    if refused:
        raise SettingError(
            f"Agent(…, {refused[0]}=…) is given an agent written for {engine}, which has its own: set it there."
        )
    return engine
