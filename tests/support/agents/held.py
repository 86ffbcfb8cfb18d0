"""A model that never answers, for tests that stop a turn."""

import asyncio

from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models.function import AgentInfo, FunctionModel


class Held:
    """A model that does not answer.

    Attributes:
        asked: set when the model is called.
    """

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.model = FunctionModel(self.answer)

    async def answer(self, messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        self.asked.set()
        await asyncio.Event().wait()
        raise AssertionError
