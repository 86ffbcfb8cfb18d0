"""The tools of an agent as the Agents SDK's tools."""

from dataclasses import dataclass, field
from typing import Any

from agents.tool_context import ToolContext

from gateway.engines.openai_agents.replay import OwnTool, Replay
from gateway.engines.tools import AgentTool, EngineRun
from toolkits import ToolError


@dataclass(frozen=True, slots=True)
class SDKRun(EngineRun):
    """One run of the engine, with its replay."""

    replay: Replay = field(kw_only=True)


def to_sdk_tool(tool: AgentTool, run: SDKRun | None = None) -> OwnTool:
    """Return a tool of an agent as a tool of the SDK.

    Args:
        run: the run that the tool serves; by default, the run is the SDK's context.
    """

    async def invoke(context: ToolContext[Any], arguments: str) -> str:
        try:
            current = run or context.context
            return await tool.call_for_text(current, arguments, current.replay.call_id(context))
        except ToolError as error:
            return str(error)

    return OwnTool(
        name=tool.name,
        description=tool.description,
        params_json_schema=tool.spec.parameters,
        on_invoke_tool=invoke,
        strict_json_schema=False,
    )
