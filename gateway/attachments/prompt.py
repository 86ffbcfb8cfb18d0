"""Make the prompt for a message from its text, its attachments, and the messages that it refers to."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from gateway.attachments.earlier import NOTHING, SentEarlier
from gateway.attachments.files import ModelFile, Takes, model_file
from gateway.attachments.media import is_recording, media_type_of
from gateway.attachments.quoting import quotation
from gateway.attachments.texts import NotTextError, shortened, text_of
from gateway.attachments.transcription import transcript_of
from toolkits import Attachment, AttachmentError, QuotedMessage, Transcriber

MOST_FILES = 10  # attachments of one message
MOST_BYTES = 20 * 2**20  # of all files of one message that the model reads itself
EMPTY = "It is empty."
TRANSCRIPT = "Transcript: {text}"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Prompt:
    """The prompt for a model.

    Args:
        text: the quotation, the text of the message, and a section for each attachment: its text, or its title if the
            model gets the file.
        files: the files that the model gets, in the order of their sections.
        unread: a sentence for the person about each attachment that the model does not get.
        earlier: the files of earlier messages, which come after the message's own files.
        quotation: the block with the messages that the message refers to: see `gateway.attachments.quoting`.
        quoted_until: the last `QuotedMessage.id` in the quotation; empty if there is none.
    """

    text: str
    files: Sequence[ModelFile] = ()
    unread: Sequence[str] = ()
    earlier: SentEarlier = NOTHING
    quotation: str = ""
    quoted_until: str = ""

    @property
    def is_text(self) -> bool:
        """True if the prompt has a text and no files."""
        return not self.files and not self.earlier.text

    @property
    def room(self) -> int:
        """The number of bytes of files for which the prompt still has room."""
        return MOST_BYTES - sum(len(file.data) for file in self.files)

    def content(self, text: Callable[[str], T], file: Callable[[ModelFile], T]) -> list[T]:
        """Return the parts of the prompt, in the form of an engine. The first part has `text`; only it is stored.

        Args:
            text: makes a part from a text.
            file: makes a part from a file.
        """
        parts = [text(self.text), *map(file, self.files)]
        return [*parts, text(self.earlier.text), *map(file, self.earlier.files)] if self.earlier.text else parts


async def read_prompt(
    text: str,
    attachments: Sequence[Attachment],
    takes: Takes,
    transcriber: Transcriber | None = None,
    quoted: Sequence[QuotedMessage] = (),
) -> Prompt:
    """Fetch the attachments of a message, and return the prompt for a model.

    If an attachment cannot be read, the prompt says so, and the rest of the message is still answered.

    Args:
        takes: returns whether the model takes files of a media type.
        transcriber: transcribes recordings; `None` if the agent has no transcriber.
        quoted: the messages that the message refers to.
    """
    quotes = quotation(quoted)
    sections, files, unread = [each for each in (quotes, text) if each], list[ModelFile](), list[str]()

    def leave_out(attachment: Attachment, reason: object) -> None:
        unread.append(f"I could not read the {attachment.title}: {reason}")
        sections.append(f"[{attachment.title}, which cannot be read: {reason}]")

    for attachment in attachments[:MOST_FILES]:
        room = MOST_BYTES - sum(len(file.data) for file in files)
        try:
            found = await _read(attachment, takes, room, transcriber)
        except AttachmentError as error:
            leave_out(attachment, error)
            continue
        if isinstance(found, ModelFile):
            files.append(found)
            sections.append(f"[{attachment.title}]")
        else:
            sections.append(f"[{attachment.title}]\n{found}\n[end of {attachment.title}]")
    for attachment in attachments[MOST_FILES:]:
        leave_out(attachment, f"I can read {MOST_FILES} attachments in one message.")
    until = next((each.id for each in reversed(quoted) if each.id), "")
    return Prompt("\n\n".join(sections), files, unread, quotation=quotes, quoted_until=until)


async def _read(attachment: Attachment, takes: Takes, room: int, transcriber: Transcriber | None) -> ModelFile | str:
    """Return an attachment as the model gets it: as a file, or as text.

    Args:
        room: how many bytes of files the prompt may still get.

    Raises:
        AttachmentError: if it cannot be read.
    """
    if attachment.fetch is None:
        if attachment.text:
            return attachment.text
        raise AttachmentError("I cannot read that kind of message.")
    data = await attachment.read()
    if not data:
        raise AttachmentError(EMPTY)
    media_type = media_type_of(data)
    if is_recording(attachment, media_type):
        said = await transcript_of(data, attachment, media_type, transcriber)
        return shortened(TRANSCRIPT.format(text=said))
    if (file := model_file(data, attachment, takes)) is not None:
        if len(data) > room:
            raise AttachmentError(f"I can read {MOST_BYTES // 2**20} MB of files in one message.")
        return file
    try:
        return await text_of(data, attachment, media_type)
    except NotTextError:
        raise AttachmentError("I cannot read files of that type.") from None
