"""Report the calls of the own tools of a native SDK agent."""

from contextlib import ExitStack
from typing import Any

from agents import RunContextWrapper, RunHooks
from agents.run_config import ToolErrorFormatterArgs
from agents.tool_context import ToolContext

from gateway.engines.openai_agents.replay import OwnTool
from gateway.engines.openai_agents.tools import SDKRun
from gateway.engines.watching import outcome_of, report_start
from gateway.runs.events import ToolEnded, ToolOutcome, ToolStarted


class NativeToolWatch(RunHooks[Any]):
    """Reports the calls of a native agent's own tools to the run's handler."""

    def __init__(self, run: SDKRun) -> None:
        self._run = run
        self._failed: dict[str, ToolOutcome] = {}
        self._reported: dict[str, ExitStack] = {}  # by key; each is closed when its call has ended

    def note_error(self, failure: ToolErrorFormatterArgs[Any]) -> None:
        """Note that a tool raised. The SDK then returns an error message to the model, and reports a normal end."""
        self._failed[failure.call_id] = outcome_of(failure.error)

    async def on_tool_start(self, context: RunContextWrapper[Any], agent: Any, tool: Any) -> None:
        if isinstance(tool, OwnTool) or not isinstance(context, ToolContext):
            return  # the gateway's tools report their calls themselves
        key = self._run.replay.key(context)
        if not self._run.journal.was_called(key):
            # The call counts as running now, because the SDK may cancel it before it is made, if another call raises.
            self._reported[key] = running = ExitStack()
            running.enter_context(self._run.journal.running(key))
            call = ToolStarted(key, tool.name, {"arguments": context.tool_arguments})
            await report_start(self._run.handler, call)

    async def on_tool_end(self, context: RunContextWrapper[Any], agent: Any, tool: Any, result: object) -> None:
        if isinstance(context, ToolContext) and (key := self._run.replay.key(context)) in self._reported:
            outcome = self._failed.get(context.tool_call_id, ToolOutcome.OK)
            error = str(result) if outcome is ToolOutcome.ERROR else None
            with self._reported.pop(key):
                await self._run.handler(ToolEnded(key, tool.name, outcome, result, error))
