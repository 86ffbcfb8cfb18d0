"""Results of tools, as text for the model."""

import sys

import pytest
from support.turns.mcp import UNSOUND, call, context, opened

from toolkits import ToolError
from toolkits.mcp import MCPServer


async def test_results_are_text_and_other_content_is_named(everything_command: list[str]) -> None:
    async with opened(MCPServer(everything_command)) as server:
        image = await call(server, "get-tiny-image", context("alice"))
        assert "[image/png, " in image
        assert "temperature" in await call(server, "get-structured-content", context("alice"), location="New York")


@pytest.mark.processes
async def test_an_invalid_result_is_reported_to_the_model() -> None:
    async with opened(MCPServer([sys.executable, "-c", UNSOUND], name="unsound")) as server:
        assert await call(server, "image", context("alice")) == "[image/png, 1 KiB]"
        for name in ("structure", "content", "kind"):
            with pytest.raises(ToolError, match=f"unsound has done {name}, but its result cannot be read"):
                await call(server, name, context("alice"))


async def test_the_error_message_of_a_tool_reaches_the_model(telling: str) -> None:
    async with opened(MCPServer(telling)) as server:
        with pytest.raises(ToolError, match="that cannot be"):
            await call(server, "fail", context("alice"))
