"""A channel without a platform: the benchmark makes its events, and its answers go nowhere."""

import json
from collections.abc import Sequence

from starlette.routing import BaseRoute

from gateway import Conversation, Identity, Message
from gateway.channels.event import Event
from gateway.channels.interface import Interface
from gateway.channels.presenter import Presenter, SignIn


class SilentPresenter(Presenter):
    """A presenter that sends nothing."""

    def parts(self, markdown: str) -> list[str]:
        return [markdown]

    async def send_text(self, conversation: Conversation, text: str, reply_to: str, *, key: str) -> None: ...

    async def send_sign_in(self, sign_in: SignIn) -> None: ...


class BenchChannel(Interface):
    """A channel in which each message comes from a different person in a different conversation."""

    channel = "bench"
    address = "/bench"

    def __init__(self) -> None:
        super().__init__()
        self.presenter = SilentPresenter()

    def routes(self) -> Sequence[BaseRoute]:
        return []

    def event(self, number: int) -> Event:
        conversation = Conversation("bench", "T", f"C{number}", shared=False)
        return Event(f"e{number}", conversation, json.dumps({"number": number}))

    async def parse(self, payload: str) -> Message:
        number = json.loads(payload)["number"]
        return Message(
            id=str(number),
            text=f"message {number}",
            sender=Identity("bench", "T", f"U{number}"),
            sender_name="somebody",
            conversation=Conversation("bench", "T", f"C{number}", shared=False),
        )
