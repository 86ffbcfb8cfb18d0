"""Parse the webhooks of the post office."""

import json
from typing import Any

from gateway.channels import Event, MalformedEventError
from gateway.channels.commands import command_in
from oauth import Identity
from toolkits import Conversation, Message

CHANNEL = "postbox"
FIELDS = ("id", "office", "from", "text")


def is_letter(fields: dict[str, Any]) -> bool:
    """Return whether a webhook is about a letter.

    Raises:
        MalformedEventError: a field of the letter is missing or not a text.
    """
    if fields.get("type") != "letter":
        return False
    for name in FIELDS:
        if not isinstance(fields.get(name), str):
            raise MalformedEventError(f"the field {name} of a letter is not a text")
    return True


def to_event(fields: dict[str, Any], payload: str) -> Event:
    text, (command, _) = fields["text"], command_in(fields["text"])
    said = {"text": text, "command": command, "stops": command == "stop"}
    return Event(fields["id"], conversation_of(fields), payload, author=fields["from"], **said)


def conversation_of(fields: dict[str, Any]) -> Conversation:
    return Conversation(CHANNEL, fields["office"], fields["from"], shared=False)


def to_message(payload: str) -> Message:
    fields = json.loads(payload)
    command, argument = command_in(fields["text"])
    return Message(
        id=fields["id"],
        text=fields["text"].strip(),
        sender=Identity(CHANNEL, fields["office"], fields["from"]),
        sender_name=fields["from"],
        conversation=conversation_of(fields),
        command=command,
        argument=argument,
        raw=payload,
    )
