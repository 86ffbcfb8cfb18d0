"""Finding the agents that a flow calls."""

import asyncio

from support.stage import Vault

from gateway import Agent, Message


async def test_the_agents_that_a_flow_names_are_its_members(vault: Vault) -> None:
    around, given = Agent(model="test", toolkits=[vault], name="around"), Agent(model="test", name="given")

    async def flow(message: Message) -> str:
        return await around(message)

    assert [agent.name for agent in Agent(flow, members=[given]).members] == ["given", "around"]


def test_agents_are_found_in_functions_that_a_flow_defines_or_calls() -> None:
    one, two, three, four = (Agent(model="test", name=name) for name in ("one", "two", "three", "four"))

    async def step(text: str) -> str:
        return await one(text)

    async def flow(message: Message) -> list[str]:
        async def inner() -> str:
            return await two(message)

        return [await step("a"), await inner(), *await asyncio.gather(*(three(text) for text in "bc"))]

    class Research:
        def __init__(self) -> None:
            self.searcher = four

        async def flow(self, message: Message) -> str:
            return await self.searcher(message)

    assert set(Agent(flow).members) == {one, two, three}
    assert Agent(Research().flow).members == [four]
