"""The offline model: it matches words to tools, and says what it is."""

from pathlib import Path

import pytest
from pydantic_ai import Agent as PydanticAgent
from pydantic_ai.messages import ToolCallPart
from pydantic_ai.tools import ToolDefinition

from gateway.demo import demo_agent, offline_model


@pytest.fixture
def runner(tmp_path: Path) -> "PydanticAgent[None, str]":
    agent = demo_agent("test", tmp_path, [])
    agent.check()
    tools = [
        ToolDefinition(name=name, description=function.description, parameters_json_schema=function.parameters)
        for name, (_, function) in agent.catalog.items()
    ]
    from pydantic_ai import DeferredToolRequests, ExternalToolset

    return PydanticAgent(offline_model(), toolsets=[ExternalToolset(tools)], output_type=[str, DeferredToolRequests])  # type: ignore[list-item,return-value]


@pytest.mark.parametrize(
    ("text", "tool", "arguments"),
    [
        ("Remember that my train leaves at 9:40", "save_note", {"text": "my train leaves at 9:40"}),
        ("Please save a note: buy milk", "save_note", {"text": "buy milk"}),
        ("my secret is tango", "save_note", {"text": "my secret is tango"}),
        ("What are my notes?", "list_notes", {}),
        ("what do you remember?", "list_notes", {}),
        ("notes", "list_notes", {}),
        ("forget my notes", "delete_notes", {}),
        ("Who am I?", "who_am_i", {}),
    ],
)
async def test_words_are_matched_to_tools(
    runner: "PydanticAgent[None, str]", text: str, tool: str, arguments: dict[str, str]
) -> None:
    result = await runner.run(text)
    calls = [part for part in result.all_messages()[-1].parts if isinstance(part, ToolCallPart)]
    assert [(call.tool_name, call.args_as_dict()) for call in calls] == [(tool, arguments)]


@pytest.mark.parametrize(
    "text", ["hello", "hello there", "How are you?", "what can you do?", "What time is it?", "tell me a joke", "thanks"]
)
async def test_the_model_says_what_it_is_if_no_tool_fits(runner: "PydanticAgent[None, str]", text: str) -> None:
    answer = (await runner.run(text)).output
    assert "not a language model" in answer
    assert "save_note" in answer
