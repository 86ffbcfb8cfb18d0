"""Lone surrogates and NULs, wherever they come from; and a log that stays readable."""

from pathlib import Path
from typing import Any

from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import AgentInfo
from stage import stage

from toolkits import Toolkit, tool
from toolkits.text import storable, storable_json

HALVES = "\ud83d\ude00"  # of one character, as two chunks of JSON may have them


def test_a_text_is_made_storable() -> None:
    assert storable(f"a\0b {HALVES} \ud83d \ude00\ud83d") == "ab 😀 \ufffd \ufffd\ufffd"
    assert storable("ä 😀") == "ä 😀"


def test_any_value_is_made_json() -> None:
    class Odd:
        def __str__(self) -> str:
            return "odd \ud800"

    assert storable_json({"a": ["\ud800", 1]}) == '{"a":["\ufffd",1]}'
    assert storable_json({"\ud800": Odd(), "b": (None, 1.5)}) == '{"\ufffd":"odd \ufffd","b":[null,1.5]}'


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
