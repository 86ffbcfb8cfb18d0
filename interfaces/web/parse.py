"""Read the requests of the page."""

import json
from collections.abc import Callable, Sequence

from pydantic import BaseModel, Field

from gateway.channels import Event, Feedback, Host, Rating, StoredFile
from gateway.channels.commands import command_in
from gateway.channels.uploads import described, to_attachments
from oauth import Identity
from toolkits import Conversation, Message

CHANNEL = "web"
TENANT = "dev"
MOST_FILES = 10  # of one message
MOST_CHOICES = 100  # of a question


class Submission(BaseModel):
    """A message that the page posts. The page chooses the id, so that a message that is posted again is accepted once.

    Args:
        files: the ids of files that the person uploaded.
    """

    id: str = Field(min_length=1, max_length=64)
    text: str = Field(max_length=20_000)
    files: list[str] = Field(default=[], max_length=MOST_FILES)


class GivenRating(BaseModel):
    """A rating that the page posts."""

    reference: str = Field(min_length=1, max_length=64)
    rating: Rating
    taken_back: bool = Field(default=False, alias="takenBack")
    comment: str = Field(default="", max_length=20_000)


class PressedButton(BaseModel):
    """The button of a question, by the place of its choice."""

    question: str = Field(min_length=1, max_length=64)
    choice: int = Field(ge=0, le=MOST_CHOICES)


def identity_of(person: str) -> Identity:
    """Return the identity of a person."""
    return Identity(CHANNEL, TENANT, person)


def conversation_of(person: str) -> Conversation:
    """Return the conversation of a person: each has one."""
    return Conversation(CHANNEL, TENANT, person, shared=False)


def to_event(person: str, submission: Submission, files: Sequence[StoredFile]) -> Event:
    """Return a message of a person as an event.

    Args:
        files: the files that the submission names.
    """
    fields = {"person": person, **submission.model_dump(), "files": described(files)}
    payload = json.dumps(fields, ensure_ascii=False)
    command, _ = command_in(submission.text)
    return Event(
        f"{person}/{submission.id}",
        conversation_of(person),
        payload,
        author=person,
        stops=command == "stop",
        text=submission.text,
        command=command,
    )


def to_feedback(person: str, given: GivenRating) -> Feedback:
    """Return a person's rating of an answer."""
    return Feedback(
        identity_of(person),
        conversation_of(person),
        given.rating,
        reference=given.reference,
        comment=given.comment,
        taken_back=given.taken_back,
    )


def to_message(payload: str, names: dict[str, str], host: Callable[[], Host]) -> Message:
    """Return a stored message in channel-neutral form.

    Args:
        names: the names of the people, by their ids.
        host: returns the gateway. It is called when a file of the message is read.
    """
    fields = json.loads(payload)
    person, text = fields["person"], fields["text"].strip()
    command, argument = command_in(text)
    return Message(
        id=fields["id"],
        text=text,
        sender=identity_of(person),
        sender_name=names.get(person, person),
        conversation=conversation_of(person),
        attachments=to_attachments(fields.get("files", ()), host, identity_of(person)),
        command=command,
        argument=argument,
        raw=payload,
    )
