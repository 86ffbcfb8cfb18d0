from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar

from gateway.channels.errors import DeliveryRefusedError
from gateway.channels.live import LiveView
from gateway.channels.sentences import SENT_AGAIN
from gateway.runs.events import TurnEvent
from oauth import Identity
from toolkits import Conversation, Message


@dataclass(frozen=True, slots=True)
class SignIn:
    """A request to a person to connect an account. Nobody else may see the link.

    Args:
        link: makes the link, now. It is good once and for ten minutes.
        ticket: a word that all may see; sent back by `identity` as `/start TICKET` it brings a link.
    """

    identity: Identity
    conversation: Conversation
    reply_to: str
    label: str
    link: Callable[[], Awaitable[str]]
    ticket: str


HELD_ANSWER = "answer"
"""What `/start` is followed by where a person was told to write directly for an answer that waits for them."""


MARK_LENGTH = 100  # characters that a channel leaves free in each part, for a mark like SENT_AGAIN


@dataclass(frozen=True, slots=True)
class Delivery:
    """A text that a platform was asked to send.

    Args:
        key: what `send_text` was given.
        identity: whom alone it was for, if it was for one person alone.
        since: it was not sent before then; aware, in UTC.
    """

    key: str
    conversation: Conversation
    text: str
    identity: Identity | None
    since: datetime


class Presenter(ABC):
    """Shows turns in a channel: turn events and answers in, platform calls out.

    A method that sends raises `DeliveryRefusedError`, `DeliveryAmbiguousError` or `RetryLaterError` where that is so.
    Any other exception means that the platform did not take the message: it is tried again.
    """

    reply_window: ClassVar[timedelta | None] = None
    """How long after somebody last wrote the platform lets us write to them, where it is a matter of time."""

    streams: ClassVar[bool] = False
    """Whether `show` does something with text as it is written."""

    async def show(self, message: Message, event: TurnEvent) -> None:
        """Shows what happens in a turn that is not over. It may come to nothing: the answer follows."""
        return

    def live_view(self, message: Message) -> LiveView | None:
        """What shows the turn of a message while it runs; `None` where nothing does."""
        return None

    async def vouched_email(self, identity: Identity) -> str | None:
        """The e-mail address that the platform vouches for as this person's, where the operator trusts it in that."""
        return None

    @abstractmethod
    def parts(self, markdown: str) -> list[str]:
        """Return an answer as the platform takes it, in as many parts as its limit asks for.

        It is called in a thread for a long text, and shows as plain text what it cannot render.
        """

    @abstractmethod
    async def send_text(self, conversation: Conversation, text: str, reply_to: str, *, key: str) -> str | None:
        """Sends one part of an answer: one platform call.

        Args:
            reply_to: the id of the message it answers, empty if it answers none.
            key: what tells this text from all others, for `was_sent`.

        Returns:
            The platform's id of the message, where people can reply to it in a conversation of its own: see `root`.
        """

    async def was_sent(self, delivery: Delivery) -> bool | None:
        """Whether a text arrived at the platform, of which that is not known; `None` where it cannot be looked up."""
        return None

    def again(self, text: str) -> str:
        """A part of an answer, marked as one that may have come before. It has to be a part that the platform takes."""
        return f"{SENT_AGAIN}\n{text}"

    async def send_private_text(
        self, identity: Identity, conversation: Conversation, text: str, *, first: bool, key: str
    ) -> str | None:
        """Sends one part of an answer to its person alone, who asked in a conversation that others read: one call.

        A channel that has shared conversations implements it, `send_private_note` and `is_direct`.

        Args:
            conversation: where they asked.
            first: whether it is the first part.

        Returns:
            As `send_text`.

        Raises:
            DeliveryRefusedError: if the person cannot be reached. The text is kept until they write to the bot.
        """
        raise DeliveryRefusedError("this channel sends nothing to one person alone")

    async def send_private_note(
        self, identity: Identity, conversation: Conversation, reply_to: str, *, reached: bool
    ) -> None:
        """Says, where a person asked, that the answer went to them alone, or waits for them to write directly.

        Args:
            reached: whether it could be sent to them. Where not, whoever writes to the bot directly gets what waits
                for them.

        Raises:
            DeliveryRefusedError: as `send_text`.
        """
        raise DeliveryRefusedError("this channel sends nothing to one person alone")

    def is_direct(self, identity: Identity, conversation: Conversation) -> bool:
        """Return whether a conversation is the one in which a person reads what `send_private_text` sends.

        A yes to a question that was sent like that counts only there.
        """
        return False

    def root(self, conversation: Conversation) -> str | None:
        """Return the platform's id of the message that a conversation replies to; `None` where it replies to none.

        A yes counts there, too, if that message is the question.
        """
        return None

    @abstractmethod
    async def send_sign_in(self, sign_in: SignIn) -> None:
        """Sends a sign-in link in the direct conversation of its person, where they may have to send a code.

        Raises:
            DeliveryRefusedError: as `send_text`.
        """
