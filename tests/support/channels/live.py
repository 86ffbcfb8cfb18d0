"""A channel of the stage that shows running turns in previews."""

import itertools
from collections.abc import Sequence
from datetime import datetime

from gateway.channels import DeliveryRefusedError, LiveView, PreviewGoneError
from gateway.channels.live import MessageView, PreviewKind, Progress
from gateway.testing import RecordingPresenter, StageChannel
from oauth import Identity
from toolkits import Conversation, Message

PART = 20  # characters of a message


class LivePresenter(RecordingPresenter):
    """A presenter that keeps the messages of each conversation, and shows running turns in previews.

    Attributes:
        there: the text of each message, by its id, which is `CONVERSATION#NUMBER`.
        posted: how many messages were posted.
    """

    def __init__(self) -> None:
        super().__init__(streams=False)
        self.there: dict[str, str] = {}
        self.posted = 0

        self._numbers = itertools.count(1)

    def said(self, place: str) -> Sequence[str]:
        """Return the messages of a conversation."""
        return [text for key, text in self.there.items() if key.partition("#")[0] == place]

    def live_view(self, message: Message) -> LiveView:
        return StageView(self, message.conversation.id)

    def parts(self, markdown: str) -> list[str]:
        return [markdown[start : start + PART] for start in range(0, len(markdown), PART)]

    async def send_text(self, conversation: Conversation, text: str, reply_to: str, *, key: str) -> str:
        await super().send_text(conversation, text, reply_to, key=key)
        return self.post(conversation.id, text)

    async def send_private_text(
        self, identity: Identity, conversation: Conversation, text: str, *, first: bool, key: str
    ) -> str:
        await super().send_private_text(identity, conversation, text, first=first, key=key)
        return self.post(f"dm-{identity.user_id}", text)

    async def complete_preview(self, conversation: Conversation, platform_id: str, text: str, *, key: str) -> str:
        if self.failures:
            raise self.failures.pop(0)
        if platform_id not in self.there:
            raise PreviewGoneError
        self.there[platform_id] = text
        return platform_id

    async def remove_preview(self, conversation: Conversation, platform_id: str | None, since: datetime) -> None:
        lost = [key for key, text in self.there.items() if key.startswith(conversation.id) and text.endswith("…")]
        for key in [platform_id] if platform_id is not None else lost:
            self.there.pop(key, None)

    def post(self, place: str, text: str) -> str:
        """Post a message, and return its id."""
        self.posted += 1
        key = f"{place}#{next(self._numbers)}"
        self.there[key] = text
        return key


class StageView(MessageView):
    refresh = 60.0
    streams = True

    def __init__(self, presenter: LivePresenter, place: str) -> None:
        super().__init__()
        self._presenter = presenter
        self._place = place

    async def indicate(self, progress: Progress) -> None:
        return

    async def post(self, text: str, kind: PreviewKind) -> str:
        if self._presenter.failures:
            raise self._presenter.failures.pop(0)
        return self._presenter.post(self._place, text)

    async def edit(self, platform_id: str, text: str) -> None:
        if platform_id not in self._presenter.there:
            raise DeliveryRefusedError("it was deleted")
        self._presenter.there[platform_id] = text

    async def delete(self, platform_id: str) -> None:
        del self._presenter.there[platform_id]


class LiveChannel(StageChannel):
    """A channel of the stage with a `LivePresenter`."""

    presenter: LivePresenter

    def __init__(self) -> None:
        super().__init__()
        self.presenter = LivePresenter()
