"""Resume an interrupted turn: recorded model responses replace new requests."""

from typing import Any

from pydantic_ai import RunContext
from pydantic_ai.capabilities import AbstractCapability, WrapModelRequestHandler
from pydantic_ai.messages import ModelMessagesTypeAdapter, ModelResponse
from pydantic_ai.models import ModelRequestContext
from pydantic_core import PydanticSerializationError

from gateway.engines.tools import EngineRun
from gateway.engines.watching import requested
from gateway.runs.events import ModelStarted
from toolkits.text import storable_value


class Replay(AbstractCapability[Any]):
    """Returns the response that an earlier run of the turn recorded, if there is one, instead of asking the model.

    Responses with tool calls are recorded before the calls are made. Requests are reported to the run's handler.

    Args:
        run: the run that the capability serves; by default, the run is pydantic-ai's `deps`.
    """

    def __init__(self, run: EngineRun | None = None) -> None:
        self._run = run

    async def wrap_model_request(
        self, ctx: RunContext[Any], *, request_context: ModelRequestContext, handler: WrapModelRequestHandler
    ) -> ModelResponse:
        run: EngineRun = self._run or ctx.deps
        journal = run.journal
        recorded = journal.response(ctx.run_step)
        if recorded is not None:
            response = ModelMessagesTypeAdapter.validate_json(recorded)[0]
            assert isinstance(response, ModelResponse)
            return response
        call_id = journal.key(f"model:{ctx.run_step}")
        started = ModelStarted(call_id, run.agent.name, request_context.model.model_name)
        async with requested(run.handler, started) as request:
            response = _storable(await handler(request_context))
            request.tokens = response.usage.total_tokens
        if response.tool_calls and journal.is_kept:
            await journal.add_response(ctx.run_step, ModelMessagesTypeAdapter.dump_json([response]).decode())
        return response


def _storable(response: ModelResponse) -> ModelResponse:
    """Return a response without characters that cannot be stored or sent back to the model."""
    try:
        ModelMessagesTypeAdapter.dump_json([response])
    except PydanticSerializationError:
        fields = storable_value(ModelMessagesTypeAdapter.dump_python([response], mode="json"))
        (cleaned,) = ModelMessagesTypeAdapter.validate_python(fields)
        assert isinstance(cleaned, ModelResponse)
        return cleaned
    return response
