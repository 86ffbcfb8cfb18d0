"""What a person sees of a turn while it runs: it comes to nothing, the answer follows."""

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

MOST_STEPS = 15  # in one status

Posted = TypeVar("Posted")
"""How a channel finds a message that it posted."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Step:
    """A phase, or a tool that is called.

    Args:
        depth: in how many phases it is.
        elapsed_ms: how long it took, in milliseconds; `None` while it runs, and of a tool.
    """

    label: str
    is_phase: bool
    depth: int
    is_over: bool = False
    elapsed_ms: int | None = None


class Steps:
    """The steps of a turn up to now."""

    def __init__(self) -> None:
        self._steps: list[Step] = []
        self._calls: dict[str, int] = {}
        self._phases: list[int] = []

    def note(self, event: TurnEvent) -> None:
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
        """In the order in which they began."""
        return self._steps

    @property
    def latest(self) -> Sequence[Step]:
        return self._steps[-MOST_STEPS:]

    @property
    def has_phases(self) -> bool:
        """Whether somebody wrote words for people to read while they wait."""
        return any(step.is_phase for step in self._steps)

    def text(self) -> str:
        """The steps as lines of plain text."""
        return "\n".join(map(_line, self.latest))


class LiveView(ABC):
    """Shows one turn that runs in one conversation. A platform that refuses is not asked again in that turn."""

    every: ClassVar[float]
    """Seconds between two updates: what the platform's limits allow, and its indicators last."""

    @abstractmethod
    async def update(self, steps: Steps) -> None:
        """Shows what there is to show now: a platform call or two."""

    async def close(self) -> None:
        """Takes away what was shown: the turn is over."""
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
    """Shows the steps that are noted in the block, by a task of its own, which fails no turn."""
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
        await showing  # an update that is under way ends: what it shows has to be taken away


async def _show(view: LiveView, steps: Steps, over: asyncio.Event, timings: Timings) -> None:
    pause, goes_on = timings.first_status, True
    while goes_on and not await _waited(over, pause):
        pause, goes_on = view.every, await _try(view.update(steps), timings.status_update)
    await _waited(over, None)
    await _try(view.close(), timings.status_update)


async def _waited(over: asyncio.Event, seconds: float | None) -> bool:
    """Whether the turn was over before so many seconds."""
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
        log.info("what happens in the turn cannot be shown: %s", describe(error))
        return False
    return True


def timed(label: str, elapsed_ms: int | None) -> str:
    """A label, and how long that took, if it is over."""
    return label if elapsed_ms is None else f"{label} ({elapsed_ms / 1000:.1f} s)"


def _line(step: Step) -> str:
    mark = "✓" if step.is_over else "…"
    return f"{'  ' * step.depth}{mark} {timed(step.label, step.elapsed_ms)}"
