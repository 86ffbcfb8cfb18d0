"""The tools of an agent as pydantic-ai's toolset."""

from dataclasses import dataclass
from typing import Any

from pydantic_ai import RunContext, ToolFailed
from pydantic_ai.tools import ToolDefinition
from pydantic_ai.toolsets import AbstractToolset, ToolsetTool

from gateway.engines.remote_tools import remote_tools
from gateway.engines.tools import AgentTool, EngineRun, own_tools
from gateway.runs.engine import RunnableAgent
from toolkits import ToolError

RETRIES = 2  # of a tool call whose arguments do not fit the schema


class AgentToolset(AbstractToolset[Any]):
    """The tools of an agent. Each call acts on the run's copy of the agent.

    Args:
        run: the run that the toolset serves; by default, the run is pydantic-ai's `deps`. For a native agent it must be
            given, because `deps` is another object there.

    Attributes:
        names: the names of the tools. They include the tools of MCP servers only if `run` is given.
    """

    def __init__(self, template: RunnableAgent, run: EngineRun | None = None) -> None:
        self._run = run
        self._own: dict[str, ToolsetTool[Any]] = {tool.name: self._describe(tool) for tool in own_tools(template)}
        self.names = frozenset(self._own)

    def _describe(self, tool: AgentTool) -> "_ToolsetTool":
        spec = tool.spec
        definition = ToolDefinition(
            name=tool.name, description=tool.description, parameters_json_schema=spec.parameters
        )
        return _ToolsetTool(
            toolset=self, tool_def=definition, max_retries=RETRIES, args_validator=spec.validator, tool=tool
        )

    @property
    def id(self) -> str | None:
        return None

    async def get_tools(self, ctx: RunContext[Any]) -> dict[str, ToolsetTool[Any]]:
        run: EngineRun = self._run or ctx.deps
        if not run.agent.mcp_servers:
            return self._own
        remote = await remote_tools(run.agent, run.context)
        tools = {**self._own, **{tool.name: self._describe(tool) for tool in remote}}
        if self._run is not None:
            self.names = frozenset(tools)
        return tools

    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[Any], tool: ToolsetTool[Any]
    ) -> Any:
        assert isinstance(tool, _ToolsetTool)
        try:
            return await tool.tool.call(self._run or ctx.deps, tool_args, call_id_of(ctx))
        except ToolError as error:
            raise ToolFailed(str(error)) from error


@dataclass(kw_only=True)
class _ToolsetTool(ToolsetTool[Any]):
    tool: AgentTool


def call_id_of(ctx: RunContext[Any]) -> str:
    """Return the id of the running call. It is the same in each run of the turn."""
    return f"{ctx.run_step}:{ctx.tool_call_id}"  # with the step, because models use ids more than once
