"""Measure a turn on a fresh copy of an agent, compared with a turn on an agent that all turns share."""

import asyncio
from datetime import UTC, datetime, timedelta

from pydantic_ai import Agent as PydanticAgent
from pydantic_ai import FunctionToolset, RunContext

from bench.harness.agents import TOOLS_EACH, agent
from bench.harness.measure import Row, side_by_side_async
from gateway import Conversation, Identity, Message, TurnContext
from gateway.engines.pydantic_ai import PydanticAIEngine
from gateway.runs.anonymous import NoCredentials
from gateway.runs.events import TurnEvent


def measure_turns() -> list[Row]:
    """Compare a run on a fresh copy with a run of the same engine on a shared agent."""
    return asyncio.run(_measure())


async def _measure() -> list[Row]:
    template, engine = agent(), PydanticAIEngine()
    template.check()
    context = _context()
    shared: PydanticAgent[TurnContext, str] = PydanticAgent(
        template.model, deps_type=TurnContext, toolsets=[toolset(prefix) for prefix in ("mail", "calendar", "drive")]
    )

    async def ignore(_: TurnEvent) -> None: ...

    async def run_shared() -> object:
        return await shared.run("go", deps=context)

    async def run_copy() -> object:
        return await engine.run(template.deep_copy(), "go", context, [], ignore, stream=False)

    return await side_by_side_async(
        {"a turn on a shared pydantic-ai agent": run_shared, "a turn on a fresh copy": run_copy}, calls=5
    )


def toolset(prefix: str) -> FunctionToolset[TurnContext]:
    """Make a toolset of pydantic-ai with the same tools as a toolkit of `bench.harness.agents`."""
    toolset: FunctionToolset[TurnContext] = FunctionToolset()
    for number in range(TOOLS_EACH):

        async def search(ctx: RunContext[TurnContext], query: str, limit: int = 10, folder: str = "all") -> str:
            """Search for something.

            Args:
                query: what to search for.
                limit: how many to return.
                folder: where to search.
            """
            return f"{query} {limit} {folder}"

        toolset.add_function(search, name=f"{prefix}_{number}")
    return toolset


def _context() -> TurnContext:
    sender = Identity("bench", "T", "U")
    conversation = Conversation("bench", "T", "C", shared=False)
    message = Message(id="1", text="go", sender=sender, sender_name="U", conversation=conversation)
    return TurnContext(
        identity=sender,
        conversation=conversation,
        message=message,
        deadline=datetime.now(UTC) + timedelta(minutes=5),
        reference="bench",
        credential_source=NoCredentials(),
    )
