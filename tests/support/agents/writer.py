"""A model whose answer the test writes, piece by piece."""

import asyncio
from collections.abc import AsyncIterator

from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, DeltaToolCalls, FunctionModel


class Writer:
    """A model whose answer a test writes while people watch.

    Attributes:
        model: the model.
        asked: how often the model was called.
    """

    def __init__(self) -> None:
        self.asked = 0
        self._pieces: asyncio.Queue[str | DeltaToolCalls | None] = asyncio.Queue()
        self.model = FunctionModel(self._write_at_once, stream_function=self._write)

    def write(self, *pieces: str) -> None:
        """Add pieces to the answer."""
        for piece in pieces:
            self._pieces.put_nowait(piece)

    def call(self, tool: str, arguments: str = "{}") -> None:
        """End this response with a call of a tool."""
        self._pieces.put_nowait({0: DeltaToolCall(tool, arguments, tool_call_id=f"c{self.asked}")})
        self._pieces.put_nowait(None)

    def end(self) -> None:
        """End the answer."""
        self._pieces.put_nowait(None)

    async def _write(self, _: list[ModelMessage], __: AgentInfo) -> AsyncIterator[str | DeltaToolCalls]:
        self.asked += 1
        while (piece := await self._pieces.get()) is not None:
            yield piece

    async def _write_at_once(self, messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        """Answer without streaming: with the result of the tool that was called last, or with all pieces together."""
        last = messages[-1]
        if isinstance(last, ModelRequest) and isinstance(last.parts[-1], ToolReturnPart):
            return ModelResponse([TextPart(str(last.parts[-1].content))])
        pieces = [piece async for piece in self._write(messages, info)]
        calls = [call for piece in pieces if isinstance(piece, dict) for call in piece.values()]
        parts = [ToolCallPart(str(call.name), call.json_args, str(call.tool_call_id)) for call in calls]
        return ModelResponse([TextPart("".join(piece for piece in pieces if isinstance(piece, str))), *parts])
