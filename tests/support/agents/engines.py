"""The same agent for every engine: as an `Agent`, and written for the engine's framework. Its model is aimock."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

from agents import Agent as SDKAgent
from agents import AsyncOpenAI, OpenAIChatCompletionsModel, RunContextWrapper, function_tool
from langchain.agents import create_agent
from langchain.tools import ToolRuntime
from langchain.tools import tool as langchain_tool
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableConfig
from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, MessagesState, StateGraph
from openai import DefaultAsyncHttpxClient
from peers.aimock import Aimock, calls_tool, says
from pydantic import SecretStr
from pydantic_ai import Agent as PydanticAgent
from pydantic_ai import RunContext
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

from gateway import Agent, TurnContext
from toolkits import Toolkit, needs_sign_in, tool

ENGINES = ["pydantic-ai", "langgraph", "openai-agents"]
MODEL = "gpt-test"
# A message "use NAME" makes the model call the tool of that name, and then say "done".
TOOLS = ["open_async", "open_sync", "open_nested"]


def script(aimock: Aimock) -> None:
    """Load the script for the agents of this module."""
    nested = [calls_tool("deeply", "open_deep"), says("deeply", "deep", hasToolResult=True)]
    plain = [calls_tool(f"use {name}", name, {"input": "deeply"} if name == "open_nested" else {}) for name in TOOLS]
    team = [calls_tool("use ask_keeper", "ask_keeper", {"task": "deeply"})]
    aimock.load([*nested, *plain, *team, says("use", "done", hasToolResult=True), says("", "heard")])


def model(engine: str, aimock: Aimock) -> Any:
    """Return aimock as a model of an engine."""
    if engine == "pydantic-ai":
        return OpenAIChatModel(MODEL, provider=OpenAIProvider(base_url=aimock.base_url, api_key="any"))
    if engine == "langgraph":
        # LangChain's default client is shared by the whole process, but each test has its own event loop.
        client = DefaultAsyncHttpxClient()
        return ChatOpenAI(
            model=MODEL, base_url=aimock.base_url, api_key=SecretStr("any"), max_retries=0, http_async_client=client
        )
    return OpenAIChatCompletionsModel(MODEL, AsyncOpenAI(base_url=aimock.base_url, api_key="any", max_retries=0))


async def found(context: TurnContext, tool_name: str) -> str:
    """Return the name of a tool, its person and their credential."""
    return f"{tool_name} of {context.identity.user_id}: {await context.credentials('fake', {'read'})}"


def found_in_thread(context: TurnContext, tool_name: str) -> str:
    """Do the same as `found` in a synchronous tool, which must run in a thread."""
    assert threading.current_thread() is not threading.main_thread()
    return f"{tool_name} of {context.identity.user_id}: {context.credentials_sync('fake', {'read'})}"


class Safe(Toolkit):
    """A toolkit with an asynchronous and a synchronous tool. Each copy checks that it serves only one person."""

    _clone_reset_attrs = ("held",)
    _clone_shared_attrs = ("auth",)
    scopes = frozenset({"read"})

    def __init__(self, auth: Any) -> None:
        self.auth = auth
        self.held: str | None = None

    def _keep(self, value: str) -> str:
        assert self.held in (None, value), "the toolkit holds another person's credential"
        self.held = value
        return value

    @tool(label="Opening the safe")
    async def open_async(self, context: TurnContext) -> str:
        """Open the safe."""
        return self._keep(await found(context, "open_async"))

    @tool
    def open_sync(self, context: TurnContext) -> str:
        """Open the safe in a thread."""
        return self._keep(found_in_thread(context, "open_sync"))


class Deep(Toolkit):
    """The toolkit of a member of the team."""

    @tool
    @needs_sign_in("fake", {"read"})
    async def open_deep(self, context: TurnContext) -> str:
        """Open the safe of a member of the team."""
        return await found(context, "open_deep")


def own(engine: str, aimock: Aimock, auth: Any) -> Agent:
    """Return an `Agent` on an engine, with one member."""
    chosen = model(engine, aimock)
    keeper = Agent(model=chosen, engine=engine, toolkits=[Deep()], name="keeper", description="Keeps deep things.")
    return Agent(model=chosen, engine=engine, toolkits=[Safe(auth)], members=[keeper], instructions="Obey.")


def native(engine: str, aimock: Aimock) -> Any:
    """Return an agent that is written for the framework of an engine."""
    return {"pydantic-ai": _pydantic_agent, "langgraph": _graph, "openai-agents": _sdk_agent}[engine](
        model(engine, aimock)
    )


def _pydantic_agent(chosen: Any) -> PydanticAgent[TurnContext, str]:
    inner: PydanticAgent[TurnContext, str] = PydanticAgent(chosen, deps_type=TurnContext)

    @inner.tool
    @needs_sign_in("fake", {"read"})
    async def open_deep(ctx: RunContext[TurnContext]) -> str:
        return await found(ctx.deps, "open_deep")

    agent: PydanticAgent[TurnContext, str] = PydanticAgent(chosen, deps_type=TurnContext)

    @agent.tool
    async def open_async(ctx: RunContext[TurnContext]) -> str:
        return await found(ctx.deps, "open_async")

    @agent.tool
    @needs_sign_in("fake", {"read"})
    def open_sync(ctx: RunContext[TurnContext]) -> str:
        return found_in_thread(ctx.deps, "open_sync")

    @agent.tool
    async def open_nested(ctx: RunContext[TurnContext], input: str) -> str:  # noqa: A002 - as the Agents SDK names it
        return (await inner.run(input, deps=ctx.deps)).output

    return agent


@langchain_tool
@needs_sign_in("fake", {"read"})
async def open_deep(runtime: ToolRuntime[TurnContext]) -> str:
    """Open the safe in a nested agent."""
    return await found(runtime.context, "open_deep")


@langchain_tool
async def open_async(runtime: ToolRuntime[TurnContext]) -> str:
    """Open the safe."""
    return await found(runtime.context, "open_async")


@langchain_tool
@needs_sign_in("fake", {"read"})
def open_sync(config: RunnableConfig) -> str:
    """Open the safe in a thread."""
    return found_in_thread(config["configurable"]["turn_context"], "open_sync")


def _langchain_tools(chosen: Any) -> list[Any]:
    inner = create_agent(chosen, [open_deep], context_schema=TurnContext)

    @langchain_tool
    async def open_nested(input: str, runtime: ToolRuntime[TurnContext]) -> str:  # noqa: A002
        """Ask a nested agent."""
        state = await inner.ainvoke(
            {"messages": [{"role": "user", "content": input}]}, runtime.config, context=runtime.context
        )
        return str(state["messages"][-1].content)

    return [open_async, open_sync, open_nested]


def _graph(chosen: Any) -> Any:
    return create_agent(chosen, _langchain_tools(chosen), context_schema=TurnContext)


class Errand(TypedDict):
    """The state of a sub-graph. It has no field in common with the state of the parent graph."""

    wanted: str
    brought: list[str]


def graph_with_subgraph(chosen: Any) -> Any:
    """Return a graph whose node calls a sub-graph with another schema and a synchronous node."""

    def fetch(state: Errand, config: RunnableConfig) -> dict[str, Any]:
        return {"brought": [found_in_thread(config["configurable"]["turn_context"], state["wanted"])]}

    errands = StateGraph(Errand)
    errands.add_node("fetch", fetch)
    errands.add_edge(START, "fetch")
    errands.add_edge("fetch", END)
    errand = errands.compile()

    async def send(state: MessagesState, config: RunnableConfig) -> dict[str, Any]:
        result = await errand.ainvoke({"wanted": "open_subgraph", "brought": []}, config)
        return {"messages": [AIMessage(", ".join(result["brought"]))]}

    graph = StateGraph(MessagesState)
    graph.add_node("send", send)
    graph.add_edge(START, "send")
    graph.add_edge("send", END)
    return graph.compile()


def _sdk_agent(chosen: Any) -> SDKAgent[TurnContext]:
    @function_tool
    @needs_sign_in("fake", {"read"})
    async def open_deep(ctx: RunContextWrapper[TurnContext]) -> str:
        return await found(ctx.context, "open_deep")

    @function_tool
    async def open_async(ctx: RunContextWrapper[TurnContext]) -> str:
        return await found(ctx.context, "open_async")

    @function_tool
    @needs_sign_in("fake", {"read"})
    def open_sync(ctx: RunContextWrapper[TurnContext]) -> str:
        return found_in_thread(ctx.context, "open_sync")

    inner = SDKAgent[TurnContext](name="inner", model=chosen, tools=[open_deep])

    open_nested = inner.as_tool("open_nested", "Ask a nested agent.")
    other = SDKAgent[TurnContext](
        name="other", model=chosen, tools=[open_deep], handoff_description="Takes over by a handoff."
    )
    return SDKAgent[TurnContext](
        name="outer", model=chosen, tools=[open_async, open_sync, open_nested], handoffs=[other]
    )


@dataclass
class Wrapped:
    """The context of tools that expect another object than the `TurnContext`."""

    turn: TurnContext
    shop: str = "corner"


def tool_results(requests: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    """Return pairs of the last user message and the tool's result, from the model requests that end with a result."""
    results = []
    for request in requests:
        messages = request["messages"]
        if messages[-1]["role"] == "tool":
            asked = next(m for m in reversed(messages) if m["role"] == "user")
            results.append((_content(asked), _content(messages[-1])))
    return results


def _content(message: dict[str, Any]) -> str:
    content = message["content"]
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)
