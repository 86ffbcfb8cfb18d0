"""Read what the page posts."""

import json

from pydantic import BaseModel, Field

from gateway.channels import Event
from gateway.channels.commands import command_in
from oauth import Identity
from toolkits import Conversation, Message

CHANNEL = "web"
TENANT = "dev"


class Submission(BaseModel):
    """A message that the page posts. Its id is the page's own, so that a message that is posted again is one."""

    id: str = Field(min_length=1, max_length=64)
    text: str = Field(min_length=1, max_length=20_000)


def identity_of(person: str) -> Identity:
    """Return the identity of a person."""
    return Identity(CHANNEL, TENANT, person)


def conversation_of(person: str) -> Conversation:
    """Return the conversation of a person: each has one."""
    return Conversation(CHANNEL, TENANT, person, shared=False)


def to_event(person: str, submission: Submission) -> Event:
    """Return a message of a person as an event."""
    payload = json.dumps({"person": person, **submission.model_dump()}, ensure_ascii=False)
    return Event(f"{person}/{submission.id}", conversation_of(person), payload)


def to_message(payload: str, names: dict[str, str]) -> Message:
    """Return a stored message in channel-neutral form, with the names by which people are shown."""
    fields = json.loads(payload)
    person, text = fields["person"], fields["text"].strip()
    command, argument = command_in(text)
    return Message(
        id=fields["id"],
        text=text,
        sender=identity_of(person),
        sender_name=names.get(person, person),
        conversation=conversation_of(person),
        command=command,
        argument=argument,
        raw=payload,
    )
