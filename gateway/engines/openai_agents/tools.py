"""The tools of an agent as the Agents SDK's tools, and the reporting of a native agent's own tools."""

from dataclasses import dataclass, field
from typing import Any

from agents import RunContextWrapper, RunHooks
from agents.run_config import ToolErrorFormatterArgs
from agents.tool_context import ToolContext

from gateway.engines.openai_agents.replay import OwnTool, Replay
from gateway.engines.tools import AgentTool, EngineRun
from gateway.engines.watching import report_start
from gateway.runs.events import ToolEnded, ToolOutcome, ToolStarted
from oauth import ConsentRequiredError
from toolkits import ToolError


@dataclass(frozen=True, slots=True)
class SDKRun(EngineRun):
    """One run of the engine, with its replay."""

    replay: Replay = field(kw_only=True)


def to_sdk_tool(tool: AgentTool, run: SDKRun | None = None) -> OwnTool:
    """Return a tool of an agent as the SDK takes it.

    Args:
        run: the run that it serves; unless given, the run is the SDK's context.
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


class NativeToolWatch(RunHooks[Any]):
    """Reports the calls of a native agent's own tools to the run's handler."""

    def __init__(self, run: SDKRun) -> None:
        self._run = run
        self._failed: dict[str, ToolOutcome] = {}
        self._reported: set[str] = set()

    def note_error(self, failure: ToolErrorFormatterArgs[Any]) -> None:
        """Note that a tool raised. The SDK then words an error for the model, and reports a normal end."""
        needs_consent = isinstance(failure.error, ConsentRequiredError)
        self._failed[failure.call_id] = ToolOutcome.SIGN_IN if needs_consent else ToolOutcome.ERROR

    async def on_tool_start(self, context: RunContextWrapper[Any], agent: Any, tool: Any) -> None:
        if isinstance(tool, OwnTool) or not isinstance(context, ToolContext):
            return  # tools of ours report their calls themselves
        key = self._run.replay.key(context)
        if not self._run.journal.was_called(key):
            self._reported.add(key)
            call = ToolStarted(key, tool.name, {"arguments": context.tool_arguments})
            await report_start(self._run.handler, call)

    async def on_tool_end(self, context: RunContextWrapper[Any], agent: Any, tool: Any, result: object) -> None:
        if isinstance(context, ToolContext) and (key := self._run.replay.key(context)) in self._reported:
            outcome = self._failed.get(context.tool_call_id, ToolOutcome.OK)
            error = str(result) if outcome is ToolOutcome.ERROR else None
            await self._run.handler(ToolEnded(key, tool.name, outcome, result, error))
