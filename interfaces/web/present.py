"""Send updates to the windows of the web chat."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from urllib.parse import quote

import anyio

from gateway.channels import LiveView, ReturnLink, SignIn, StoredFile, TranscriptPresenter
from gateway.pubsub.pubsub import Listeners
from gateway.runs.events import TurnEvent
from interfaces.web.format import to_html
from interfaces.web.live import Draft, Drafts, Update
from interfaces.web.panel import Panel
from oauth import Identity
from toolkits import Conversation, Message

DRAFT_PAUSE = 0.05  # seconds between two updates of a draft
DRAFT_SHARE = 4  # the least ratio of that pause to the time that the last update took, since long texts take longer


class WebPresenter(TranscriptPresenter):
    """Sends updates to the open windows of a person. When the transcript has changed, they read the answers there.

    Args:
        has_panel: whether windows show the steps of turns.

    Attributes:
        base_url: the gateway's public address, while the channel runs, if the operator set one.
        panel: the steps of turns; `None` if windows do not show them.
    """

    streams = True

    def __init__(self, *, has_panel: bool = False) -> None:
        self._windows = Listeners[str, Draft | Update]()
        self._drafts = Drafts()
        self.base_url: str | None = None
        self.panel = Panel(self._windows.tell) if has_panel else None

    async def show(self, message: Message, event: TurnEvent) -> None:
        if (update := self._drafts.note(message.conversation.id, event)) is not None:
            self._windows.tell(message.conversation.id, update)

    def live_view(self, message: Message) -> LiveView | None:
        self._drafts.end(message.conversation.id)  # an earlier run of the turn may have left one
        return None

    def observe(self, message: Message, event: TurnEvent) -> None:
        if self.panel is not None:
            self.panel.note(message.conversation.id, event)

    def parts(self, markdown: str) -> list[str]:
        return [to_html(markdown)]

    async def send_text(self, conversation: Conversation, text: str, reply_to: str, *, key: str) -> None:
        self._windows.tell(conversation.id, {"type": "changed"})

    async def send_files(
        self, conversation: Conversation, files: Sequence[StoredFile], caption: str, reply_to: str, *, key: str
    ) -> None:
        self._windows.tell(conversation.id, {"type": "changed"})

    async def send_sign_in(self, sign_in: SignIn) -> None:
        # The window shows a button that asks for the link: see `Web._sign_in`.
        self._windows.tell(sign_in.conversation.id, {"type": "changed"})

    async def return_link(self, identity: Identity, code: str | None) -> ReturnLink | None:
        if self.base_url is None:
            return None
        page = f"{self.base_url}/web/{quote(identity.user_id)}/"
        # Browsers do not send the fragment to servers. The page sends the code in the person's name.
        return ReturnLink(page if code is None else f"{page}#confirm={code}", "the chat", brings_code=True)

    async def updates(self, person: str, closing: anyio.Event) -> AsyncIterator[Update]:
        """Yield the updates for one window, until it is closed or `closing` is set. A draft is rendered as a whole."""
        draft, shown = None, ""
        with self._windows.listening(person) as queue:
            ending = asyncio.create_task(_end(queue, closing))
            try:
                while (update := await queue.get()) is not None:
                    if not isinstance(update, Draft):
                        yield update
                    elif update is not draft or update.text != shown:
                        draft, shown, began = update, update.text, time.monotonic()
                        yield {"type": "text", "html": await asyncio.to_thread(to_html, shown)}
                        await asyncio.sleep(max(DRAFT_PAUSE, DRAFT_SHARE * (time.monotonic() - began)))
            finally:
                ending.cancel()

    def close(self) -> None:
        """End the updates of all windows."""
        self._windows.close()


async def _end(queue: asyncio.Queue[Draft | Update | None], closing: anyio.Event) -> None:
    await closing.wait()
    queue.put_nowait(None)
