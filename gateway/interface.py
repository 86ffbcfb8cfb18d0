"""What a channel is to the gateway, and the gateway to a channel."""

import asyncio
import re
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar, Protocol

from starlette.routing import BaseRoute

from gateway.events import TurnEvent
from gateway.live import LiveView
from gateway.retries import bounded_wait
from gateway.threads import ThreadStore
from oauth import Identity
from oauth.installations import InstallationStore
from toolkits import Conversation, Message

LONGEST_ID = 512  # bytes of UTF-8: three of them are one key of a PostgreSQL index, which takes 2,700

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_NO_ID = re.compile("[\0-\x1f\x7f-\x9f\ud800-\udfff\ufffd]")


class MalformedEventError(ValueError):
    """An event cannot be stored. The gateway answers its webhook 400."""


def check_id(name: str, value: object) -> None:
    """Check that an id that came from outside can be stored and is the same everywhere.

    Raises:
        MalformedEventError: if it is no text, empty, too long, or has control characters or ones that stand for
            characters which could not be decoded.
    """
    if not isinstance(value, str):
        raise MalformedEventError(f"{name} is no text but {type(value).__name__}")
    if not value:
        raise MalformedEventError(f"{name} is empty")
    if len(value) > LONGEST_ID or _NO_ID.search(value) or len(value.encode()) > LONGEST_ID:
        raise MalformedEventError(f"{name} is no id: {value[:40]!r}")


@dataclass(frozen=True, slots=True)
class Event:
    """A verified webhook for us: what is stored of it, and the keys it is known by.

    Args:
        id: the platform's id of the event, unique in the tenant: a second delivery has the same one.
        message_key: the message itself, where the platform may report one message as several events.
        payload: the body as it came, for `Interface.parse`.
        claims: a message key that this event takes without being a duplicate where it is taken: later events with that
            `message_key` are duplicates of this one.

    Raises:
        MalformedEventError: if one of the ids is none, or the payload cannot be stored.
    """

    id: str
    conversation: Conversation
    payload: str
    message_key: str | None = None
    claims: str | None = None

    def __post_init__(self) -> None:
        check_id("the event's id", self.id)
        check_id("the conversation's tenant", self.conversation.tenant)
        check_id("the conversation's id", self.conversation.id)
        if self.message_key is not None:
            check_id("the message's key", self.message_key)
        if self.claims is not None:
            check_id("the key that it claims", self.claims)
        if not isinstance(self.payload, str) or _UNSTORABLE.search(self.payload):
            raise MalformedEventError("the payload is no text that can be stored")


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


SIGN_IN_TERMS = (
    "The link is for you alone and works for ten minutes. Sign in, and if the page then shows a code, send it to me "
    "here: after that I answer."
)
"""The sentence that stands beside a sign-in link."""

HELD_ANSWER = "answer"
"""What `/start` is followed by where a person was told to write directly for an answer that waits for them."""


AGAIN = "(Sent again: I cannot tell whether it reached you before.)"
MARK_LENGTH = 100  # characters that a channel leaves free in each part, for marks like that


class DeliveryRefused(Exception):  # noqa: N818
    """The platform will never take this: there is no point in trying again."""


class Unreachable(DeliveryRefused):
    """Nothing can be sent there any more: nor that something could not be sent."""


class DeliveryAmbiguous(Exception):  # noqa: N818
    """It is not known whether the platform took this: the answer was lost, or said that something went wrong there."""


class RetryLater(Exception):  # noqa: N818
    """The platform did not take this, and asks to send nothing for the tenant for so many seconds.

    Args:
        seconds: taken for an hour if it is more, and for a second if it is less.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = bounded_wait(seconds)
        super().__init__(f"in {self.seconds} seconds")


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

    What sends raises `DeliveryRefused`, `DeliveryAmbiguous` or `RetryLater` where that is so. Anything else means that
    the platform did not take it, and is tried again.
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
        return f"{AGAIN}\n{text}"

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
            DeliveryRefused: if the person cannot be reached. The text is kept for when they write to the bot directly.
        """
        raise DeliveryRefused("this channel sends nothing to one person alone")

    async def send_private_note(
        self, identity: Identity, conversation: Conversation, reply_to: str, *, reached: bool
    ) -> None:
        """Says, where a person asked, that the answer went to them alone, or waits for them to write directly.

        Args:
            reached: whether it could be sent to them. Where not, whoever writes to the bot directly gets what waits
                for them.

        Raises:
            DeliveryRefused: as `send_text`.
        """
        raise DeliveryRefused("this channel sends nothing to one person alone")

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
            DeliveryRefused: as `send_text`.
        """


class Host(Protocol):
    """What the gateway does for its channels."""

    base_url: str | None

    @property
    def installations(self) -> InstallationStore:
        """The bot tokens of the workspaces that installed the app, encrypted.

        Raises:
            SettingError: if there is no key to encrypt them with.
        """
        ...

    async def accept(self, event: Event) -> bool:
        """Commits an event to the inbox; returns whether it is new. Then, and not before, the webhook is answered.

        What it raises is answered 503 by the gateway: the platform delivers the event again.
        """
        ...

    async def has_answered_in(self, conversation: Conversation) -> bool:
        """Whether a message of this conversation was accepted before."""
        ...

    async def move(self, conversation: Conversation, conversation_id: str) -> None:
        """Give a conversation another id: what waits there, and its history, go with it.

        Nothing happens where there is no such conversation, or one with the new id already.
        """
        ...

    async def publish(self, conversation: Conversation, message: str) -> None:
        """Tells something of a conversation to who listens, in whichever process. It may be lost."""
        ...

    async def subscribe(self, conversation: Conversation) -> AbstractContextManager[asyncio.Queue[str | None]]:
        """What is published of a conversation from now on, in a block; `None` when there will be no more."""
        ...

    async def is_busy(self, conversation: Conversation) -> bool:
        """Whether something of a conversation is being answered, or waits for its turn."""
        ...

    @property
    def threads(self) -> ThreadStore:
        """The conversations that people begin and name themselves."""
        ...

    async def transcript(self, conversation: Conversation) -> Sequence["TranscriptEntry"]:
        """What was said in a conversation, oldest first."""
        ...

    def provider_label(self, provider: str) -> str:
        """What people call a provider."""
        ...

    async def sign_in_link(self, identity: Identity, name: str, provider: str) -> str:
        """A sign-in link for a person, who is the one that asks for it.

        Args:
            name: what the channel shows for them.
        """
        ...


@dataclass(frozen=True, slots=True)
class TranscriptEntry:
    """One message in (`payload`) or one part of an answer out (`text`, or `provider` for a sign-in link).

    Args:
        at: when it was accepted, or written; aware, in UTC.
    """

    id: str
    at: datetime
    payload: str | None = None
    text: str | None = None
    provider: str | None = None


class Interface(Protocol):
    """A channel: its routes, its parser, its presenter."""

    channel: str
    presenter: Presenter

    @property
    def address(self) -> str:
        """The path that the platform calls, for the operator."""
        ...

    def routes(self) -> Sequence[BaseRoute]: ...

    async def start(self, host: Host) -> None:
        """Begins to take requests.

        Raises:
            SettingError: if the platform rejects a setting.
        """
        ...

    async def stop(self) -> None: ...

    async def parse(self, payload: str) -> Message | None:
        """A stored payload as a message, or `None` if there is nothing to answer in it."""
        ...
