"""Read the pictures and PDFs of earlier messages again, for questions about them."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.attachments.files import ModelFile, Takes, model_file
from toolkits import Attachment, AttachmentError, AttachmentKind

MOST_FILES = 5  # of earlier messages
MOST_BYTES = 10 * 2**20  # of all these files together
MOST_CHARACTERS = 80  # of an earlier message, which identify it for the model
# For other kinds, the history already has the text.
KINDS = (AttachmentKind.IMAGE, AttachmentKind.STICKER, AttachmentKind.DOCUMENT)
INTRODUCTION = "[Sent earlier in this conversation:]"
GONE = "no longer available"


@dataclass(frozen=True, slots=True)
class EarlierMessage:
    """An earlier message with files.

    Args:
        text: the text of the message.
        attachments: the files; empty if the message is no longer stored.
    """

    text: str
    attachments: Sequence[Attachment]

    @property
    def quoted(self) -> str:
        """The beginning of the message, in quotation marks."""
        line = " ".join(self.text.split())
        return repr(f"{line[:MOST_CHARACTERS]}…" if len(line) > MOST_CHARACTERS else line)


@dataclass(frozen=True, slots=True)
class SentEarlier:
    """The files of earlier messages, as the model gets them.

    Args:
        text: a list of these files, in the same order, and of files that are no longer available; empty if there are
            none.
        files: the files.
    """

    text: str = ""
    files: Sequence[ModelFile] = ()


NOTHING = SentEarlier()


async def read_earlier(messages: Sequence[EarlierMessage], takes: Takes, room: int) -> SentEarlier:
    """Fetch the last files of earlier messages, concurrently, and return the files that the model takes.

    Args:
        messages: the earlier messages, oldest first.
        takes: returns whether the model takes files of a media type.
        room: how many bytes of files the prompt may still get.
    """
    room = min(room, MOST_BYTES)
    sent = [
        (message, attachment)
        for message in messages
        for attachment in message.attachments
        if attachment.kind in KINDS and attachment.fetch is not None and (attachment.size or 0) <= room
    ][-MOST_FILES:]
    read = await asyncio.gather(*(_read(attachment, takes) for _, attachment in sent))
    kept = list[ModelFile]()
    lines = list[str]()
    for (message, attachment), found in reversed(list(zip(sent, read, strict=True))):  # the latest files get room first
        label = f"{attachment.title}, with {message.quoted}"
        if isinstance(found, AttachmentError):
            lines.insert(0, f"[{label}: {GONE}]")
        elif found is not None and len(found.data) <= room:
            room -= len(found.data)
            kept.insert(0, found)
            lines.insert(0, f"[{label}]")
    removed = [f"[files, with {message.quoted}: {GONE}]" for message in messages if not message.attachments]
    lines = [*removed, *lines]
    return SentEarlier("\n".join((INTRODUCTION, *lines)), kept) if lines else NOTHING


async def _read(attachment: Attachment, takes: Takes) -> ModelFile | AttachmentError | None:
    """Return a file for the model, or the error if it cannot be fetched; `None` if the model takes no such files."""
    try:
        return model_file(await attachment.read(), attachment, takes)
    except AttachmentError as error:
        return error
