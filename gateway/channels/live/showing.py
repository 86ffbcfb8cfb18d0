"""Show a running turn, in tasks that run concurrently with it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

from gateway.channels.errors import RetryLaterError
from gateway.channels.live.progress import Progress
from gateway.channels.live.view import LiveView
from gateway.logs import describe
from gateway.timings import DEFAULT_TIMINGS, Timings

log = logging.getLogger(__name__)


@asynccontextmanager
async def shown_live(
    view: LiveView | None, timings: Timings = DEFAULT_TIMINGS, *, shows_text: bool = True
) -> AsyncIterator[Progress]:
    """Show the progress of the turn that the block runs, in concurrent tasks.

    Args:
        view: the view that shows the turn; `None` to show nothing.
        shows_text: whether the answer may be shown while the model writes it.
    """
    progress = Progress(shows_text=shows_text)
    if view is None:
        yield progress
        return
    over = asyncio.Event()
    showing = [
        asyncio.create_task(_indicate(view, progress, over, timings)),
        asyncio.create_task(_logged(_update(view, progress, over, timings))),
    ]
    try:
        yield progress
    finally:
        over.set()
        await asyncio.gather(*showing)  # a running call ends first, because its preview has to be recorded


async def _indicate(view: LiveView, progress: Progress, over: asyncio.Event, timings: Timings) -> None:
    """Show the indicator, and again at each step, until the turn is over. Then remove it."""
    goes_on = not await _is_set(over, timings.first_status)
    while goes_on:
        progress.stepped.clear()
        goes_on = await _try(view, view.indicate(progress), timings.status_update) and not over.is_set()
        if goes_on:
            with suppress(TimeoutError):
                async with asyncio.timeout(view.refresh):
                    goes_on = await _unless(over, progress.stepped.wait())
    await over.wait()
    await _try(view, view.close(), timings.status_update)


async def _update(view: LiveView, progress: Progress, over: asyncio.Event, timings: Timings) -> None:
    """Show the progress in messages when it has changed and the platform's rate limits allow it."""
    goes_on = not await _is_set(over, timings.first_status)
    while goes_on:
        progress.changed.clear()
        if await view.plan(progress) is None:
            goes_on = await _unless(over, progress.changed.wait())
        elif await _unless(over, view.ready()):
            call = await view.plan(progress)  # more may have been written meanwhile
            goes_on = call is None or await _try(view, call(), timings.status_update)
        else:
            return


async def _logged(showing: Coroutine[Any, Any, None]) -> None:
    """Await a coroutine that shows a turn. Log its exceptions, because the turn goes on without it."""
    try:
        await showing
    except Exception as error:  # noqa: BLE001 - a channel may raise anything
        log.info("the turn cannot be shown while it runs: %s", describe(error))


async def _is_set(event: asyncio.Event, seconds: float) -> bool:
    """Wait for an event, for at most `seconds`; return whether it is set."""
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False


async def _unless(over: asyncio.Event, awaited: Coroutine[Any, Any, Any]) -> bool:
    """Await a coroutine until the turn is over; return whether it ended before that."""
    waiting, ending = asyncio.create_task(awaited), asyncio.create_task(over.wait())
    try:
        await asyncio.wait({waiting, ending}, return_when=asyncio.FIRST_COMPLETED)
        return waiting.done() and not over.is_set()
    finally:
        waiting.cancel()
        ending.cancel()
        await asyncio.gather(waiting, ending, return_exceptions=True)


async def _try(view: LiveView, call: Awaitable[object], most: float) -> bool:
    """Make a call within `most` seconds; return whether other calls may follow."""
    try:
        async with asyncio.timeout(most):
            await call
    except RetryLaterError as error:
        view.hold(error.seconds)
    except Exception as error:  # noqa: BLE001 - a platform's library may raise anything; the turn goes on
        log.info("the turn cannot be shown while it runs: %s", describe(error))
        return False
    return True
