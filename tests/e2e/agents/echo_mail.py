"""An agent that searches the sender's mail and answers with what it found. Most end-to-end tests serve it.

Its model waits as long as the file GATE exists, so that a test can stop the process in the middle of a turn.
"""

import asyncio
import os
from pathlib import Path

from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from quick import TIMINGS, unpaced

from gateway import Agent, Gateway
from interfaces.slack import Slack
from interfaces.telegram import Telegram
from interfaces.whatsapp import WhatsApp
from oauth.google import GoogleAuth
from toolkits.google import Gmail

GATE = Path(os.environ["GATE"])
CHANNELS = {"slack": Slack, "telegram": Telegram, "whatsapp": WhatsApp}


async def search_and_tell(messages: list[ModelMessage], _: AgentInfo) -> ModelResponse:
    while GATE.exists():
        await asyncio.sleep(0.02)
    returned = [part for part in messages[-1].parts if isinstance(part, ToolReturnPart)]
    if returned:
        return ModelResponse([TextPart(f"Found: {returned[0].model_response_str()}")])
    return ModelResponse([ToolCallPart("search_messages", {"limit": 5})])


gateway = Gateway(
    Agent(model=FunctionModel(search_and_tell), toolkits=[Gmail(auth=GoogleAuth())]),
    interfaces=[unpaced(CHANNELS[os.environ["CHANNEL"]]())],
    timings=TIMINGS,
)
