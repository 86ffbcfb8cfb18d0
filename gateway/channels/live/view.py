"""Define what a channel implements to show a turn while it runs."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from gateway.channels.errors import DeliveryAmbiguousError, DeliveryError
from gateway.channels.live.previews import NoPreviewLog, PreviewKind, PreviewLog
from gateway.channels.live.progress import Progress

UNFINISHED = " …"  # the end of a text that is still written

Call = Callable[[], Awaitable[None]]
"""A call of the platform, which has not been made yet."""

Render = Callable[[str], Awaitable[Sequence[str]]]
"""Returns a text in markdown as the parts that the channel sends."""


class LiveView(ABC):
    """Shows one turn of one conversation while it runs.

    What it raises is logged and fails no turn. After a call that failed there is no other of its kind in that turn,
    unless the platform asked for a pause by `RetryLaterError`.
    """

    refresh: ClassVar[float]
    """Seconds after which the indicator has to be shown again, as the platform takes it away."""

    streams: ClassVar[bool] = False
    """Whether it shows the answer as it is written, for which the engine streams it."""

    _pause = 0.0

    async def begin(self, previews: PreviewLog, render: Render) -> None:
        """Prepare to show a turn.

        Args:
            previews: records the messages that are posted.
            render: renders markdown for the channel.
        """
        return

    @abstractmethod
    async def indicate(self, progress: Progress) -> None:
        """Show that the turn runs, by what the platform has for that: that the bot is typing, or a status.

        It is called when another step begins, and every `refresh` seconds.
        """

    async def plan(self, progress: Progress) -> Call | None:
        """Return the next call of the platform that shows the progress in messages; `None` if all of it is shown."""
        return None

    async def ready(self) -> None:
        """Return when the platform's limits allow the next call that `plan` returns."""
        pause, self._pause = self._pause, 0.0
        await asyncio.sleep(pause)

    def hold(self, seconds: float) -> None:
        """Have `ready` wait for a time, as the platform asks for a pause."""
        self._pause = seconds

    async def close(self) -> None:
        """Take away what `indicate` has shown. It is called once, when the turn is over."""
        return


class MessageView(LiveView):
    """Shows a turn in messages: the phases of a flow in one, and the answer in those that become its parts.

    A turn without phases has no message for them: see `Steps.has_phases`.
    """

    def __init__(self) -> None:
        self._previews: PreviewLog = NoPreviewLog()
        self._render: Render | None = None
        self._status: list[_Shown] = []
        self._answer: list[_Shown] = []

    @abstractmethod
    async def post(self, text: str, kind: PreviewKind) -> str:
        """Post a message; return its id.

        Args:
            text: as the platform takes it.

        Raises:
            DeliveryError: `DeliveryAmbiguousError` if it may have been posted all the same.
        """

    @abstractmethod
    async def edit(self, platform_id: str, text: str) -> None:
        """Replace the text of a message."""

    @abstractmethod
    async def delete(self, platform_id: str) -> None:
        """Delete a message."""

    def escape(self, text: str) -> str:
        """Return a plain text as the platform takes it."""
        return text

    async def begin(self, previews: PreviewLog, render: Render) -> None:
        self._previews, self._render = previews, render
        for left in await previews.load():
            if left.platform_id is not None:
                self._messages(left.kind).append(_Shown(left.id, left.platform_id, ""))

    async def plan(self, progress: Progress) -> Call | None:
        for kind in PreviewKind:
            texts = await self._texts(kind, progress)
            if texts is not None and (call := self._plan(kind, texts)) is not None:
                return call
        return None

    async def _texts(self, kind: PreviewKind, progress: Progress) -> Sequence[str] | None:
        """Return the texts of the messages of a kind, as they should be; `None` if they may stay as they are."""
        if kind is PreviewKind.STATUS:
            return [self.escape(progress.steps.text())] if progress.steps.has_phases else []
        if not (progress.text and progress.shows_text):
            # What an earlier run of the turn has written stays until this one writes something.
            return self.placeholder(progress) or (None if progress.shows_text else [])
        assert self._render is not None, "update() comes after begin()"
        *whole, last = await self._render(progress.text) or [""]
        return [*whole, last + UNFINISHED] if last else []

    def placeholder(self, progress: Progress) -> Sequence[str]:
        """Return what stands in the place of an answer of which nothing can be shown yet. Default: nothing."""
        return []

    def _plan(self, kind: PreviewKind, texts: Sequence[str]) -> Call | None:
        """Return the call that brings the messages of a kind closer to the texts."""
        messages = self._messages(kind)
        for shown, text in zip(messages, texts, strict=False):
            if shown.text != text:
                return partial(self._edit, shown, text)
        if len(texts) > len(messages):
            return partial(self._post, kind, texts[len(messages)])
        if len(messages) > len(texts):
            return partial(self._delete, kind)
        return None

    async def _edit(self, shown: "_Shown", text: str) -> None:
        await self.edit(shown.platform_id, text)
        shown.text = text

    async def _delete(self, kind: PreviewKind) -> None:
        messages = self._messages(kind)
        await self.delete(messages[-1].platform_id)
        await self._previews.forget(messages.pop().id)

    async def _post(self, kind: PreviewKind, text: str) -> None:
        preview_id = await self._previews.begin(kind)
        try:
            platform_id = await self.post(text, kind)
        except DeliveryAmbiguousError:
            raise  # whoever ends the turn looks for it
        except (DeliveryError, ConnectionError):
            await self._previews.forget(preview_id)
            raise
        await self._previews.posted(preview_id, platform_id)
        self._messages(kind).append(_Shown(preview_id, platform_id, text))

    def _messages(self, kind: PreviewKind) -> list["_Shown"]:
        return self._status if kind is PreviewKind.STATUS else self._answer


@dataclass(slots=True)
class _Shown:
    """A message that was posted.

    Args:
        id: in the record of previews.
        text: what it shows; empty if an earlier run of the turn has posted it.
    """

    id: int
    platform_id: str
    text: str
