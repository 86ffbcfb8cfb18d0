"""A model whose answers wait until a test opens a gate."""

import asyncio

from peers.wait import wait_until_async
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo


class Gate:
    """A gate before which the calls of `model` wait.

    Attributes:
        opened: the event that lets the calls answer, once a test sets it.
        running: the messages of the calls that wait.
        most: the largest number of calls that have waited at the same time.
    """

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
        """Wait until at least `count` calls wait at the gate."""

        async def enough() -> bool:
            return len(self.running) >= count

        await wait_until_async(enough, what=f"{count} turns wait at the gate")
