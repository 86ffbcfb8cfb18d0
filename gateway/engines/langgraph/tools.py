"""The tools of an agent as LangChain's tools."""

from collections.abc import Mapping
from typing import Any

from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool, ToolException
from pydantic import ConfigDict, PrivateAttr

from gateway.engines.tools import AgentTool, EngineRun, FunctionTool
from toolkits import ToolError, Toolkit

# Keys of config["configurable"].
RUN = "understudy_run"
CALL_ID = "understudy_call_id"


def as_tools(toolkit: Toolkit) -> list[BaseTool]:
    """Return the tools of a toolkit, for a graph that you build yourself.

    Give the same toolkit to the agent: `Agent(graph, toolkits=[toolkit])`. The tools then act on the turn's clone of
    the toolkit.
    """
    return [LangChainTool(FunctionTool(function)) for function in toolkit.functions.values()]


class LangChainTool(BaseTool):
    """A tool of an agent as a tool of LangChain. The run is in the configuration of each call."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    handle_tool_error: bool = True
    _tool: AgentTool = PrivateAttr()

    def __init__(self, tool: AgentTool) -> None:
        super().__init__(name=tool.name, description=tool.description, args_schema=tool.spec.parameters)
        self._tool = tool

    def _run(self, *_: Any, **__: Any) -> str:
        raise NotImplementedError(f"{self.name} can only be called asynchronously: use ainvoke, not invoke")

    async def arun(
        self,
        tool_input: str | dict[str, Any],
        *args: Any,
        config: RunnableConfig | None = None,
        tool_call_id: str | None = None,
        **options: Any,
    ) -> Any:
        config = config or RunnableConfig()
        configurable = {**config.get("configurable", {}), CALL_ID: tool_call_id}
        config = RunnableConfig(**{**config, "configurable": configurable})
        return await super().arun(tool_input, *args, config=config, tool_call_id=tool_call_id, **options)

    async def _arun(self, config: RunnableConfig, **arguments: Any) -> str:
        run: EngineRun | None = config.get("configurable", {}).get(RUN)
        if run is None:
            raise RuntimeError(
                f"{self.name} was called outside a turn, or without its configuration: pass the node's config to it"
            )
        if isinstance(self._tool, FunctionTool) and self.name not in run.agent.catalog:
            raise RuntimeError(
                f"{self.name} belongs to a toolkit that the agent does not have: add it to Agent(graph, toolkits=[…])"
            )
        try:
            call_id = call_id_of(config["configurable"].get(CALL_ID), config.get("metadata"))
            return await self._tool.call_for_text(run, arguments, call_id)
        except ToolError as error:
            raise ToolException(str(error)) from error


def call_id_of(tool_call_id: str | None, metadata: Mapping[str, Any] | None) -> str | None:
    """Return the id of a call, which is the same in each run of the turn; `None` if the model gave the call no id.

    Args:
        tool_call_id: the id that the model gave to the call. Models use ids more than once.
        metadata: the metadata of the call, which has the number of the graph's step.
    """
    return f"{(metadata or {}).get('langgraph_step', '')}:{tool_call_id}" if tool_call_id else None
