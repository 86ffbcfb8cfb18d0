"""Show a turn while it runs: indicators, its steps, and the part of the answer that is written so far.

All of it is a preview. The answer is what the turn commits: the outbox completes the messages that were a preview of
it, and removes the others.
"""

from gateway.channels.live.pacing import Key, Limit, Pacer
from gateway.channels.live.previews import Preview, PreviewKind, PreviewLog
from gateway.channels.live.progress import Progress, Step, Steps, timed
from gateway.channels.live.showing import shown_live
from gateway.channels.live.view import UNFINISHED, Call, LiveView, MessageView, Render

__all__ = [
    "UNFINISHED",
    "Call",
    "Key",
    "Limit",
    "LiveView",
    "MessageView",
    "Pacer",
    "Preview",
    "PreviewKind",
    "PreviewLog",
    "Progress",
    "Render",
    "Step",
    "Steps",
    "shown_live",
    "timed",
]
