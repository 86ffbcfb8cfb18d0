"""A flow of two phases, for the tests of live steps. The second phase waits as long as the file GATE exists."""

import asyncio
import os
from pathlib import Path

from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, UserPromptPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from gateway import Agent, Gateway, Message, phase
from interfaces.slack import Slack
from interfaces.telegram import Telegram
from interfaces.web import Web

GATE = Path(os.environ["GATE"])
CHANNELS = {"slack": Slack, "telegram": Telegram, "web": Web}


async def repeat(messages: list[ModelMessage], _: AgentInfo) -> ModelResponse:
    last = messages[-1].parts[-1]
    assert isinstance(last, UserPromptPart)
    return ModelResponse([TextPart(f"<{last.content}>")])


parrot = Agent(model=FunctionModel(repeat), name="parrot")


async def research(message: Message) -> str:
    async with phase("Search"):
        found = await parrot(message)
    async with phase("Write"):
        while GATE.exists():
            await asyncio.sleep(0.02)
        return await parrot(found)


gateway = Gateway(research, [CHANNELS[os.environ["CHANNEL"]]()])
