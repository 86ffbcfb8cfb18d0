"""Read Telegram's updates: https://core.telegram.org/bots/api#update"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import telegram
from telegram import MessageEntity, ReactionTypeEmoji, Update
from telegram.constants import ChatType

from gateway.channels import Change, Event, Feedback, Piece, Rating, digest
from gateway.channels.commands import COMMANDS, Command, parse_command
from interfaces.telegram.attachments import OTHER_KINDS, has
from interfaces.telegram.quoted import quoted_in, replied_to
from oauth import Identity
from toolkits import Attachment, AttachmentKind, Conversation, Message

GENERATION_STOPPED = "stopped_message_generation"  # a kind of update
THUMBS = {"👍": Rating.UP, "👎": Rating.DOWN}


class Bot:
    """The bot. Its id is the tenant; its username is what people mention.

    Args:
        channel: the channel of the gateway in which the bot answers.
    """

    def __init__(self, channel: str, user_id: int, username: str | None) -> None:
        self.channel = channel
        self.id = user_id
        self.tenant = str(user_id)
        self.username = username

    def is_called(self, name: str | None) -> bool:
        """Return whether a name is the bot's username, or `None`."""
        return name is None or (self.username is not None and name.lower() == self.username.lower())


def is_written(message: telegram.Message) -> bool:
    """Return whether a message was written by a person, and has a text or an attachment."""
    if message.is_automatic_forward or not (_text(message) or _has_attachment(message)):
        return False
    if message.sender_chat is not None:
        return True
    return message.from_user is not None and not message.from_user.is_bot


def is_addressed(bot: Bot, message: telegram.Message) -> bool:
    """Return whether a message is for the bot: in private, by mention, by reply or by command."""
    if message.forward_origin is not None:  # its mentions and commands are the author's
        return message.chat.type == ChatType.PRIVATE
    if command := _command(message):
        return bot.is_called(command.bot)
    return message.chat.type == ChatType.PRIVATE or _is_reply_to(bot, message) or bool(_mentions(bot, message))


def conversation_of(bot: Bot, message: telegram.Message) -> Conversation:
    """Return the conversation of a message: a private chat, a group, or a topic of a group."""
    topic = f"/{message.message_thread_id}" if message.is_topic_message else ""
    return Conversation(bot.channel, bot.tenant, f"{message.chat.id}{topic}", message.chat.type != ChatType.PRIVATE)


def to_event(bot: Bot, update: Update, payload: str) -> Event | None:
    """Return a message to the bot, or an edit of one, as an event; `None` if the update is neither.

    Each photo, video or file of an album is a separate message, and a piece of the album. Telegram also reports
    edits in which nobody wrote anything, such as reactions (https://core.telegram.org/bots/api#update) and the steps of
    a live location.
    """
    message = update.message or update.edited_message
    if message is None or not is_written(message):
        return None
    is_edit, album, addressed = update.message is None, message.media_group_id, is_addressed(bot, message)
    if is_edit and message.location is not None:
        return None
    if not (addressed or is_edit or album is not None):
        return None
    text, command, _ = _written(bot, message)
    return Event(
        id=str(update.update_id),
        conversation=conversation_of(bot, message),
        payload=payload,
        message_key=f"{message.chat.id}:{message.message_id}",
        piece=Piece(f"{message.chat.id}:{album}", message.message_id) if album is not None else None,
        addressed=addressed,
        author=_sender(message),
        author_tenant="" if message.sender_chat is not None else None,
        content=digest(_text(message), _file(message)),
        change=Change.EDITED if is_edit else None,
        revision=update.update_id if is_edit else 0,  # update ids grow
        stops=addressed and not is_edit and command == "stop",
        text=text,
        command=command,
    )


def to_feedback(bot: Bot, update: Update) -> Feedback | None:
    """Return the rating that a thumbs reaction adds or removes; `None` for any other update.

    https://core.telegram.org/bots/api#messagereactionupdated: the update names the chat, but not the topic of a forum.
    Reactions of anonymous admins and of channels belong to no person, and do not count.
    """
    reaction = update.message_reaction
    if reaction is None or reaction.user is None or reaction.actor_chat is not None:
        return None
    before, after = _thumbs(reaction.old_reaction), _thumbs(reaction.new_reaction)
    given = [thumb for thumb in after if thumb not in before] or after
    if before == after or not (given or before):
        return None
    chat = reaction.chat
    return Feedback(
        identity=Identity(bot.channel, bot.tenant, str(reaction.user.id)),
        conversation=Conversation(bot.channel, bot.tenant, str(chat.id), chat.type != ChatType.PRIVATE),
        rating=(given or before)[-1],
        platform_id=message_id(chat, reaction.message_id),
        taken_back=not given,
    )


def message_id(chat: telegram.Chat, number: int) -> str:
    """Return the id of a message. In a group it names the group, because its supergroup counts messages anew."""
    return f"{chat.id}:{number}" if chat.type == ChatType.GROUP else str(number)


def number_in(chat_id: int, platform_id: str) -> int | None:
    """Return the number of a message in a chat; `None` if the message is in the group that the chat was before."""
    group, _, number = platform_id.rpartition(":")
    return int(number) if group in ("", str(chat_id)) else None


def migration(message: telegram.Message) -> tuple[int, int] | None:
    """Return the old and the new id of a group that became a supergroup; `None` for any other message.

    Both the old and the new group report it: https://core.telegram.org/bots/api#message, `migrate_to_chat_id`
    """
    if message.migrate_to_chat_id:
        return message.chat.id, message.migrate_to_chat_id
    return (message.migrate_from_chat_id, message.chat.id) if message.migrate_from_chat_id else None


