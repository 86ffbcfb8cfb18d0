"""Verified events and ratings as a channel hands them to the gateway, and what their ids may contain."""

import hashlib
import json
import re
from dataclasses import dataclass
from enum import StrEnum

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
    """Check an id that came from outside: that it can be stored, and that two different ids stay different.

    An id is a text of 1 to 512 bytes of UTF-8, without control characters, lone surrogates and U+FFFD, the replacement
    for characters that could not be decoded. Everything else is allowed, spaces and slashes included.

    Args:
        name: what the error calls it.

    Raises:
        MalformedEventError: if the value is no such text.
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
        content: whatever JSON has a form for: the text, and ids of the files.
    """
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:32]


class Change(StrEnum):
    """A change of a message that was sent before."""

    #: The event has the message as it reads now.
    EDITED = "edited"
    #: The event says that the message is gone.
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Piece:
    """The place of an event in a message that the platform delivers as several events, like the photos of an album.

    The message is complete once no piece has come for `Timings.piece_silence`.

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
    """A verified webhook that is for the bot: what is stored of it, and the keys that recognize a second delivery.

    Args:
        id: the platform's id of the event, unique in the tenant. A second delivery has the same one.
        conversation: where the answer goes. Its tenant and id fit `check_id`, are the same in every event of the
            conversation, and are never given to another one: history and order hang on them. Only the channel reads
            anything into the id, which may be composed, like `C012AB3CD/1718000000.000100`.
        payload: the body as it came, for `Interface.parse`.
        message_key: the id of the message, where the platform may report one message as several events, or as changed.
        piece: what the event is a piece of; `None` if it is a whole message.
        addressed: whether the event shows that it is for the bot. A piece that does not is answered together with one
            that does, and is removed if none comes. A change that does not is of account only for a message that was.
        author: the platform's id of who wrote the message. Only they can edit it, and stop its turn.
        content: a `digest` of what they wrote: an edit that changes nothing of it is none.
        change: what became of the message `message_key`; `None` if the event has a new message.
        revision: the number of an edit: later edits of the message have larger ones.
        stops: whether the message asks to stop what its author asked for before: see `is_stop` in
            `gateway.channels.commands`.

    Raises:
        MalformedEventError: if an id does not fit `check_id`, or the payload cannot be stored.
        ValueError: if a new message is not for the bot, a change is one of no message, or a message that stops is a
            change, a piece or of no author.
    """

    id: str
    conversation: Conversation
    payload: str
    message_key: str | None = None
    piece: Piece | None = None
    addressed: bool = True
    author: str | None = None
    content: str | None = None
    change: Change | None = None
    revision: int = 0
    stops: bool = False

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
            raise ValueError("a message that is not for the bot is not accepted, unless it is a piece of one")
        if self.stops and (self.author is None or self.change is not None or self.piece is not None):
            raise ValueError("only a whole new message of a known author stops a turn")


class Rating(StrEnum):
    """A person's rating of an answer."""

    #: Thumbs up.
    UP = "up"
    #: Thumbs down.
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Feedback:
    """A person's rating of an answer, which is named by its reference or by the platform's id of one of its messages.

    Args:
        identity: who rates it, from the signed payload.
        conversation: where they saw it. With a platform's id it may also be the place that the answer's conversation
            belongs to, like `C012AB3CD` for `C012AB3CD/1718000000.000100`: reactions come without their thread.
        reference: of the answer's turn.
        platform_id: as `Presenter.send_text` returned it.
        comment: what they write about it. Longer ones are cut.
        taken_back: whether they take this rating back. Another rating of theirs stays.

    Raises:
        MalformedEventError: if an id does not fit `check_id`.
        ValueError: if there is not exactly one of `reference` and `platform_id`.
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
            raise ValueError("an answer is named by its reference or by the platform's id of it")
        check_id("the person", self.identity.user_id)
        check_id("the conversation's id", self.conversation.id)
        check_id("the name of the answer", self.platform_id if self.reference is None else self.reference)
        object.__setattr__(self, "comment", storable(self.comment)[:LONGEST_COMMENT])
