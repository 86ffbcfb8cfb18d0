"""Send files to chats: https://core.telegram.org/bots/api#sending-files"""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from enum import StrEnum
from itertools import groupby
from typing import Any

from telegram import (
    Bot,
    InputFile,
    InputMediaAudio,
    InputMediaDocument,
    InputMediaPhoto,
    InputMediaVideo,
    Message,
)
from telegram.error import BadRequest

from gateway.channels import DeliveryRefusedError, StoredFile
from gateway.channels.presenter import MARK_LENGTH

MOST_BYTES = 50 * 10**6  # of all files of one message
MOST_PHOTO_BYTES = 10 * 10**6
MOST_FILES = 10  # of an album
LONGEST_CAPTION = 1024 - MARK_LENGTH  # characters: https://core.telegram.org/bots/api#sendphoto
READ_TIMEOUT = 30.0  # seconds in which Telegram processes the files

NOT_A_PHOTO = ("PHOTO_INVALID_DIMENSIONS", "IMAGE_PROCESS_FAILED", "PHOTO_EXT_INVALID")


class MediaKind(StrEnum):
    PHOTO = "photo"
    ANIMATION = "animation"
    VIDEO = "video"
    VOICE = "voice"
    AUDIO = "audio"
    DOCUMENT = "document"


_KINDS = {
    "image/jpeg": MediaKind.PHOTO,
    "image/png": MediaKind.PHOTO,
    "image/webp": MediaKind.PHOTO,
    "image/gif": MediaKind.ANIMATION,
    "video/mp4": MediaKind.VIDEO,
    "audio/ogg": MediaKind.VOICE,
    "audio/opus": MediaKind.VOICE,
    "audio/mpeg": MediaKind.AUDIO,
    "audio/mp4": MediaKind.AUDIO,
    "audio/x-m4a": MediaKind.AUDIO,
}

# Which kinds make one album: https://core.telegram.org/bots/api#sendmediagroup
_ALBUMS = {
    MediaKind.PHOTO: "pictures",
    MediaKind.VIDEO: "pictures",
    MediaKind.AUDIO: "music",
    MediaKind.DOCUMENT: "documents",
}
_INPUT_MEDIA: dict[MediaKind, Any] = {
    MediaKind.PHOTO: InputMediaPhoto,
    MediaKind.VIDEO: InputMediaVideo,
    MediaKind.AUDIO: InputMediaAudio,
    MediaKind.DOCUMENT: InputMediaDocument,
}


def check_file(file: StoredFile) -> None:
    """Check that Telegram takes a file.

    Raises:
        DeliveryRefusedError: if it is too large.
    """
    if file.size > MOST_BYTES:
        raise DeliveryRefusedError("Telegram takes files of up to 50 MB.")


def kind_of(file: StoredFile) -> MediaKind:
    """Return the kind of media that a file is sent as. A picture that is too large for a photo is a document."""
    kind = _KINDS.get(file.media_type, MediaKind.DOCUMENT)
    return MediaKind.DOCUMENT if kind is MediaKind.PHOTO and file.size > MOST_PHOTO_BYTES else kind


def grouped(files: Sequence[StoredFile]) -> list[Sequence[StoredFile]]:
    """Return files in groups, one for each message. Neighbours that can make an album are a group."""
    groups: list[Sequence[StoredFile]] = []
    for album, neighbours in groupby(files, lambda file: _ALBUMS.get(kind_of(file))):
        group: list[StoredFile] = []
        for file in neighbours:
            is_full = len(group) == MOST_FILES or sum(each.size for each in [*group, file]) > MOST_BYTES
            if group and (album is None or is_full):
                groups.append(group)
                group = []
            group.append(file)
        groups.append(group)
    return groups


async def send_files(bot: Bot, files: Sequence[StoredFile], chat_id: int, caption: str, **options: Any) -> Message:
    """Send files of one group as one message. A picture that Telegram does not take as a photo is sent as a document.

    Returns:
        The message, or the first message of an album.

    Raises:
        TelegramError: if Telegram does not take them.
    """
    options |= {"caption": caption or None, "read_timeout": READ_TIMEOUT}
    try:
        return await _send(bot, [kind_of(file) for file in files], files, chat_id, options)
    except BadRequest as error:
        if not any(reason in error.message.upper() for reason in NOT_A_PHOTO):
            raise
        return await _send(bot, [MediaKind.DOCUMENT] * len(files), files, chat_id, options)


async def _send(
    bot: Bot, kinds: Sequence[MediaKind], files: Sequence[StoredFile], chat_id: int, options: dict[str, Any]
) -> Message:
    async with AsyncExitStack() as stack:
        contents = [await stack.enter_async_context(file.spooled()) for file in files]
        # An attached file is a separate part of the request, and is read from the disk.
        inputs = [
            InputFile(content, filename=file.name, attach=len(files) > 1, read_file_handle=False)
            for file, content in zip(files, contents, strict=True)
        ]
        if len(files) > 1:
            media = [_INPUT_MEDIA[kind](each) for kind, each in zip(kinds, inputs, strict=True)]
            return (await bot.send_media_group(chat_id, media, **options))[0]
        sent: Message = await getattr(bot, f"send_{kinds[0]}")(chat_id, inputs[0], **options)
        return sent
