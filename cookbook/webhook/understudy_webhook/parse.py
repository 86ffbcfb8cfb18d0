"""Messages from requests of the host application, and conversations in the terms of the host."""

from typing import Annotated, Any, NamedTuple
from urllib.parse import quote, unquote

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from gateway.channels import Event, MalformedEventError, check_id
from gateway.channels.commands import command_in
from oauth import Identity
from toolkits import Attachment, Conversation, Message, kind_of

TENANT = "host"  # unless the host names one, because it has several customers
MESSAGE = "message"
SHARED, DIRECT = "shared", "direct"


def _is_id(value: str) -> str:
    check_id("it", value)
    return value


Id = Annotated[str, AfterValidator(_is_id)]


class _Fields(BaseModel):
    model_config = ConfigDict(strict=True)


class _Sender(_Fields):
    id: Id
    name: str = ""


class _Attachment(_Fields):
    kind: str


class _Posted(_Fields):
    id: Id
    conversation: Id
    shared: bool
    sender: _Sender
    text: str
    tenant: Id = TENANT
    attachments: list[_Attachment] = []


class Place(NamedTuple):
    """A conversation in the terms of the host.

    Args:
        conversation: the id that the host gave the conversation.
        person: the id of the only person who reads the conversation; `None` if it is shared.
    """

    conversation: str
    person: str | None


def is_message(fields: dict[str, Any]) -> bool:
    """Return whether a request is a message that has a text or attachments to answer.

    Raises:
        MalformedEventError: if a field of the message is missing, or has the wrong type.
    """
    if fields.get("type", MESSAGE) != MESSAGE:
        return False
    posted = _checked(fields)
    return bool(posted.text.strip() or posted.attachments)


def to_event(channel: str, fields: dict[str, Any], payload: str) -> Event:
    """Return the event of a message, for the inbox."""
    posted = _checked(fields)
    command, _ = command_in(posted.text)
    return Event(
        posted.id,
        _conversation_of(channel, posted),
        payload,
        author=posted.sender.id,
        stops=command == "stop",
        text=posted.text,
        command=command,
    )


def to_message(channel: str, payload: str) -> Message:
    """Return the message in a stored payload."""
    posted = _Posted.model_validate_json(payload)
    text = posted.text.strip()
    command, argument = command_in(text)
    return Message(
        id=posted.id,
        text=text,
        sender=Identity(channel, posted.tenant, posted.sender.id),
        sender_name=posted.sender.name or posted.sender.id,
        conversation=_conversation_of(channel, posted),
        attachments=tuple(
            Attachment(kind_of(attachment.kind), media_type=attachment.kind) for attachment in posted.attachments
        ),
        command=command,
        argument=argument,
        raw=payload,
    )


def conversation_with(identity: Identity) -> Conversation:
    """Return the direct conversation with a person: the one to which the host gives the person's own id."""
    return _direct(identity.channel, identity.tenant, identity.user_id, identity.user_id)


def place_of(conversation: Conversation) -> Place:
    """Translate a conversation into the terms of the host."""
    kind, _, rest = conversation.id.partition("/")
    name, _, person = rest.partition("/")
    return Place(unquote(name), unquote(person) if kind == DIRECT else None)


def _checked(fields: dict[str, Any]) -> _Posted:
    try:
        return _Posted.model_validate(fields)
    except ValidationError as error:
        wrong = error.errors(include_input=False, include_url=False, include_context=False)[0]
        where = ".".join(map(str, wrong["loc"]))
        problem = wrong["msg"].removeprefix("Value error, ")
        raise MalformedEventError(
            f"the field {where} of a message of the host application is wrong: {problem}"
        ) from None


def _conversation_of(channel: str, posted: _Posted) -> Conversation:
    """Return the conversation in which a message was written.

    Its id contains whether the conversation is shared, and the id of its person if it is direct. So nothing private is
    mixed up if the host uses one id for a shared and a direct conversation, or for the conversations of two people.
    """
    if posted.shared:
        return Conversation(channel, posted.tenant, f"{SHARED}/{_quoted(posted.conversation)}", shared=True)
    return _direct(channel, posted.tenant, posted.conversation, posted.sender.id)


def _direct(channel: str, tenant: str, name: str, person: str) -> Conversation:
    return Conversation(channel, tenant, f"{DIRECT}/{_quoted(name)}/{_quoted(person)}", shared=False)


def _quoted(name: str) -> str:
    return quote(name, safe="")
