"""Report the calls of the own tools of a native graph."""

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from langchain_core.runnables.config import var_child_runnable_config

from gateway.engines.langgraph.own_loop import OwnLoopHandler
from gateway.engines.langgraph.tools import call_id_of
from gateway.engines.tools import EngineRun
from gateway.engines.watching import outcome_of, report_start
from gateway.runs.events import ToolEnded, ToolOutcome, ToolStarted
from gateway.runs.journal import CallNotRepeatedError


@dataclass(frozen=True, slots=True)
class _RunningCall:
    """A running call of one of the graph's own tools.

    Args:
        key: the key of the call in the journal.
        name: the name of the tool.
        running: closed when the call has ended: see `EngineJournal.running`.
    """

    key: str
    name: str
    running: ExitStack


class NativeToolWatch(OwnLoopHandler):
    """Reports the calls of a native graph's own tools, at any depth, to the run's handler."""

    raise_error = True

    def __init__(self, run: EngineRun) -> None:
        super().__init__()
        self._run = run
        self._calls: dict[UUID, _RunningCall] = {}
        self._parents: dict[UUID, UUID | None] = {}

    def current_call(self) -> str | None:
        """Return the key of the tool call in which this method is called; `None` if it is called in none."""
        callbacks = (var_child_runnable_config.get() or {}).get("callbacks")
        return self._call_around(getattr(callbacks, "parent_run_id", None))

    def _call_around(self, run_id: UUID | None) -> str | None:
        while run_id is not None and run_id not in self._calls:
            run_id = self._parents.get(run_id)
        return self._calls[run_id].key if run_id is not None else None

    async def on_chain_start(
        self,
        serialized: dict[str, Any],
        inputs: dict[str, Any],
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        **_: Any,
    ) -> None:
        self._parents[run_id] = parent_run_id

    async def on_tool_start(
        self,
        serialized: dict[str, Any],
        input_str: str,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        inputs: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
        tool_call_id: str | None = None,
        **_: Any,
    ) -> None:
        name = serialized.get("name") or "tool"
        self._parents[run_id] = parent_run_id
        if name not in self._run.agent.catalog:  # tools of toolkits report their calls themselves
            outer, journal = self._call_around(parent_run_id), self._run.journal
            key = (journal if outer is None else journal.within(outer)).key(
                call_id_of(tool_call_id, metadata) or str(run_id)
            )
            arguments = inputs or {"input": input_str}
            await self._in_own_loop(self._begin(run_id, key, name, arguments))

    async def on_tool_end(self, output: Any, *, run_id: UUID, **_: Any) -> None:
        failed = getattr(output, "status", None) == "error"
        await self._end(run_id, ToolOutcome.ERROR if failed else ToolOutcome.OK, getattr(output, "content", output))

    async def on_tool_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        await self._end(run_id, outcome_of(error))

    async def _begin(self, run_id: UUID, key: str, name: str, arguments: dict[str, Any]) -> None:
        journal, handler = self._run.journal, self._run.handler
        with ExitStack() as running:
            running.enter_context(journal.running(key))
            if await journal.recall(key, name, arguments, handler, read_only=False) is not None:
                raise CallNotRepeatedError(name)  # a callback can stop a call, but cannot supply its result
            await report_start(handler, ToolStarted(key, name, arguments))
            self._calls[run_id] = _RunningCall(key, name, running.pop_all())

    async def _end(self, run_id: UUID, outcome: ToolOutcome, result: Any = None) -> None:
        if run_id in self._calls:
            await self._in_own_loop(self._report_end(self._calls.pop(run_id), outcome, result))

    async def _report_end(self, call: _RunningCall, outcome: ToolOutcome, result: Any) -> None:
        with call.running:
            await self._run.handler(ToolEnded(call.key, call.name, outcome, result))
            if outcome is ToolOutcome.SIGN_IN:  # the graph then cancels its other calls: see `EngineJournal.call`
                await self._run.journal.others_ended(call.key)
