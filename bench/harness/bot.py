"""The agent of the gateways under test.

Its model answers at once, or never if BENCH_WAITS is 1. BENCH_TOGETHER limits how many events the gateway commits in
one transaction. Answers are not paced, because the stand-in for the platforms has no limits, unless BENCH_PACED is 1.
"""

import asyncio
import os

from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, UserPromptPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from gateway import Agent
from gateway.channels.live import Limit
from gateway.inbox import intake
from interfaces.telegram.posting import messages

WAITS = os.environ.get("BENCH_WAITS") == "1"
if os.environ.get("BENCH_PACED") != "1":
    messages.LIMITS.update(dict.fromkeys(messages.LIMITS, Limit(most=10_000, seconds=1.0)))
intake.MAX_GROUP = int(os.environ.get("BENCH_TOGETHER", intake.MAX_GROUP))


async def model(messages: list[ModelMessage], _: AgentInfo) -> ModelResponse:
    if WAITS:
        await asyncio.Event().wait()
    prompts = [part for message in messages for part in message.parts if isinstance(part, UserPromptPart)]
    return ModelResponse([TextPart(str(prompts[-1].content))])


agent = Agent(model=FunctionModel(model))
