"""Telegram's updates: https://core.telegram.org/bots/api#update"""

import re

import telegram
from telegram import MessageEntity, Update
from telegram.constants import ChatType

from gateway.commands import COMMANDS
from oauth import Identity
from toolkits import Attachment, Conversation, Message

CHANNEL = "telegram"
_COMMAND = re.compile(r"/(?P<name>\w+)(?:@(?P<bot>\w+))?\s*(?P<argument>.*)", re.DOTALL)


class Bot:
    """Who the bot is: its id is the tenant, its username what people mention."""

    def __init__(self, user_id: int, username: str | None) -> None:
        self.id = user_id
        self.tenant = str(user_id)
        self.username = username

    def is_called(self, name: str | None) -> bool:
        return name is None or (self.username is not None and name.lower() == self.username.lower())


def is_for(bot: Bot, update: Update) -> bool:
    """Whether an update is something new that a person wrote to the bot: in private, by mention, reply or command."""
    message = update.message
    if message is None or message.is_automatic_forward or not (_text(message) or message.effective_attachment):
        return False
    if message.sender_chat is None and (message.from_user is None or message.from_user.is_bot):
        return False
    if command := _command(message):
        return bot.is_called(command["bot"])
    return message.chat.type == ChatType.PRIVATE or _is_reply_to(bot, message) or bool(_mentions(bot, message))


def conversation_of(bot: Bot, message: telegram.Message) -> Conversation:
    """A private chat, a group, or a topic of a group."""
    topic = f"/{message.message_thread_id}" if message.is_topic_message else ""
    return Conversation(CHANNEL, bot.tenant, f"{message.chat.id}{topic}", message.chat.type != ChatType.PRIVATE)


def to_message(bot: Bot, message: telegram.Message, raw: str) -> Message:
    text, command, argument = _without_mentions(bot, message), None, ""
    if found := _command(message):
        if found["name"].lower() in COMMANDS:
            command, argument = found["name"].lower(), found["argument"].strip()
        elif found["bot"]:
            text = text.replace(f"@{found['bot']}", "", 1)
    # What an anonymous admin or a channel writes has one and the same user id for all of them.
    # https://core.telegram.org/bots/api#message, `sender_chat`
    chat, user = message.sender_chat, message.from_user
    if chat is not None:
        sender, name = f"chat:{chat.id}", chat.effective_name or ""
    else:
        assert user is not None
        sender, name = str(user.id), user.full_name or ""
    return Message(
        id=str(message.message_id),
        text=text,
        sender=Identity(CHANNEL, bot.tenant, sender),
        sender_name=name,
        conversation=conversation_of(bot, message),
        attachments=(Attachment("attachment"),) if message.effective_attachment else (),
        anonymous=chat is not None,
        command=command,
        argument=argument,
        raw=raw,
    )


def _text(message: telegram.Message) -> str:
    return message.text or message.caption or ""


def _command(message: telegram.Message) -> re.Match[str] | None:
    is_command = any(entity.type == MessageEntity.BOT_COMMAND and entity.offset == 0 for entity in message.entities)
    return _COMMAND.fullmatch(message.text or "") if is_command else None


def _is_reply_to(bot: Bot, message: telegram.Message) -> bool:
    # In a topic, a message that answers nothing "replies" to the message that opened the topic.
    replied = message.reply_to_message
    opener = replied is not None and replied.forum_topic_created is not None
    return replied is not None and not opener and replied.from_user is not None and replied.from_user.id == bot.id


def _mentions(bot: Bot, message: telegram.Message) -> list[MessageEntity]:
    types: list[str | None] = [MessageEntity.MENTION, MessageEntity.TEXT_MENTION]
    found = message.parse_entities(types) | message.parse_caption_entities(types)
    return [
        entity
        for entity, text in found.items()
        if (entity.user is not None and entity.user.id == bot.id)
        or (entity.type == MessageEntity.MENTION and bot.username is not None and bot.is_called(text[1:]))
    ]


def _without_mentions(bot: Bot, message: telegram.Message) -> str:
    units = _text(message).encode("utf-16-le")  # offsets count UTF-16 code units
    for entity in sorted(_mentions(bot, message), key=lambda entity: entity.offset, reverse=True):
        start, end = entity.offset * 2, (entity.offset + entity.length) * 2
        units = units[:start] + units[end:].removeprefix(" ".encode("utf-16-le"))
    return units.decode("utf-16-le", errors="replace").strip()  # an entity may end inside of a character
