"""Report the requests that a graph makes to models."""

from typing import Any
from uuid import UUID

from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, LLMResult

from gateway.engines.langgraph.own_loop import OwnLoopHandler
from gateway.engines.tools import EngineRun
from gateway.logs import describe
from gateway.runs.events import ModelEnded, ModelStarted, report


class RequestWatch(OwnLoopHandler):
    """Reports each request to a chat model, at any depth of the graph, to the run's handler.

    https://reference.langchain.com/python/langchain_core/callbacks/
    """

    def __init__(self, run: EngineRun) -> None:
        super().__init__()
        self._run = run

    async def on_chat_model_start(
        self,
        serialized: dict[str, Any],
        messages: list[list[BaseMessage]],
        *,
        run_id: UUID,
        metadata: dict[str, Any] | None = None,
        **_: Any,
    ) -> None:
        model = (metadata or {}).get("ls_model_name", "")
        await self._report(ModelStarted(self._call_id(run_id), self._run.agent.name, model))

    async def on_llm_end(self, response: LLMResult, *, run_id: UUID, **_: Any) -> None:
        await self._report(ModelEnded(self._call_id(run_id), _tokens(response)))

    async def on_llm_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        await self._report(ModelEnded(self._call_id(run_id), error=describe(error)))

    def _call_id(self, run_id: UUID) -> str:
        return self._run.journal.key(f"model:{run_id}")

    async def _report(self, event: ModelStarted | ModelEnded) -> None:
        await self._in_own_loop(report(self._run.handler, event))


def _tokens(response: LLMResult) -> int:
    generations = (each for generated in response.generations for each in generated)
    said = (each.message for each in generations if isinstance(each, ChatGeneration))
    usages = (each.usage_metadata for each in said if isinstance(each, AIMessage))
    return sum(usage["total_tokens"] for usage in usages if usage is not None)
