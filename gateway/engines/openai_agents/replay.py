"""Resume an interrupted turn: recorded model responses and tool results replace new ones."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
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

from gateway.engines.watching import Request, requested
from gateway.runs.calls import in_call
from gateway.runs.events import EventHandler, ModelStarted
from gateway.runs.journal import EngineJournal
from toolkits import ToolError
from toolkits.text import storable_json

_OUTPUT = TypeAdapter(list[TResponseOutputItem])


class Replay:
    """Makes the agents of one run resume where an earlier run of the turn stopped.

    A model request gets the response that the earlier run recorded, and a tool call gets its recorded result. Responses
    that call tools or hand over to another agent are recorded. Requests are reported to the handler.
    """

    def __init__(self, journal: EngineJournal, handler: EventHandler) -> None:
        self._journal = journal
        self._handler = handler
        self._number = 0

    def wrap(self, agent: SDKAgent[Any]) -> SDKAgent[Any]:
        """Return an agent for this run, which replays its model, its tools and the agents that it hands over to."""
        if not self._journal.is_kept:
            return agent
        return replace(
            agent,
            model=_ReplayedModel(agent.model, self, agent.name),
            tools=[self._wrap_tool(tool) for tool in agent.tools],
            handoffs=[self._wrap_handoff(target) for target in agent.handoffs],
        )

    def call_id(self, context: ToolContext[Any]) -> str:
        """Return the id of a call. It is the same in each run of the turn."""
        return f"{self._number}:{context.tool_call_id}"  # with the request, because models use ids more than once

    def key(self, context: ToolContext[Any]) -> str:
        """Return the journal's key of a call."""
        return self._journal.key(self.call_id(context))

    def next_request(self) -> tuple[int, list[TResponseOutputItem] | None]:
        """Count a model request. Return its number, and the response that an earlier run recorded, if any."""
        self._number += 1
        recorded = self._journal.response(self._number)
        return self._number, None if recorded is None else _OUTPUT.validate_json(recorded)

    def requested(self, number: int, agent: str, model: str) -> AbstractAsyncContextManager[Request]:
        """Return a context manager that reports a request to a model, which is made in its block."""
        return requested(self._handler, ModelStarted(self._journal.key(f"model:{number}"), agent, model))

    async def record(self, number: int, output: list[TResponseOutputItem]) -> None:
        """Record the response to a request, if it calls tools."""
        if any(isinstance(item, ResponseFunctionToolCall) for item in output):
            await self._journal.add_response(number, storable_json(_OUTPUT.dump_python(output, mode="json")))

    def _wrap_tool(self, tool: Any) -> Any:
        if not isinstance(tool, SDKTool) or isinstance(tool, OwnTool):
            return tool  # our tools use the journal themselves; the model's response has the results of OpenAI's tools

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

    def _wrap_handoff(self, target: SDKAgent[Any] | Handoff[Any, Any]) -> Handoff[Any, Any]:
        original = target if isinstance(target, Handoff) else handoff(target)

        async def hand_over(context: RunContextWrapper[Any], arguments: str) -> SDKAgent[Any]:
            return self.wrap(await original.on_invoke_handoff(context, arguments))

        return replace(original, on_invoke_handoff=hand_over)


class OwnTool(SDKTool):
    """A tool that the gateway gives to the agent."""


class _ReplayedModel(Model):
    """A model that returns recorded responses, if there are any."""

    def __init__(self, model: str | Model | None, replay: Replay, agent: str) -> None:
        self._model = model if isinstance(model, Model) else MultiProvider().get_model(model)
        self._replay = replay
        self._agent = agent
        self._name = str(getattr(self._model, "model", ""))  # the models of OpenAI have one

    async def get_response(self, *args: Any, **options: Any) -> ModelResponse:
        number, recorded = self._replay.next_request()
        if recorded is not None:
            return ModelResponse(output=recorded, usage=Usage(), response_id=None)
        async with self._requested(number) as request:
            return await self._whole_response(number, request, *args, **options)

    async def stream_response(self, *args: Any, **options: Any) -> AsyncIterator[TResponseStreamEvent]:
        number, recorded = self._replay.next_request()
        if recorded is not None:
            yield _completed(recorded)
            return
        has_begun = False
        async with self._requested(number) as request:
            try:
                async for event in self._model.stream_response(*args, **options):
                    has_begun = True
                    if isinstance(event, ResponseCompletedEvent):
                        request.tokens = event.response.usage.total_tokens if event.response.usage is not None else 0
                        await self._replay.record(number, list(event.response.output))
                    yield event
            except NotImplementedError:  # the model cannot stream
                if has_begun:
                    raise
                response = await self._whole_response(number, request, *args, **options)
                yield _completed(response.output)

    def _requested(self, number: int) -> AbstractAsyncContextManager[Request]:
        return self._replay.requested(number, self._agent, self._name)

    async def _whole_response(self, number: int, request: Request, *args: Any, **options: Any) -> ModelResponse:
        response = await self._model.get_response(*args, **options)
        request.tokens = response.usage.total_tokens
        await self._replay.record(number, response.output)
        return response


def _completed(output: list[TResponseOutputItem]) -> ResponseCompletedEvent:
    """Return the last event of a streamed response, for a response that was not streamed."""
    response = Response(
        id="whole",
        created_at=0,
        model="whole",
        object="response",
        output=output,
        parallel_tool_calls=True,
        tool_choice="auto",
        tools=[],
    )
    return ResponseCompletedEvent(type="response.completed", sequence_number=0, response=response)
