"""The base classes that a channel implements to show a turn while it runs."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from gateway.channels.errors import DeliveryAmbiguousError, DeliveryError
from gateway.channels.live.previews import NoPreviewLog, PreviewKind, PreviewLog
from gateway.channels.live.progress import Progress

UNFINISHED = " …"  # the end of a text that is not complete yet

Call = Callable[[], Awaitable[None]]
"""A call to the platform that has not been made yet."""

Render = Callable[[str], Awaitable[Sequence[str]]]
"""Renders markdown as the parts that the channel sends."""


class LiveView(ABC):
    """Shows one turn of one conversation while it runs.

    Its exceptions are logged and do not fail the turn. After a failure, `indicate` or the calls of `plan`, whichever
    failed, are not used again in this turn, unless the platform asked for a pause (`RetryLaterError`).
    """

    refresh: ClassVar[float]
    """Seconds after which `indicate` is called again, because platforms remove an indicator after a while."""

    streams: ClassVar[bool] = False
    """True if the view shows the answer while the model writes it. Then the engine streams the answer."""

    _pause = 0.0

    async def begin(self, previews: PreviewLog, render: Render) -> None:
        """Prepare to show a turn.

        Args:
            previews: the record of the messages that the view posts.
            render: renders markdown for the channel.
        """
        return

    @abstractmethod
    async def indicate(self, progress: Progress) -> None:
        """Show that the turn runs, with the platform's own indicator: the bot is typing, or a status.

        It is called when a step begins or ends, and every `refresh` seconds.
        """

    async def plan(self, progress: Progress) -> Call | None:
        """Return the next call that shows the progress in messages; `None` if the messages are up to date."""
        return None

    async def ready(self) -> None:
        """Wait until the platform's rate limits allow the next call that `plan` returns."""
        pause, self._pause = self._pause, 0.0
        await asyncio.sleep(pause)

    def hold(self, seconds: float) -> None:
        """Make `ready` wait for `seconds`, because the platform asked for a pause."""
        self._pause = seconds

    async def close(self) -> None:
        """Remove the indicator. It is called once, when the turn is over."""
        return


class MessageView(LiveView):
    """Shows a turn in messages: one for the steps of a flow with phases, and one for each part of the answer.

    A turn without phases has no message for its steps: see `Steps.has_phases`.
    """

    def __init__(self) -> None:
        self._previews: PreviewLog = NoPreviewLog()
        self._render: Render | None = None
        self._status: list[_Shown] = []
        self._answer: list[_Shown] = []

    @abstractmethod
    async def post(self, text: str, kind: PreviewKind) -> str:
        """Post a message; return the platform's id of it.

        Args:
            text: the text, rendered for the platform.
            kind: what the message shows.

        Raises:
            DeliveryError: if the message was not posted; `DeliveryAmbiguousError` if it may have been posted.
        """

    @abstractmethod
    async def edit(self, platform_id: str, text: str) -> None:
        """Replace the text of a message."""

    @abstractmethod
    async def delete(self, platform_id: str) -> None:
        """Delete a message."""

    def escape(self, text: str) -> str:
        """Return a plain text, escaped for the platform."""
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
        """Return the texts that the messages of a kind should have; `None` if the messages can stay as they are."""
        if kind is PreviewKind.STATUS:
            return [self.escape(progress.steps.text())] if progress.steps.has_phases else []
        if not (progress.text and progress.shows_text):
            # The text of an earlier run of the turn stays until this run has a text.
            return self.placeholder(progress) or (None if progress.shows_text else [])
        assert self._render is not None, "update() comes after begin()"
        *whole, last = await self._render(progress.text) or [""]
        return [*whole, last + UNFINISHED] if last else []

    def placeholder(self, progress: Progress) -> Sequence[str]:
        """Return the texts to show before there is an answer to show. Default: none."""
        return []

    def _plan(self, kind: PreviewKind, texts: Sequence[str]) -> Call | None:
        """Return the next call that makes the messages of a kind have these texts; `None` if they have them."""
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
            raise  # the preview stays in the record, so that the end of the turn can look for the message
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
        id: the id in the record of previews.
        text: the text of the message; empty if an earlier run of the turn has posted it.
    """

    id: int
    platform_id: str
    text: str
