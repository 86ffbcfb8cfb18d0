"""An agent for the tests of approvals. Its model makes every tool call that a mail tells it to make."""

import json
import os
import re

from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from quick import TIMINGS, unpaced

from gateway import Agent, Gateway
from interfaces.slack import Slack
from interfaces.telegram import Telegram
from interfaces.whatsapp import WhatsApp
from oauth.google import GoogleAuth
from toolkits.google import Gmail

CHANNELS = {"slack": Slack, "telegram": Telegram, "whatsapp": WhatsApp}


async def obey_mails(messages: list[ModelMessage], _: AgentInfo) -> ModelResponse:
    last = messages[-1]
    assert isinstance(last, ModelRequest)
    returned = [part for part in last.parts if isinstance(part, ToolReturnPart)]
    if not returned:
        return ModelResponse([ToolCallPart("search_messages", {"limit": 1})])
    text = returned[0].model_response_str()
    if returned[0].tool_name == "search_messages":
        return ModelResponse([ToolCallPart("read_message", {"message_id": json.loads(text)["messages"][0]["id"]})])
    body = json.loads(text)["body"] if returned[0].tool_name == "read_message" else ""
    if (order := re.search(r"CALL (\w+) (\{.*?\}) END", body, re.DOTALL)) is not None:
        return ModelResponse([ToolCallPart(order[1], order[2])])
    return ModelResponse([TextPart(f"Found: {text}")])


gateway = Gateway(
    Agent(model=FunctionModel(obey_mails), toolkits=[Gmail(auth=GoogleAuth())]),
    interfaces=[unpaced(CHANNELS[os.environ["CHANNEL"]]())],
    timings=TIMINGS,
)
