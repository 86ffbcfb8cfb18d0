"""Verified events, ratings and reports, which channels hand to the gateway, and the check of their ids."""

import hashlib
import json
import re
from dataclasses import dataclass
from enum import StrEnum

from gateway.storage.tables import DeliveryStatus
from oauth import Identity
from oauth.errors import UnderstudyError
from toolkits import Conversation
from toolkits.text import storable

LONGEST_COMMENT = 4000  # characters
LONGEST_ID = 512  # bytes of UTF-8: three ids make one key of a PostgreSQL index, which takes 2,700

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_NOT_IN_IDS = re.compile("[\0-\x1f\x7f-\x9f\ud800-\udfff\ufffd]")


class MalformedEventError(UnderstudyError, ValueError):
    """An event cannot be stored. The gateway answers its webhook 400."""


def check_id(name: str, value: object) -> None:
    """Check that an id from outside can be stored as it is, so that different ids stay different.

    An id is a text of 1 to 512 bytes of UTF-8, without control characters, lone surrogates and U+FFFD, the replacement
    for characters that could not be decoded. All other characters are allowed, including spaces and slashes.

    Args:
        name: the name of the id in the error.
        value: the id.

    Raises:
        MalformedEventError: if the value is not a valid id.
    """
    if not isinstance(value, str):
        raise MalformedEventError(f"{name} is not text but {type(value).__name__}")
    if not value:
        raise MalformedEventError(f"{name} is empty")
    if len(value) > LONGEST_ID or _NOT_IN_IDS.search(value) or len(value.encode()) > LONGEST_ID:
        raise MalformedEventError(f"{name} is too long for an id, or has characters that no id has: {value[:40]!r}")


def digest(*content: object) -> str:
    """Return a digest of what a person wrote, for `Event.content`.

    Args:
        content: values that can be written as JSON: the text, and the ids of the files.
    """
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:32]


class Change(StrEnum):
    """A change of a message that was sent before."""

    #: The event has the new version of the message.
    EDITED = "edited"
    #: The message was deleted.
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Piece:
    """The position of an event in a message that the platform delivers as several events, like the photos of an album.

    The message is complete when no further piece has come for `Timings.piece_silence`.

    Args:
        group: the platform's id of the whole message, unique in the tenant.
        number: the position among the pieces: smaller numbers come first. No two pieces have the same.

    Raises:
        MalformedEventError: if the group does not fit `check_id`, or the number does not fit 64 bits.
    """

    group: str
    number: int

    def __post_init__(self) -> None:
        check_id("the piece's group", self.group)
        if not -(2**63) <= self.number < 2**63:
            raise MalformedEventError(f"the piece's number is too large: {self.number}")


