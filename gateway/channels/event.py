import re
from dataclasses import dataclass

from oauth.errors import UnderstudyError
from toolkits import Conversation

LONGEST_ID = 512  # bytes of UTF-8: three of them are one key of a PostgreSQL index, which takes 2,700


_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


_NO_ID = re.compile("[\0-\x1f\x7f-\x9f\ud800-\udfff\ufffd]")


class MalformedEventError(UnderstudyError, ValueError):
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
