"""Report tool calls and requests to models to the handler of a run."""

from asyncio import CancelledError
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from gateway.cancellation import exits_contained
from gateway.executor import tool_threads
from gateway.logs import describe
from gateway.runs.calls import in_call
from gateway.runs.events import EventHandler, ModelEnded, ModelStarted, ToolEnded, ToolOutcome, ToolStarted, report
from gateway.runs.journal import AnswerRequiredError
from oauth import ConsentRequiredError
from toolkits import ToolError


class DeniedError(ToolError):
    """The person denied a call that needs approval."""


class Watch:
    """A tool call that is being reported.

    Attributes:
        result: what the call returned; the block sets it.
    """

    result: Any = None


@asynccontextmanager
async def watched(handler: EventHandler, call: ToolStarted) -> AsyncIterator[Watch]:
    """Report the start of a tool call to a handler before the block, and its end and outcome after the block.

    Functions that the block submits to the default executor run in the threads for tools.
    """
    outcome, error, watch = ToolOutcome.ERROR, None, Watch()
    await report_start(handler, call)
    try:
        with exits_contained(call.tool), tool_threads(), in_call(call.call_id):
            yield watch
        outcome = ToolOutcome.OK
    except (ConsentRequiredError, AnswerRequiredError) as waiting:
        outcome = outcome_of(waiting)
        raise
    except CancelledError:
        outcome = ToolOutcome.CANCELLED
        raise
    except ToolError as told:
        outcome = ToolOutcome.DENIED if isinstance(told, DeniedError) else outcome
        error = str(told)
        raise
    finally:
        await handler(ToolEnded(call.call_id, call.tool, outcome, watch.result, error))


class Request:
    """A request to a model that is being reported.

    Attributes:
        tokens: how many tokens the model has read and written; the block sets it.
    """

    tokens: int = 0


@asynccontextmanager
async def requested(handler: EventHandler, started: ModelStarted) -> AsyncIterator[Request]:
    """Report the beginning of a request to a model before the block, and its end after the block."""
    request, error = Request(), None
    await report(handler, started)
    try:
        yield request
    except Exception as raised:
        error = describe(raised)
        raise
    finally:
        await report(handler, ModelEnded(started.call_id, request.tokens, error))


def outcome_of(error: BaseException | None) -> ToolOutcome:
    """Return the outcome of a call that raised an exception."""
    if isinstance(error, ConsentRequiredError):
        return ToolOutcome.SIGN_IN
    return ToolOutcome.ASKED if isinstance(error, AnswerRequiredError) else ToolOutcome.ERROR


async def report_start(handler: EventHandler, call: ToolStarted) -> None:
    """Report the start of a tool call. If the turn is cancelled meanwhile, report that the call did not begin."""
    try:
        await handler(call)
    except CancelledError:
        await handler(ToolEnded(call.call_id, call.tool, ToolOutcome.NOT_BEGUN))
        raise
