"""A model that works offline. It is not a language model: it matches the words of a message to those of the tools."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import Any

from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel
from pydantic_ai.tools import ToolDefinition

WORD_DELAY = 0.02  # seconds between two words, so that streaming can be seen

QUESTION = re.compile(r"^\s*(what|which|who|show|list|tell|do|did|have|recall|read|any)\b|\?\s*$", re.IGNORECASE)
# What precedes the text for a tool, like "please remember that" or "save a note:".
LEADING = re.compile(
    r"(please|can|could|you|save|store|keep|remember|write|down|note|make|add|a|an|this|that|to|for me)\b\W*",
    re.IGNORECASE,
)
STOPWORDS = frozenset(
    re.findall(
        r"\w+",
        "a an and are as be before by can did do does for from have how i in is it its like me my of on or so tell "
        "that the their them there they this to user was were what when with you your",
    )
)


def offline_model() -> FunctionModel:
    """Return the model, which streams word by word."""
    return FunctionModel(_respond, stream_function=_stream, model_name="offline-demo")


def _respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    last = messages[-1]
    assert isinstance(last, ModelRequest)
    returned = [part for part in last.parts if isinstance(part, ToolReturnPart)]
    if returned:
        return ModelResponse([TextPart("\n\n".join(_report(part) for part in returned))])
    text = next((str(part.content) for part in reversed(last.parts) if isinstance(part, UserPromptPart)), "")
    tool = _choose(text, info.function_tools)
    if tool is None:
        return ModelResponse([TextPart(_introduction(info.function_tools))])
    return ModelResponse([ToolCallPart(tool.name, _arguments(text, tool))])


async def _stream(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str | dict[int, DeltaToolCall]]:
    for index, part in enumerate(_respond(messages, info).parts):
        if isinstance(part, ToolCallPart):
            yield {index: DeltaToolCall(part.tool_name, json.dumps(part.args), tool_call_id=part.tool_call_id)}
        elif isinstance(part, TextPart):
            for word in re.split(r"(?<=\s)", part.content):
                yield word
                await asyncio.sleep(WORD_DELAY)


def _introduction(tools: list[ToolDefinition]) -> str:
    names = ", ".join(f"`{tool.name}`" for tool in tools)
    return (
        "I am a small offline model, not a language model: I only match your words to my tools. "
        f'They are {names}. Try "remember that my train leaves at 9:40", then "what are my notes?".'
    )


def _report(part: ToolReturnPart) -> str:
    content = part.content
    if isinstance(content, list):
        lines = [f"- {_line(item)}" for item in content] or ["Nothing yet."]
    elif isinstance(content, dict):
        lines = [f"- {name}: {_line(value)}" for name, value in content.items()]
    else:
        lines = [str(content)]
    return "\n".join([*lines, "", f"_The offline model called `{part.tool_name}`._"])


def _line(value: Any) -> str:
    return ", ".join(f"{name}: {item}" for name, item in value.items()) if isinstance(value, dict) else str(value)


def _choose(text: str, tools: list[ToolDefinition]) -> ToolDefinition | None:
    named = bool(_stems(text)) and any(
        _stems(text) <= _stems(tool.name) for tool in tools
    )  # the message consists of words of a tool's name, like "notes"
    question = named or bool(QUESTION.search(text))
    words = _stems(f"{text} list" if question else text)

    def score(tool: ToolDefinition) -> int:
        required = bool(tool.parameters_json_schema.get("required"))
        if required and _stems(_without_leading(text)) <= _stems(tool.name):  # no text is left for its argument
            return 0
        said, name, description = _stems(text), _stems(tool.name), _stems(tool.description or "")
        if not said & (name | description):  # a question alone is no reason to list something
            return 0
        common = 2 * len(words & name) + len(words & description)
        return 2 * common + (question != required)

    best = max(tools, key=score, default=None)
    return best if best is not None and score(best) else None


def _stems(text: str) -> set[str]:
    words = (word.lower() for word in re.findall(r"[^\W\d_]+", text))
    return {word.removesuffix("s").removesuffix("e") for word in words if word not in STOPWORDS}


def _arguments(text: str, tool: ToolDefinition) -> dict[str, Any]:
    schema = tool.parameters_json_schema
    arguments: dict[str, Any] = {}
    for name in schema.get("required", []):
        kind = schema["properties"][name].get("type")
        number = re.search(r"-?\d+", text)
        if kind == "integer" and number:
            arguments[name] = int(number[0])
        elif kind == "string":
            arguments[name] = _without_leading(text) or text
    return arguments


def _without_leading(text: str) -> str:
    text = text.strip()
    while found := LEADING.match(text):
        text = text[found.end() :]
    return text
