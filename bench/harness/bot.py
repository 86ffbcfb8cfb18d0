"""The agent of the gateways under test.

Its model answers at once, or never if BENCH_WAITS is 1. BENCH_TOGETHER limits how many events the gateway commits in
one transaction.
"""

import asyncio
import os

from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, UserPromptPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from gateway import Agent
from gateway.inbox import intake

WAITS = os.environ.get("BENCH_WAITS") == "1"
intake.MAX_GROUP = int(os.environ.get("BENCH_TOGETHER", intake.MAX_GROUP))


async def model(messages: list[ModelMessage], _: AgentInfo) -> ModelResponse:
    if WAITS:
        await asyncio.Event().wait()
    prompts = [part for message in messages for part in message.parts if isinstance(part, UserPromptPart)]
    return ModelResponse([TextPart(str(prompts[-1].content))])


agent = Agent(model=FunctionModel(model))
