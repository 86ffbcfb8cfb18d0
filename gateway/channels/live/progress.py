"""Follow the progress of a running turn: its steps, and the text that the model has written so far."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from gateway.runs.events import PhaseEnded, PhaseStarted, TextDelta, ToolEnded, ToolStarted, TurnEvent

MOST_STEPS = 15  # that are shown at once


@dataclass(frozen=True, slots=True)
class Step:
    """A phase of a flow, or a call of a tool.

    Args:
        label: the text that people see.
        depth: the number of phases around the step.
        elapsed_ms: the duration of a phase in milliseconds; `None` while it runs, and for a call.
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
        """Add or end the step that an event reports. Ignore other events."""
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
            self._steps.append(Step(event.label, False, len(self._phases)))
        elif isinstance(event, ToolEnded) and event.call_id in self._calls:
            place = self._calls.pop(event.call_id)
            self._steps[place] = replace(self._steps[place], is_over=True)

    @property
    def all(self) -> Sequence[Step]:
        """All steps, in the order in which they began."""
        return self._steps

    @property
    def latest(self) -> Sequence[Step]:
        """The last `MOST_STEPS` steps, which are shown."""
        return self._steps[-MOST_STEPS:]

    @property
    def running(self) -> str:
        """The label of the step that began last and still runs; empty if none does."""
        return next((step.label for step in reversed(self._steps) if not step.is_over), "")

    @property
    def has_phases(self) -> bool:
        """True if there are phases. Developers write the labels of phases for people to read."""
        return any(step.is_phase for step in self._steps)

    def text(self) -> str:
        """Return the latest steps as lines of plain text."""
        return "\n".join(map(_line, self.latest))


class Progress:
    """The progress of a turn.

    Attributes:
        steps: the steps so far.
        text: the text that the model has written so far, in markdown. It begins anew after a tool call
            and after the beginning or the end of a phase.
        shows_text: whether the text may be shown. A text that may be private is not shown to others.
        changed: set by each event.
        stepped: set when a step begins or ends.
    """

    def __init__(self, *, shows_text: bool = True) -> None:
        self.steps = Steps()
        self.text = ""
        self.shows_text = shows_text
        self.changed = asyncio.Event()
        self.stepped = asyncio.Event()
        self._begins_anew = False  # whether a step came after the text, so the next delta begins a new text

    def note(self, event: TurnEvent) -> None:
        """Update the progress with an event."""
        if isinstance(event, TextDelta):
            self.text = event.text if self._begins_anew else self.text + event.text
            self._begins_anew = False
        elif isinstance(event, (PhaseStarted, PhaseEnded, ToolStarted)):
            self._begins_anew = True
        if not isinstance(event, TextDelta):
            self.steps.note(event)
            self.stepped.set()
        self.changed.set()

    def hide_text(self) -> None:
        """Show no text from now on, and remove the text that is shown."""
        self.shows_text = False
        self.changed.set()


def timed(label: str, elapsed_ms: int | None) -> str:
    """Return a label, with the time that the step took if it is over."""
    return label if elapsed_ms is None else f"{label} ({elapsed_ms / 1000:.1f} s)"


def _line(step: Step) -> str:
    mark = "✓" if step.is_over else "…"
    return f"{'  ' * step.depth}{mark} {timed(step.label, step.elapsed_ms)}"
