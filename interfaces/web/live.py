"""The preview of a running turn in a window."""

from dataclasses import dataclass
from typing import Any

from gateway.runs.events import PhaseEnded, PhaseStarted, TextDelta, ToolEnded, ToolStarted, TurnEvent

Update = dict[str, Any]
"""A message to a window: see `static/live.js`."""


@dataclass(slots=True, eq=False)
class Draft:
    """The text that a model is writing. It grows while windows show it, and a late window gets all of it at once."""

    text: str = ""


class Drafts:
    """The drafts of the running turns, by conversation."""

    def __init__(self) -> None:
        self._drafts: dict[str, Draft] = {}

    def note(self, conversation: str, event: TurnEvent) -> Draft | Update | None:
        """Return what shows an event; `None` for one that is not shown. Text after a step begins a new draft."""
        if isinstance(event, TextDelta):
            draft = self._drafts.setdefault(conversation, Draft())
            draft.text += event.text
            return draft
        if (update := _to_update(event)) is not None:
            self.end(conversation)
        return update

    def end(self, conversation: str) -> None:
        """Forget the draft of a conversation."""
        self._drafts.pop(conversation, None)


def _to_update(event: TurnEvent) -> Update | None:
    match event:
        case ToolStarted(call_id=call_id, label=label):
            return {"type": "tool", "id": call_id, "label": label}
        case ToolEnded(call_id=call_id):
            return {"type": "tool_ended", "id": call_id}
        case PhaseStarted(label):
            return {"type": "phase", "label": label}
        case PhaseEnded(label, elapsed_ms):
            return {"type": "phase_ended", "label": label, "elapsed": elapsed_ms}
    return None
