"""Report the calls of the own tools of a native pydantic-ai agent."""

from typing import Any

from pydantic_ai import RunContext, ToolFailed
from pydantic_ai.capabilities import AbstractCapability, WrapToolExecuteHandler
from pydantic_ai.messages import ToolCallPart
from pydantic_ai.tools import ToolDefinition

from gateway.engines.pydantic_ai.tools import AgentToolset, call_id_of
from gateway.engines.tools import EngineRun
from gateway.engines.watching import watched
from gateway.runs.events import ToolStarted
from toolkits import ToolError


class NativeToolWatch(AbstractCapability[Any]):
    """Reports the calls of a native agent's own tools to the run's handler. Calls of an earlier run are not repeated.

    Args:
        ours: the tools that the gateway gives to the agent. They report their calls themselves.
    """

    def __init__(self, run: EngineRun, ours: AgentToolset) -> None:
        self._run = run
        self._ours = ours

    async def wrap_tool_execute(
        self,
        ctx: RunContext[Any],
        *,
        call: ToolCallPart,
        tool_def: ToolDefinition,
        args: dict[str, Any],
        handler: WrapToolExecuteHandler,
    ) -> Any:
        if call.tool_name in self._ours.names:
            return await handler(args)
        run, key = self._run, self._run.journal.key(call_id_of(ctx))

        async def make() -> Any:
            async with watched(run.handler, ToolStarted(key, call.tool_name, args)) as watch:
                watch.result = await handler(args)
            return watch.result

        try:
            return await run.journal.call(key, call.tool_name, args, run.handler, make)
        except ToolError as error:
            raise ToolFailed(str(error)) from error
