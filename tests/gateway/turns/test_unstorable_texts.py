"""Lone surrogates and NULs in texts of people, tools and models do not end a turn."""

from pathlib import Path
from typing import Any

from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import AgentInfo
from support.stage import stage

from toolkits import Toolkit, tool

HALVES = "\ud83d\ude00"  # the halves of one character, which two chunks of JSON may contain


class Odd(Toolkit):
    @tool
    async def read(self) -> str:
        """Read."""
        return "text \ud800\0"

    @tool
    async def look(self) -> dict[str, Any]:
        """Look."""
        return {"\udc00": ["\ud800"]}


async def test_texts_that_cannot_be_stored_end_no_turn(tmp_path: Path, database_url: str) -> None:
    """Use such texts in a message, in results and arguments of tools, and in answers."""
    told: list[str] = []

    async def model(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        last = messages[-1]
        assert isinstance(last, ModelRequest)
        told.extend(str(part.content) for part in last.parts if isinstance(part, ToolReturnPart))
        if any(isinstance(part, ToolReturnPart) for part in last.parts):
            return ModelResponse([TextPart(f"answer {HALVES} \ud83d\0.")])
        return ModelResponse([TextPart("let me see \udc00"), ToolCallPart("read", {}), ToolCallPart("look", {})])

    scene = stage(tmp_path, [Odd()], model=model, database=database_url, audit_content=True)
    async with scene.open():
        assert await scene.ask("alice", "hello \ud800\0") == "answer 😀 \ufffd."
        assert await scene.ask("alice", "and again") == "answer 😀 \ufffd."  # the history can be read
        assert scene.rows("SELECT DISTINCT status FROM inbox") == [("done",)]
    assert told[:2] == ["text \ufffd", "{'\ufffd': ['\ufffd']}"]
