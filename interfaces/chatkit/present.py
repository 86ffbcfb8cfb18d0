"""Publish the events of a turn to the processes that have open streams."""

import json
from collections.abc import Iterator, Sequence

from gateway.channels import Host, ReturnLink, SignIn, StoredFile, TranscriptPresenter
from gateway.runs.events import PhaseEnded, PhaseStarted, TextDelta, ToolEnded, ToolStarted, TurnEvent
from interfaces.chatkit.format import to_markdown
from oauth import Identity
from toolkits import Conversation, Message

TRANSCRIPT_CHANGED = json.dumps(["Said"])
"""The update that says that the transcript has changed."""

LONGEST_DELTA = 1000  # characters of text in one update

# The fields of each event that are published. Others, such as the arguments of a tool, stay in this process.
_SHOWN: dict[type[TurnEvent], tuple[str, ...]] = {
    TextDelta: ("text",),
    PhaseStarted: ("label",),
    PhaseEnded: ("label", "elapsed_ms"),
    ToolStarted: ("call_id", "tool", "label"),
    ToolEnded: ("call_id", "tool"),
}
_BY_NAME = {kind.__name__: kind for kind in _SHOWN}


class ChatKitPresenter(TranscriptPresenter):
    """Publishes updates to the open streams of a thread. The streams read answers in the transcript.

    Args:
        page: the address of the host application's page with the chat, if it is known.

    Attributes:
        host: the gateway, while the channel runs.
    """

    streams = True

    def __init__(self, page: str | None = None) -> None:
        self._page = page
        self.host: Host | None = None

    async def show(self, message: Message, event: TurnEvent) -> None:
        for update in _encoded(event):
            await self._publish(message.conversation, update)

    def parts(self, markdown: str) -> list[str]:
        return [to_markdown(markdown)]

    async def send_text(self, conversation: Conversation, text: str, reply_to: str, *, key: str) -> None:
        await self._publish(conversation, TRANSCRIPT_CHANGED)

    async def send_files(
        self, conversation: Conversation, files: Sequence[StoredFile], caption: str, reply_to: str, *, key: str
    ) -> None:
        await self._publish(conversation, TRANSCRIPT_CHANGED)

    async def send_sign_in(self, sign_in: SignIn) -> None:
        # The link is made when the person reads the transcript.
        await self._publish(sign_in.conversation, TRANSCRIPT_CHANGED)

    async def return_link(self, identity: Identity, code: str | None) -> ReturnLink | None:
        if self._page is None:
            return None
        # Browsers do not send the fragment to servers. The page sends the code, with the person's session.
        return ReturnLink(self._page if code is None else f"{self._page}#confirm={code}", "the chat", brings_code=True)

    async def _publish(self, conversation: Conversation, update: str) -> None:
        if self.host is not None:
            await self.host.publish(conversation, update)


def decoded(update: str) -> TurnEvent | None:
    """Return the turn event in an update; `None` if the update says that the transcript has changed."""
    name, *values = json.loads(update)
    kind = _BY_NAME.get(name)
    return None if kind is None else kind(**dict(zip(_SHOWN[kind], values, strict=True)))


def _encoded(event: TurnEvent) -> Iterator[str]:
    """Yield the updates for a turn event; none for an event that is not shown."""
    if isinstance(event, TextDelta):
        for start in range(0, len(event.text), LONGEST_DELTA):
            yield json.dumps(["TextDelta", event.text[start : start + LONGEST_DELTA]], ensure_ascii=False)
    elif type(event) in _SHOWN:
        yield json.dumps([type(event).__name__, *(getattr(event, name) for name in _SHOWN[type(event)])])
