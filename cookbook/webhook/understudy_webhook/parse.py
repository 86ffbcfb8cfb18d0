"""Messages as the host application posts them."""

import json
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gateway.channels import Event, MalformedEventError
from gateway.channels.commands import command_in
from oauth import Identity
from toolkits import Conversation, Message

CHANNEL = "webhook"
DEFAULT_TENANT = "default"

Id = Annotated[str, Field(min_length=1, max_length=200)]


class _Fields(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")


class _Sender(_Fields):
    id: Id
    name: str = ""


class _Conversation(_Fields):
    id: Id
    shared: bool = False


class _Posted(_Fields):
    id: Id
    tenant: Id = DEFAULT_TENANT
    conversation: _Conversation
    sender: _Sender
    text: Annotated[str, Field(max_length=100_000)]


def is_message(fields: dict[str, Any]) -> bool:
    """Return whether a request is a message: an application may post other types, which start no turn."""
    return bool(fields.get("type", "message") == "message")


def to_event(fields: dict[str, Any], payload: str) -> Event:
    """Return a posted message as an event.

    Raises:
        MalformedEventError: if a field is missing or of another type.
    """
    try:
        posted = _Posted.model_validate(fields)
    except ValidationError as error:
        wrong = error.errors(include_input=False, include_url=False, include_context=False)[0]
        raise MalformedEventError(f"{'.'.join(map(str, wrong['loc']))} of a message: {wrong['msg']}") from None
    return Event(posted.id, _conversation_of(posted), payload)


def to_message(payload: str) -> Message:
    """Return a stored message in channel-neutral form."""
    posted = _Posted.model_validate(json.loads(payload))
    command, argument = command_in(posted.text)
    return Message(
        id=posted.id,
        text=posted.text.strip(),
        sender=Identity(CHANNEL, posted.tenant, posted.sender.id),
        sender_name=posted.sender.name or posted.sender.id,
        conversation=_conversation_of(posted),
        command=command,
        argument=argument,
        raw=payload,
    )


def direct_conversation(identity: Identity) -> Conversation:
    """Return the conversation of one person with the bot: its id is the person's."""
    return Conversation(CHANNEL, identity.tenant, identity.user_id, shared=False)


def _conversation_of(posted: _Posted) -> Conversation:
    return Conversation(CHANNEL, posted.tenant, posted.conversation.id, posted.conversation.shared)
