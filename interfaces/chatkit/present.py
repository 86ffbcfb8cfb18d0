from dataclasses import dataclass

from gateway.events import TurnEvent
from gateway.interface import Delivery, Presenter, SignIn
from interfaces.listeners import Listeners
from toolkits import Conversation, Message


@dataclass(frozen=True, slots=True)
class Said:
    """Something was said: it is in the transcript."""


class ChatKitPresenter(Presenter):
    """Tells the open streams of a thread what happens. What was said is in the transcript, which they read."""

    streams = True

    def __init__(self) -> None:
        self.listeners = Listeners[Conversation, TurnEvent | Said]()

    async def show(self, message: Message, event: TurnEvent) -> None:
        self.listeners.tell(message.conversation, event)

    def parts(self, markdown: str) -> list[str]:
        return [markdown]

    async def send_text(self, conversation: Conversation, text: str, reply_to: str, *, key: str) -> None:
        self.listeners.tell(conversation, Said())

    async def was_sent(self, delivery: Delivery) -> bool | None:
        return True  # it is in the transcript, whether anybody listened or not

    async def send_sign_in(self, sign_in: SignIn) -> None:
        self.listeners.tell(sign_in.conversation, Said())  # the link is made for who reads it
