"""Turn messages in ChatKit into events, and stored payloads into messages: https://openai.github.io/chatkit-python/"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from starlette.exceptions import HTTPException

from gateway.channels import Event, Host, StoredFile, check_id
from gateway.channels.commands import command_in
from gateway.channels.uploads import described, to_attachments
from oauth import Identity
from toolkits import Conversation, Message

CHANNEL = "chatkit"
UPLOADS = "/uploads"  # the path of uploads, below the channel's address
MOST_LISTED = 1000  # threads or items in one page
LONGEST_TITLE = 500  # characters


@dataclass(frozen=True, slots=True)
class Person:
    """A person, as the host application knows them.

    Args:
        user_id: unique in the tenant.
        name: the name that the agent gets; the user id if it is empty.
        tenant: the customer, in a host application with several customers.

    Raises:
        ValueError: if an id is empty.
    """

    user_id: str
    name: str = ""
    tenant: str = "app"

    def __post_init__(self) -> None:
        if not self.user_id or not self.tenant:
            raise ValueError("a Person needs a user_id and a tenant: one without an id could be anybody")

    @property
    def identity(self) -> Identity:
        return Identity(CHANNEL, self.tenant, self.user_id)


def check_params(params: object) -> None:
    """Check the parameters of a request that ChatKit's own types do not limit.

    Raises:
        MalformedEventError: if an id cannot be stored.
        HTTPException: 400 if a page or a title is too long.
    """
    if not isinstance(params, dict):
        return  # if the request needs parameters, ChatKit's types refuse it
    for name in ("thread_id", "item_id", "after"):
        if params.get(name) is not None:
            check_id(name, params[name])
    limit, title = params.get("limit"), params.get("title")
    if limit is not None and (type(limit) is not int or not 1 <= limit <= MOST_LISTED):
        raise HTTPException(400, f"limit has to be a number from 1 to {MOST_LISTED}.")
    if isinstance(title, str) and len(title) > LONGEST_TITLE:
        raise HTTPException(400, f"A title has at most {LONGEST_TITLE} characters.")


def conversation_of(person: Person, thread_id: str) -> Conversation:
    """Return the conversation of a thread."""
    return Conversation(CHANNEL, person.tenant, thread_id, shared=False)


def to_event(person: Person, thread_id: str, message_id: str, text: str, files: Sequence[StoredFile] = ()) -> Event:
    """Return a message in a thread as an event."""
    fields = {
        "id": message_id,
        "thread_id": thread_id,
        "tenant": person.tenant,
        "user_id": person.user_id,
        "name": person.name,
        "text": text,
        "files": described(files),
    }
    payload = json.dumps(fields, ensure_ascii=False)
    command, _ = command_in(text)
    return Event(
        f"{thread_id}/{message_id}",
        conversation_of(person, thread_id),
        payload,
        author=person.user_id,
        stops=command == "stop",
        text=text,
        command=command,
    )


def to_message(payload: str, host: Callable[[], Host]) -> Message:
    """Return a stored message in channel-neutral form.

    Args:
        host: returns the gateway. It is called when a file of the message is read.
    """
    fields = json.loads(payload)
    person, text = Person(fields["user_id"], fields["name"], fields["tenant"]), fields["text"].strip()
    command, argument = command_in(text)
    return Message(
        id=fields["id"],
        text=text,
        sender=person.identity,
        sender_name=person.name or person.user_id,
        conversation=conversation_of(person, fields["thread_id"]),
        attachments=to_attachments(fields.get("files", ()), host, person.identity),
        command=command,
        argument=argument,
        raw=payload,
    )


def file_ids(payload: str) -> list[str]:
    """Return the ids of the files that a stored message names."""
    return [fields["id"] for fields in json.loads(payload).get("files", ())]
