"""The preview of a running turn in Slack."""

import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from gateway.channels import DeliveryRefusedError
from gateway.channels.live import (
    UNFINISHED,
    Call,
    MessageView,
    PreviewKind,
    PreviewLog,
    Progress,
    Render,
    Step,
    timed,
)
from interfaces.slack.agent.sessions import AgentSessions, SessionStatus
from interfaces.slack.agent.titles import title_of
from interfaces.slack.format import escape
from interfaces.slack.interactivity.blocks import stoppable
from interfaces.slack.posting.messages import PREVIEW, STREAM, Poster
from toolkits import Message

MOST_CARDS = 40  # in a message, of the fifty blocks that Slack takes
LONGEST_TITLE = 200  # characters
LONGEST_CHUNK = 12_000  # characters of one call: https://docs.slack.dev/reference/methods/chat.appendStream


class SlackLiveView(MessageView):
    """Shows a running turn: the app's status, the phases of a flow as task cards, and the answer as a stream.

    All three need a thread. Outside of threads, and where Slack refuses them to the app, the view posts messages and
    edits them.

    https://docs.slack.dev/reference/methods/chat.startStream
    https://docs.slack.dev/reference/methods/assistant.threads.setStatus
    """

    refresh = 90.0  # Slack removes a status after two minutes
    streams = True

    def __init__(self, poster: Poster, sessions: AgentSessions, message: Message) -> None:
        super().__init__()
        self._poster = poster
        self._sessions = sessions
        self._message = message
        self._tenant = message.conversation.tenant
        self._channel, _, self._thread = message.conversation.id.partition("/")
        self._takes_status = bool(self._thread)
        self._has_status = False
        self._progress = Progress()
        self._cards: list[dict[str, Any]] = []  # the cards as Slack shows them
        self._stream: str | None = None  # the id of the preview that streams the answer
        self._streamed = ""  # the text that was streamed
        self._stopped: set[str] = set()  # the previews whose streams are stopped

    async def begin(self, previews: PreviewLog, render: Render) -> None:
        await super().begin(previews, render)
        self._has_status = previews.is_resumed and self._takes_status  # an earlier run may have left one

    async def indicate(self, progress: Progress) -> None:
        self._progress = progress
        if self._poster.is_busy(self._tenant):
            return
        if not self._takes_status or (self._has_status and progress.text and progress.shows_text):
            return
        running = progress.steps.running
        words = f"is working: {running}…" if running else "is thinking…"
        self._has_status = self._takes_status = await self._set_status(SessionStatus.PROCESSING, words)
        if not self._takes_status:
            progress.changed.set()  # a message takes the place of the status

    async def close(self) -> None:
        if self._has_status:  # only an answer in the thread clears it, and the answer may be private
            await self._set_status(SessionStatus.ACTIVE)

    async def ready(self) -> None:
        await self._poster.ready_for_preview(self._tenant, self._channel, self._method())

    def hold(self, seconds: float) -> None:
        self._poster.pause_previews(self._tenant, self._channel, seconds)

    async def plan(self, progress: Progress) -> Call | None:
        self._progress = progress
        return await super().plan(progress)

    def placeholder(self, progress: Progress) -> Sequence[str]:
        if self._takes_status or progress.steps.has_phases:
            return []
        return [f"_{escape(progress.steps.running or 'Thinking')}…_"]

    def escape(self, text: str) -> str:
        return escape(text)

    async def post(self, text: str, kind: PreviewKind) -> str:
        is_beginning = kind is PreviewKind.STATUS or (not self._answer and text.endswith(UNFINISHED))
        if is_beginning and self._may_stream():
            with suppress(DeliveryRefusedError):  # the poster has logged it; an ordinary message is posted instead
                return await self._start(kind)
        metadata = {"event_type": PREVIEW, "event_payload": {"key": self._message.id}}
        return await self._poster.post(
            self._tenant, self._channel, self._thread, text, metadata=metadata, blocks=stoppable(text)
        )

    async def edit(self, platform_id: str, text: str) -> None:
        if platform_id == self._stream:
            written = _safe(self._progress.text)
            added = written.removeprefix(self._streamed)
            is_longer = written.startswith(self._streamed) and len(added) <= LONGEST_CHUNK and text.endswith(UNFINISHED)
            if is_longer and (not added or await self._append(platform_id, markdown_text=added)):
                self._streamed = written
                return
            self._stream = None  # from now on the message is edited
        elif platform_id.startswith(STREAM) and self._cards:
            cards = self._new_cards()
            changed = [card for card in cards if card not in self._cards]
            if not changed or await self._append(platform_id, chunks=changed):
                self._cards = cards
            return
        known = platform_id.removeprefix(STREAM) if platform_id in self._stopped else platform_id
        await self._poster.edit(self._tenant, self._channel, known, text, blocks=stoppable(text))
        self._stopped.add(platform_id)

    async def delete(self, platform_id: str) -> None:
        await self._poster.delete(self._tenant, self._channel, platform_id)

    def _may_stream(self) -> bool:
        return bool(self._thread) and self._poster.may_stream(self._tenant)

    def _method(self) -> str:
        """Return the method of the Web API that the next call will probably use."""
        if self._stream is not None:
            return "chat.appendStream"
        if not self._answer and self._may_stream():
            return "chat.startStream"
        return "chat.update" if self._answer else "chat.postMessage"

    async def _start(self, kind: PreviewKind) -> str:
        """Start a stream; return its id as a preview."""
        place = (self._tenant, self._channel, self._thread, self._message.sender)
        if kind is PreviewKind.STATUS:
            self._cards = self._new_cards()
            return STREAM + await self._poster.start_stream(*place, task_display_mode="timeline", chunks=self._cards)
        self._streamed = _safe(self._progress.text)[:LONGEST_CHUNK]
        self._stream = STREAM + await self._poster.start_stream(*place, markdown_text=self._streamed)
        return self._stream

    async def _append(self, platform_id: str, **content: Any) -> bool:
        return await self._poster.append(self._tenant, self._channel, platform_id.removeprefix(STREAM), **content)

    def _new_cards(self) -> list[dict[str, Any]]:
        return [_card(number, step) for number, step in enumerate(self._progress.steps.all[:MOST_CARDS])]

    async def _set_status(self, status: SessionStatus, words: str = "") -> bool:
        return await self._sessions.set(self._message.conversation, status, words, title_of(self._message.text))


def _card(number: int, step: Step) -> dict[str, Any]:
    """Return a step as a task card: https://docs.slack.dev/messaging/sending-and-scheduling-messages#text-streaming"""
    return {
        "type": "task_update",
        "id": str(number),
        "title": timed(step.label[:LONGEST_TITLE], step.elapsed_ms),
        "status": "complete" if step.is_over else "in_progress",
    }


def _safe(markdown: str) -> str:
    """Escape mentions such as `<!channel>` in the beginning of an answer, so that a stream notifies nobody."""
    return _CALL.sub("&lt;", markdown.removesuffix("<"))  # what follows a last `<` is not known yet


_CALL = re.compile("<(?=[@!#])")
