"""A call that got no credential is made again after the sign-in, even if the tool caught the exception."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from agents import Agent as SDKAgent
from agents import RunContextWrapper, function_tool
from langchain.agents import create_agent
from langchain.tools import ToolRuntime
from langchain.tools import tool as langchain_tool
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from peers.aimock import Aimock, calls_tool, says
from pydantic_ai import Agent as PydanticAgent
from pydantic_ai import RunContext
from pydantic_ai.models.function import FunctionModel
from support.agents.engines import ENGINES, model
from support.stage import FakeProvider, Stage, Vault, obey, stage, stage_timings

from gateway import Agent, Message, TurnContext
from gateway.engines.langgraph import as_tools
from toolkits import Toolkit, tool

READ = frozenset({"read"})
KINDS = ["own", "native"]


@dataclass
class Calls:
    """A record of tool calls, which all copies share."""

    made: list[str] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)

    def first(self) -> str:
        self.made.append("first")
        return "first was done"

    async def opened(self, context: TurnContext) -> str:
        self.made.append("open_it")
        try:
            return f"opened {await context.credentials('fake', READ)}"
        except Exception:  # noqa: BLE001 - many tools catch everything
            return "no access"

    async def opened_carefully(self, context: TurnContext) -> str:
        """Ask for the credential, without catching the exception."""
        self.made.append("open_it")
        try:
            return f"opened {await context.credentials('fake', READ)}"
        finally:
            self.asked.set()

    async def first_slowly(self) -> str:
        """End shortly after another call got no credential."""
        await self.asked.wait()
        for _ in range(100):
            await asyncio.sleep(0)
        return self.first()

    def opened_in_thread(self, context: TurnContext) -> str:
        self.made.append("open_it")
        try:
            return f"opened {context.credentials_sync('fake', READ)}"
        except Exception:  # noqa: BLE001
            return "no access"

    def opened_in_pool(self, context: TurnContext) -> str:
        """Ask in a thread of another pool, which does not know which call is running."""
        self.made.append("open_it")
        with ThreadPoolExecutor() as pool:
            try:
                return f"opened {pool.submit(context.credentials_sync, 'fake', READ).result()}"
            except Exception:  # noqa: BLE001
                return "no access"

    def __deepcopy__(self, memo: object) -> "Calls":
        raise AssertionError("the record of calls is shared, not copied")


class Careless(Toolkit):
    _clone_shared_attrs = ("calls", "auth")
    scopes = READ

    def __init__(self, calls: Calls) -> None:
        self.calls = calls
        self.auth: Any = FakeProvider()

    @tool
    def first(self) -> str:
        """Do the first thing."""
        return self.calls.first()


class CarelessAsync(Careless):
    @tool
    async def open_it(self, context: TurnContext) -> str:
        """Open it."""
        return await self.calls.opened(context)


class CarelessSync(Careless):
    @tool
    def open_it(self, context: TurnContext) -> str:
        """Open it."""
        return self.calls.opened_in_thread(context)


class CarelessPool(Careless):
    @tool
    def open_it(self, context: TurnContext) -> str:
        """Open it."""
        return self.calls.opened_in_pool(context)


class Careful(Careless):
    @tool
    async def open_it(self, context: TurnContext) -> str:
        """Open it."""
        return await self.calls.opened_carefully(context)


TOOLKITS = {"async": CarelessAsync, "sync": CarelessSync, "pool": CarelessPool, "careful": Careful}


def methods(calls: Calls) -> dict[str, Callable[[TurnContext], Any]]:
    return {
        "async": calls.opened,
        "sync": calls.opened_in_thread,
        "pool": calls.opened_in_pool,
        "careful": calls.opened_carefully,
    }


@pytest.fixture
def server(aimock: Aimock) -> Aimock:
    """Return a model that calls `first`, then `open_it`, and then says whether that worked."""
    aimock.load(
        [
            says("work", "all done", toolResultContains="SECRET-alice"),
            says("work", "could not", toolResultContains="no access"),
            calls_tool("work", "open_it", hasToolResult=True, toolResultContains="first was done"),
            calls_tool("work", "first"),
        ]
    )
    return aimock


def agent_of(kind: str, engine: str, way: str, server: Aimock, calls: Calls) -> Agent:
    chosen = model(engine, server)
    if kind == "own":
        return Agent(model=chosen, engine=engine, toolkits=[TOOLKITS[way](calls)])
    native = {"pydantic-ai": _pydantic, "langgraph": _graph, "openai-agents": _sdk}[engine]
    return Agent(native(chosen, calls, methods(calls)[way]), auth=FakeProvider(), scopes=READ, name="worker")


def _pydantic(chosen: Any, calls: Calls, method: Callable[[TurnContext], Any]) -> Any:
    agent: PydanticAgent[TurnContext, str] = PydanticAgent(chosen, deps_type=TurnContext)
    agent.tool_plain(name="first")(calls.first)

    async def opens(ctx: RunContext[TurnContext]) -> str:
        return str(await method(ctx.deps))

    def opens_in_thread(ctx: RunContext[TurnContext]) -> str:
        return str(method(ctx.deps))

    agent.tool(name="open_it")(opens if asyncio.iscoroutinefunction(method) else opens_in_thread)
    return agent


def _graph(chosen: Any, calls: Calls, method: Callable[[TurnContext], Any]) -> Any:
    @langchain_tool
    def first() -> str:
        """Do the first thing."""
        return calls.first()

    async def opens(runtime: ToolRuntime[TurnContext]) -> str:
        """Open it."""
        return str(await method(runtime.context))

    def opens_in_thread(runtime: ToolRuntime[TurnContext]) -> str:
        """Open it."""
        return str(method(runtime.context))

    chosen_way: Any = opens if asyncio.iscoroutinefunction(method) else opens_in_thread
    return create_agent(chosen, [first, langchain_tool("open_it")(chosen_way)], context_schema=TurnContext)


def _sdk(chosen: Any, calls: Calls, method: Callable[[TurnContext], Any]) -> Any:
    @function_tool
    def first() -> str:
        return calls.first()

    async def opens(ctx: RunContextWrapper[TurnContext]) -> str:
        return str(await method(ctx.context))

    def opens_in_thread(ctx: RunContextWrapper[TurnContext]) -> str:
        return str(method(ctx.context))

    chosen_way: Any = opens if asyncio.iscoroutinefunction(method) else opens_in_thread
    return SDKAgent[TurnContext](
        name="worker", model=chosen, tools=[first, function_tool(chosen_way, name_override="open_it")]
    )


async def signed_in(scene: Stage, text: str = "work") -> str:
    """Sign Alice in, and return the answer to her message."""
    async with scene.open():
        await scene.write("alice", text)
        sign_in = (await scene.wait_for(1))[0]
        assert sign_in.sign_in is not None, sign_in.text
        await scene.connect(sign_in.link, "alice")
        return (await scene.wait_for(2))[1].text


@pytest.mark.parametrize("way", ["async", "sync", "pool"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("engine", ENGINES)
async def test_a_tool_that_catches_the_refusal_is_called_again_after_the_sign_in(
    engine: str, kind: str, way: str, server: Aimock, tmp_path: Path
) -> None:
    calls = Calls()
    scene = stage(tmp_path, agent=agent_of(kind, engine, way, server, calls))
    assert await signed_in(scene) == "all done"
    assert calls.made == ["first", "open_it", "open_it"]
    assert scene.rows("SELECT tool, outcome FROM audit ORDER BY id") == [
        ("first", "ok"),
        ("open_it", "sign_in"),
        ("open_it", "ok"),
    ]


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_member_whose_tool_catches_the_refusal_is_asked_again(
    engine: str, server: Aimock, tmp_path: Path
) -> None:
    """Have a member's tool catch it. Neither the member's answer nor the end of the call that asked it is kept."""
    calls = Calls()
    member = agent_of("native", engine, "async", server, calls)
    server.load([calls_tool("begin", "ask_worker", {"task": "work"}), *server.fixtures])
    server.load([says("begin", "told: all done", toolResultContains="all done"), *server.fixtures])
    server.load([says("begin", "told: could not", toolResultContains="could not"), *server.fixtures])
    lead = Agent(model=model("pydantic-ai", server), members=[member])
    assert await signed_in(stage(tmp_path, agent=lead), "begin") == "told: all done"
    assert calls.made.count("first") == 1


async def test_a_flow_that_catches_the_refusal_is_played_again(tmp_path: Path, vault: Vault) -> None:
    opener = Agent(model=FunctionModel(obey), toolkits=[vault], name="opener")
    noter = Agent(model=FunctionModel(obey), name="noter")

    async def flow(message: Message) -> str:
        try:
            found = await opener("call open_vault")
        except Exception:  # noqa: BLE001 - a flow may catch everything
            found = "nothing"
        return await noter(f"note {found}")

    assert await signed_in(stage(tmp_path, agent=Agent(flow))) == "heard: note SECRET-alice"


class CarelessConcurrent(Careless):
    """A toolkit with a tool that catches the exception and never returns, and one that returns after the exception."""

    _clone_shared_attrs = ("calls", "auth", "refused")

    def __init__(self, calls: Calls) -> None:
        super().__init__(calls)
        self.refused = asyncio.Event()

    @tool
    async def open_it(self, context: TurnContext) -> str:
        """Open it."""
        result = await self.calls.opened(context)
        if result == "no access":
            self.refused.set()
            await asyncio.Event().wait()
        return result

    @tool
    async def pay(self) -> str:
        """Pay, and take longer than the other call."""
        self.calls.made.append("pay")
        await self.refused.wait()
        return "paid"


@pytest.mark.long
async def test_a_concurrent_call_that_ended_is_not_made_again(tmp_path: Path) -> None:
    calls = Calls()
    scene = stage(tmp_path, toolkits=[CarelessConcurrent(calls)], timings=stage_timings(calls_grace=2.0))
    assert await signed_in(scene, "call open_it pay") == "opened SECRET-alice | paid"
    assert sorted(calls.made) == ["open_it", "open_it", "pay"]


@pytest.mark.parametrize("way", ["async", "sync", "careful"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("engine", ENGINES)
async def test_two_concurrent_refused_calls_are_both_made_again(
    engine: str, kind: str, way: str, aimock: Aimock, tmp_path: Path
) -> None:
    both = {"toolCalls": [{"name": "open_it", "arguments": "{}"}] * 2}
    aimock.load(
        [
            says("work", "all done", toolResultContains="SECRET-alice"),
            says("work", "could not", hasToolResult=True),
            {"match": {"userMessage": "work"}, "response": both},
        ]
    )
    calls = Calls()
    scene = stage(tmp_path, agent=agent_of(kind, engine, way, aimock, calls))
    assert await signed_in(scene) == "all done"
    assert set(calls.made) == {"open_it"}
    assert scene.rows("SELECT outcome FROM audit ORDER BY id")[-2:] == [("ok",), ("ok",)]


class CarefulConcurrent(Careful):
    @tool
    async def first(self) -> str:
        """Do the first thing."""
        return await self.calls.first_slowly()


def _concurrent(kind: str, engine: str, chosen: Any, calls: Calls) -> Agent:
    """Return an agent with two tools: one gets no credential and raises, and the other ends after that."""
    if kind == "own":
        return Agent(model=chosen, engine=engine, toolkits=[CarefulConcurrent(calls)])
    native = {"pydantic-ai": _pydantic_concurrent, "openai-agents": _sdk_concurrent}[engine]
    return Agent(native(chosen, calls), auth=FakeProvider(), scopes=READ)


def _pydantic_concurrent(chosen: Any, calls: Calls) -> Any:
    agent: PydanticAgent[TurnContext, str] = PydanticAgent(chosen, deps_type=TurnContext)
    agent.tool_plain(name="first")(calls.first_slowly)

    async def opens(ctx: RunContext[TurnContext]) -> str:
        return await calls.opened_carefully(ctx.deps)

    agent.tool(name="open_it")(opens)
    return agent


def _sdk_concurrent(chosen: Any, calls: Calls) -> Any:
    @function_tool(failure_error_function=None)
    async def first() -> str:
        return await calls.first_slowly()

    @function_tool(failure_error_function=None)
    async def open_it(ctx: RunContextWrapper[TurnContext]) -> str:
        return await calls.opened_carefully(ctx.context)

    return SDKAgent[TurnContext](name="worker", model=chosen, tools=[first, open_it])


# The results of a native graph's own tools come back only with its state, which is not kept after a refusal.
@pytest.mark.parametrize(
    ("engine", "kind"), [each for each in product(ENGINES, KINDS) if each != ("langgraph", "native")]
)
async def test_a_call_concurrent_with_a_refused_one_ends_and_is_not_ambiguous(
    engine: str, kind: str, aimock: Aimock, tmp_path: Path
) -> None:
    """Let one of two concurrent calls raise, upon which frameworks cancel the other one."""
    both = {"toolCalls": [{"name": "open_it", "arguments": "{}"}, {"name": "first", "arguments": "{}"}]}
    aimock.load(
        [
            says("work", "all done", hasToolResult=True),
            {"match": {"userMessage": "work"}, "response": both},
        ]
    )
    calls = Calls()
    assert await signed_in(stage(tmp_path, agent=_concurrent(kind, engine, model(engine, aimock), calls))) == "all done"
    assert sorted(calls.made) == ["first", "open_it", "open_it"]


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_tool_that_asks_a_nested_agent_is_called_again_after_the_sign_in(
    engine: str, server: Aimock, tmp_path: Path
) -> None:
    calls, chosen = Calls(), model(engine, server)
    server.load([calls_tool("begin", "ask_inner", {"input": "work"}), *server.fixtures])
    server.load([says("begin", "told: all done", toolResultContains="all done"), *server.fixtures])
    server.load([says("begin", "told: could not", toolResultContains="could not"), *server.fixtures])
    inner = {"pydantic-ai": _pydantic, "langgraph": _graph, "openai-agents": _sdk}[engine](chosen, calls, calls.opened)
    agent = Agent(_asking(engine, chosen, inner), auth=FakeProvider(), scopes=READ)
    assert await signed_in(stage(tmp_path, agent=agent), "begin") == "told: all done"


def _asking(engine: str, chosen: Any, inner: Any) -> Any:
    """Return a native agent that has another one as a tool."""
    if engine == "openai-agents":
        tool_of_inner = inner.as_tool("ask_inner", "Asks.")
        return SDKAgent[TurnContext](name="outer", model=chosen, tools=[tool_of_inner])
    if engine == "pydantic-ai":
        outer: PydanticAgent[TurnContext, str] = PydanticAgent(chosen, deps_type=TurnContext)

        @outer.tool
        async def ask_inner(ctx: RunContext[TurnContext], input: str) -> str:  # noqa: A002
            return str((await inner.run(input, deps=ctx.deps)).output)

        return outer

    @langchain_tool("ask_inner")
    async def ask(input: str, runtime: ToolRuntime[TurnContext]) -> str:  # noqa: A002
        """Ask."""
        said = {"messages": [{"role": "user", "content": input}]}
        state = await inner.ainvoke(said, runtime.config, context=runtime.context)
        return str(state["messages"][-1].content)

    return create_agent(chosen, [ask], context_schema=TurnContext)


class Till(Toolkit):
    @tool(approval=True)
    async def pay(self) -> str:
        """Pay."""
        return "paid it"


def swallowing_graph(chosen: Any, tools: list[Any]) -> Any:
    """Return a graph that tells its model about every exception, and continues."""

    async def think(state: MessagesState) -> dict[str, Any]:
        return {"messages": [await chosen.bind_tools(tools).ainvoke(state["messages"])]}

    graph = StateGraph(MessagesState)
    graph.add_node("think", think)
    graph.add_node("tools", ToolNode(tools, handle_tool_errors=True))
    graph.add_edge(START, "think")
    graph.add_conditional_edges("think", tools_condition)
    graph.add_edge("tools", "think")
    return graph.compile()


@pytest.mark.parametrize("is_member", [False, True])
async def test_an_approved_call_is_made_even_if_the_graph_caught_the_question(
    is_member: bool, aimock: Aimock, tmp_path: Path
) -> None:
    aimock.load(
        [
            says("begin", "told: all done", toolResultContains="all done"),
            says("begin", "told: could not", hasToolResult=True),
            calls_tool("begin", "ask_cashier", {"task": "work"}),
            says("work", "all done", toolResultContains="paid it"),
            says("work", "could not", hasToolResult=True),
            calls_tool("work", "pay"),
        ]
    )
    till = Till()
    graph = swallowing_graph(model("langgraph", aimock), as_tools(till))
    cashier = Agent(graph, toolkits=[till], name="cashier")
    agent = Agent(model=model("pydantic-ai", aimock), members=[cashier]) if is_member else cashier
    scene = stage(tmp_path, agent=agent)
    async with scene.open():
        assert "pay" in await scene.ask("alice", "begin" if is_member else "work")
        await scene.write("alice", "yes")

        def is_answered() -> bool:
            return any("all done" in sent.text or "could not" in sent.text for sent in scene.sent)

        await scene.wait_until(is_answered)
    assert scene.sent[-1].text == ("told: all done" if is_member else "all done")
