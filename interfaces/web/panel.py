"""The steps of turns, for the panel that `understudy dev` shows beside the chat."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from secrets import token_hex
from typing import Any

from gateway.runs.events import (
    Answered,
    AnswerNeeded,
    ApprovalNeeded,
    ModelEnded,
    ModelStarted,
    PhaseEnded,
    PhaseStarted,
    RunFailed,
    RunStarted,
    SignInNeeded,
    TokensUsed,
    ToolEnded,
    ToolStarted,
    TurnEvent,
)
from interfaces.web.live import Update
from toolkits.text import storable_json

MOST_STEPS = 500  # of one person
LONGEST_TEXT = 20_000  # characters of a call's arguments, or of its result

RUN = "run"  # the key of a run among the open steps


@dataclass(slots=True)
class Step:
    """A step of a turn.

    Args:
        id: the id of the step, unique also after a restart of the gateway.
        turn: the reference of the turn.
        kind: `run`, `model`, `tool`, `phase`, `wait` or `error`.
        label: what is run, asked or called, or what the turn waits for.
        depth: in how many phases and calls of other agents it is.
        outcome: how it ended; empty if it has not.
        seconds: how long it took; `None` if it has not ended.
        tokens: how many tokens models have read and written in it; 0 if they do not tell.
        given: the arguments of a call, as JSON.
        returned: the result of a call, an error, or what the person is asked.
    """

    id: str
    turn: str
    kind: str
    label: str
    depth: int = 0
    outcome: str = ""
    seconds: float | None = None
    tokens: int = 0
    given: str = ""
    returned: str = ""


class PersonSteps:
    """The steps of the turns of one person, of which one runs at a time.

    Args:
        tell: receives each step that begins or changes.
    """

    def __init__(self, tell: Callable[[Step], None]) -> None:
        self.steps: deque[Step] = deque(maxlen=MOST_STEPS)
        self._tell = tell
        self._turn = ""
        self._open: dict[str, tuple[Step, float]] = {}  # with the times when they began

    def note(self, event: TurnEvent) -> None:
        """Add or change the steps that an event is about."""
        match event:
            case RunStarted(reference, agent):
                self._end_run("interrupted")
                self._turn = reference
                self._begin(RUN, "run", agent)
            case ModelStarted(call_id, agent, model):
                self._begin(call_id, "model", f"{model or 'the model'} for {agent}", call_id.count("/"))
            case ModelEnded(call_id, tokens, error):
                self._end(call_id, "error" if error else "ok", tokens=tokens, returned=error or "")
            case ToolStarted(call_id, tool, arguments):
                self._begin(call_id, "tool", tool, call_id.count("/"), given=_text(arguments))
            case ToolEnded(call_id, outcome=outcome, result=result, error=error):
                self._end(call_id, outcome, returned=error or ("" if result is None else _text(result)))
            case PhaseStarted(label):
                self._begin(token_hex(8), "phase", label)
            case PhaseEnded(label):
                if keys := [key for key in self._phases() if self._open[key][0].label == label]:
                    self._end(keys[-1], "ended")
            case TokensUsed(count) if RUN in self._open:
                self._change(self._open[RUN][0], tokens=self._open[RUN][0].tokens + count)
            case SignInNeeded(provider):
                self._wait(f"the sign-in with {provider}")
            case ApprovalNeeded(tool, action):
                self._wait(f"the approval of {tool}", action)
            case AnswerNeeded(question):
                self._wait("an answer", question)
            case RunFailed(error):
                self._add("error", "failed", returned=error)
                self._end_run("failed")
            case Answered():
                self._end_run("answered")

    def _begin(self, key: str, kind: str, label: str, depth: int = 0, *, given: str = "") -> None:
        step = Step(token_hex(8), self._turn, kind, label, len(self._phases()) + depth, given=given)
        self._open[key] = step, time.monotonic()
        self._append(step)

    def _end(self, key: str, outcome: str, **changes: Any) -> None:
        if key in self._open:
            step, began = self._open.pop(key)
            self._change(step, outcome=str(outcome), seconds=round(time.monotonic() - began, 3), **changes)

    def _end_run(self, outcome: str) -> None:
        """End the run, and what has not ended in it."""
        for key in reversed(list(self._open)):
            self._end(key, outcome if key == RUN else "not ended")

    def _wait(self, label: str, returned: str = "") -> None:
        self._add("wait", label, returned)
        self._end_run("waiting")

    def _add(self, kind: str, label: str, returned: str) -> None:
        """Add a step that takes no time."""
        self._append(Step(token_hex(8), self._turn, kind, label, outcome=kind, returned=returned[:LONGEST_TEXT]))

    def _append(self, step: Step) -> None:
        self.steps.append(step)
        self._tell(step)

    def _change(self, step: Step, **changes: Any) -> None:
        for name, value in changes.items():
            setattr(step, name, value)
        self._tell(step)

    def _phases(self) -> list[str]:
        """Return the keys of the open phases, the innermost last."""
        return [key for key, (step, _) in self._open.items() if step.kind == "phase"]


class Panel:
    """The steps of the turns of all people, in memory.

    Args:
        tell: sends an update to the windows of a person.
    """

    def __init__(self, tell: Callable[[str, Update], None]) -> None:
        self._people: dict[str, PersonSteps] = {}
        self._tell = tell

    def note(self, person: str, event: TurnEvent) -> None:
        """Note an event of the running turn of a person."""
        if person not in self._people:
            self._people[person] = PersonSteps(lambda step: self._tell(person, {"type": "step", "step": asdict(step)}))
        self._people[person].note(event)

    def steps(self, person: str) -> list[dict[str, Any]]:
        """Return the steps of a person's turns, in the order in which they began, as `static/panel.js` reads them."""
        return [asdict(step) for step in self._people[person].steps] if person in self._people else []


def _text(value: Any) -> str:
    return (value if isinstance(value, str) else storable_json(value, indent=2))[:LONGEST_TEXT]
