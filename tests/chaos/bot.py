"""The agent of the chaos tests. Its slow model repeats the message, sometimes after a call of the tool `note`."""

import asyncio
import os
import zlib
from pathlib import Path

from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, TextPart, ToolCallPart, UserPromptPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from gateway import Agent
from toolkits import Toolkit, tool

SLOWEST = 0.4  # seconds
TRACE = Path(os.environ["CHAOS_TRACE"])


class Trace(Toolkit):
    @tool
    async def note(self, token: str) -> str:
        """Write a token to the trace, in which the test counts the calls of each message."""
        with TRACE.open("a") as file:  # several processes append: one short write is never mixed with another
            file.write(f"{token}\n")
        await asyncio.sleep(SLOWEST / 4)
        return "noted"


async def model(messages: list[ModelMessage], _: AgentInfo) -> ModelResponse:
    prompts = [part for message in messages for part in message.parts if isinstance(part, UserPromptPart)]
    token = str(prompts[-1].content)
    chance = zlib.crc32(token.encode())
    await asyncio.sleep(SLOWEST * (chance % 100) / 100)
    last = messages[-1]
    is_asked = isinstance(last, ModelRequest) and isinstance(last.parts[-1], UserPromptPart)
    if is_asked and chance % 3 == 0:
        return ModelResponse([ToolCallPart("note", {"token": token})])
    return ModelResponse([TextPart(f"answer to {token}")])


agent = Agent(model=FunctionModel(model), toolkits=[Trace()])
