"""What a person writes in ChatKit, as it is stored: https://openai.github.io/chatkit-python/"""

import json
from dataclasses import dataclass

from gateway.interface import Event
from interfaces.commands import command_in
from oauth import Identity
from toolkits import Conversation, Message

CHANNEL = "chatkit"


@dataclass(frozen=True, slots=True)
class Person:
    """Who a request comes from, as the host application knows it.

    Args:
        name: what the agent is told they are called.
        tenant: tells apart the customers of a host application that serves several; ids are unique in it.

    Raises:
        ValueError: if there is no id.
    """

    user_id: str
    name: str = ""
    tenant: str = "app"

    def __post_init__(self) -> None:
        if not self.user_id or not self.tenant:
            raise ValueError("a person without an id could be anybody")

    @property
    def identity(self) -> Identity:
        return Identity(CHANNEL, self.tenant, self.user_id)


def conversation_of(person: Person, thread_id: str) -> Conversation:
    return Conversation(CHANNEL, person.tenant, thread_id, shared=False)


def to_event(person: Person, thread_id: str, message_id: str, text: str) -> Event:
    fields = {
        "id": message_id,
        "thread_id": thread_id,
        "tenant": person.tenant,
        "user_id": person.user_id,
        "name": person.name,
        "text": text,
    }
    payload = json.dumps(fields, ensure_ascii=False)
    return Event(f"{thread_id}/{message_id}", conversation_of(person, thread_id), payload)


def to_message(payload: str) -> Message:
    fields = json.loads(payload)
    person, text = Person(fields["user_id"], fields["name"], fields["tenant"]), fields["text"].strip()
    command, argument = command_in(text)
    return Message(
        id=fields["id"],
        text=text,
        sender=person.identity,
        sender_name=person.name or person.user_id,
        conversation=conversation_of(person, fields["thread_id"]),
        command=command,
        argument=argument,
        raw=payload,
    )