@dataclass(frozen=True, slots=True)
class Event:
    """A verified event for the bot: the content to store, and the keys that identify a second delivery.

    Args:
        id: the platform's id of the event, unique in the tenant. A second delivery has the same id.
        conversation: where the answer goes. Its tenant and id pass `check_id`. They are the same in every event of the
            conversation and never identify another conversation, because history and order depend on them. Only the
            channel interprets the id, which may have several parts, like `C012AB3CD/1718000000.000100`.
        payload: the body as it arrived, for `Interface.parse`.
        message_key: the id of the message, if the platform may report one message in several events, or report changes.
        piece: the position in a message that comes in pieces; `None` if the event has a whole message.
        addressed: whether the event itself shows that it is for the bot. A piece that does not show it is answered
            together with a piece that does, and is removed if there is none. A change that does not show it affects
            only a message that was accepted.
        author: the platform's id of the person who wrote the message. Only this person can edit it or stop its turn.
            The access list and the limits of turns need it.
        author_tenant: the tenant of `Message.sender`, if it is not that of the conversation; an empty string if several
            people may share the author's id (`Message.anonymous`).
        content: a `digest` of what the author wrote. An edit with the same digest is ignored.
        change: the change of the message `message_key`; `None` if the event has a new message.
        revision: the number of an edit. Later edits of the message have larger numbers.
        stops: whether the message asks to stop the turn of an earlier message of its author.
        text: what the author wrote, as `Message.text` has it. It is not stored: it tells answers to questions and
            sign-in codes from messages that begin a turn.
        command: the command in the message that the gateway answers itself, as `Message.command` has it.

    Raises:
        MalformedEventError: if an id does not pass `check_id`, or the payload cannot be stored.
        ValueError: if a new message is not for the bot, if a change names no message, or if a message that stops is a
            change or a piece, or has no author.
    """

    id: str
    conversation: Conversation
    payload: str
    message_key: str | None = None
    piece: Piece | None = None
    addressed: bool = True
    author: str | None = None
    author_tenant: str | None = None
    content: str | None = None
    change: Change | None = None
    revision: int = 0
    stops: bool = False
    text: str = ""
    command: str | None = None

    def __post_init__(self) -> None:
        check_id("the event's id", self.id)
        check_id("the conversation's tenant", self.conversation.tenant)
        check_id("the conversation's id", self.conversation.id)
        if self.message_key is not None:
            check_id("the message's key", self.message_key)
        if not isinstance(self.payload, str) or _UNSTORABLE.search(self.payload):
            raise MalformedEventError("the payload is not text that can be stored")
        if self.author is not None:
            check_id("the author", self.author)
        if not 0 <= self.revision < 2**63:
            raise MalformedEventError(f"the edit's number is too large: {self.revision}")
        if self.change is not None and self.message_key is None:
            raise ValueError("a change has to name the message that changed")
        if self.change is None and self.piece is None and not self.addressed:
            raise ValueError("a message that is not for the bot is not accepted, unless it is a piece of a message")
        if self.stops and (self.author is None or self.change is not None or self.piece is not None):
            raise ValueError("only a whole new message of a known author stops a turn")

    @property
    def sender(self) -> Identity | None:
        """The person who wrote the message; `None` if the event does not tell who it is."""
        tenant = self.conversation.tenant if self.author_tenant is None else self.author_tenant
        return Identity(self.conversation.channel, tenant, self.author) if self.author and tenant else None


@dataclass(frozen=True, slots=True)
class DeliveryReport:
    """A platform's report about a message that it accepted: see `Host.report_delivery`.

    Args:
        tenant: the tenant of the message's conversation.
        key: the key that the sending method got, like `Presenter.send_text`.
        status: what became of the message.
        error: why the message failed: an error as the sending method would have raised it. After a
            `DeliveryRefusedError` or a `RecipientUnreachableError` the message is a dead letter; after any other error
            it is sent again, up to UNDERSTUDY_DELIVERY_TRIES times.

    Raises:
        MalformedEventError: if the tenant or the key does not pass `check_id`.
        ValueError: if a message that failed has no error, or another message has one.
    """

    channel: str
    tenant: str
    key: str
    status: DeliveryStatus
    error: Exception | None = None

    def __post_init__(self) -> None:
        check_id("the tenant", self.tenant)
        check_id("the key of the delivery", self.key)
        if (self.error is not None) != (self.status is DeliveryStatus.FAILED):
            raise ValueError("a report has an error if the message failed, and only then")


class Rating(StrEnum):
    """A person's rating of an answer."""

    #: Thumbs up.
    UP = "up"
    #: Thumbs down.
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Feedback:
    """A person's rating of an answer. Either the reference or the platform's id of a message identifies the answer.

    Args:
        identity: the person who rates, from the signed payload.
        conversation: where the person saw the answer. If `platform_id` is given, it may also be the place that contains
            the conversation, like `C012AB3CD` for `C012AB3CD/1718000000.000100`: reactions come without their thread.
        rating: the rating.
        reference: the reference of the answer's turn.
        platform_id: the platform's id of a message of the answer, as `Presenter.send_text` returned it.
        comment: the person's comment. It is cut to 4,000 characters.
        taken_back: whether the person takes this rating back. If the stored rating is another one, it stays.

    Raises:
        MalformedEventError: if an id does not pass `check_id`.
        ValueError: if not exactly one of `reference` and `platform_id` is given.
    """

    identity: Identity
    conversation: Conversation
    rating: Rating
    reference: str | None = None
    platform_id: str | None = None
    comment: str = ""
    taken_back: bool = False

    def __post_init__(self) -> None:
        if (self.reference is None) == (self.platform_id is None):
            raise ValueError("Feedback(…) takes either the reference of an answer or the platform's id of a message")
        check_id("the person", self.identity.user_id)
        check_id("the conversation's id", self.conversation.id)
        check_id("the name of the answer", self.platform_id if self.reference is None else self.reference)
        object.__setattr__(self, "comment", storable(self.comment)[:LONGEST_COMMENT])
