"""A model that answers when it is let."""

import asyncio

from peers.wait import wait_until_async
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo


class Gate:
    """Holds turns back until it is opened, and counts those that run."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()
        self.running: list[str] = []
        self.most = 0

    async def model(self, messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        text = str(messages[-1].parts[-1].content)  # type: ignore[union-attr]
        self.running.append(text)
        self.most = max(self.most, len(self.running))
        await self.opened.wait()
        self.running.remove(text)
        return ModelResponse([TextPart(f"answer to {text}")])

    async def holds(self, count: int) -> None:
        async def enough() -> bool:
            return len(self.running) >= count

        await wait_until_async(enough, what=f"{count} turns run")
