"""The preview of a running turn in a window."""

from typing import Any

from gateway.runs.events import PhaseEnded, PhaseStarted, TextDelta, ToolEnded, ToolStarted, TurnEvent

Update = dict[str, Any]
"""A message to a window: see `static/live.js`."""


def to_update(event: TurnEvent) -> Update | None:
    """Return the update that shows an event; `None` for one that is not shown."""
    match event:
        case TextDelta(text):
            return {"type": "delta", "text": text}
        case ToolStarted(call_id=call_id, label=label):
            return {"type": "tool", "id": call_id, "label": label}
        case ToolEnded(call_id=call_id):
            return {"type": "tool_ended", "id": call_id}
        case PhaseStarted(label):
            return {"type": "phase", "label": label}
        case PhaseEnded(label, elapsed_ms):
            return {"type": "phase_ended", "label": label, "elapsed": elapsed_ms}
    return None
