"""What people see of a turn while it runs: a preview, which is taken away when the turn is over."""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import ClassVar, Generic, TypeVar

from gateway.logs import describe
from gateway.runs.events import PhaseEnded, PhaseStarted, ToolEnded, ToolStarted, TurnEvent
from gateway.timings import DEFAULT_TIMINGS, Timings

MOST_STEPS = 15  # that are shown at once

Posted = TypeVar("Posted")
"""How a channel finds a message that it posted."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Step:
    """A phase of a flow, or a call of a tool.

    Args:
        depth: the number of phases around it.
        elapsed_ms: how long a phase took, in milliseconds; `None` while it runs, and for a call.
    """

    label: str
    is_phase: bool
    depth: int
    is_over: bool = False
    elapsed_ms: int | None = None


class Steps:
    """The steps of a turn so far."""

    def __init__(self) -> None:
        self._steps: list[Step] = []
        self._calls: dict[str, int] = {}
        self._phases: list[int] = []

    def note(self, event: TurnEvent) -> None:
        """Add or end the step that an event is about, if it is about one."""
        if isinstance(event, PhaseStarted):
            self._phases.append(len(self._steps))
            self._steps.append(Step(event.label, True, len(self._phases) - 1))
        elif isinstance(event, PhaseEnded):
            place = next((at for at in reversed(self._phases) if self._steps[at].label == event.label), None)
            if place is not None:
                self._phases.remove(place)
                self._steps[place] = replace(self._steps[place], is_over=True, elapsed_ms=event.elapsed_ms)
        elif isinstance(event, ToolStarted):
            self._calls[event.call_id] = len(self._steps)
            self._steps.append(Step(event.tool, False, len(self._phases)))
        elif isinstance(event, ToolEnded) and event.call_id in self._calls:
            place = self._calls.pop(event.call_id)
            self._steps[place] = replace(self._steps[place], is_over=True)

    @property
    def all(self) -> Sequence[Step]:
        """All steps, in the order in which they began."""
        return self._steps

    @property
    def latest(self) -> Sequence[Step]:
        """The last steps, as many as are shown at once."""
        return self._steps[-MOST_STEPS:]

    @property
    def has_phases(self) -> bool:
        """Whether there are phases, whose labels somebody wrote for people to read."""
        return any(step.is_phase for step in self._steps)

    def text(self) -> str:
        """Return the latest steps as lines of plain text."""
        return "\n".join(map(_line, self.latest))


class LiveView(ABC):
    """Shows one turn of one conversation while it runs.

    What it raises is logged and fails no turn. After an `update` that failed there is no other in that turn.
    """

    interval: ClassVar[float]
    """Seconds between two updates: no fewer than the platform's limits allow, no more than its indicators last."""

    @abstractmethod
    async def update(self, steps: Steps) -> None:
        """Show the steps so far, in a platform call or two."""

    async def close(self) -> None:
        """Take away what was shown. It is called once, when the turn is over, even if no update was made."""
        return


class MessageView(LiveView, Generic[Posted]):
    """Shows the phases of a turn as one message, which is edited as they go on and deleted at the end.

    A turn without phases shows none: see `Steps.has_phases`.
    """

    def __init__(self) -> None:
        self.posted: Posted | None = None
        self._shown = ""

    @abstractmethod
    async def post(self, text: str) -> Posted:
        """Post the message; return what `edit` and `delete` need to find it."""

    @abstractmethod
    async def edit(self, posted: Posted, text: str) -> None:
        """Replace the text of the message."""

    @abstractmethod
    async def delete(self, posted: Posted) -> None:
        """Delete the message."""

    def escape(self, text: str) -> str:
        """Return a plain text as the platform takes it."""
        return text

    async def update(self, steps: Steps) -> None:
        text = self.escape(steps.text())
        if not steps.has_phases or text == self._shown:
            return
        if self.posted is None:
            self.posted = await self.post(text)
        else:
            await self.edit(self.posted, text)
        self._shown = text

    async def close(self) -> None:
        if self.posted is not None:
            await self.delete(self.posted)


@asynccontextmanager
async def shown_live(view: LiveView | None, timings: Timings = DEFAULT_TIMINGS) -> AsyncIterator[Steps]:
    """Show the steps that are noted in the block, in a task beside it."""
    steps = Steps()
    if view is None:
        yield steps
        return
    over = asyncio.Event()
    showing = asyncio.create_task(_show(view, steps, over, timings))
    try:
        yield steps
    finally:
        over.set()
        await showing  # an update under way ends first, as what it shows has to be taken away


async def _show(view: LiveView, steps: Steps, over: asyncio.Event, timings: Timings) -> None:
    pause, goes_on = timings.first_status, True
    while goes_on and not await _waited(over, pause):
        pause, goes_on = view.interval, await _try(view.update(steps), timings.status_update)
    await _waited(over, None)
    await _try(view.close(), timings.status_update)


async def _waited(over: asyncio.Event, seconds: float | None) -> bool:
    """Wait for the end of the turn, for so many seconds at most; return whether it is over."""
    try:
        async with asyncio.timeout(seconds):
            return await over.wait()
    except TimeoutError:
        return False


async def _try(update: Awaitable[None], most: float) -> bool:
    try:
        async with asyncio.timeout(most):
            await update
    except Exception as error:  # noqa: BLE001 - whatever the platform's library raises: the turn goes on
        log.info("the steps of the turn cannot be shown: %s", describe(error))
        return False
    return True


def timed(label: str, elapsed_ms: int | None) -> str:
    """Return a label, with the time that the step took if it is over."""
    return label if elapsed_ms is None else f"{label} ({elapsed_ms / 1000:.1f} s)"


def _line(step: Step) -> str:
    mark = "✓" if step.is_over else "…"
    return f"{'  ' * step.depth}{mark} {timed(step.label, step.elapsed_ms)}"
