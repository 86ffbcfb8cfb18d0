"""Read the attachments of Telegram's messages: https://core.telegram.org/bots/api#message"""

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import replace
from functools import partial

import telegram
from telegram.error import BadRequest, NetworkError, RetryAfter, TelegramError

from gateway.attachments.fetching import FileFetcher, RemoteFile, UnavailableError
from interfaces.telegram.errors import wait_of
from interfaces.telegram.schema import UNREADABLE
from toolkits import Attachment, AttachmentError, AttachmentKind

PLATFORM = "Telegram"
HOST = "api.telegram.org"
OTHER_KINDS = ("checklist", "dice", "game", "invoice", "poll", "rich_message", "story")
DEEPEST_BLOCK = 20  # levels of nested blocks in a rich message

# Fields with a file: its kind, and its media type if the field has none. An animation also comes as a document.
FILES = {
    "animation": (AttachmentKind.VIDEO, "video/mp4"),
    "audio": (AttachmentKind.AUDIO, "audio/mpeg"),
    "document": (AttachmentKind.DOCUMENT, ""),
    "video": (AttachmentKind.VIDEO, "video/mp4"),
    "video_note": (AttachmentKind.VIDEO, "video/mp4"),
    "voice": (AttachmentKind.VOICE, "audio/ogg"),
}


TelegramFile = (
    telegram.Animation
    | telegram.Audio
    | telegram.Document
    | telegram.PhotoSize
    | telegram.Sticker
    | telegram.Video
    | telegram.VideoNote
    | telegram.Voice
)


class TelegramFiles:
    """Reads the attachments of messages, and fetches their files.

    Args:
        api_url: the address of the Bot API.
    """

    def __init__(self, client: telegram.Bot, api_url: str) -> None:
        self._client = client
        self._api_url = api_url
        self.fetcher: FileFetcher | None = None

    def attachments_of(self, message: telegram.Message | telegram.ExternalReplyInfo) -> tuple[Attachment, ...]:
        """Return the attachment of a message, if any: Telegram sends at most one with each."""
        if message.photo:
            largest = max(message.photo, key=lambda size: size.width * size.height)
            return (self._file(AttachmentKind.IMAGE, largest, "image/jpeg"),)
        for name, (kind, media_type) in FILES.items():
            if (file := getattr(message, name)) is not None:
                return (self._file(kind, file, media_type),)
        if message.sticker is not None:
            return (self._sticker(message.sticker),)
        if message.venue is not None:  # a venue also has the field `location`
            venue = message.venue
            text = f"{venue.title}, {venue.address} ({_coordinates(venue.location)})"
            return (Attachment(AttachmentKind.LOCATION, text=text),)
        if message.location is not None:
            return (Attachment(AttachmentKind.LOCATION, text=_coordinates(message.location)),)
        if message.contact is not None:
            return (Attachment(AttachmentKind.CONTACT, text=_contact(message.contact)),)
        if message.poll is not None:
            choices = ", ".join(str(option.text) for option in message.poll.options)
            return (Attachment(AttachmentKind.OTHER, name="poll", text=f"{message.poll.question} ({choices})"),)
        return tuple(
            Attachment(AttachmentKind.OTHER, name=name.replace("_", " "), text=_text_of(message, name))
            for name in OTHER_KINDS
            if has(message, name)
        )[:1]

    def _file(self, kind: AttachmentKind, file: TelegramFile, media_type: str) -> Attachment:
        attachment = Attachment(
            kind,
            name=getattr(file, "file_name", None) or "",
            media_type=getattr(file, "mime_type", None) or media_type,
            size=file.file_size,
        )
        return replace(attachment, fetch=lambda: self._fetch(attachment, file.file_id))

    def _sticker(self, sticker: telegram.Sticker) -> Attachment:
        media_type = "image/webp"
        if sticker.is_animated:
            media_type = "application/x-tgsticker"
        elif sticker.is_video:
            media_type = "video/webm"
        return replace(self._file(AttachmentKind.STICKER, sticker, media_type), text=sticker.emoji or "")

    async def _fetch(self, attachment: Attachment, file_id: str) -> AsyncGenerator[bytes, None]:
        """Yield the content of a file: https://core.telegram.org/bots/api#getfile

        Raises:
            AttachmentError: if it is larger than Telegram gives out (20 MB), or cannot be fetched.
        """
        assert self.fetcher is not None, "the channel has not been started"
        self.fetcher.check_size(attachment)
        found = await self.fetcher.retry(partial(self._find, attachment, file_id))
        file = RemoteFile(found.file_path or "", PLATFORM, (HOST,), attachment, self._api_url)
        async with aclosing(self.fetcher.fetch(file)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def _find(self, attachment: Attachment, file_id: str) -> telegram.File:
        try:
            return await self._client.get_file(file_id)
        except BadRequest as error:
            raise AttachmentError(f"Telegram does not give out the {attachment.title}: {error.message}.") from error
        except (TelegramError, *UNREADABLE) as error:
            sentence = f"The {attachment.title} cannot be fetched from Telegram at the moment."
            pause = wait_of(error) if isinstance(error, RetryAfter) else 0.0
            if isinstance(error, (NetworkError, RetryAfter)):
                raise UnavailableError(sentence, pause) from error
            raise AttachmentError(sentence) from error


def has(message: telegram.Message | telegram.ExternalReplyInfo, name: str) -> bool:
    """Return whether a message has a field, even if the library does not know it yet."""
    return bool(getattr(message, name, None) or message.api_kwargs.get(name))


def _text_of(message: telegram.Message | telegram.ExternalReplyInfo, name: str) -> str:
    """Return the text of an attachment that is not a file; empty if it has none.

    https://core.telegram.org/bots/api#checklist, https://core.telegram.org/bots/api#richmessage
    """
    match name:
        case "checklist" if message.checklist is not None:
            return "\n".join((message.checklist.title, *(f"- {task.text}" for task in message.checklist.tasks)))
        case "dice" if message.dice is not None:
            return f"{message.dice.emoji} {message.dice.value}"
        case "rich_message":
            return "\n".join(_texts_in(message.api_kwargs[name]))
    return ""


def _texts_in(block: object, depth: int = 0) -> Iterator[str]:
    """Yield the texts of a block of a rich message and of the blocks in it, in their order."""
    if depth > DEEPEST_BLOCK:
        return
    if isinstance(block, str):
        yield block
    elif isinstance(block, list):
        for each in block:
            yield from _texts_in(each, depth + 1)
    elif isinstance(block, dict):
        for name, value in block.items():
            if isinstance(value, (list, dict)) or name == "text":
                yield from _texts_in(value, depth + 1)


def _coordinates(location: telegram.Location) -> str:
    return f"latitude {location.latitude}, longitude {location.longitude}"


def _contact(contact: telegram.Contact) -> str:
    name = " ".join(filter(None, (contact.first_name, contact.last_name)))
    return f"{name}, {contact.phone_number}"
