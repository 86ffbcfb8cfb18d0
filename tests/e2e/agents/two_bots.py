"""Two Telegram bots with an agent each, which says whose it is and repeats what it is told."""

from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, UserPromptPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from gateway import Agent, Gateway, Route
from interfaces.telegram import Telegram


def echo(name: str) -> Agent:
    async def model(messages: list[ModelMessage], _: AgentInfo) -> ModelResponse:
        prompts = [part for message in messages for part in message.parts if isinstance(part, UserPromptPart)]
        return ModelResponse([TextPart(f"{name} heard: {' | '.join(str(prompt.content) for prompt in prompts)}")])

    return Agent(model=FunctionModel(model), name=name)


gateway = Gateway(
    echo("sales"),
    interfaces=[Telegram(), Telegram(name="support")],
    routes=[Route(echo("support"), channel="telegram.support")],
)
