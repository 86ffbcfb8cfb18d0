"""Tell the windows of the web chat what happens."""

from collections.abc import AsyncIterator, Sequence

from gateway.channels import SignIn, StoredFile, TranscriptPresenter
from gateway.pubsub.pubsub import Listeners
from gateway.runs.events import TurnEvent
from interfaces.web.format import to_html
from interfaces.web.live import Update, to_update
from toolkits import Conversation, Message


class WebPresenter(TranscriptPresenter):
    """Tells the open windows of a person what happens. They read answers in the transcript when it has changed."""

    streams = True

    def __init__(self) -> None:
        self._windows = Listeners[str, Update]()

    async def show(self, message: Message, event: TurnEvent) -> None:
        if (update := to_update(event)) is not None:
            self._windows.tell(message.conversation.id, update)

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

    async def updates(self, person: str) -> AsyncIterator[Update]:
        """Yield what one window is told, until it is closed."""
        with self._windows.listening(person) as queue:
            while (update := await queue.get()) is not None:
                yield update

    def close(self) -> None:
        """End the updates of all windows."""
        self._windows.close()
