"""Show a turn while it runs: an indicator, the steps of the turn, and the text that the model has written so far.

All of this is a preview. The answer is what the turn commits at its end. Then the outbox replaces the previews of the
answer by the answer, and removes the other previews.
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