def generation_stopped(bot: Bot, fields: Mapping[str, Any]) -> tuple[Conversation, str] | None:
    """Return where a person stopped the draft of an answer, and their id; `None` for any other update.

    Only private chats have drafts, and their id is that of the person. python-telegram-bot does not know this kind of
    update: https://core.telegram.org/bots/api#messagegenerationstopped

    Args:
        fields: the update as it came, checked.
    """
    stopped = fields.get(GENERATION_STOPPED)
    if stopped is None or stopped["chat"]["type"] != ChatType.PRIVATE:
        return None
    person, topic = str(stopped["chat"]["id"]), stopped.get("message_thread_id")
    return Conversation(bot.channel, bot.tenant, f"{person}/{topic}" if topic else person, shared=False), person


def to_message(
    bot: Bot,
    message: telegram.Message,
    raw: str,
    attachments: Sequence[Attachment],
    replied: Sequence[Attachment],
) -> Message:
    """Return a message to the bot in channel-neutral form.

    Args:
        attachments: its attachments.
        replied: the attachments of the message that it replies to. The model gets the pictures among them, too.
    """
    text, command, argument = _written(bot, message)
    chat, user = message.sender_chat, message.from_user
    name = chat.effective_name if chat is not None else user and user.full_name
    return Message(
        id=message_id(message.chat, message.message_id),
        text=text,
        sender=Identity(bot.channel, bot.tenant, _sender(message)),
        sender_name=name or "",
        conversation=conversation_of(bot, message),
        attachments=(*attachments, *(each for each in replied if each.kind is AttachmentKind.IMAGE)),
        quoted=quoted_in(message, bot.id, attachments, replied),
        anonymous=chat is not None,
        locale=(user.language_code or "") if chat is None and user is not None else "",
        command=command,
        argument=argument,
        raw=raw,
    )


def _thumbs(reactions: Sequence[telegram.ReactionType]) -> list[Rating]:
    emojis = (reaction.emoji for reaction in reactions if isinstance(reaction, ReactionTypeEmoji))
    return [THUMBS[emoji] for emoji in emojis if emoji in THUMBS]


def _sender(message: telegram.Message) -> str:
    # All anonymous admins have one user id, and so have all who write as a channel.
    # https://core.telegram.org/bots/api#message, `sender_chat`
    if message.sender_chat is not None:
        return f"chat:{message.sender_chat.id}"
    assert message.from_user is not None
    return str(message.from_user.id)


def _text(message: telegram.Message) -> str:
    return message.text or message.caption or ""


def _has_attachment(message: telegram.Message) -> bool:
    return bool(message.effective_attachment) or any(has(message, name) for name in OTHER_KINDS)


def _file(message: telegram.Message) -> str:
    """Return the id of the file of a message, the same for all who get the file; empty if there is none."""
    file = message.effective_attachment
    largest = file[-1] if isinstance(file, Sequence) and file else file
    return str(getattr(largest, "file_unique_id", ""))


def _command(message: telegram.Message) -> Command | None:
    """Return the command that a message begins with, where Telegram marks it: `/help@our_bot!` has the argument `!`."""
    marks = (entity for entity in message.entities if entity.type == MessageEntity.BOT_COMMAND and entity.offset == 0)
    if (mark := next(marks, None)) is None:
        return None
    text = message.text or ""
    command = parse_command(text[: mark.length])  # in ASCII, so that UTF-16 code units are characters
    return None if command is None else replace(command, argument=text[mark.length :].strip())


def _written(bot: Bot, message: telegram.Message) -> tuple[str, str | None, str]:
    """Return what the sender of a message wrote, and the gateway's command in it with its argument, if there is one."""
    if message.forward_origin is not None:  # somebody else wrote it
        return "", None, ""
    text, found = _without_mentions(bot, message), _command(message)
    if found is not None and found.name in COMMANDS:
        return text, found.name, found.argument
    if found is not None and found.bot:
        text = text.replace(f"@{found.bot}", "", 1)
    return text, None, ""


def _is_reply_to(bot: Bot, message: telegram.Message) -> bool:
    replied = replied_to(message)
    return replied is not None and replied.from_user is not None and replied.from_user.id == bot.id


def _mentions(bot: Bot, message: telegram.Message) -> list[MessageEntity]:
    units = _text(message).encode("utf-16-le")
    return [entity for entity in (message.entities or message.caption_entities) if _names(bot, entity, units)]


def _names(bot: Bot, entity: MessageEntity, units: bytes) -> bool:
    """Return whether an entity of a text mentions the bot.

    Args:
        units: the text in UTF-16: offsets count its code units. An entity may begin or end inside of a character.
    """
    if entity.type == MessageEntity.TEXT_MENTION:
        return entity.user is not None and entity.user.id == bot.id
    name = units[entity.offset * 2 : (entity.offset + entity.length) * 2].decode("utf-16-le", errors="replace")
    return entity.type == MessageEntity.MENTION and bot.username is not None and bot.is_called(name[1:])


def _without_mentions(bot: Bot, message: telegram.Message) -> str:
    units = _text(message).encode("utf-16-le")  # offsets count UTF-16 code units
    for entity in sorted(_mentions(bot, message), key=lambda entity: entity.offset, reverse=True):
        start, end = entity.offset * 2, (entity.offset + entity.length) * 2
        units = units[:start] + units[end:].removeprefix(" ".encode("utf-16-le"))
    return units.decode("utf-16-le", errors="replace").strip()  # an entity may end inside of a character
