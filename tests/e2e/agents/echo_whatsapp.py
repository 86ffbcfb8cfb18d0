"""An agent on WhatsApp that repeats what it is told."""

from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, UserPromptPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from quick import unpaced

from gateway import Agent, Gateway
from interfaces.whatsapp import WhatsApp


async def model(messages: list[ModelMessage], _: AgentInfo) -> ModelResponse:
    prompts = [part for message in messages for part in message.parts if isinstance(part, UserPromptPart)]
    return ModelResponse([TextPart(str(prompts[-1].content))])


gateway = Gateway(Agent(model=FunctionModel(model)), [unpaced(WhatsApp())])
