from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

from agents import Agent as SDKAgent
from agents import FunctionTool as SDKTool
from agents import Handoff, ModelResponse, RunContextWrapper, Usage, handoff
from agents.items import TResponseOutputItem, TResponseStreamEvent
from agents.models.interface import Model
from agents.models.multi_provider import MultiProvider
from agents.tool_context import ToolContext
from openai.types.responses import Response, ResponseCompletedEvent, ResponseFunctionToolCall
from pydantic import TypeAdapter

from gateway.runs.calls import in_call
from gateway.runs.events import EventHandler
from gateway.runs.journal import EngineJournal
from toolkits import ToolError
from toolkits.text import storable_json

_OUTPUT = TypeAdapter(list[TResponseOutputItem])


class Replay:
    """Lets the agents of one run go on where an earlier run of the same turn was.

    What their models answered then is answered again, and tools that were called are not called again. What is kept are
    the answers that call tools or hand over.
    """

    def __init__(self, journal: EngineJournal, handler: EventHandler) -> None:
        self._journal = journal
        self._handler = handler
        self._number = 0

    def of(self, agent: SDKAgent[Any]) -> SDKAgent[Any]:
        """An agent, and those that it may hand over to, for this run."""
        if not self._journal.is_kept:
            return agent
        return replace(
            agent,
            model=_ReplayedModel(agent.model, self),
            tools=[self._tool(tool) for tool in agent.tools],
            handoffs=[self._handoff(target) for target in agent.handoffs],
        )

    def call_id(self, context: ToolContext[Any]) -> str:
        """A call's id, in each run of a turn the same: a model may use one more than once."""
        return f"{self._number}:{context.tool_call_id}"

    def key(self, context: ToolContext[Any]) -> str:
        """What a call of a native agent's own tool is known by in the turn."""
        return self._journal.key(self.call_id(context))

    def was_called(self, context: ToolContext[Any]) -> bool:
        """Whether an earlier run of the turn has made a call."""
        return self._journal.turn is not None and self._journal.turn.call(self.key(context)) is not None

    def next(self) -> tuple[int, list[TResponseOutputItem] | None]:
        """The number of the next request, and what was answered to it in an earlier run."""
        self._number += 1
        kept = self._journal.response(self._number)
        return self._number, None if kept is None else _OUTPUT.validate_json(kept)

    async def keep(self, number: int, output: list[TResponseOutputItem]) -> None:
        if any(isinstance(item, ResponseFunctionToolCall) for item in output):
            await self._journal.add_response(number, storable_json(_OUTPUT.dump_python(output, mode="json")))

    def _tool(self, tool: Any) -> Any:
        if not isinstance(tool, SDKTool) or isinstance(tool, OwnTool):
            return tool  # ours ask the journal themselves; what OpenAI's servers do is in the model's answer

        async def invoke(context: ToolContext[Any], arguments: str) -> Any:
            key = self.key(context)

            async def make() -> Any:
                with in_call(key):
                    return await tool.on_invoke_tool(context, arguments)

            try:
                return await self._journal.call(key, tool.name, {"arguments": arguments}, self._handler, make)
            except ToolError as error:
                return str(error)

        return replace(tool, on_invoke_tool=invoke)

    def _handoff(self, target: SDKAgent[Any] | Handoff[Any, Any]) -> Handoff[Any, Any]:
        given = target if isinstance(target, Handoff) else handoff(target)

        async def hand_over(context: RunContextWrapper[Any], arguments: str) -> SDKAgent[Any]:
            return self.of(await given.on_invoke_handoff(context, arguments))

        return replace(given, on_invoke_handoff=hand_over)


class OwnTool(SDKTool):
    """A tool of ours."""


class _ReplayedModel(Model):
    def __init__(self, model: str | Model | None, replay: Replay) -> None:
        self._model = model if isinstance(model, Model) else MultiProvider().get_model(model)
        self._replay = replay

    async def get_response(self, *args: Any, **options: Any) -> ModelResponse:
        number, kept = self._replay.next()
        if kept is not None:
            return ModelResponse(output=kept, usage=Usage(), response_id=None)
        response = await self._model.get_response(*args, **options)
        await self._replay.keep(number, response.output)
        return response

    async def stream_response(self, *args: Any, **options: Any) -> AsyncIterator[TResponseStreamEvent]:
        number, kept = self._replay.next()
        if kept is not None:
            yield ResponseCompletedEvent(type="response.completed", sequence_number=0, response=_response(kept))
            return
        async for event in self._model.stream_response(*args, **options):
            if isinstance(event, ResponseCompletedEvent):
                await self._replay.keep(number, list(event.response.output))
            yield event


def _response(output: list[TResponseOutputItem]) -> Response:
    return Response(
        id="kept",
        created_at=0,
        model="kept",
        object="response",
        output=output,
        parallel_tool_calls=True,
        tool_choice="auto",
        tools=[],
    )
