"""Lone surrogates and NULs that tools and models return end no turn."""

from pathlib import Path
from typing import Any

from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import AgentInfo
from support.stage import stage

from toolkits import Toolkit, tool

HALVES = "\ud83d\ude00"  # of one character, as two chunks of JSON may have them


class Odd(Toolkit):
    @tool
    async def read(self) -> str:
        """Reads."""
        return "text \ud800\0"

    @tool
    async def look(self) -> dict[str, Any]:
        """Looks."""
        return {"\udc00": ["\ud800"]}


async def test_what_cannot_be_stored_ends_no_turn(tmp_path: Path, database_url: str) -> None:
    """In what a person writes, a tool returns, a model calls a tool with, and answers."""
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
