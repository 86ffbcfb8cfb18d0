"""Tools of toolkits, tools of native agents, and flows ask their person questions, in every engine."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from agents import Agent as SDKAgent
from agents import RunContextWrapper, function_tool
from langchain.agents import create_agent
from langchain.tools import ToolRuntime
from langchain.tools import tool as langchain_tool
from peers.aimock import Aimock, calls_tool, says
from pydantic_ai import Agent as PydanticAgent
from pydantic_ai import RunContext
from pydantic_ai.models.function import FunctionModel
from support.agents.engines import ENGINES, model
from support.stage import Stage, obey, stage

from gateway import Agent, Message, Runner, TurnContext, ask, phase
from gateway.channels import PressOutcome
from toolkits import ToolError, Toolkit, tool

ORDERED: list[str] = []


@pytest.fixture(autouse=True)
def ordered() -> list[str]:
    ORDERED.clear()
    return ORDERED


async def order(context: TurnContext) -> str:
    """Order a pizza, after two questions."""
    size = await context.ask("Which size?", ["Small", "Large"])
    topping = await context.ask("What on it?")
    ORDERED.append(f"{size} with {topping}")
    return f"ordered {size} with {topping}"


class Kitchen(Toolkit):
    @tool
    async def order_pizza(self, context: TurnContext) -> str:
        """Order a pizza."""
        return await order(context)

    @tool
    def order_drink(self, context: TurnContext) -> str:
        """Order a drink."""
        return f"ordered {context.ask_sync('Which drink?', ['Tea', 'Coffee'])}"

    @tool
    async def order_dessert(self, context: TurnContext) -> str:
        """Order a dessert, and take some time to end."""
        try:
            return f"ordered {await context.ask('Which dessert?', ['Cake', 'Fruit'])}"
        finally:
            await asyncio.sleep(0.2)


def native(engine: str, chosen: Any) -> Any:
    """Return an agent that is written for the framework of an engine, with tools that ask."""
    if engine == "pydantic-ai":
        agent: PydanticAgent[TurnContext, str] = PydanticAgent(chosen, deps_type=TurnContext)

        @agent.tool
        async def order_pizza(ctx: RunContext[TurnContext]) -> str:
            return await order(ctx.deps)

        @agent.tool
        def order_drink(ctx: RunContext[TurnContext]) -> str:
            return f"ordered {ctx.deps.ask_sync('Which drink?', ['Tea', 'Coffee'])}"

        return agent
    if engine == "langgraph":

        @langchain_tool("order_pizza")
        async def graph_pizza(runtime: ToolRuntime[TurnContext]) -> str:
            """Order a pizza."""
            return await order(runtime.context)

        @langchain_tool("order_drink")
        def graph_drink(runtime: ToolRuntime[TurnContext]) -> str:
            """Order a drink."""
            return f"ordered {runtime.context.ask_sync('Which drink?', ['Tea', 'Coffee'])}"

        return create_agent(chosen, [graph_pizza, graph_drink], context_schema=TurnContext)

    @function_tool(name_override="order_pizza")
    async def sdk_pizza(ctx: RunContextWrapper[TurnContext]) -> str:
        return await order(ctx.context)

    @function_tool(name_override="order_drink")
    def sdk_drink(ctx: RunContextWrapper[TurnContext]) -> str:
        return f"ordered {ctx.context.ask_sync('Which drink?', ['Tea', 'Coffee'])}"

    return SDKAgent[TurnContext](name="waiter", model=chosen, tools=[sdk_pizza, sdk_drink])


def script(aimock: Aimock) -> None:
    aimock.load(
        [
            says("", "here you are", toolResultContains="ordered"),
            calls_tool("pizza, please", "order_pizza", {}),
            calls_tool("a drink, please", "order_drink", {}),
            says("", "heard"),
        ]
    )


async def answered(scene: Stage) -> None:
    """Order a pizza and a drink, and answer the questions by presses and by messages."""
    assert await scene.ask("alice", "pizza, please") == "Which size?"
    size = scene.sent[-1].card
    assert size is not None
    assert (await scene.press("bob", size, "Small")).outcome is PressOutcome.NOT_YOURS
    assert (await scene.press("alice", size, "Large")).outcome is PressOutcome.TAKEN
    assert (await scene.wait_for(2))[1].text == "What on it?"
    assert await scene.ask("alice", "olives") == "here you are"
    assert ORDERED == ["Large with olives"]
    assert await scene.ask("alice", "a drink, please") == "Which drink?"
    assert await scene.ask("alice", "tea") == "here you are"
    assert scene.rows("SELECT DISTINCT status FROM inbox") == [("done",)]


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_tool_of_a_toolkit_asks(tmp_path: Path, engine: str, aimock: Aimock) -> None:
    script(aimock)
    scene = stage(tmp_path, agent=Agent(model=model(engine, aimock), engine=engine, toolkits=[Kitchen()]))
    async with scene.open():
        await answered(scene)


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_tool_of_a_native_agent_asks(tmp_path: Path, engine: str, aimock: Aimock) -> None:
    script(aimock)
    scene = stage(tmp_path, agent=Agent(native(engine, model(engine, aimock))))
    async with scene.open():
        await answered(scene)


async def test_the_tool_of_a_member_asks(tmp_path: Path) -> None:
    member = Agent(model=FunctionModel(obey), toolkits=[Kitchen()], name="waiter")
    scene = stage(tmp_path, [], members=[member])
    async with scene.open():
        assert await scene.ask("alice", r'call ask_waiter {"task":"call\u0020order_pizza"}') == "Which size?"
        assert await scene.ask("alice", "small") == "What on it?"
        assert await scene.ask("alice", "ham") == "ordered Small with ham"


async def test_two_calls_of_one_answer_ask_one_after_the_other(tmp_path: Path, database_url: str) -> None:
    scene = stage(tmp_path, [Kitchen()], database=database_url)
    async with scene.open():
        first = await scene.ask("alice", "call order_drink order_drink")
        assert first == "Which drink?"
        assert await scene.ask("alice", "tea") == "Which drink?"
        assert await scene.ask("alice", "coffee") in ("ordered Tea | ordered Coffee", "ordered Coffee | ordered Tea")


@pytest.mark.parametrize("drink_first", [True, False])
async def test_a_call_that_asks_while_another_one_runs_may_take_time_to_end(
    tmp_path: Path, *, drink_first: bool
) -> None:
    scene = stage(tmp_path, [Kitchen()])
    answers = {"Which drink?": "tea", "Which dessert?": "cake"}
    tools = ["order_drink", "order_dessert"] if drink_first else ["order_dessert", "order_drink"]
    async with scene.open():
        first = await scene.ask("alice", f"call {' '.join(tools)}")
        second = await scene.ask("alice", answers.pop(first))
        answer = await scene.ask("alice", answers.pop(second))
        assert sorted(answer.split(" | ")) == ["ordered Cake", "ordered Tea"]


CALLED: list[str] = []
poet = Agent(model=FunctionModel(obey), name="poet")


async def ordering(message: Message) -> str:
    CALLED.append(message.text)
    async with phase("thinking"):
        poem = await poet(message).isolated()
    size = await ask("Which size?", ["S", "M"])
    topping = await ask("What on it?")
    return f"{poem}; {size} with {topping}"


async def test_a_flow_asks_and_its_agents_are_not_called_again(tmp_path: Path, database_url: str) -> None:
    CALLED.clear()
    scene = stage(tmp_path, agent=Agent(ordering), database=database_url)
    async with scene.open():
        await scene.write("alice", "pizza")
        card = (await scene.wait_for(1))[0].card
        assert card is not None
        await scene.press("alice", card, "M")
        assert (await scene.wait_for(2))[1].text == "What on it?"
        assert await scene.ask("alice", "ham") == "heard: pizza; M with ham"
        assert CALLED == ["pizza"] * 3
    said = [row[0] for row in scene.rows("SELECT text FROM session_items WHERE role = 'assistant' ORDER BY id")]
    assert said[-1] == "heard: pizza; M with ham"


async def test_nobody_can_be_asked_in_a_runner() -> None:
    with pytest.raises(ToolError, match="Nobody can be asked here"):
        await Runner(ordering).run("pizza")
    with pytest.raises(ToolError, match="Nobody can be asked here"):
        await ask("Who?")
