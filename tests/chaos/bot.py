"""The agent of the chaos tests. Its slow model repeats the message, sometimes at length, or after a tool call.

The tool `note` needs no approval. The tool `pay` runs once its person has approved it.
"""

import asyncio
import json
import os
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, TextPart, ToolCallPart, UserPromptPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, DeltaToolCalls, FunctionModel

from gateway import Agent
from toolkits import Toolkit, tool

SLOWEST = 0.4  # seconds
LONGEST = 20  # words of a long answer; each takes a tenth of a second
TRACE = Path(os.environ["CHAOS_TRACE"])


class Trace(Toolkit):
    @tool
    async def note(self, token: str) -> str:
        """Write a token to the trace, in which the test counts the calls of each message."""
        return await self._write(token)

    @tool(approval=True)
    async def pay(self, token: str) -> str:
        """Write a token to the trace, once the person has approved the call."""
        return await self._write(token)

    async def _write(self, token: str) -> str:
        with TRACE.open("a") as file:  # several processes append: one short write is never mixed with another
            file.write(f"{token}\n")
        await asyncio.sleep(SLOWEST / 4)
        return "noted"


def wanted(messages: list[ModelMessage]) -> tuple[str, str]:
    """Return the token of the message, and the name of the tool to call, or an empty text if there is none."""
    prompts = [part for message in messages for part in message.parts if isinstance(part, UserPromptPart)]
    token, last = str(prompts[-1].content), messages[-1]
    is_asked = isinstance(last, ModelRequest) and isinstance(last.parts[-1], UserPromptPart)
    tools = {"p": "pay", "n": "note"}
    return token, tools.get(token[0], "") if is_asked else ""


def words(token: str) -> list[str]:
    """Return the answer to a message, in the pieces that are streamed."""
    chance = zlib.crc32(token.encode())
    count = LONGEST if chance % 4 == 1 else 0
    return [f"answer to {token}", *(f" {number}" for number in range(1, count + 1)), "."]


async def think(token: str) -> None:
    await asyncio.sleep(SLOWEST * (zlib.crc32(token.encode()) % 100) / 100)


async def model(messages: list[ModelMessage], _: AgentInfo) -> ModelResponse:
    token, called = wanted(messages)
    await think(token)
    if called:
        return ModelResponse([ToolCallPart(called, {"token": token})])
    return ModelResponse([TextPart("".join(words(token)))])


async def stream(messages: list[ModelMessage], _: AgentInfo) -> AsyncIterator[str | DeltaToolCalls]:
    token, called = wanted(messages)
    await think(token)
    if called:
        yield {0: DeltaToolCall(called, json.dumps({"token": token}), tool_call_id=token)}
        return
    for word in words(token):
        yield word
        await asyncio.sleep(0.1)


agent = Agent(model=FunctionModel(model, stream_function=stream), toolkits=[Trace()])
