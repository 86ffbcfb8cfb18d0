"""The tools of an agent's MCP servers."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import SchemaValidator, core_schema

from gateway.engines.tools import AgentTool, EngineRun, ToolSpec
from gateway.runs.calls import NO_CALL, calling, in_call
from gateway.runs.engine import RunnableAgent
from oauth import SettingError
from toolkits import TurnContext
from toolkits.mcp import MCPTool

_ANY_ARGUMENTS = SchemaValidator(core_schema.dict_schema(core_schema.str_schema(), core_schema.any_schema()))


class RemoteTool(AgentTool):
    """A tool of an MCP server. It is called on behalf of the sender of the turn's message."""

    def __init__(self, tool: MCPTool) -> None:
        auth = tool.server.auth
        super().__init__(
            ToolSpec(
                tool.name,
                tool.description,
                tool.parameters,
                _ANY_ARGUMENTS,  # the server validates them
                private=tool.server.private,
                provider=auth.name if auth is not None else None,
                read_only=tool.read_only,
                needs_approval=tool.server.approval and not tool.read_only,
                label=tool.label,
            )
        )
        self._tool = tool

    async def _call(self, run: EngineRun, arguments: Mapping[str, Any], key: str) -> str:
        return await self._tool.call(arguments, run.context)


async def remote_tools(agent: RunnableAgent, context: TurnContext) -> Sequence[AgentTool]:
    """Return the tools of an agent's MCP servers, which may differ from person to person.

    Raises:
        SettingError: if two tools of the agent have the same name.
    """
    with in_call(calling.get() or NO_CALL):  # do not attribute a refused credential to another agent's running call
        found = [tool for server in agent.mcp_servers for tool in await server.tools(context)]
    _check_names(agent.template, found)
    return [RemoteTool(tool) for tool in found]


def check_remote_names(agent: RunnableAgent) -> None:
    """Check that all tools of an agent have different names. Call it after the MCP servers have started.

    Raises:
        SettingError: naming the tool and the server.
    """
    _check_names(agent, [tool for server in agent.mcp_servers for tool in server.shared_tools])


def _check_names(template: RunnableAgent, remote: Sequence[MCPTool]) -> None:
    taken = {*template.catalog, *(member.tool_name for member in template.members)}
    for tool in remote:
        if tool.name in taken:
            raise SettingError(
                f"Agent {template.name!r} has two tools called {tool.name!r}, one of them from the MCP server "
                f"{tool.server.name!r}: give that server to a member of its own, Agent(members=[…])."
            )
        taken.add(tool.name)
