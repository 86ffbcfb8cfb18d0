"""Check the fields of Telegram's messages that this channel reads: https://core.telegram.org/bots/api#message

python-telegram-bot checks no types. A field of another type makes it raise any exception, here or later.
"""

import logging
from collections.abc import Mapping
from typing import Annotated, Any, Optional

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from telegram import Bot, Update

from gateway.channels import MalformedEventError
from gateway.logs import describe

# Raised by its constructors for fields that are missing, of another type, out of range or nested too deeply.
UNREADABLE = (AttributeError, KeyError, OSError, OverflowError, RecursionError, TypeError, ValueError)

Number = Annotated[int, Field(ge=-(2**63), lt=2**63)]
Unit = Annotated[int, Field(ge=0, lt=2**31)]
Size = Annotated[int, Field(ge=0, lt=2**63)]
Time = Annotated[int, Field(ge=0, lt=2**37)]  # seconds, before the year 4000

log = logging.getLogger(__name__)


class _Fields(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")


class _User(_Fields):
    id: Number
    is_bot: bool
    first_name: str
    last_name: str | None = None
    username: str | None = None
    language_code: str | None = None


class _Chat(_Fields):
    id: Number
    type: str
    title: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    username: str | None = None


class _Entity(_Fields):
    type: str
    offset: Unit
    length: Unit
    user: _User | None = None


class _TopicCreated(_Fields):
    name: str
    icon_color: Number


class _File(_Fields):
    file_id: str
    file_size: Size | None = None
    file_name: str | None = None
    mime_type: str | None = None


class _Photo(_File):
    width: Size
    height: Size


class _Sticker(_File):
    is_animated: bool
    is_video: bool
    emoji: str | None = None


class _Location(_Fields):
    latitude: float
    longitude: float


class _Venue(_Fields):
    location: _Location
    title: str
    address: str


class _Contact(_Fields):
    phone_number: str
    first_name: str
    last_name: str | None = None


class _Origin(_Fields):
    """https://core.telegram.org/bots/api#messageorigin"""

    type: str
    date: Time
    sender_user: _User | None = None
    sender_user_name: str | None = None
    sender_chat: _Chat | None = None
    chat: _Chat | None = None
    message_id: Number | None = None


class _Quote(_Fields):
    text: str
    position: Unit


class _Message(_Fields):
    message_id: Number
    date: Time
    chat: _Chat
    sender: _User | None = Field(default=None, alias="from")
    sender_chat: _Chat | None = None
    text: str | None = None
    caption: str | None = None
    entities: list[_Entity] | None = None
    caption_entities: list[_Entity] | None = None
    is_topic_message: bool | None = None
    is_automatic_forward: bool | None = None
    message_thread_id: Number | None = None
    media_group_id: str | None = None
    migrate_to_chat_id: Number | None = None
    forum_topic_created: _TopicCreated | None = None
    forward_origin: _Origin | None = None
    quote: _Quote | None = None
    reply_to_message: Optional["_Message"] = None


class _ReactionType(_Fields):
    """https://core.telegram.org/bots/api#reactiontype"""

    type: str
    emoji: str | None = None


class _Reaction(_Fields):
    """https://core.telegram.org/bots/api#messagereactionupdated"""

    chat: _Chat
    message_id: Number
    date: Time
    user: _User | None = None
    actor_chat: _Chat | None = None
    old_reaction: list[_ReactionType]
    new_reaction: list[_ReactionType]


class _PressedMessage(_Fields):
    """https://core.telegram.org/bots/api#maybeinaccessiblemessage"""

    message_id: Number
    date: Time
    chat: _Chat
    is_topic_message: bool | None = None
    message_thread_id: Number | None = None


class _CallbackQuery(_Fields):
    """https://core.telegram.org/bots/api#callbackquery"""

    id: str
    sender: _User = Field(alias="from")
    chat_instance: str
    message: _PressedMessage | None = None
    data: str | None = None


class _GenerationStopped(_Fields):
    """https://core.telegram.org/bots/api#messagegenerationstopped"""

    chat: _Chat
    message_thread_id: Number | None = None


class _Update(_Fields):
    update_id: Number
    callback_query: _CallbackQuery | None = None
    message: _Message | None = None
    edited_message: _Message | None = None
    message_reaction: _Reaction | None = None
    stopped_message_generation: _GenerationStopped | None = None


class _Files(_Fields):
    photo: list[_Photo] | None = None
    animation: _File | None = None
    audio: _File | None = None
    document: _File | None = None
    video: _File | None = None
    video_note: _File | None = None
    voice: _File | None = None
    sticker: _Sticker | None = None
    venue: _Venue | None = None
    location: _Location | None = None
    contact: _Contact | None = None


class _ExternalReply(_Files):
    """https://core.telegram.org/bots/api#externalreplyinfo"""

    origin: _Origin


class _MessageWithFiles(_Message, _Files):
    reply_to_message: Optional["_MessageWithFiles"] = None
    external_reply: _ExternalReply | None = None


class _UpdateWithFiles(_Update):
    message: _MessageWithFiles | None = None
    edited_message: _MessageWithFiles | None = None


def to_update(fields: Mapping[str, Any], bot: Bot) -> Update:
    """Read an update.

    If python-telegram-bot cannot read a message, like a poll of another version of the Bot API, only the fields of
    `_Message` remain, and no attachment.

    Raises:
        MalformedEventError: if a field that is described here is missing, or has another type than Telegram documents.
    """
    try:
        _UpdateWithFiles.model_validate(fields)
    except ValidationError as error:
        wrong = error.errors(include_input=False, include_url=False, include_context=False)[0]
        raise MalformedEventError(f"{'.'.join(map(str, wrong['loc']))} of an update: {wrong['msg']}") from None
    try:
        return Update.de_json(dict(fields), bot)
    except UNREADABLE as error:
        log.warning(
            "update %s was read only in part, as python-telegram-bot cannot read it: %s",
            fields["update_id"],
            describe(error),
        )
        known = _Update.model_validate(fields)
        return Update.de_json(known.model_dump(by_alias=True, exclude_none=True), bot)
