"""An agent in Slack that repeats each message."""

from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from quick import unpaced

from gateway import Agent, Gateway
from interfaces.slack import Slack


def echo(messages: list[ModelMessage], _: AgentInfo) -> ModelResponse:
    return ModelResponse([TextPart(f"heard: {messages[-1].parts[-1].content}")])  # type: ignore[union-attr]


gateway = Gateway(Agent(model=FunctionModel(echo)), interfaces=[unpaced(Slack())])
