import json

from pydantic import BaseModel, Field

from gateway.channels import Event
from gateway.channels.commands import command_in
from oauth import Identity
from toolkits import Conversation, Message

CHANNEL = "web"
TENANT = "dev"


class Submission(BaseModel):
    """What the page posts: a message, under an id of the page's own that makes a repeated post one message."""

    id: str = Field(min_length=1, max_length=64)
    text: str = Field(min_length=1, max_length=20_000)


def identity_of(person: str) -> Identity:
    return Identity(CHANNEL, TENANT, person)


def conversation_of(person: str) -> Conversation:
    return Conversation(CHANNEL, TENANT, person, shared=False)


def to_event(person: str, submission: Submission) -> Event:
    payload = json.dumps({"person": person, **submission.model_dump()}, ensure_ascii=False)
    return Event(f"{person}/{submission.id}", conversation_of(person), payload)


def to_message(payload: str, names: dict[str, str]) -> Message:
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
