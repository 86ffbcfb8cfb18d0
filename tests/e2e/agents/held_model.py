"""An agent whose first turn waits until the file GATE exists. Each turn writes its process id to the file `played`."""

import asyncio
import os
from pathlib import Path

from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, UserPromptPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from quick import unpaced

from gateway import Agent, Gateway
from interfaces.telegram import Telegram

GATE = Path(os.environ["GATE"])
PLAYED = GATE.with_name("played")


async def model(messages: list[ModelMessage], _: AgentInfo) -> ModelResponse:
    prompts = [part for message in messages for part in message.parts if isinstance(part, UserPromptPart)]
    is_first = not PLAYED.exists()
    with PLAYED.open("a") as played:
        played.write(f"{os.getpid()}\n")
    while is_first and not GATE.exists():
        await asyncio.sleep(0.05)
    return ModelResponse([TextPart(f"heard: {prompts[-1].content}")])


gateway = Gateway(Agent(model=FunctionModel(model)), [unpaced(Telegram())])
